"""The errors of a control plane on one's own machine.

TrothError
└── DevError                  base; the message is for the person at the terminal
    ├── BinariesUnavailable   neither found, nor downloaded, nor built: says what was tried and what would help
    ├── ProcessFailed         a program did not start, or ended when it should not have; carries the end of its log
    └── CommandFailed         a command that was run to its end, such as kubectl, said no
"""

from __future__ import annotations

from collections.abc import Sequence

from troth.api import TrothError


class DevError(TrothError):
    """The base class of the errors that `troth dev` reports."""


class BinariesUnavailable(DevError):
    """The programs of the control plane could neither be found, downloaded nor built.

    Attributes:
        programs: the programs that are missing.
        attempts: what was tried, in order, one line for each attempt.
    """

    def __init__(self, programs: Sequence[str], attempts: Sequence[str]) -> None:
        self.programs = tuple(programs)
        self.attempts = tuple(attempts)
        tried = "\n".join(f"  - {attempt}" for attempt in attempts)
        super().__init__(
            f"{', '.join(programs)} are not available on this machine. Tried, in this order:\n{tried}\n"
            "Install Go (https://go.dev/dl), or set KUBEBUILDER_ASSETS to a folder that holds them."
        )


class ProcessFailed(DevError):
    """A program did not start in time, or ended although nobody asked it to.

    Attributes:
        program: its name.
        log: the last lines of its output.
    """

    def __init__(self, program: str, problem: str, log: str = "") -> None:
        self.program = program
        self.log = log
        super().__init__(f"{program} {problem}" + (f"; it said last:\n{log}" if log else ""))


class CommandFailed(DevError):
    """A command ended with an exit code other than 0.

    Attributes:
        command: its name and its first arguments, without anything that could be secret.
        code: its exit code.
        output: what it wrote to standard error, or to standard output if that is empty.
    """

    def __init__(self, command: str, code: int, output: str) -> None:
        self.command = command
        self.code = code
        self.output = output
        super().__init__(f"{command} ended with code {code}: {output.strip()}")
