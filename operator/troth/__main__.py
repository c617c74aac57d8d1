"""The program ``troth``, and ``python -m troth``.

`troth adapter` starts once for every container pipeline that runs, so it does not wait for click, which reads the
arguments of all other commands and costs as much as the program itself.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Runs the command that the arguments name, and ends the process with its exit code."""
    try:
        if sys.argv[1:2] == ["adapter"]:
            from troth.adapter.__main__ import main as run_adapter

            sys.exit(run_adapter(sys.argv[2:], os.environ))
        from troth.cli import main as run_command

        run_command()
    except KeyboardInterrupt:  # while modules were loaded; what comes later is caught by the command
        sys.exit(130)


if __name__ == "__main__":
    main()
