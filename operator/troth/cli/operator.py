"""``troth operator``: runs the operator."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from troth.app.settings import (
    InvalidSettings,
    fields,
    flag_of,
    how_to_reread,
    load_settings,
    type_of,
    variable_of,
)

_EPILOG = """\b
Examples:
  troth operator --kubeconfig ~/.kube/config
  troth operator --log-format json --probes-port 8081 --config /etc/troth/settings.yaml

Every setting can also be an environment variable (TROTH_STORE_POLL=30) or stand in the file
given by --config (storePoll: 30). A flag wins over a variable, a variable over the file.

\b
Exit codes:
  0  ended by SIGTERM or SIGINT, everything finished
  1  a part of the operator failed, or the API server has refused Promises for too long;
     the log says which, and what to do
  2  a flag, a variable or the file cannot be used
  3  no way to log in to a cluster
"""


def _setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds one option for each setting, in the order of the settings."""
    for item in reversed(fields()):
        choices = item.metadata["choices"]
        default = " ".join(filter(None, (str(item.default), item.metadata["unit"]))) or "none"
        option = click.option(
            flag_of(item.name),
            item.name,
            type=click.Choice(choices) if choices else type_of(item),
            default=None,
            help=f"{item.metadata['help']}  [default: {default}; {variable_of(item.name)}]",
        )
        command = option(command)
    return command


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 110})
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file with settings, such as the mounted ConfigMap.",
)
@_setting_options
def operator(config: Path | None, **flags: Any) -> None:
    """Run the operator until SIGTERM or SIGINT.

    It watches Promises, requests, destinations and state stores, renders what is asked for and writes it where
    it belongs. It logs to standard error and serves /healthz, /readyz and /metrics.
    """
    try:
        settings = load_settings(flags, os.environ, config)
    except InvalidSettings as error:
        click.echo(f"troth operator: {error}", err=True)
        sys.exit(2)
    from troth.app.logs import set_up_logs
    from troth.app.process import run_operator
    from troth.kube import CredentialsError

    set_up_logs(settings.log_format, settings.log_level)
    try:
        problem = asyncio.run(run_operator(settings, how_to_reread(flags, os.environ, config)))
    except CredentialsError as error:
        click.echo(f"troth operator: {error}", err=True)
        sys.exit(3)
    sys.exit(1 if problem else 0)
