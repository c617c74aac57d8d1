"""One run of ``git fast-import``, which is given contents one by one as they are loaded, and makes a commit of them.

A batch of a thousand claims may have a gigabyte. So a batch is never put together in memory: the contents of a claim
are passed to git as soon as they are loaded, and only their marks are kept. The program is started with the first
content, since most batches do not change anything.

Rejected: a file next to the clone that collects the batch (the same bytes would be on the disk twice), and a limit for
the size of a batch (a thousand commits where one would do).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from troth.child_process import ChildProcess
from troth.stores.errors import Reason, StoreError
from troth.stores.git_command import Completed, GitCommand
from troth.stores.tree import ORDINARY

_PIECE = 256 * 1024
_ARGUMENTS = ("fast-import", "--quiet", "--force", "--done", "--date-format=raw")


class Import:
    """Contents on their way into the clone. If they are not committed, nothing of them is visible there.

    ``timeout`` is in seconds, and is used for each content and for the commit.
    """

    def __init__(self, git: GitCommand, *, reference: str, timeout: float) -> None:
        self._git = git
        self._reference = reference
        self._timeout = timeout
        self._process: ChildProcess | None = None
        self._lock = asyncio.Lock()
        self._marks = 1  # the first mark is that of the commit

    async def add(self, content: bytes) -> str:
        """Passes on the content of a file. Returns its mark for `commit`."""
        async with self._lock:
            self._marks += 1
            mark = f":{self._marks}"
            await self._send(b"blob\nmark %s\ndata %d\n" % (mark.encode(), len(content)))
            for at in range(0, len(content), _PIECE):
                await self._send(content[at : at + _PIECE])
            await self._send(b"\n")
            return mark

    async def commit(
        self, *, parent: str, writes: Mapping[str, str], removes: Iterable[str], message: str, stamp: str
    ) -> Completed:
        """Makes the commit and ends the program, whose output has the commit's id. ``writes`` has marks by path."""
        text = message.encode()
        lines = [
            f"commit {self._reference}\nmark :1\nauthor {stamp}\ncommitter {stamp}\ndata {len(text)}\n".encode(),
            text,
            f"\nfrom {parent}\n".encode(),
        ]
        lines += [b"D %s\n" % _path(path) for path in sorted(removes)]
        lines += [
            b"M %s %s %s\n" % (ORDINARY.encode(), mark.encode(), _path(path))
            for path, mark in sorted(writes.items())
        ]
        lines.append(b"\nget-mark :1\ndone\n")
        async with self._lock:
            await self._send(b"")
            process = self._process
            assert process is not None  # noqa: S101 - `_send` has started it
            return await self._git.finish(
                process, stdin=b"".join(lines), name="fast-import", timeout=self._timeout
            )

    async def end(self) -> None:
        """Ends the program if it was started. Idempotent."""
        if self._process is not None:
            await self._process.end()

    async def _send(self, piece: bytes) -> None:
        if self._process is None:
            self._process = await self._git.start(*_ARGUMENTS, reads=True)
        try:
            async with asyncio.timeout(self._timeout):
                self._process.stdin.write(piece)
                await self._process.stdin.drain()
        except TimeoutError as error:
            raise StoreError(
                Reason.DEADLINE_EXCEEDED, f"git fast-import did not take a file within {self._timeout:g} s"
            ) from error
        except ConnectionError:
            # `finish` finds out why the program has ended
            completed = await self._git.finish(
                self._process, stdin=None, name="fast-import", timeout=self._timeout
            )
            raise StoreError(
                Reason.GIT_FAILED, f"git fast-import ended too early: {completed.stderr.strip()[-300:]}"
            ) from None


def _path(path: str) -> bytes:
    escaped = path.encode(errors="surrogateescape").replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"' + escaped.replace(b"\n", b"\\n") + b'"'
