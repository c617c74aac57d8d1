"""What the API server itself says about who asked it for what.

Writes are counted by the server, not by the operator: its own counters could only confirm its own beliefs.
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
        user: who asked, such as ``system:serviceaccount:troth:troth``.
        user_agent: with which program, such as ``kubectl/v1.36.3 (linux/amd64) …``.
        verb: get, list, watch, create, update, patch, delete, deletecollection.
        group: API group, empty for the core group.
        resource: plural, such as ``works``.
        subresource: such as ``status``, or empty.
        namespace: or empty.
        name: or empty, as for lists and where the server generated it.
        uri: the URL's path and query.
        code: the HTTP status of the answer.
        time: when the answer was complete, RFC 3339 with microseconds.
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
        """Whether it meant to change something; also when it was refused."""
        return self.verb in _WRITES


class AuditLog:
    """Reads a growing audit log from where it stood; one reader for one question."""

    def __init__(self, path: Path, *, from_start: bool = False, settle: Callable[[], None] = lambda: None) -> None:
        """Open nothing yet.

        Args:
            path: the file.
            from_start: begin with what is there already, instead of with what comes from now on.
            settle: called before each look: `ControlPlane.settle_audit_log` waits until what has been answered is
                written down too, which is a moment later.
        """
        self._path = path
        self._settle = settle
        settle()
        self._offset = 0 if from_start else _end_of_last_line(path)

    def read(self) -> list[AuditEntry]:
        """What was added since the last call; a line that is only half written comes with the next one."""
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
        """The writes among what was added since the last call, of those for whom ``by`` is true."""
        return [entry for entry in self.read() if entry.is_write and by(entry)]


def _end_of_last_line(path: Path) -> int:
    """Where the last complete line ends, in bytes: the server may be in the middle of the next one."""
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
