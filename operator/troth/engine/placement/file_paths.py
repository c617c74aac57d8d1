"""Which paths a pipeline may write to, and which of them only its author may choose.

Some names have a meaning for tools that read a repository: a ``kustomization.yaml`` decides what is built from its
folder, ``.sourceignore`` what Flux sees, ``.github`` what runs. An author may write such a name on purpose. A value of
a request that happens to be one would take over the folder, so such a name is refused when it comes from a value.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterator
from typing import Final

LONGEST_PATH: Final = 1024
LONGEST_PART: Final = 255
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MEANT: Final = re.compile(
    r"kustomization(\.ya?ml)?|chart\.ya?ml|\.helmignore|\.sourceignore|\.sops\.ya?ml"
    r"|\.argocd-.*|\.argocdignore|\.git.*|\.github|\.gitlab-ci.*|\.gitea|\.forgejo|\.woodpecker.*|\.drone\.ya?ml|\.circleci"
    r"|\.travis\.ya?ml|\.tekton|azure-pipelines\.ya?ml|bitbucket-pipelines\.ya?ml|jenkinsfile|renovate\.json.*|\.renovaterc.*"
    r"|codeowners|fleet\.ya?ml|\.kratix|\.trothkeep|\.krmignore|kptfile"
)
"""Names with a meaning for Git, its hosts and the common GitOps tools, in lower case."""


def path_problem(path: str) -> str:
    """Returns what is wrong with the path of a file, as the end of a sentence; "" when the path is valid."""
    parts = path.split("/")
    if not path.strip() or path.endswith("/") or posixpath.normpath(path) == ".":
        return "does not name a file"
    if path.startswith("/"):
        return "is absolute"
    if "\\" in path or _CONTROL.search(path):
        return "holds a backslash or a control character"
    if ".." in parts:
        return "leaves its folder"
    if ".git" in (_folded(part) for part in parts):
        return "is Git's own"
    if len(path.encode()) > LONGEST_PATH or any(len(part.encode()) > LONGEST_PART for part in parts):
        return "is too long"
    return ""


def meaning_made_by_a_value(path: str, source: str) -> str:
    """Returns the first name in a path that has a meaning for tools and that the author did not write; or "".

    Args:
        path: the rendered path.
        source: the template of the path.
    """
    written = {_folded(part) for part in source.split("/")}
    return next((part for part in _meant(path) if _folded(part) not in written), "")


def meaning(path: str) -> str:
    """Returns the first name in a path that has a meaning for tools; or ""."""
    return next(_meant(path), "")


def _meant(path: str) -> Iterator[str]:
    return (part for part in path.split("/") if _MEANT.fullmatch(_folded(part)))


def as_one_file(path: str) -> str:
    """Returns the same text for all spellings that a file system may treat as one file (case, Unicode normal form)."""
    return _folded(path)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
