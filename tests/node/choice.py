"""Which kind of node the tests get: one in namespaces of its own, or kind's, as TROTH_TEST_NODE says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from tests.node.kind_node import kind_node, missing_for_kind
from tests.node.namespaced import namespaced_node
from tests.node.needs import missing_need
from tests.node.node import Node
from tests.node.programs import (
    can_build,
    can_install,
    find_busybox,
    find_node_programs,
    missing_packages,
)
from tests.node.shipped_image import shipped_archive
from troth.dev import DevError, find_binaries, find_helm
from troth.dev.progress import Progress

_VARIABLE = "TROTH_TEST_NODE"


def missing_for_node() -> str | None:
    """Why this machine cannot have a node, in words, or None when it can; takes a tenth of a second.

    Raises:
        DevError: TROTH_TEST_NODE names a kind of node that is not known.
    """
    if _with_kind():
        return missing_for_kind()
    if (problem := missing_need()) is not None:
        return problem
    if (packages := missing_packages()) and not can_install():
        return f"a node needs {', '.join(packages)}, and there is no apt-get to install them with"
    if not can_build():
        return (
            "a node needs kubelet, kube-proxy, kube-controller-manager and kube-scheduler, and there is no Go here"
        )
    return None


def prepare_tests(progress: Progress) -> None:
    """Install, build and fetch all that the tests of this folder need, so that none of them waits for it unseen.

    Raises:
        PackagesUnavailable: packages of the distribution cannot be had here; says why.
        DevError: something else cannot be had; says why.
    """
    if _with_kind():
        find_binaries(progress=progress)
        find_busybox(progress)
    else:
        find_node_programs(progress)
    find_helm(progress=progress)
    shipped_archive(progress)


@contextmanager
def started_node(progress: Progress | None = None) -> Iterator[Node]:
    """A node for the time of the block; what it needs is installed and built first.

    Raises:
        PackagesUnavailable: packages of the distribution cannot be had here; says why.
        DevError: it cannot be had for another reason; says why.
    """
    report = progress or Progress()
    chosen: AbstractContextManager[Node]
    if _with_kind():
        chosen = kind_node(find_binaries(progress=report).kubectl, find_busybox(report))
    else:
        chosen = namespaced_node(find_node_programs(report))
    with ExitStack() as stack:
        with report.step("starting a node"):
            node = stack.enter_context(chosen)
        yield node


def _with_kind() -> bool:
    wanted = os.environ.get(_VARIABLE, "")
    if wanted not in ("", "kind"):
        raise DevError(f"{_VARIABLE}={wanted} is not known; leave it empty, or set it to kind")
    return wanted == "kind"
