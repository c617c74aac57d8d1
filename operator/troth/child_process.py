"""A child process whose pipes are closed together with it.

`asyncio.create_subprocess_exec` closes a program's pipes when the program has ended and has closed them itself. If the
parent ends it, the program may have children that hold its pipes for longer, and the parent's event loop may be closed
by then. The rest is then closed by the garbage collector, in whatever code runs at that moment, which fails because
the loop is gone. So a program is ended here together with its pipes, and `end` returns when nothing of it is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process, SubprocessStreamProtocol
from collections.abc import Mapping
from typing import Any, Final, cast

_DEFAULT_LIMIT: Final = 1 << 16
_START_SECONDS: Final = 10.0
_END_SECONDS: Final = 10.0  # it takes an instant, unless the process is blocked in the kernel


class SaysTooMuch(Exception):
    """A program writes more than its owner is ready to hold."""


class _Streams(SubprocessStreamProtocol):
    """Notices when the program and all of its pipes are gone."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit, loop)
        self.gone: asyncio.Future[None] = loop.create_future()
        self._left = {"process"}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        pipes = cast("asyncio.SubprocessTransport", transport)
        self._left |= {str(fd) for fd in range(3) if pipes.get_pipe_transport(fd) is not None}

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        super().pipe_connection_lost(fd, exc)
        self._lost(str(fd))

    def process_exited(self) -> None:
        super().process_exited()
        self._lost("process")

    def _lost(self, what: str) -> None:
        self._left.discard(what)
        if not self._left and not self.gone.done():
            self.gone.set_result(None)


class ChildProcess:
    """A program that was started. Its owner must always call `end`."""

    def __init__(
        self, process: Process, transport: asyncio.SubprocessTransport, streams: _Streams, *, group: bool
    ) -> None:
        self._process = process
        self._transport = transport
        self._streams = streams
        self._group = group
        self._has_ended = False

    @classmethod
    async def start(
        cls,
        program: str,
        *arguments: str,
        environment: Mapping[str, str],
        folder: str | os.PathLike[str] | None = None,
        reads: bool = False,
        says: bool = True,
        group: bool = False,
        limit: int = _DEFAULT_LIMIT,
    ) -> ChildProcess:
        """Starts a program.

        Args:
            program: its name or its path.
            arguments: its arguments.
            environment: its whole environment.
            folder: its working folder; that of this process if None.
            reads: whether its standard input is a pipe. Otherwise its standard input is empty.
            says: whether its standard error is a pipe, as its standard output is. Otherwise it is that of this
                process.
            group: whether it leads a process group of its own, all of which is ended with it.
            limit: how many bytes of its output are read ahead.

        Raises:
            OSError: the system does not allow it to start.
        """
        loop = asyncio.get_running_loop()
        starting = asyncio.ensure_future(
            loop.subprocess_exec(
                lambda: _Streams(limit, loop),
                program,
                *arguments,
                stdin=asyncio.subprocess.PIPE if reads else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE if says else None,
                env=environment,
                cwd=folder,
                start_new_session=group,
            )
        )
        # asyncio would wait for ever if it was cancelled here while a child of the program holds the pipes.
        cancelled = await _wait_for(starting, _START_SECONDS)
        if cancelled is not None and (not starting.done() or starting.exception() is not None):
            starting.cancel()
            raise cancelled
        transport, streams = await starting
        process = cls(Process(transport, streams, loop), transport, streams, group=group)
        if cancelled is not None:
            await process.end()
            raise cancelled
        return process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """Its standard input; only if it was started with ``reads``."""
        return cast("asyncio.StreamWriter", self._process.stdin)

    @property
    def stdout(self) -> asyncio.StreamReader:
        """Its standard output."""
        return cast("asyncio.StreamReader", self._process.stdout)

    @property
    def stderr(self) -> asyncio.StreamReader:
        """Its standard error; only if it was started with ``says``."""
        return cast("asyncio.StreamReader", self._process.stderr)

    @property
    def returncode(self) -> int | None:
        """Its exit code; only when it has ended."""
        return self._process.returncode

    async def communicate(self, content: bytes | None = None, *, most: int | None = None) -> tuple[bytes, bytes]:
        """Writes ``content`` to its standard input, and reads its output until it has ended and closed its pipes.

        Returns its standard output, and the last 64 KiB of its standard error.

        Raises:
            SaysTooMuch: its standard output has more than ``most`` bytes. It still runs; `end` it.
        """
        others = [asyncio.ensure_future(self._feed(content)), asyncio.ensure_future(self._read_end())]
        try:
            output = await self._read_all(most)
            _, said = await asyncio.gather(*others)
            await self._process.wait()
        finally:
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        self._has_ended = True
        return output, said or b""

    async def _feed(self, content: bytes | None) -> None:
        writer = self._process.stdin
        if writer is None:
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if content:
                writer.write(content)
                await writer.drain()
        writer.close()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await writer.wait_closed()

    async def _read_all(self, most: int | None) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := await self.stdout.read(_DEFAULT_LIMIT):
            size += len(part)
            if most is not None and size > most:
                raise SaysTooMuch(f"more than {most} bytes")
            parts.append(part)
        return b"".join(parts)

    async def _read_end(self) -> bytes:
        end = b""
        while self._process.stderr is not None and (part := await self._process.stderr.read(_DEFAULT_LIMIT)):
            end = (end + part)[-_DEFAULT_LIMIT:]
        return end

    async def end(self) -> int:
        """Kills the program if it has not ended, and closes its pipes. Returns its exit code.

        If this is cancelled, the cancellation is passed on when nothing is left of the program.
        """
        gone = self._streams.gone
        if not gone.done():
            self._kill()
            if self._process.stdin is not None and not self._process.stdin.is_closing():
                self._process.stdin.transport.abort()  # do not wait until it has read the rest
            self._transport.close()
        cancelled = await _wait_for(gone, _END_SECONDS)
        if cancelled is not None:
            raise cancelled
        code = self._process.returncode
        return -signal.SIGKILL if code is None else code

    def _kill(self) -> None:
        """Kills the program or its group, as long as its id cannot belong to another process."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._group and not self._has_ended:
                os.killpg(self._process.pid, signal.SIGKILL)
            elif self._process.returncode is None:
                self._process.kill()


async def _wait_for(future: asyncio.Future[Any], seconds: float) -> asyncio.CancelledError | None:
    """Waits for at most this many seconds, even if it is cancelled meanwhile. Returns the cancellation, or None."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    cancelled: asyncio.CancelledError | None = None
    while not future.done() and clock() < end:
        try:
            await asyncio.wait((future,), timeout=end - clock())
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled
