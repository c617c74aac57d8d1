"""Which tests of this folder run in one process, one after another.

All others go wherever a process is free. The largest groups begin first, since they take longest.

Rejected: *pytest-xdist's mark `xdist_group`*; with pytest 9.2 it has no effect, because xdist 3.8 writes the group into
an attribute from which pytest does not make a test's id any more.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_TOGETHER = {
    # They have a second node, which each process that runs one of them would start.
    "test_chart_on_node.py": "release",
    "test_release_changes.py": "release",
    "test_database.py": "release",
    # What they hold is promised within seconds, or keeps the node busier than all others do.
    "test_container_failures.py": "timed",
    "test_obstacles.py": "timed",
    # Each of their tests takes half a minute, so they should not be the last.
    "test_leftovers.py": "leftovers",
    "test_shipped_image.py": "image",
}


class NodeScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives tests to the processes of pytest-xdist."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """The group that a test belongs to: only tests of one group are sure to run in one process.

    Args:
        nodeid: of the test, as pytest writes it.
    """
    return _TOGETHER.get(PurePosixPath(nodeid.partition("::")[0]).name, nodeid)
