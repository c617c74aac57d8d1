"""The folder of the clones: shared by the living, swept of the dead, and never somebody else's."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from troth.stores import temporary_workspace
from troth.stores.workspace import make_clone_folder, remove_clone_folder


def test_what_has_no_living_keeper_goes_when_the_next_folder_is_made(tmp_path: Path) -> None:
    dead, lock = make_clone_folder(tmp_path)
    os.close(lock)
    unlocked = tmp_path / "git-killed-while-it-was-made"
    unlocked.mkdir()
    theirs = tmp_path / "of-somebody-else"
    theirs.mkdir()
    living, held = make_clone_folder(tmp_path)
    another, also_held = make_clone_folder(tmp_path)
    assert not dead.exists()
    assert set(tmp_path.iterdir()) == {living, another, theirs}
    remove_clone_folder(living, held)
    remove_clone_folder(another, also_held)
    assert set(tmp_path.iterdir()) == {theirs}


def test_all_operators_of_a_user_share_a_workspace_and_the_last_removes_it(tmp_path: Path) -> None:
    with temporary_workspace(tmp_path) as first:
        folder, lock = make_clone_folder(first)
        with temporary_workspace(tmp_path) as second:
            assert second == first
            assert stat.S_IMODE(first.stat().st_mode) == 0o700
        assert folder.exists()
        remove_clone_folder(folder, lock)
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_that_was_removed_meanwhile_is_made_again(tmp_path: Path) -> None:
    with temporary_workspace(tmp_path) as workspace:
        workspace.rmdir()
        folder, lock = make_clone_folder(workspace)
        assert folder.parent == workspace
        remove_clone_folder(folder, lock)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("plant", ["open to all", "link", "file"])
def test_a_folder_that_somebody_else_may_have_planted_is_not_used(tmp_path: Path, plant: str) -> None:
    planted = tmp_path / f"troth-{os.getuid()}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)

    def make_open_to_all() -> None:
        planted.mkdir()
        planted.chmod(0o777)

    ways: dict[str, Callable[[], object]] = {
        "open to all": make_open_to_all,
        "link": lambda: planted.symlink_to(elsewhere),
        "file": planted.touch,
    }
    ways[plant]()
    with temporary_workspace(tmp_path) as workspace:
        assert workspace not in {planted, elsewhere}
        assert stat.S_IMODE(workspace.stat().st_mode) == 0o700
        folder, lock = make_clone_folder(workspace)
        remove_clone_folder(folder, lock)
    assert set(tmp_path.iterdir()) == {planted, elsewhere}
