"""Runs the git program: with nothing inherited, a deadline for everything, and whole process groups killed.

Git starts other programs (ssh, remote-https, pack-objects). They are one process group, so that a command that is
cancelled or late leaves nothing behind. The environment is made from scratch: variables and configuration files of the
user who started the operator must not change what is written. Credentials are passed in this environment, and never in
an argument, which any user of the machine can read.

What git reads and prints may come from strangers. Its output is read up to a limit, and its memory has a limit: a
small pack can unpack to gigabytes, and git itself does not limit that.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.child_process import ChildProcess, SaysTooMuch
from troth.stores.errors import Reason, StoreError
from troth.surroundings import absolute_path

# The variables for proxies and private certificate authorities; git does not get any other variable.
PASSED_ON: Final = (
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_USERINFO: Final = re.compile(r"(?<=://)[^/\s'\"]+@")
LONGEST_TEXT: Final = 4000
_MISSING: Final = 127  # the exit code of a shell when a program does not exist

LARGEST_OUTPUT: Final = 24 * 1024 * 1024
"""The largest output of one command in bytes, which has room for the names of about 200,000 files."""

LARGEST_MEMORY: Final = 384 * 1024 * 1024
"""The largest address space of a git program, in bytes."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended. ``stderr`` is scrubbed text, and ``stdout`` raw bytes."""

    code: int
    stdout: bytes
    stderr: str


class Scrubber:
    """Removes secrets, and the user information in URLs, from the output of programs and servers."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # the longest first, since one secret may contain another
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 3}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return _USERINFO.sub("", text)


def base_environment(surroundings: Mapping[str, str], *, home: Path) -> dict[str, str]:
    """The environment of every git command, to which the remote may add more. ``home`` is a private folder."""
    passed = {name: surroundings[name] for name in PASSED_ON if surroundings.get(name)}
    # credentials may be sent to a loopback address in plain text, so a proxy must never be in between
    without_proxy = ",".join(
        filter(None, [passed.get("no_proxy") or passed.get("NO_PROXY"), "localhost,127.0.0.1,::1"])
    )
    return {
        **passed,
        "PATH": absolute_path(passed.get("PATH", "")) or os.defpath,
        "no_proxy": without_proxy,
        "NO_PROXY": without_proxy,
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_HTTP_LOW_SPEED_LIMIT": "100",
        "GIT_HTTP_LOW_SPEED_TIME": "30",
    }


class OutputTooLarge(StoreError):
    """The output of a command was too large. The command has been ended."""


class GitCommand:
    """Runs git in one folder with one environment."""

    def __init__(
        self, *, folder: Path, environment: Mapping[str, str], scrub: Scrubber, program: str = "git"
    ) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._scrub = scrub
        self._program = program

    async def run(
        self, *arguments: str, stdin: bytes | None = None, timeout: float, most: int = LARGEST_OUTPUT
    ) -> Completed:
        """Run a command to its end, whatever its exit code is.

        ``timeout`` is in seconds. If this is cancelled, the command and everything that it has started are killed
        first.

        Raises:
            OutputTooLarge: its output has more than ``most`` bytes.
            StoreError: it cannot be started, or did not end in time.
        """
        process = await self.start(*arguments, reads=stdin is not None)
        return await self.finish(process, stdin=stdin, name=arguments[0], timeout=timeout, most=most)

    async def start(self, *arguments: str, reads: bool) -> ChildProcess:
        """Start a command, which the caller must end. Raises StoreError when it cannot be started."""
        # A shell sets the limit before git starts, and git's own children inherit it. Not every system has such a
        # limit.
        limited = 'ulimit -v "$0" 2>/dev/null; exec "$@"'
        try:
            return await ChildProcess.start(
                *("/bin/sh", "-c", limited, str(LARGEST_MEMORY >> 10), self._program, *arguments),
                folder=self._folder,
                environment=self._environment,
                reads=reads,
                group=True,
            )
        except OSError as error:
            if not self._folder.is_dir():
                raise StoreError(
                    Reason.STORAGE_FAILED, "the folder that the clone was kept in is gone", "it is made anew"
                ) from error
            raise StoreError(Reason.GIT_FAILED, f"git could not be started: {error.strerror}") from error

    async def finish(
        self, process: ChildProcess, *, stdin: bytes | None, name: str, timeout: float, most: int = LARGEST_OUTPUT
    ) -> Completed:
        """Wait for the end of a running command, and return its output as `run` does."""
        try:
            async with asyncio.timeout(timeout):
                out, err = await process.communicate(stdin, most=most)
        except TimeoutError as error:
            raise StoreError(
                Reason.DEADLINE_EXCEEDED,
                f"git {name} was not done within {timeout:g} s",
                "check whether the Git server is slow or out of reach",
            ) from error
        except SaysTooMuch as error:
            raise OutputTooLarge(
                Reason.TOO_LARGE, f"git {name} says {error}, which is more than is read"
            ) from error
        finally:
            code = await process.end()
        if code == _MISSING and b"not found" in err:
            raise StoreError(
                Reason.GIT_FAILED, "the git program is not installed", "install git where the operator runs"
            )
        text = self._scrub(err.decode(errors="replace")[-LONGEST_TEXT:])
        return Completed(code, out, text)
