"""Notes when the files of each request appear in the repository, by looking at the repository alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from troth.dev.git_server import git

_EVERY = 0.005


class CommitWatch:
    """Reads the branch of a bare repository every 5 ms. Only one file is read unless the branch has moved.

    Args of the constructor: ``files`` is the number of files of a complete request. The request of a path is the
    folder before the pipeline's: ``…/<request>/<pipeline>/<group>/<file>``.
    """

    def __init__(self, repository: Path, *, files: int) -> None:
        self._repository = repository
        self._files = files
        self._branch = repository / "refs" / "heads" / "main"
        self._seen: dict[str, set[str]] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.head = self._read()
        self.complete: dict[str, float] = {}

    async def __aenter__(self) -> CommitWatch:
        self._task = asyncio.create_task(self._run(), name="commit watch")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def until(self, requests: Iterable[str], *, within: float) -> float:
        """When the last of the requests was complete, on the clock of `time.monotonic`. Raises TimeoutError."""
        wanted = list(requests)
        async with asyncio.timeout(within):
            while True:
                self._news.clear()
                if all(name in self.complete for name in wanted):
                    return max(self.complete[name] for name in wanted)
                if self._task is not None and self._task.done():
                    self._task.result()
                await self._news.wait()

    def count(self, since: str) -> int:
        """The number of commits after ``since``. This blocks."""
        return int(git(self._repository, "rev-list", "--count", f"{since}..main"))

    async def _run(self) -> None:
        while True:
            head = self._read()
            if head != self.head:
                now = time.monotonic()
                listed = await asyncio.to_thread(
                    git, self._repository, "diff-tree", "-r", "-z", "--name-only", self.head, head
                )
                self.head = head
                self._note(listed.decode().split("\0"), now)
            await asyncio.sleep(_EVERY)

    def _note(self, paths: Iterable[str], now: float) -> None:
        for path in paths:
            parts = path.split("/")
            if len(parts) < 4:
                continue
            seen = self._seen.setdefault(parts[-4], set())
            seen.add(parts[-1])
            if len(seen) == self._files:
                self.complete.setdefault(parts[-4], now)
        self._news.set()

    def _read(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return self._branch.read_text().strip()
        return git(self._repository, "rev-parse", "main").decode().strip()
