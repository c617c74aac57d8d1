"""Prepares programs and prints their paths: ``python -m troth.dev [control-plane] [helm]``.

It is for the Makefile and for scripts. Missing programs are downloaded or built, with progress on standard error.
"""

from __future__ import annotations

import sys

from troth.dev.binaries import find_binaries, find_helm
from troth.dev.errors import DevError


def main(wanted: list[str]) -> int:
    """Print one path on each line: the folder of the control plane's programs, and the helm program."""
    try:
        for name in wanted or ["control-plane"]:
            if name == "control-plane":
                print(find_binaries().kubectl.parent)
            elif name == "helm":
                print(find_helm())
            else:
                print(f"troth: unknown program {name!r}; use control-plane or helm", file=sys.stderr)
                return 2
    except DevError as error:
        print(f"troth: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
