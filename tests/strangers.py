"""Other users of the same repository, who push and delete files or refuse pushes; and a log of all pushes."""

from __future__ import annotations

import itertools
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.platforms import Repository
from troth.dev.git_server import git

_ATTEMPTS = 200


class Stranger:
    """Another user, with another clone. The methods block."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self._clone = folder
        git(folder.parent, "clone", "--quiet", str(repository.path), str(folder))

    def push(self, path: str, content: str, message: str) -> str:
        """Commits one file and pushes it without force, and tries again until it succeeds. Returns the commit."""
        file = self._clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        git(self._clone, "add", path)
        return self._commit_and_push(message)

    def remove(self, path: str) -> str:
        """Removes a file or a folder of the newest commit."""
        self._pull()
        git(self._clone, "rm", "-r", "--quiet", path)
        return self._commit_and_push(f"remove {path}")

    def force_back_to(self, commit: str) -> None:
        """Forces the branch back to an earlier commit."""
        git(self._clone, "push", "--quiet", "--force", "origin", f"{commit}:refs/heads/main")

    def _commit_and_push(self, message: str) -> str:
        git(self._clone, "commit", "--quiet", "-m", message)
        for _ in range(_ATTEMPTS):
            try:
                git(self._clone, "push", "--quiet", "origin", "HEAD:main")
            except subprocess.CalledProcessError:
                self._pull()
            else:
                return git(self._clone, "rev-parse", "HEAD").decode().strip()
        raise AssertionError("the stranger never got through")

    def _pull(self) -> None:
        git(self._clone, "pull", "--quiet", "--rebase", "origin", "main")


def record_pushes(repository: Repository) -> None:
    """Begins to log every commit to which main is moved."""
    git(repository.path, "config", "core.logAllRefUpdates", "true")


def forced_pushes(repository: Repository) -> list[str]:
    """The pushes since `record_pushes` that removed a commit from the branch, as ``old..new``."""
    heads = git(repository.path, "reflog", "show", "--format=%H", "main").decode().split()
    heads.reverse()
    return [
        f"{old}..{new}" for old, new in itertools.pairwise(heads) if not _is_ancestor(repository.path, old, new)
    ]


def refuse_pushes(repository: Repository, words: str, *, when: str = "true") -> Callable[[], None]:
    """Makes the server refuse pushes with these words while the shell command ``when`` succeeds.

    The command finds the pushed commit in ``$new``. Returns a function that removes the rule.
    """
    hook = repository.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nread old new ref\nif {when}; then echo '{words}' >&2; exit 1; fi\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    return hook.unlink


def _is_ancestor(repository: Path, old: str, new: str) -> bool:
    try:
        git(repository, "merge-base", "--is-ancestor", old, new)
    except subprocess.CalledProcessError:
        return False
    return True
