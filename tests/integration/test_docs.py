"""The commands in README and docs are run as they stand there, against `troth dev`.

Pages whose commands need no cluster are run by tests/unit/docs/test_guides.py, the tutorial by test_tutorial.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.documents import ROOT, blocks, needs_cluster, pages
from tests.guides import Terminal, follow, told, write_file
from troth.dev.environment import DevEnvironment

RUNNABLE = [page for page in pages() if needs_cluster(page) and page.parent.name != "tutorial"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevEnvironment]:
    with DevEnvironment(tmp_path_factory.mktemp("dev")) as environment:
        yield environment


@pytest.fixture
def desk(environment: DevEnvironment, tmp_path: Path) -> Iterator[Terminal]:
    """The repository as a newcomer has it after `make dev`, and a shell in it that has kubectl."""
    for name in ("promises", "crds", "charts"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "dev").symlink_to(environment.data)
    kubectl = environment.plane.binaries.kubectl.parent
    with Terminal(tmp_path, programs=kubectl, KUBECONFIG=str(environment.kubeconfig)) as terminal:
        yield terminal


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_do_what_it_says(page: Path, desk: Terminal) -> None:
    wrong = told(follow(page, desk))
    assert not wrong, wrong


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "from").glob("*.md")), ids=lambda page: page.stem)
def test_a_promise_converted_from_elsewhere_becomes_available(page: Path, desk: Terminal) -> None:
    written = [block for block in blocks(page) if block.comment == "file"]
    for block in written:
        write_file(block, desk.folder)
    (promise,) = [block for block in written if block.argument.endswith("/promise.yaml")]
    name = promise.argument.partition("/")[0]
    commands = f"""troth build {name} | kubectl apply --server-side -f -
    kubectl wait --for=condition=Available promise/{name} --timeout=60s
    """
    desk.run(replace(promise, text=commands, argument=""))
