"""A node for a person, until Ctrl-C: ``python -m tests.node`` prints where its kubeconfig is.

Ended by a signal or by SIGKILL alike, it leaves nothing behind.
"""

from __future__ import annotations

import signal
import sys
import time

from tests.node.choice import missing_for_node, started_node
from troth.dev import DevError
from troth.dev.progress import clock


def main() -> int:
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
    sys.exit(main())
