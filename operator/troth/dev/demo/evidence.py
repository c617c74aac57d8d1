"""When things happened, by the word of those to whom they happened.

The API server's audit log says when it answered whom, and a branch's file says when it was moved: both by the clock
of this machine. The times of the demo are taken from these two, so the start of kubectl, the polling of the demo and
the operator's own opinion are not in them.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from troth.dev.audit import AuditEntry, AuditLog
from troth.dev.demo.errors import DemoFailed
from troth.dev.git_server import git

T = TypeVar("T")

_LOOK_INTERVAL = 0.005


@dataclass(frozen=True, slots=True)
class Move:
    """A branch was moved.

    Attributes:
        commit: where it was moved to.
        time: seconds since the epoch.
    """

    commit: str
    time: float


class Branch:
    """Watches the branch ``main`` of a bare repository; a context manager."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._file = repository / "refs" / "heads" / "main"
        self._moves: list[Move] = []
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
        """The commit that the branch is at."""
        return self._file.read_text().strip()

    def files(self, commit: str = "main") -> list[str]:
        """The paths of all files of a commit."""
        names = git(self._repository, "ls-tree", "-r", "-z", "--name-only", commit)
        return [name for name in names.decode().split("\0") if name]

    def read(self, path: str, commit: str = "main") -> str:
        """A file of a commit."""
        return git(self._repository, "show", f"{commit}:{path}").decode()

    def changed(self, old: str, new: str) -> list[str]:
        """The paths that differ between two commits."""
        names = git(self._repository, "diff", "-z", "--name-only", old, new)
        return [name for name in names.decode().split("\0") if name]

    def arrival(self, commit: str) -> float:
        """When the branch had a commit, in seconds since the epoch.

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
            git(self._repository, "merge-base", "--is-ancestor", commit, head)
        except subprocess.CalledProcessError:
            return False
        return True

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_INTERVAL):
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # git replaces the file; it is there again at once
            moved = self._file.stat().st_mtime
            if self._moves and self._moves[-1].time == moved:
                return
            head = self.head
            if head and (not self._moves or self._moves[-1].commit != head):
                self._moves.append(Move(head, moved))


class Journal:
    """What the API server has answered so far."""

    def __init__(self, path: Path) -> None:
        self._log = AuditLog(path)
        self._entries: list[AuditEntry] = []

    def asked(self, resource: str, name: str, since: float) -> float:
        """When kubectl's first write to an object after ``since`` was done.

        Raises:
            DemoFailed: there was none.
        """
        return next(self._done(resource, name, since, "kubectl"))

    def answered(self, resource: str, name: str, since: float) -> float:
        """When the operator's last write to an object after ``since``, its status included, was done.

        Raises:
            DemoFailed: there was none.
        """
        return max(self._done(resource, name, since, "troth"))

    def _done(self, resource: str, name: str, since: float, program: str) -> Iterator[float]:
        self._entries += self._log.read()
        times = [
            when
            for entry in self._entries
            if entry.is_write
            and (entry.resource, entry.name) == (resource, name)
            and entry.user_agent.startswith(program)
            and entry.code < 300  # noqa: PLR2004
            and (when := datetime.fromisoformat(entry.time).timestamp()) >= since
        ]
        if not times:
            raise DemoFailed(f"the API server has no write by {program} to {resource}/{name} in its audit log")
        return iter(times)


def wait_for(what: str, look: Callable[[], T | None], *, check: Callable[[], None], within: float = 30.0) -> T:
    """Call ``look`` until it answers with something, and return that.

    Args:
        what: what is waited for, for the message.
        look: answers None as long as it is not there yet.
        check: called between two looks; raises when waiting is in vain.
        within: seconds.

    Raises:
        DemoFailed: time is up.
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
