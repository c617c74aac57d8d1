"""Reads an earlier API of a Promise from a file, or from a commit of the Git repository that the Promise is in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from troth.authoring.home import Home, load_home
from troth.authoring.input_files import HomeError, read_documents, read_text
from troth.surroundings import absolute_path

_SECONDS: Final = 20
_DEFINITION: Final = "CustomResourceDefinition"


def earlier_api(home: Home, against: str) -> Mapping[str, Any] | None:
    """The definition to compare with; None when the Promise or its API did not exist then.

    Args:
        home: the Promise as it is now.
        against: a file with a Promise or a CustomResourceDefinition, a Promise's folder, or a Git revision.

    Raises:
        HomeError: it cannot be read.
    """
    path = Path(against)
    if path.is_dir():
        return _api(load_home(path).promise)
    if path.exists():
        return _find(read_documents(path, read_text(path)), home, path)
    text = _at_revision(home, against)
    return None if text is None else _find(read_documents(home.file, text), home, home.file)


def _find(documents: list[Any], home: Home, path: Path) -> Mapping[str, Any] | None:
    objects = [document for document in documents if isinstance(document, dict)]
    definitions = [obj for obj in objects if obj.get("kind") == _DEFINITION]
    if definitions:
        current = _api(home.promise) or {}
        kind = ((current.get("spec") or {}).get("names") or {}).get("kind")
        same = [obj for obj in definitions if ((obj.get("spec") or {}).get("names") or {}).get("kind") == kind]
        return (same or definitions)[0]
    for obj in objects:
        if obj.get("kind") == "Promise":
            return _api(obj)
    raise HomeError(path, "holds neither a Promise nor a CustomResourceDefinition", "name another file")


def _api(promise: Mapping[str, Any]) -> Mapping[str, Any] | None:
    spec = promise.get("spec")
    api = spec.get("api") if isinstance(spec, Mapping) else None
    return api if isinstance(api, Mapping) else None


def _at_revision(home: Home, revision: str) -> str | None:
    """``promise.yaml`` at a revision; None when it did not exist there."""
    folder = home.file.resolve().parent
    if revision.startswith("-"):
        raise HomeError(home.file, f"{revision!r} is neither a file nor a Git revision")
    commit = _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        problem = f"{revision!r} is neither a file nor a revision of the Git repository that this is in"
        raise HomeError(home.file, problem, "name a file, a folder, a branch, a tag or a commit")
    return _git(folder, "cat-file", "blob", f"{commit.strip()}:./{home.file.name}")


def _git(folder: Path, *arguments: str) -> str | None:
    environment = {"PATH": absolute_path(os.environ.get("PATH", os.defpath)), "LC_ALL": "C"}
    # The repository may come from anybody, and its settings can name programs that Git runs to find changes, show
    # files or fetch objects.
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
    environment |= {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise HomeError(folder, "git is not installed", "install it, or compare with a file") from None
    except (OSError, subprocess.TimeoutExpired):
        raise HomeError(folder, "git does not answer", "compare with a file") from None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
