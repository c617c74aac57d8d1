"""A program that runs beside this one, and whose pipes are closed by whoever started it.

`asyncio.create_subprocess_exec` closes a program's pipes once the program has ended and closed them itself. One that
is ended by its parent may have children that hold its pipes for longer, and the parent's loop may be closed by
then: what is left is closed by the garbage collector, in whatever code runs at that moment, which fails because the
loop is gone. So a program is ended here together with its pipes, and `end` returns when nothing of it is left.
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
_END_SECONDS: Final = 10.0  # only what the kernel holds takes longer than an instant


class SaysTooMuch(Exception):
    """A program writes more than whoever started it is ready to hold."""


class _Streams(SubprocessStreamProtocol):
    """Tells when the program and all of its pipes are gone."""

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
    """A program that was started. Its owner calls `end`, whatever happened."""

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
            arguments: what it is given.
            environment: all of its environment.
            folder: where it runs.
            reads: its standard input is a pipe; else there is nothing to read.
            says: its standard error is a pipe, as its standard output is; else it is this process's.
            group: it leads a group of its own, and all of that is ended with it.
            limit: how many bytes of its output are read ahead.

        Raises:
            OSError: the system does not let it start.
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
        # asyncio itself waits for ever when it is cancelled here and a child of the program holds the pipes.
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
        """Where it reads, if it does."""
        return cast("asyncio.StreamWriter", self._process.stdin)

    @property
    def stdout(self) -> asyncio.StreamReader:
        """What it writes."""
        return cast("asyncio.StreamReader", self._process.stdout)

    @property
    def stderr(self) -> asyncio.StreamReader:
        """What it says besides, if that is a pipe."""
        return cast("asyncio.StreamReader", self._process.stderr)

    @property
    def returncode(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.returncode

    async def communicate(self, content: bytes | None = None, *, most: int | None = None) -> tuple[bytes, bytes]:
        """Gives it all that it reads, and reads what it writes until it has ended and closed its pipes.

        Of its standard error the last 64 KiB are kept.

        Raises:
            SaysTooMuch: its standard output has more than ``most`` bytes; `end` it.
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
        """Ends the program, if it has not ended, and closes its pipes; its exit code.

        A cancellation is passed on when nothing is left of it.
        """
        gone = self._streams.gone
        if not gone.done():
            self._kill()
            if self._process.stdin is not None and not self._process.stdin.is_closing():
                self._process.stdin.transport.abort()  # what it has not read yet is not waited for
            self._transport.close()
        cancelled = await _wait_for(gone, _END_SECONDS)
        if cancelled is not None:
            raise cancelled
        code = self._process.returncode
        return -signal.SIGKILL if code is None else code

    def _kill(self) -> None:
        """While its id, or that of its group, cannot be anybody else's."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._group and not self._has_ended:
                os.killpg(self._process.pid, signal.SIGKILL)
            elif self._process.returncode is None:
                self._process.kill()


async def _wait_for(future: asyncio.Future[Any], seconds: float) -> asyncio.CancelledError | None:
    """Waits also while it is cancelled, for no longer than so many seconds; the cancellation."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    cancelled: asyncio.CancelledError | None = None
    while not future.done() and clock() < end:
        try:
            await asyncio.wait((future,), timeout=end - clock())
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled
