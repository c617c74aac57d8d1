"""Finds out when things happened, from the API server's audit log and from the repository.

The audit log says when the API server answered which client, and the file of a branch says when the branch was moved;
both use the clock of this machine. The times of the demo are taken from these two, so they contain neither the start
of kubectl nor the polling of the demo, and do not rely on what the operator says.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from troth.dev.audit import AuditEntry, AuditLog
from troth.dev.demo.errors import DemoFailed
from troth.dev.git_server import git

T = TypeVar("T")

_LOOK_INTERVAL = 0.005
_AUDIT_DELAY = 5.0


@dataclass(frozen=True, slots=True)
class Move:
    """A move of a branch.

    Attributes:
        commit: the commit to which it was moved.
        time: when it was moved, in seconds since the epoch.
    """

    commit: str
    time: float


class Branch:
    """A context manager that watches the branch ``main`` of a bare repository."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._file = repository / "refs" / "heads" / "main"
        self._moves: list[Move] = []
        self._guard = threading.Lock()
        self._stopped = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._watch, name="branch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def head(self) -> str:
        """The newest commit of the branch."""
        return self._file.read_text().strip()

    def files(self, commit: str = "main") -> list[str]:
        """The paths of all files in a commit."""
        names = self._git("ls-tree", "-r", "-z", "--name-only", commit)
        return [name for name in names.split("\0") if name]

    def read(self, path: str, commit: str = "main") -> str:
        """The content of a file in a commit."""
        return self._git("show", f"{commit}:{path}")

    def changed(self, old: str, new: str) -> list[str]:
        """The paths that differ between two commits."""
        names = self._git("diff", "-z", "--name-only", old, new)
        return [name for name in names.split("\0") if name]

    def arrival(self, commit: str) -> float:
        """When the branch first had a commit, in seconds since the epoch.

        Raises:
            DemoFailed: it never had.
        """
        return self._first(lambda head: self._contains(head, commit), f"the commit {commit}")

    def arrival_of_file(self, path: str) -> float:
        """When the branch had a file for the first time, in seconds since the epoch.

        Raises:
            DemoFailed: it never had.
        """
        return self._first(lambda head: path in self.files(head), path)

    def _first(self, holds: Callable[[str], bool], what: str) -> float:
        self._look()
        for move in list(self._moves):
            if holds(move.commit):
                return move.time
        raise DemoFailed(f"the branch main of {self._repository.name} never had {what}")

    def _contains(self, head: str, commit: str) -> bool:
        try:
            self._git("merge-base", "--is-ancestor", commit, head)
        except DemoFailed:
            return False
        return True

    def _git(self, *arguments: str) -> str:
        try:
            return git(self._repository, *arguments).decode()
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip()
            raise DemoFailed(f"git {' '.join(arguments)} ended with code {error.returncode}: {said}") from error

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_INTERVAL):
            self._look()

    def _look(self) -> None:
        # Git replaces the file in one step, so the opened file is complete, and its time is the time of its content.
        with self._guard, contextlib.suppress(FileNotFoundError), self._file.open() as file:
            moved, head = os.fstat(file.fileno()).st_mtime, file.read().strip()
            if not self._moves or self._moves[-1].commit != head:
                self._moves.append(Move(head, moved))


class Journal:
    """The requests that the API server has answered so far."""

    def __init__(self, path: Path) -> None:
        self._log = AuditLog(path)
        self._entries: list[AuditEntry] = []

    def asked(self, resource: str, name: str, since: float) -> float:
        """The time of kubectl's first write to an object after ``since``, in seconds since the epoch.

        Args:
            resource: the plural of its kind.
            name: its name.
            since: a time in seconds since the epoch.

        Raises:
            DemoFailed: there was no such write.
        """
        return min(self._writes("kubectl", resource, name, since))

    def first_answer(self, resource: str, name: str, since: float) -> float:
        """The same for the operator's first write to the object itself."""
        return min(self._writes("troth", resource, name, since))

    def last_answer(self, resource: str, name: str, since: float) -> float:
        """The same for the operator's last write so far to the object or its status."""
        return max(self._writes("troth", resource, name, since))

    def _writes(self, program: str, resource: str, name: str, since: float) -> list[float]:
        deadline = time.monotonic() + _AUDIT_DELAY
        while True:  # the log is written after the answer
            self._entries += self._log.read()
            found = [
                when
                for entry in self._entries
                if entry.is_write
                and (entry.resource, entry.name) == (resource, name)
                and entry.user_agent.partition("/")[0] == program
                and entry.code < HTTPStatus.MULTIPLE_CHOICES
                and (when := datetime.fromisoformat(entry.time).timestamp()) >= since
            ]
            if found:
                return found
            if time.monotonic() > deadline:
                raise DemoFailed(f"the API server's audit log has no write to {resource}/{name} by {program}")
            time.sleep(_LOOK_INTERVAL)


def wait_for(what: str, look: Callable[[], T | None], *, check: Callable[[], None], within: float = 30.0) -> T:
    """Call ``look`` until it returns something other than None, and return that.

    Args:
        what: what is waited for, for the message.
        look: returns None as long as the result is not there yet.
        check: called between two calls of ``look``; raises an exception when waiting is in vain.
        within: the deadline in seconds.

    Raises:
        DemoFailed: the deadline has passed.
    """
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if seen is not None:
            return seen
        check()
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {within:.0f} s in vain for {what}")
        time.sleep(0.03)
