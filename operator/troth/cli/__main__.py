"""``python -m troth.cli`` is the `troth` command."""

from troth.cli import main

main(prog_name="troth")
