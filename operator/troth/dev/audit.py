"""Reads the audit log of the API server: who has asked it for what.

Writes are counted by the server and not by the operator, whose own counters could only confirm what it believes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  nonResourceURLs: ["/readyz*", "/livez*", "/healthz*"]
- level: Metadata
"""

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request that was answered.

    Attributes:
        user: the user, such as ``system:serviceaccount:troth:troth``.
        user_agent: the program, such as ``kubectl/v1.36.3 (linux/amd64) …``.
        verb: get, list, watch, create, update, patch, delete, deletecollection.
        group: the API group; empty for the core group.
        resource: the plural, such as ``works``.
        subresource: the subresource, such as ``status``; may be empty.
        namespace: the namespace; may be empty.
        name: the name; empty for lists, and for names that the server generated.
        uri: the URL's path and query.
        code: the HTTP status of the answer.
        time: when the answer was complete, in RFC 3339 with microseconds.
    """

    user: str
    user_agent: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    uri: str
    code: int
    time: str

    @property
    def is_write(self) -> bool:
        """Whether the request was to change something, even if it was refused."""
        return self.verb in _WRITES


class AuditLog:
    """Reads what is added to an audit log. Each reader has its own position."""

    def __init__(self, path: Path, *, from_start: bool = False, settle: Callable[[], None] = lambda: None) -> None:
        """Make a reader; the file is only opened by `read`.

        Args:
            path: the file.
            from_start: begin with the entries that are there already, instead of those that are added from now on.
            settle: called before each read. `ControlPlane.settle_audit_log` waits until all requests that have been
                answered are in the log, too, which is a moment later.
        """
        self._path = path
        self._settle = settle
        settle()
        self._offset = 0 if from_start else _end_of_last_line(path)

    def read(self) -> list[AuditEntry]:
        """The entries since the last call. A line that is only half written is returned by the next call."""
        self._settle()
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        return list(_parse(complete))

    def writes(self, by: Callable[[AuditEntry], bool] = lambda _: True) -> list[AuditEntry]:
        """The writes among the entries since the last call for which ``by`` is true."""
        return [entry for entry in self.read() if entry.is_write and by(entry)]


def _end_of_last_line(path: Path) -> int:
    """The position in bytes after the last complete line: the server may be in the middle of the next one."""
    try:
        with path.open("rb") as file:
            offset = file.seek(0, os.SEEK_END)
            while offset:
                start = max(0, offset - _BLOCK)
                file.seek(start)
                newline = file.read(offset - start).rfind(b"\n")
                if newline >= 0:
                    return start + newline + 1
                offset = start
    except FileNotFoundError:
        pass
    return 0


def _parse(data: bytes) -> Iterator[AuditEntry]:
    for line in data.splitlines():
        event: dict[str, Any] = json.loads(line)
        target: dict[str, str] = event.get("objectRef") or {}
        yield AuditEntry(
            user=event.get("user", {}).get("username", ""),
            user_agent=event.get("userAgent", ""),
            verb=event["verb"],
            group=target.get("apiGroup", ""),
            resource=target.get("resource", ""),
            subresource=target.get("subresource", ""),
            namespace=target.get("namespace", ""),
            name=target.get("name", ""),
            uri=event["requestURI"],
            code=event.get("responseStatus", {}).get("code", 0),
            time=event.get("stageTimestamp", ""),
        )
