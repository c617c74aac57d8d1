"""The `troth` command.

A subcommand's module is imported when it is run, or asked for its help: `troth --help` and the completion of a
shell must not wait for the operator's libraries. That is why the one-line descriptions stand here.
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
from troth.cli.terminal import keep_standard_descriptors, speak_utf8
from troth.surroundings import absolute_path

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# name -> one line for `troth --help`. The module troth.cli.<name> holds the click command under the same name.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "build": "Build a Promise's folder into the one document that people apply.",
        "demo": "From kubectl apply to manifests in Git, in the open, in a minute.",
        "dev": "A control plane on this machine, with the operator and a Git repository.",
        "init": "Start a Promise: from fields, a CustomResourceDefinition, or manifests.",
        "lint": "Find what is wrong with a Promise, without a cluster.",
        "operator": "Run the operator against a cluster.",
        "render": "Render requests of a Promise without a cluster: files, places, status.",
        "test": "Run the cases of Promises, without a cluster.",
    }
)


# sysexits.h EX_SOFTWARE: not an answer about what the command was given.
BUG_EXIT_CODE: Final = 70

# What a shell says of a program that SIGPIPE has ended: click's own 1 would be a "no".
CLOSED_EXIT_CODE: Final = 141


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported on use.

    An exception that no command expected is a bug of ours: people get one line and exit code 70, so that a script
    does not take it for a finding (1) or for unusable input (2). ``TROTH_DEBUG=1`` shows where it came from.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; whatever it does not expect becomes one line."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click has its own way of saying these
        except OSError as error:  # a full disk, a folder without rights: nothing that a command has to foresee
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
        """Run as a program: what libraries warn their programmers of is not for those who run it, unless they ask."""
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            warnings.simplefilter("default", RuntimeWarning)
        return super().__call__(*args, **kwargs)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments; ``--help`` and ``--version`` print already here."""
        keep_standard_descriptors()
        os.environ["PATH"] = absolute_path(
            os.environ.get("PATH", os.defpath)
        )  # for git, kubectl, helm, go, plug-ins
        speak_utf8()
        try:
            return super().make_context(info_name, args, parent, **extra)
        except OSError as error:
            _end(error, "troth")

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click calls it so
        """The commands, in the order of their table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"troth.cli.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"troth.cli.{cmd_name}.{cmd_name} is not a click command")
        return command

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
    """End the command for what no command can do anything about."""
    if os.environ.get("TROTH_DEBUG"):
        raise error
    if isinstance(error, BrokenPipeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)  # Python flushes at its end, and would complain
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                os.dup2(nowhere, stream.fileno())
        sys.exit(CLOSED_EXIT_CODE)
    place = f"{error.filename}: " if error.filename else ""
    click.echo(f"{command}: {place}{error.strerror or error}", err=True)
    sys.exit(2)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="troth", message="%(prog)s %(version)s")
def main() -> None:
    """Promises, kept: a Kubernetes operator for internal developer platforms."""


__all__ = ["BUG_EXIT_CODE", "CLOSED_EXIT_CODE", "COMMANDS", "LazyGroup", "main"]
