"""The `troth` command.

A subcommand's module is imported only when it is run or its help is shown: `troth --help` and the completion of a
shell must not wait for the operator's libraries. That is why the one-line descriptions are here.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from troth import __version__
from troth.cli.terminal import is_terminal, keep_standard_descriptors, speak_utf8
from troth.surroundings import absolute_path

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# The line for `troth --help` by the name of the command. The module troth.cli.<name> has a click command of this name.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "build": "Build a Promise's folder into the one document that people apply.",
        "demo": "Watch requests become manifests in Git, in a minute.",
        "dev": "A control plane on this machine, with the operator and a Git repository.",
        "init": "Start a Promise: from fields, a CustomResourceDefinition, or manifests.",
        "lint": "Find what is wrong with a Promise, without a cluster.",
        "operator": "Run the operator against a cluster.",
        "render": "Render requests of a Promise without a cluster: files, places, status.",
        "test": "Run the cases of Promises, without a cluster.",
    }
)

# Commands that programs run and people do not: they work, and are left out of `troth --help` and of completion.
UNLISTED: Final = frozenset({"adapter"})

# EX_SOFTWARE of sysexits.h: it says nothing about the input of the command.
BUG_EXIT_CODE: Final = 70

# The exit code that a shell reports for a program that SIGINT has ended. Click's own 1 would mean findings.
INTERRUPTED_EXIT_CODE: Final = 130

# The exit code that a shell reports for a program that SIGPIPE has ended. Click's own 1 would mean findings.
CLOSED_EXIT_CODE: Final = 141


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, which are imported when they are used.

    An exception that a command does not expect is a bug in Troth: people get one line and exit code 70, so that a
    script does not confuse it with findings (1) or unusable input (2). ``TROTH_DEBUG=1`` shows the traceback.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An exception that it does not expect becomes one line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _interrupted(f"troth {ctx.invoked_subcommand}")
        except click.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # at a question; otherwise its input has ended
                _interrupted(f"troth {ctx.invoked_subcommand}")
            raise
        except (click.ClickException, click.exceptions.Exit):
            raise  # click reports these itself
        except OSError as error:  # such as a full disk, or a folder without rights
            _end(error, f"troth {ctx.invoked_subcommand}")
        except Exception as error:
            if os.environ.get("TROTH_DEBUG"):
                raise
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = "/".join(Path(frame.filename).parts[-2:])
            click.echo(
                f"troth {ctx.invoked_subcommand}: this is a bug in troth: {type(error).__name__}: {error} "
                f"({where}:{frame.lineno}); please report it, with what TROTH_DEBUG=1 prints",
                err=True,
            )
            sys.exit(BUG_EXIT_CODE)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a program. Warnings that are meant for programmers are hidden, unless the user asks for them."""
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            warnings.simplefilter("default", RuntimeWarning)
        return super().__call__(*args, **kwargs)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments; ``--help`` and ``--version`` already print in this call."""
        keep_standard_descriptors()
        os.environ["PATH"] = absolute_path(
            os.environ.get("PATH", os.defpath)
        )  # for git, kubectl, helm, go, plug-ins
        speak_utf8()
        try:
            return super().make_context(info_name, args, parent, **extra)
        except KeyboardInterrupt:
            _interrupted("troth")
        except OSError as error:
            _end(error, "troth")

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click calls it so
        """The commands, in the order of their table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module."""
        if cmd_name not in COMMANDS and cmd_name not in UNLISTED:
            return None
        command = getattr(importlib.import_module(f"troth.cli.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"troth.cli.{cmd_name}.{cmd_name} is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. click's suggestion needs all commands to be imported; this one reads the table."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            from troth.api.strict import close_match

            meant = close_match(name, COMMANDS)
            ctx.fail(f"No such command {name!r}.{f' Did you mean {meant}?' if meant else ''}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name from the table: a shell must not wait for the libraries of all commands."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _end(error: OSError, command: str) -> NoReturn:
    """End the command because of an error of the system about which it cannot do anything."""
    if os.environ.get("TROTH_DEBUG"):
        raise error
    if isinstance(error, BrokenPipeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)  # Python flushes the streams at its end, and would complain
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                os.dup2(nowhere, stream.fileno())
        sys.exit(CLOSED_EXIT_CODE)
    place = f"{error.filename}: " if error.filename else ""
    click.echo(f"{command}: {place}{error.strerror or error}", err=True)
    sys.exit(2)


def _interrupted(command: str) -> NoReturn:
    """End the command because of Ctrl-C. On a terminal the line begins after the ^C that is shown there."""
    start = "\n" if is_terminal(sys.stderr) else ""
    click.echo(f"{start}{command}: interrupted", err=True)
    sys.exit(INTERRUPTED_EXIT_CODE)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="troth", message="%(prog)s %(version)s")
def main() -> None:
    """Promises, kept: a Kubernetes operator for internal developer platforms."""


__all__ = [
    "BUG_EXIT_CODE",
    "CLOSED_EXIT_CODE",
    "COMMANDS",
    "INTERRUPTED_EXIT_CODE",
    "UNLISTED",
    "LazyGroup",
    "main",
]
