"""`troth demo`: from kubectl apply to manifests in Git, in the open."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING

import click

from troth.api import TrothError

if TYPE_CHECKING:
    from troth.dev.demo import Stage

_CHECK_INTERVAL = 0.5

_EPILOG = """\b
Examples:
  troth demo --stay
  NO_COLOR=1 troth demo --no-stay | tee demo.txt

\b
Exit codes:
  0    everything that it shows has happened
  1    something did not; it says what it waited for, and how the operator's log ends
  2    a flag cannot be used
  130  Ctrl-C
"""


@click.command(epilog=_EPILOG)
@click.option("--stay/--no-stay", help="Leave everything running at the end, until Ctrl-C, and say how to use it.")
def demo(*, stay: bool) -> None:
    """Show what Troth does, with a real API server, kubectl and Git, in a minute.

    It starts a control plane, the operator, a Git repository and a destination in the cluster itself. Then it
    publishes Promises, asks for things, and shows each command and what came of it; and how long that took. At the end
    nothing is left on this machine but the cached programs.
    """
    from troth.dev.demo import Screen, Stage, Tour

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # like Ctrl-C, so that it also interrupts the start
    finished = False
    try:
        with Stage() as stage:
            try:
                Tour(stage, Screen()).run()
                finished = True
                if stay:
                    _stay(stage)
            except TrothError as error:
                click.echo(f"troth demo: {_explained(error, stage)}", err=True)
                sys.exit(1)
    except KeyboardInterrupt:
        click.echo("troth: everything has ended", err=True)
        sys.exit(0 if finished else 130)
    click.echo("\nEverything has ended. To leave it running: make demo ARGS=--stay. To work in it: make dev.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stay(stage: Stage) -> None:
    """Say how to use what runs, and wait for Ctrl-C."""
    kubectl = stage.plane.binaries.kubectl
    lines = [
        "",
        "It stays like this until Ctrl-C. In another terminal:",
        "",
        f"  cd {shlex.quote(str(stage.folder))}",
        f"  export KUBECONFIG={shlex.quote(str(stage.plane.kubeconfig))}",
        f'  export PATH="$PATH":{shlex.quote(str(kubectl.parent))}',
        "",
        "  kubectl get promises,postgresqls,environments",
        "  kubectl apply -f promises/postgresql/examples/large.yaml",
        f"  git -C {stage.repository.name} log --stat main",
        "  tail -f operator.log",
    ]
    click.echo("\n".join(lines))
    while True:
        time.sleep(_CHECK_INTERVAL)
        stage.check()


def _explained(error: TrothError, stage: Stage) -> str:
    """The error, with the end of the operator's log, unless the error contains it already."""
    from troth.dev import ProcessFailed

    log = "" if isinstance(error, ProcessFailed) else stage.operator_log
    return f"{error}\n\nThe operator said last:\n{log}" if log else str(error)
