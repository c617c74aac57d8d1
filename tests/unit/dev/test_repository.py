"""The repository of `troth dev` begins empty, and forgets nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from troth.dev.errors import CommandFailed, DevError
from troth.dev.repository import make_repository


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _push_a_file(repository: Path, work: Path) -> str:
    _git(repository.parent, "clone", "--quiet", str(repository), str(work))
    (work / "file").write_text("content")
    _git(work, "add", "file")
    _git(work, "commit", "--quiet", "-m", "add")
    _git(work, "push", "--quiet", "origin", "HEAD:main")
    return _git(work, "rev-parse", "HEAD")


def test_a_new_repository_has_a_branch_main_without_files(tmp_path: Path) -> None:
    make_repository(tmp_path / "gitops.git", empty=True)
    assert _git(tmp_path / "gitops.git", "ls-tree", "-r", "main") == ""
    assert _git(tmp_path / "gitops.git", "symbolic-ref", "HEAD") == "refs/heads/main"


def test_making_it_again_changes_nothing(tmp_path: Path) -> None:
    make_repository(tmp_path / "gitops.git", empty=True)
    before = _git(tmp_path / "gitops.git", "rev-parse", "main")
    make_repository(tmp_path / "gitops.git", empty=True)
    assert _git(tmp_path / "gitops.git", "rev-parse", "main") == before


def test_beginning_again_empties_the_tree_and_keeps_the_history(tmp_path: Path) -> None:
    repository = tmp_path / "gitops.git"
    make_repository(repository, empty=True)
    head = _push_a_file(repository, tmp_path / "work")
    make_repository(repository, empty=False)
    assert _git(repository, "rev-parse", "main") == head
    make_repository(repository, empty=True)
    assert _git(repository, "ls-tree", "-r", "main") == ""
    assert _git(repository, "rev-parse", "main~1") == head


def test_the_environment_of_a_surrounding_git_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    make_repository(tmp_path / "gitops.git", empty=True)
    monkeypatch.delenv("GIT_DIR")
    assert _git(tmp_path / "gitops.git", "rev-parse", "--is-bare-repository") == "true"
    assert not (tmp_path / "elsewhere").exists()


def test_something_else_in_its_place_is_an_error_not_a_loss(tmp_path: Path) -> None:
    (tmp_path / "gitops.git").write_text("mine")
    with pytest.raises(DevError, match=r"gitops.git is in the way"):
        make_repository(tmp_path / "gitops.git", empty=True)
    assert (tmp_path / "gitops.git").read_text() == "mine"


def test_the_repository_that_the_folder_lies_in_is_never_taken_for_it(tmp_path: Path) -> None:
    make_repository(tmp_path / "outer.git", empty=True)
    head = _push_a_file(tmp_path / "outer.git", tmp_path / "work")
    (tmp_path / "work" / "gitops.git").mkdir()
    with pytest.raises(
        CommandFailed, match=r"git rev-parse in .* ended with code 128: fatal: not a git repository"
    ):
        make_repository(tmp_path / "work" / "gitops.git", empty=True)
    assert _git(tmp_path / "work", "rev-parse", "HEAD") == head
