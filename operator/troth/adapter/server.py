"""A client of the API server for a program that makes two or three calls and ends.

The operator's client takes half a second of a processor to import, most of it for HTTP with many requests in flight
and for all the ways in which people log in. Here there is one connection, one account (the pod's) and no watch, for
which the standard library is enough.

Every call may be repeated: a merge patch gives the same object twice or names the version that it is for, and creating
an object that exists is an error of its own. So a call is tried again after everything that may pass (429, 5xx, no
answer) until the deadline. After that the container fails, and the kubelet starts it again.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import orjson

from troth.api import Resource, TrothError

_JSON: Final = "application/json"
_MERGE_PATCH: Final = "application/merge-patch+json"
_LARGEST_ANSWER: Final = 16 << 20
_DEADLINE: Final = 60.0
_TIMEOUT: Final = 15.0
_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 5.0
_LONGEST_MESSAGE: Final = 1024
_PASSES: Final = frozenset({429, 500, 502, 503, 504})
_MANAGER: Final = "troth-adapter"
_TOO_LARGE: Final = ("request is too large", "message larger than max")  # what etcd says comes as a 500

Object = dict[str, Any]


class ServerError(TrothError):
    """The API server does not do what was asked; one sentence for people."""


class NotFound(ServerError):
    """404: there is no such object, or no such kind."""


class Conflict(ServerError):
    """409: the object has moved on."""


class AlreadyExists(ServerError):
    """409 on create: there is an object of that name."""


class TooLarge(ServerError):
    """The object is larger than the API server reads or its storage keeps (1.5 MiB unless it was told otherwise)."""


class Unreachable(ServerError):
    """No answer within the deadline, or none that an API server gives."""


class NoAccount(ServerError):
    """The pod has no account that can be read."""


_BY_STATUS: Final[Mapping[int, type[ServerError]]] = {404: NotFound, 413: TooLarge}


class ApiServer:
    """The API server of the cluster that this pod runs in. A context manager, which closes the connection.

    Args:
        host: name or address.
        port: TCP port.
        authority: PEM of who signed its certificate.
        token: of the account.
        sleep: waits for seconds between two attempts.
        clock: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        host: str,
        port: int,
        authority: str,
        token: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        context = ssl.create_default_context(cadata=authority)
        # What Go does not ask of a certificate, cluster authorities often do not have (Python 3.13 asks).
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._connection = http.client.HTTPSConnection(host, port, context=context, timeout=_TIMEOUT)
        self._token = token
        self._sleep = sleep
        self._clock = clock

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """The object. Raises NotFound."""
        return self._call("GET", _path(resource, namespace, name))

    def list_labelled(self, resource: Resource, namespace: str, selector: str, *, most: int) -> list[Object]:
        """The objects of a namespace that a label selector finds, ``most`` at most."""
        query = urlencode({"labelSelector": selector, "limit": most})
        found = self._call("GET", f"{_path(resource, namespace)}?{query}").get("items")
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []

    def create(self, resource: Resource, obj: Mapping[str, Any], namespace: str = "") -> Object:
        """Creates an object. Raises AlreadyExists."""
        return self._call("POST", f"{_path(resource, namespace)}?fieldManager={_MANAGER}", obj, _JSON)

    def merge_patch(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any],
        namespace: str = "",
        *,
        subresource: str = "",
    ) -> Object:
        """Merges a patch into an object. With ``metadata.resourceVersion`` in it, only at that version (Conflict)."""
        path = _path(resource, namespace, name, subresource)
        return self._call("PATCH", f"{path}?fieldManager={_MANAGER}", patch, _MERGE_PATCH)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def _call(self, method: str, path: str, body: object = None, content_type: str = "") -> Object:
        packed = None if body is None else orjson.dumps(body)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": _JSON, "User-Agent": _MANAGER}
        if content_type:
            headers["Content-Type"] = content_type
        until = self._clock() + _DEADLINE
        delay = _FIRST_DELAY
        while True:
            try:
                status, answer = self._exchange(method, path, packed, headers)
                problem = _message(status, answer) if status in _PASSES else ""
                if any(words in problem for words in _TOO_LARGE):
                    raise TooLarge(problem)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                status, answer, problem = 0, b"", str(error) or type(error).__name__
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise Unreachable(f"the API server cannot be trusted: {problem}") from None
            if not problem:
                return _read(status, answer)
            if self._clock() + delay > until:
                raise Unreachable(f"the API server does not answer within {_DEADLINE:g} s: {problem}")
            self._sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self._connection.request(method, path, body, dict(headers))
        response = self._connection.getresponse()
        answer = response.read(_LARGEST_ANSWER + 1)
        if len(answer) > _LARGEST_ANSWER:
            self._connection.close()
            raise Unreachable(f"the API server's answer has more than {_LARGEST_ANSWER >> 20} MiB")
        return response.status, answer


def open_server(environ: Mapping[str, str], account: Path) -> ApiServer:
    """Opens the API server of the cluster with the account of this pod. Nothing is connected yet.

    Args:
        environ: where ``KUBERNETES_SERVICE_HOST`` and ``KUBERNETES_SERVICE_PORT`` say where it is.
        account: the folder with ``token`` and ``ca.crt``.

    Raises:
        NoAccount: one of these is missing, or cannot be used.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not (port.isascii() and port.isdecimal()):
        raise NoAccount("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not say where the API server is")
    try:
        token = (account / "token").read_text("ascii").strip()
        authority = (account / "ca.crt").read_text("ascii")
        if not token or " " in token or not token.isprintable():
            raise NoAccount(f"{account / 'token'} does not hold a token")
        if not authority:  # else whom the system trusts would be trusted
            raise NoAccount(f"{account / 'ca.crt'} is empty")
        return ApiServer(host, int(port), authority, token)
    except (OSError, UnicodeDecodeError) as error:
        raise NoAccount(f"the account of this pod cannot be read from {account}: {error}") from None


def _path(resource: Resource, namespace: str = "", name: str = "", subresource: str = "") -> str:
    return resource.path(quote(namespace, safe=""), quote(name, safe=""), subresource)


def _read(status: int, answer: bytes) -> Object:
    if status >= 400:
        reason, message = _reason(answer), _message(status, answer)
        if status == 409:
            raise AlreadyExists(message) if reason == "AlreadyExists" else Conflict(message)
        raise _BY_STATUS.get(status, ServerError)(message)
    try:
        found = orjson.loads(answer)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable("what answered is not an API server: its answer is not a JSON object")
    return found


def _status(answer: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def _reason(answer: bytes) -> str:
    return str(_status(answer).get("reason") or "")


def _message(status: int, answer: bytes) -> str:
    said = _status(answer).get("message")
    text = said if isinstance(said, str) and said else answer[:_LONGEST_MESSAGE].decode("utf-8", "replace")
    # What is wrong stands at the end, behind what the server quotes.
    short = text if len(text) <= _LONGEST_MESSAGE else f"{text[:512]}…{text[-512:]}"
    return f"the API server answered {status}: {short}"
