"""What can go wrong with a state store, in words that a condition can show as they are.

    TrothError
    └── StoreError

One class and a set of reasons instead of a class a reason: nobody catches them apart. A controller asks two
things only, whether trying again can help (`retryable`) and what to tell people (`message`, `hint`); the
reason goes into a condition. Texts never hold a secret: what comes from a program or a server is scrubbed
before it gets here.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from troth.api import TrothError

_LONGEST: Final = 2000
# What commands a terminal or turns the direction of a text, and halves of characters.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


class Reason(StrEnum):
    """Why a store refused, as it stands in a condition."""

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
        reason: CamelCase, for a condition.
        message: what is wrong and where, one sentence without a full stop. What it quotes may be anybody's, so it is
            made into what a condition can hold: at most 2,000 characters, all of which can be printed.
        hint: what to do about it, one sentence without a full stop; empty when the message says it all.
        retryable: whether the same call can succeed later without a change of the object that asked for it.
            What waits for a person (a branch to be made, a password to be changed) is retryable: slowly.
    """

    def __init__(self, reason: str, message: str, hint: str = "", *, retryable: bool = True) -> None:
        self.reason = str(reason)
        self.message = _as_words(message)
        self.hint = hint
        self.retryable = retryable
        super().__init__(f"{self.message}; {hint}" if hint else self.message)


def _as_words(text: str) -> str:
    text = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 + 3 :]}"
