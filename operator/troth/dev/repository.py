"""Makes the bare Git repository that `troth dev` offers as a destination.

A new control plane does not know what an earlier one wrote, so it begins with an empty tree. The history stays,
because somebody may still want to look at it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from troth.dev.errors import CommandFailed, DevError
from troth.dev.git_server import create_repository, git

_BRANCH = "refs/heads/main"


def make_repository(path: Path, *, empty: bool) -> None:
    """Make sure that a bare repository with a branch ``main`` exists.

    Args:
        path: its path. An existing repository is used as it is.
        empty: whether the branch is to be without files. If it has any, a commit that removes them is added.

    Raises:
        DevError: something else is at the path, or git has failed.
    """
    try:
        if not path.exists():
            create_repository(path, files={})
        elif empty:
            _empty(path)
        else:
            _text(path, "rev-parse", "--verify", _BRANCH)
    except NotADirectoryError:
        raise DevError(f"{path} is in the way: it is not a Git repository") from None
    except subprocess.CalledProcessError as error:
        raise CommandFailed(f"git {error.cmd[2]} in {path}", error.returncode, error.stderr.decode()) from None


def _empty(path: Path) -> None:
    head = _text(path, "rev-parse", "--verify", _BRANCH)
    nothing = _text(path, "hash-object", "-t", "tree", "-w", "--stdin", stdin=b"")
    if _text(path, "rev-parse", f"{head}^{{tree}}") != nothing:
        after = _text(path, "commit-tree", nothing, "-p", head, "-m", "Begin again, with a new control plane")
        _text(path, "update-ref", _BRANCH, after, head)


def _text(path: Path, *arguments: str, stdin: bytes | None = None) -> str:
    # The repository is named explicitly: otherwise git might find another one that the folder is inside of.
    return git(path, "--git-dir=.", *arguments, stdin=stdin).decode().strip()
