"""The errors of state stores, with messages that a condition can show unchanged.

    TrothError
    └── StoreError

There is one class with a set of reasons, and not a class for each reason, since nobody needs to catch them
separately. A controller only needs to know whether trying again can help (`retryable`) and what to tell people
(`message`, `hint`); the reason goes into a condition. Texts never contain a secret: the output of programs and
servers is scrubbed before it gets here.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from troth.api import TrothError

_LONGEST: Final = 2000
# Control characters, characters that change the direction of text, and lone surrogates.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


class Reason(StrEnum):
    """The reason of a refusal, as it is written in a condition."""

    AUTHENTICATION_REFUSED = "AuthenticationRefused"
    BRANCH_MISSING = "BranchMissing"
    CERTIFICATE_REFUSED = "CertificateRefused"
    CLOSED = "WriterClosed"
    CONTENT_UNAVAILABLE = "ContentUnavailable"
    CONTENTION = "TooMuchContention"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    GIT_FAILED = "GitFailed"
    HOST_KEY_MISMATCH = "HostKeyMismatch"
    INSECURE_TRANSPORT = "InsecureTransport"
    INVALID_MANIFEST = "InvalidManifest"
    INVALID_PATH = "InvalidPath"
    INVALID_STORE = "InvalidStateStore"
    KIND_MISSING = "KindMissing"
    LOCAL_PATH_REFUSED = "LocalPathRefused"
    LOCKED = "LockContention"
    NOT_OURS = "NotOurs"
    NOT_SUPPORTED = "NotSupported"
    OBJECTS_REFUSED = "ObjectsRefused"
    PATH_CONFLICT = "PathConflict"
    PUSH_REFUSED = "PushRefused"
    RECORD_UNREADABLE = "RecordUnreadable"
    REDIRECTED = "Redirected"
    REPOSITORY_MISSING = "RepositoryMissing"
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105 - a reason, not a secret
    STORAGE_FAILED = "StorageFailed"
    STORAGE_FULL = "StorageFull"
    TOO_LARGE = "TooLarge"
    UNREACHABLE = "Unreachable"


class StoreError(TrothError):
    """A state store cannot do what was asked.

    Attributes:
        reason: the reason in CamelCase, for a condition.
        message: what is wrong and where, in one sentence without a full stop. It may quote what others have written,
            so it is cut to 2,000 characters, and characters that cannot be printed are escaped.
        hint: what to do about it, in one sentence without a full stop; empty when the message says everything.
        retryable: whether the same call can succeed later without a change of the object that asked for it.
            A problem that a person has to solve (to create a branch, to change a password) is retryable, but slowly.
        selective: the store took what others wanted at the same time, so the refusal is not meant for everybody.
    """

    def __init__(
        self, reason: str, message: str, hint: str = "", *, retryable: bool = True, selective: bool = False
    ) -> None:
        self.reason = str(reason)
        self.message = _as_words(message)
        self.hint = hint
        self.retryable = retryable
        self.selective = selective
        super().__init__(f"{self.message}; {hint}" if hint else self.message)


def _as_words(text: str) -> str:
    text = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 + 3 :]}"
