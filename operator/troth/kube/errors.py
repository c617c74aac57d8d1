"""What can go wrong between Troth and an API server.

    KubeError
    ├── ApiError              the server answered, and the answer is no; carries its Status
    │   ├── Unauthorized      401, after the credentials were refreshed once
    │   ├── Forbidden         403
    │   ├── NotFound          404: no such object, or no such kind (`kind_missing`)
    │   ├── AlreadyExists     409, on create
    │   ├── Conflict          409: another resourceVersion, uid or field manager
    │   ├── Gone              410: a resourceVersion or a page that is too old
    │   ├── Invalid           422
    │   ├── TooLarge          413, or the words of etcd: larger than the server can keep
    │   ├── TooManyRequests   429; `retry_after` in seconds
    │   └── ServerError       5xx
    ├── ConnectionFailed      no answer: refused, cut, TLS, DNS
    │   └── Unintelligible    an answer, and not one that an API server gives
    ├── DeadlineExceeded      no answer in time
    ├── CredentialsError      no way to log in: a kubeconfig, a plugin, a token that cannot be read
    └── LastingRefusal        a kind that has been refused (403, 404) for too long; says what to install or to grant

No exception of aiohttp's is ever raised to callers, so that they need not know which library makes the calls. A write
whose answer was lost raises ConnectionFailed or DeadlineExceeded with ``ambiguous`` set: it may have been carried out,
and only a look at the object tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from troth.api import NoAnswer, ServerRefusal, TrothError


class KubeError(TrothError):
    """Base of everything that talking to an API server raises."""


class ApiError(KubeError, ServerRefusal):
    """The server refused.

    Attributes:
        status: HTTP status code.
        reason: the Status' machine-readable reason, such as ``NotFound``; "" when there was none.
        message: the server's sentence.
        details: the Status' details (kind, name, causes); empty when there were none.
        retry_after: seconds after which the server wants to be asked again, or None.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.details: Mapping[str, Any] = details or {}
        self.retry_after = retry_after
        super().__init__(message)


class Unauthorized(ApiError):
    """401: the server does not accept the credentials, not even after they were read again."""


class Forbidden(ApiError):
    """403: the account may not do this, or admission refused it."""

    @property
    def namespace_terminating(self) -> bool:
        """Whether nothing can be created because the namespace is being deleted."""
        causes = self.details.get("causes")
        return isinstance(causes, list) and any(
            isinstance(cause, Mapping) and cause.get("reason") == "NamespaceTerminating" for cause in causes
        )


class NotFound(ApiError):
    """404."""

    @property
    def kind_missing(self) -> bool:
        """Whether the server does not serve the kind at all; False when only the object is missing."""
        return not self.details.get("name")


class AlreadyExists(ApiError):
    """409 on create: there is an object of that name."""


class Conflict(ApiError):
    """409: the object has changed meanwhile or has another uid, or a field belongs to another manager."""


class Gone(ApiError):
    """410: the resourceVersion or the page is too old; list again."""


class Invalid(ApiError):
    """422: the object breaks its schema; `details` has the causes."""


class TooLarge(ApiError):
    """The object is larger than the API server reads or its storage accepts (1.5 MiB by default)."""


class TooManyRequests(ApiError):
    """429: the server is busy, or the storage of a fresh kind is not ready yet."""


class ServerError(ApiError):
    """5xx: the server, its storage or a webhook failed. A write may have been carried out."""


class _NoAnswer(KubeError, NoAnswer):
    def __init__(self, message: str, *, ambiguous: bool) -> None:
        self.ambiguous = ambiguous
        super().__init__(message)


class ConnectionFailed(_NoAnswer):
    """No answer. ``ambiguous``: the request had left, so a write may have been carried out.

    ``permanent``: trying again cannot help (a certificate that is not trusted).
    """

    def __init__(self, message: str, *, ambiguous: bool, permanent: bool = False) -> None:
        self.permanent = permanent
        super().__init__(message, ambiguous=ambiguous)


class Unintelligible(ConnectionFailed):
    """An answer that did not come from an API server, or that cannot be read."""

    def __init__(self, problem: str = "the answer is not JSON") -> None:
        super().__init__(f"{problem}; what answered is not an API server", ambiguous=True)


class AnswerTooLong(Unintelligible):
    """An answer that is longer than the limit."""


class DeadlineExceeded(_NoAnswer):
    """No answer in time. ``ambiguous``: a write may have been carried out, or may still be."""


class CredentialsError(KubeError):
    """The login failed; the message says which file or plugin is wrong, and why."""


class LastingRefusal(KubeError):
    """An indispensable kind was forbidden or unknown for too long. The message is one sentence that says what to do."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: Invalid,
    429: TooManyRequests,
}

REFUSALS: Final = (Forbidden, Invalid, NotFound, TooLarge)
"""Refusals of a write that last until somebody changes something: a right, a quota, a namespace or the object."""

# Messages of etcd, and of the connection to it, which arrive as internal errors.
_TOO_LARGE = ("request is too large", "message larger than max")

_LONGEST_BODY = 512
_LONGEST_WAIT = 3600.0
_LONGEST_MESSAGE = 8192
_LONGEST_END = 1024
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_LOGIN = re.compile(r"//[^/\s'\"]*@")


def error_from_status(status: Mapping[str, Any], *, code: int = 0, retry_after: float | None = None) -> ApiError:
    """The error that a ``Status`` object stands for; ``code`` is the HTTP status it came with, if it did."""
    said, reason, details = status.get("code"), status.get("reason"), status.get("details")
    code = code or (said if isinstance(said, int) and 400 <= said < 600 else 500)
    reason = _plain(reason)
    details = details if isinstance(details, Mapping) else {}
    message = _plain(status.get("message")) or f"the API server answered {code} {reason}".rstrip()
    wait = details.get("retryAfterSeconds")
    if retry_after is None and isinstance(wait, int | float) and wait > 0:
        retry_after = min(float(wait), _LONGEST_WAIT)
    if code == 409 and reason == "AlreadyExists":
        cls: type[ApiError] = AlreadyExists
    elif reason == "Expired":
        cls = Gone
    elif code >= 500 and any(words in message for words in _TOO_LARGE):
        cls = TooLarge
    else:
        cls = _BY_STATUS.get(code, ServerError if code >= 500 else ApiError)
    return cls(code, reason, message, details, retry_after=retry_after)


def error_from_answer(code: int, body: bytes, retry_after: str | None = None) -> ApiError:
    """The error that an HTTP answer stands for. A body that is not a Status becomes its message, shortened."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = body[:_LONGEST_BODY].decode("utf-8", "replace").strip()
        status = {"message": f"{code}: {text}" if text else ""}
    return error_from_status(status, code=code, retry_after=_seconds(retry_after))


def _plain(message: object) -> str:
    """Returns a server's message without control characters and shortened, since people read it on a terminal."""
    text = _UNPRINTABLE.sub(" ", message if isinstance(message, str) else "")
    if len(text) <= _LONGEST_MESSAGE:
        return text
    # The reason is at the end, after what the server quotes.
    return f"{text[: _LONGEST_MESSAGE - _LONGEST_END]}...{text[-_LONGEST_END:]}"


def without_login(server: str) -> str:
    """Returns the URL of a server, or a text with URLs, without the logins in them, which are secrets."""
    return _LOGIN.sub("//", server)


def _seconds(header: str | None) -> float | None:
    # The date form of Retry-After is left out: no API server sends it, and it would need a wall clock.
    return min(float(header), _LONGEST_WAIT) if header and header.isascii() and header.isdigit() else None
