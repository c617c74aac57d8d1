"""A process that renders, as its parent sees it: it is started, called, and ended, but never repaired.

Its standard error goes into this process's log as text: a worker can neither write to a file, nor write log lines that
look like the operator's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from troth.api import TrothError
from troth.child_process import ChildProcess
from troth.engine.rendering.limits import Limits
from troth.engine.workers.wire import LENGTH, framed, pack, unpack
from troth.surroundings import python_command, python_environment

_START_SECONDS: Final = 30.0
_PROCESSOR_CLOCK: Final = 2  # Linux: of all threads of the process whose inverted id is combined with it
_LARGE: Final = 512 * 1024
_LONGEST_REPLY: Final = 64 * 1024 * 1024
_WORKER: Final = "troth.engine.workers.worker"
_MOST_LINES: Final = 50
_LONGEST_LINE: Final = 500
_LONGEST_TEXT: Final = 1 << 16

_logger = logging.getLogger(__name__)


class ProcessError(TrothError):
    """A process that renders did not start, or could not do its job."""


class ProcessEnded(Exception):
    """A worker ended before it had answered."""


@dataclass(eq=False, slots=True)
class RenderProcess:
    """A worker process (`worker`)."""

    process: ChildProcess
    listening: asyncio.Task[None]
    behind: bool = False
    """It was given a job of the slow lane, and has a lower priority since."""

    @classmethod
    async def start(cls, limits: Limits, command: Sequence[str] = ()) -> RenderProcess:
        """Starts a worker and waits until it is ready.

        Args:
            limits: the limits of each job.
            command: another command that ends up in the worker's `main`.

        Raises:
            ProcessError: it does not become ready.
            OSError: the system does not allow it to start.
        """
        program = await ChildProcess.start(
            *(command or python_command(_WORKER)),
            environment=worker_environment(),
            folder="/",
            reads=True,
            limit=1 << 20,
        )
        process = cls(program, asyncio.create_task(_listen(program)))
        ready = False
        try:
            async with asyncio.timeout(_START_SECONDS):
                await process.send(pack(asdict(limits)))
                await process.receive()
            ready = True
        except TimeoutError:
            raise ProcessError(f"it is not ready after {_START_SECONDS:g} seconds") from None
        except ProcessEnded:
            raise ProcessError(f"it ended with exit code {await process.end()}") from None
        finally:
            if not ready:
                await process.end()
        return process

    async def receive(self) -> Any:
        """Waits for the next message of the worker.

        Raises:
            ProcessEnded: the worker has ended.
        """
        reader = self.process.stdout
        try:
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            if length > _LONGEST_REPLY:
                raise ProcessEnded("a reply that is too long")
            payload = await reader.readexactly(length)
        except asyncio.IncompleteReadError:
            raise ProcessEnded("it ended") from None
        return await asyncio.to_thread(unpack, payload) if length > _LARGE else unpack(payload)

    async def send(self, payload: bytes) -> None:
        """Sends a message to the worker.

        Raises:
            ProcessEnded: the worker does not accept messages any more.
        """
        writer = self.process.stdin
        try:
            writer.write(framed(payload))
            await writer.drain()
        except ConnectionError:
            raise ProcessEnded("it ended") from None

    def spent(self) -> float:
        """Returns the seconds of processor time that it has used; 0 where the system does not report them."""
        try:
            return time.clock_gettime((~self.process.pid << 3) | _PROCESSOR_CLOCK)
        except (OSError, AttributeError):
            return 0.0

    async def end(self) -> int:
        """Ends the process, if it has not ended. Returns its exit code."""
        try:
            return await self.process.end()
        finally:
            await self.listening  # the task ends with the pipe


async def _listen(program: ChildProcess) -> None:
    """Logs the output of a worker, but only its first lines."""
    left = _MOST_LINES
    rest = b""
    while content := await program.stderr.read(_LONGEST_TEXT):
        *lines, rest = (rest + content).split(b"\n")
        for line in lines[:left]:
            _log(line)
        left -= len(lines[:left])
        rest = rest[:_LONGEST_TEXT]
    if rest and left:
        _log(rest)


def _log(line: bytes) -> None:
    text = line[:_LONGEST_LINE].decode(errors="replace")
    _logger.warning("a process that renders says: %s", "".join(c if c.isprintable() else "\ufffd" for c in text))


def worker_environment() -> dict[str, str]:
    """Returns the environment of a worker: where Python's modules are, and no secrets."""
    return {
        **python_environment(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",  # the same input gives the same bytes in every worker
        "LC_ALL": "C.UTF-8",
        "MALLOC_ARENA_MAX": "1",
    }
