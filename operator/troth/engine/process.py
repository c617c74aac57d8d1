"""A process that renders, as its parent sees it: started, asked, and ended; never repaired."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

from troth.api import TrothError
from troth.child_process import ChildProcess
from troth.engine.limits import Limits
from troth.engine.wire import LENGTH, framed, pack, unpack

_START_SECONDS: Final = 30.0
_LARGE: Final = 512 * 1024
_LONGEST_REPLY: Final = 64 * 1024 * 1024


class ProcessError(TrothError):
    """A process that renders does not start."""


class ProcessEnded(Exception):
    """A worker ended before it answered."""


@dataclass(eq=False, slots=True)
class RenderProcess:
    """A worker process (`worker`)."""

    process: ChildProcess

    @classmethod
    async def start(cls, limits: Limits) -> RenderProcess:
        """A worker that is ready.

        Raises:
            ProcessError: it does not get ready.
            OSError: the system does not let it start.
        """
        process = cls(
            await ChildProcess.start(
                *interpreter_arguments("troth.engine.worker"),
                environment=interpreter_environment(),
                folder="/",
                reads=True,
                says=False,
                limit=1 << 20,
            )
        )
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
        """Its next message.

        Raises:
            ProcessEnded: there is none.
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
        """Gives it a message.

        Raises:
            ProcessEnded: it takes none any more.
        """
        writer = self.process.stdin
        try:
            writer.write(framed(payload))
            await writer.drain()
        except ConnectionError:
            raise ProcessEnded("it ended") from None

    async def end(self) -> int:
        """Ends the process, if it has not ended; its exit code."""
        return await self.process.end()


def interpreter_arguments(module: str) -> list[str]:
    """The command of a fresh interpreter that runs a module."""
    return [sys.executable, "-P", "-s", "-m", module]


def interpreter_environment() -> dict[str, str]:
    """What a worker finds in its environment: where Python's modules are, and no secrets."""
    paths = [os.path.abspath(path) for path in sys.path if path]  # noqa: PTH100 - text in, text out
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",  # the same input gives the same bytes in every worker
        "LC_ALL": "C.UTF-8",
        "MALLOC_ARENA_MAX": "1",
    }
