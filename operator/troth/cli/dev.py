"""`troth dev`: a control plane on this machine, with the operator and a Git repository."""

from __future__ import annotations

import shlex
import signal
import sys
import sysconfig
import time
from pathlib import Path
from types import FrameType

import click

from troth.api import TrothError
from troth.dev.binaries import find_binaries
from troth.dev.environment import DevEnvironment

_CHECK_INTERVAL = 0.5

_EPILOG = """\b
Examples:
  troth dev --data dev
  eval "$(troth dev --data dev --print-env)" && kubectl get promises

\b
The first runs until Ctrl-C or SIGTERM. The second points the shell of another terminal at it.

\b
Exit codes:
  0  ended by Ctrl-C or SIGTERM, everything with it; or printed
  1  something did not start, or ended by itself; it says what
  2  a flag cannot be used, or nothing runs in --data
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for kubeconfig, gitops.git and operator.log. By default a temporary folder.",
)
@click.option("--no-operator", is_flag=True, help="Only the control plane and the repository.")
@click.option(
    "--keep",
    is_flag=True,
    help="Keep the control plane's data, so that the next run in this folder continues with it.",
)
@click.option(
    "--verbose", is_flag=True, help="Show the operator's log here instead of writing it to operator.log."
)
@click.option("--print-env", is_flag=True, help="Print shell lines that point at what runs in --data, and exit.")
def dev(*, data: Path | None, no_operator: bool, keep: bool, verbose: bool, print_env: bool) -> None:
    """Run a Kubernetes control plane on this machine, without Docker, and the operator in it.

    It is real: etcd, kube-apiserver with TLS and RBAC, and a bare Git repository, gitops.git, that the Destination
    `local` (label environment: dev) writes to. When all of it is ready, one line that begins with READY goes to
    standard output; everything ends together with this command. There are no nodes, so Pods do not run.
    """
    try:
        if print_env:
            _print_environment(data)
        else:
            _run(DevEnvironment(data, operator=not no_operator, keep=keep, verbose=verbose))
    except TrothError as error:
        click.echo(f"troth dev: {error}", err=True)
        sys.exit(1)


def _run(environment: DevEnvironment) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # like Ctrl-C, so that it also interrupts the start
    try:
        with environment:
            click.echo(f"READY kubeconfig={environment.kubeconfig} repository={environment.repository}")
            _explain(environment)
            while True:
                time.sleep(_CHECK_INTERVAL)
                environment.check()
    except KeyboardInterrupt:
        click.echo("troth: everything has ended", err=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _explain(environment: DevEnvironment) -> None:
    for line in (
        f"for another terminal: export KUBECONFIG={shlex.quote(str(environment.kubeconfig))}",
        f"kubectl, if you do not have one: {environment.plane.binaries.kubectl}",
        f"what the operator writes: git -C {shlex.quote(str(environment.repository))} log --stat main",
        "Ctrl-C ends it",
    ):
        click.echo(f"troth: {line}", err=True)


def _print_environment(data: Path | None) -> None:
    kubeconfig = data.absolute() / "kubeconfig" if data is not None else None
    if kubeconfig is None or not kubeconfig.exists():
        where = data if data is not None else "DIR"
        raise click.UsageError(f"nothing runs there yet; start it with: troth dev --data {where}")
    folder = find_binaries().kubectl.parent
    click.echo(f"export KUBECONFIG={shlex.quote(str(kubeconfig))}")
    ours = sysconfig.get_path("scripts")
    click.echo(f'export PATH="$PATH":{shlex.quote(str(folder))}:{shlex.quote(ours)}')
