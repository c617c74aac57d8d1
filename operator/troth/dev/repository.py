"""The bare Git repository that `troth dev` offers as a destination.

A fresh control plane knows nothing of what an earlier one wrote, so it begins with an empty tree; the history
stays, because somebody may still want to look at it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from troth.dev.errors import CommandFailed

_BRANCH = "main"
_IDENTITY = {
    "GIT_AUTHOR_NAME": "troth dev",
    "GIT_AUTHOR_EMAIL": "troth-dev@localhost",
    "GIT_COMMITTER_NAME": "troth dev",
    "GIT_COMMITTER_EMAIL": "troth-dev@localhost",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
}


def make_repository(path: Path, *, empty: bool) -> None:
    """Make sure that a bare repository with a branch ``main`` is there.

    Args:
        path: where; an existing repository is used as it is.
        empty: the branch is to hold no files; if it does, a commit that removes them is added.

    Raises:
        CommandFailed: git said no, for instance because something else is there.
    """
    if not (path / "HEAD").exists():
        _git(path.parent, "init", "--quiet", "--bare", f"--initial-branch={_BRANCH}", str(path))
    head = _git(path, "rev-parse", "--quiet", "--verify", f"refs/heads/{_BRANCH}", check=False)
    nothing = _git(path, "hash-object", "-t", "tree", "-w", "--stdin")
    if not head:
        first = _git(path, "commit-tree", nothing, "-m", "Begin")
        _git(path, "update-ref", f"refs/heads/{_BRANCH}", first, "")
    elif empty and _git(path, "rev-parse", f"{head}^{{tree}}") != nothing:
        next_ = _git(path, "commit-tree", nothing, "-p", head, "-m", "Begin again, with a new control plane")
        _git(path, "update-ref", f"refs/heads/{_BRANCH}", next_, head)


def _git(folder: Path, *arguments: str, check: bool = True) -> str:
    # Variables of a surrounding `git` (a hook, an alias) would point it at another repository.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**inherited, **_IDENTITY},
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if check and done.returncode != 0:
        raise CommandFailed(f"git {arguments[0]}", done.returncode, done.stderr)
    return done.stdout.strip() if done.returncode == 0 else ""
