"""Where a Git server sends its clients instead of answering.

Git follows nowhere by itself here, because it would take the password along to any server: only to the same one.
Git does not say where it was sent, so it is asked once more with a trace of the headers; those that prove who we are,
it leaves out of that by itself.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

TRACE: Final = {"GIT_TRACE_CURL": "1", "GIT_TRACE_CURL_NO_DATA": "1"}
"""The environment in which git says what headers it gets."""

_REDIRECTED: Final = re.compile(r"returned error: 3\d\d\b")
_LOCATION: Final = re.compile(r"recv header[^\n]*?: location: ([^\r\n]+)", re.IGNORECASE)
_LONGEST: Final = 300


def is_redirected(stderr: str) -> bool:
    """Whether a command failed because the server sent it elsewhere."""
    return _REDIRECTED.search(stderr) is not None


def new_address(trace: str, *, url: str) -> str:
    """The address of the repository that the server names, without a login; empty when it names none that is one."""
    found = _LOCATION.findall(trace)
    if not found:
        return ""
    try:
        parts = urlsplit(urljoin(f"{url.rstrip('/')}/info/refs", found[-1].strip()))
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    path = parts.path.partition("/info/refs")[0].removesuffix("/git-receive-pack").removesuffix("/git-upload-pack")
    address = urlunsplit((parts.scheme, (f"[{host}]" if ":" in host else host) + port, path, "", ""))
    sound = parts.scheme in ("http", "https") and host and len(address) <= _LONGEST
    return address if sound and re.fullmatch(r"[\x21-\x7e]+", address) else ""


def is_same_server(one: str, other: str) -> bool:
    """Whether two addresses are of one server, reached in the same way: what one may know, the other may, too."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc.lower()) == (second.scheme, second.netloc.lower())
