"""Finds out where a Git server redirects its clients.

Git itself does not follow redirects here, because it would send the password to any server; they are followed only to
the same server. Git does not say where it was redirected to, so the request is repeated with a trace of the headers.
Git itself leaves credentials out of this trace.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

TRACE: Final = {"GIT_TRACE_CURL": "1", "GIT_TRACE_CURL_NO_DATA": "1"}
"""The environment in which git prints the headers that it gets."""

_REDIRECTED: Final = re.compile(r"returned error: 3\d\d\b")
_LOCATION: Final = re.compile(r"recv header[^\n]*?: location: ([^\r\n]+)", re.IGNORECASE)
_LONGEST: Final = 300


def is_redirected(stderr: str) -> bool:
    """Whether a command failed because the server redirected it."""
    return _REDIRECTED.search(stderr) is not None


def new_address(trace: str, *, url: str) -> str:
    """The address to which the server redirects, without a login; empty when it is not a repository's address."""
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
    """Whether two addresses lead to the same server in the same way, so that both may be given the same credentials."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc.lower()) == (second.scheme, second.netloc.lower())
