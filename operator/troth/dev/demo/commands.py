"""Runs real commands, and shows them as people would type them, with their output.

A shell is not used: the programs of a pipeline are run one after the other, and the text that is shown is made from
the lists of words that are run.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from troth.dev.controlplane import CommandResult
from troth.dev.demo.errors import DemoFailed
from troth.dev.progress import Progress
from troth.surroundings import python_command, python_environment

_TIMEOUT = 60.0


Shows = Callable[[str], None]


class Commands:
    """Runs commands in one folder.

    Args:
        folder: their working folder.
        environment: their environment, from which the variables of an outer git are removed.
        progress: shows that a command takes long.
        announce: called with the quoted words of each command line before it runs.
        show: called with the output, unless a call of `run` has another function.
    """

    def __init__(
        self,
        *,
        folder: Path,
        environment: Mapping[str, str],
        progress: Progress,
        announce: Callable[[Sequence[str]], None],
        show: Shows,
    ) -> None:
        quiet = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
        kept = {name: value for name, value in environment.items() if not name.startswith("GIT_")}
        self._environment = {**python_environment(kept), **quiet}
        self._folder = folder
        self._progress = progress
        self._announce = announce
        self._show = show

    def run(
        self,
        *command: str,
        feeding: Sequence[Sequence[str]] = (),
        refused: bool = False,
        show: Shows | None = None,
    ) -> str:
        """Show a command, run it, show its output, and return that.

        Args:
            command: the program and its arguments.
            feeding: more commands, each of which gets the output of the one before as its input. The output of the
                last one is shown.
            refused: whether it has to end with an exit code other than 0; otherwise it has to end with 0.
            show: shows the output instead of the function of the constructor.

        Raises:
            DemoFailed: it ended with the wrong exit code, or not in time.
        """
        words = [*map(_quoted, command)]
        for follower in feeding:
            words += ["|", *map(_quoted, follower)]
        self._announce(words)
        line = " ".join(words)
        with self._progress.step(f"running {command[0]} {command[1]}"):
            result = self._run(self._found(command), b"")
            for follower in feeding:
                if result.code == 0:
                    result = self._run(follower, result.stdout.encode())
        said = result.stdout + result.stderr
        if (result.code != 0) != refused:
            expected = "another code than 0" if refused else "code 0"
            raise DemoFailed(
                f"this command should have ended with {expected}, not {result.code}: {line}\n{said.strip()}"
            )
        (show or self._show)(said)
        return said

    @staticmethod
    def _found(command: Sequence[str]) -> Sequence[str]:
        # The same troth that runs this is used, whether it is on the path or not.
        return (*python_command("troth.cli"), *command[1:]) if command[0] == "troth" else command

    def _run(self, command: Sequence[str], data: bytes) -> CommandResult:
        try:
            done = subprocess.run(
                command,
                input=data,
                capture_output=True,
                cwd=self._folder,
                env=self._environment,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoFailed(f"still running after {_TIMEOUT:.0f} s: {' '.join(map(_quoted, command))}") from error
        except OSError as error:
            raise DemoFailed(f"{command[0]} cannot be run: {error.strerror}") from error
        return CommandResult(
            done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )


def _quoted(word: str) -> str:
    # Only the value is quoted, as people write it: jsonpath='{.spec}'.
    return "=".join(map(shlex.quote, word.split("=")))
