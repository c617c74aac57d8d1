"""The commands in README and docs are run as they stand there, against `troth dev`.

Pages whose commands need no cluster are run by tests/unit/docs/test_guides.py, the tutorial by test_tutorial.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.documents import ROOT, Block, blocks, needs_cluster, pages
from troth.dev.environment import DevEnvironment

RUNNABLE = [page for page in pages() if needs_cluster(page) and page.parent.name != "tutorial"]


@dataclass(frozen=True, slots=True)
class Desk:
    """The folder that somebody works in who follows the docs, and the environment of their shell."""

    folder: Path
    environment: dict[str, str]

    def run(self, block: Block, *, within: float = 120) -> None:
        """Run a block as one shell script that ends at the first error."""
        done = subprocess.run(
            ["sh", "-eu", "-c", block.text],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        said = f"{block.where} ended with code {done.returncode}\n{block.text}\n{done.stdout}\n{done.stderr}"
        assert (done.returncode != 0) == (block.argument == "fails"), said


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevEnvironment]:
    with DevEnvironment(tmp_path_factory.mktemp("dev")) as environment:
        yield environment


@pytest.fixture
def desk(environment: DevEnvironment, tmp_path: Path) -> Desk:
    """The repository as a newcomer has it after `make dev`."""
    for name in ("promises", "crds", "charts"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "dev").symlink_to(environment.data)
    kubectl = environment.plane.binaries.kubectl.parent
    git = Path(shutil.which("git") or "/usr/bin/git").parent
    return Desk(
        tmp_path,
        {
            "KUBECONFIG": str(environment.kubeconfig),
            "PATH": os.pathsep.join([str(kubectl), str(git), sysconfig.get_path("scripts"), os.defpath]),
            "HOME": str(tmp_path),
        },
    )


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_do_what_it_says(page: Path, desk: Desk) -> None:
    for block in blocks(page):
        if block.comment == "file":
            (desk.folder / block.argument).write_text(block.text, "utf-8")
        elif block.comment == "run":
            desk.run(block)
