"""``troth adapter``: the programs in the pod of a container pipeline, which read their arguments themselves."""

from __future__ import annotations

import os
import sys

import click

from troth.adapter.__main__ import main


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def adapter(arguments: tuple[str, ...]) -> None:
    """Run one of the programs in the pod of a container pipeline."""
    sys.exit(main(arguments, os.environ))
