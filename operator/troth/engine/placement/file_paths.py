"""Which paths a pipeline may write to, and which of them only its author may choose.

Tools that read a repository give some names a meaning: a ``kustomization.yaml`` decides what is built from its whole
folder, ``.sourceignore`` what Flux sees, ``.github`` what runs. An author who writes such a name means it. A value of a
request that happens to be one would take over the folder, so a name that a value has made is refused.
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
"""Names that Git, its hosts and the common GitOps tools give a meaning, in small letters."""


def path_problem(path: str) -> str:
    """What is wrong with the path of a file, as the end of a sentence; "" when nothing is."""
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
    """The name in a path that tools give a meaning and that its author did not write; or "".

    Args:
        path: what was rendered.
        source: the template of it.
    """
    written = {_folded(part) for part in source.split("/")}
    return next((part for part in _meant(path) if _folded(part) not in written), "")


def meaning(path: str) -> str:
    """The first name in a path that tools give a meaning; or ""."""
    return next(_meant(path), "")


def _meant(path: str) -> Iterator[str]:
    return (part for part in path.split("/") if _MEANT.fullmatch(_folded(part)))


def as_one_file(path: str) -> str:
    """The same for all spellings that some file system takes for one file: by case, or by Unicode's normal forms."""
    return _folded(path)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
