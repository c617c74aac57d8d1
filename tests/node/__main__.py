"""A node for a person, until Ctrl-C: ``python -m tests.node`` prints where its kubeconfig is.

Ended by a signal or by SIGKILL alike, it leaves nothing behind. ``python -m tests.node prepare`` starts none: it
installs and builds what the tests need, with progress that can be seen, which pytest would hide.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence

from image.debian import PackagesUnavailable
from tests.node.choice import missing_for_node, prepare_tests, started_node
from troth.dev import DevError
from troth.dev.progress import Progress, clock


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say."""
    if arguments == ["prepare"]:
        return _prepare()
    if arguments:
        print("usage: python -m tests.node [prepare]", file=sys.stderr)
        return 2
    return _run()


def _prepare() -> int:
    """Make this machine ready for the tests. Where it cannot have a node they are skipped, which is no failure."""
    try:
        if (missing := missing_for_node()) is not None:
            print(f"troth: the tests on a node are skipped: {missing}", file=sys.stderr)
        else:
            prepare_tests(Progress())
    except PackagesUnavailable as error:
        print(f"troth: the tests on a node are skipped: {error}", file=sys.stderr)
    except DevError as error:
        print(f"troth: {error}", file=sys.stderr)
        return 1
    return 0


def _run() -> int:
    """Start a node, say how to reach it, and wait for the end."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    if (missing := missing_for_node()) is not None:
        print(f"troth: {missing}", file=sys.stderr)
        return 1
    started = time.monotonic()
    try:
        with started_node() as node:
            print(f"troth: the node is ready after {clock(time.monotonic() - started)}", file=sys.stderr)
            print(f"export KUBECONFIG={node.kubeconfig}", flush=True)
            signal.pause()
    except DevError as error:
        print(f"troth: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
