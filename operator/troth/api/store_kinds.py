"""The kinds of state store, each a value that answers whatever anybody asks of a kind.

A store of one kind is told apart from another, shares a place with another, and holds files or objects; the rest of
Troth asks the kind and never compares its name. A new kind is therefore a value here, a module in `troth.stores` that
opens its writer, and a line in `troth.stores.factory` (CONTRIBUTING.md says what else belongs to it).

A kind that nobody here knows is taken for one that holds files. Nothing is written to it; what is said of a
Destination that names it (its paths, its neighbours) is then what would be said of Kratix's own kinds, which all hold
files.

Rejected: *a subclass for each kind* (there is no state, and what is different is a handful of answers), *the kind of
the writer* (the questions are asked where no writer is open: by `troth render`, and while a repository is away).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from troth.api.errors import InvalidObject
from troth.api.resources import DIRECTORY_STATE_STORE, GIT_STATE_STORE, KUBERNETES_STATE_STORE, Resource
from troth.api.typed import read_map, read_text

Spec = Mapping[str, Any]

GIT_BRANCH: Final = "main"
"""The branch of a GitStateStore that names none (crds: the default of ``spec.branch``)."""

KUBECONFIG_KEY: Final = "kubeconfig"
"""The key of the Secret of a KubernetesStateStore that names none."""

NOT_SUPPORTED_YET: Final = frozenset({"BucketStateStore"})
"""Kinds of Kratix for which there is no writer yet."""


class StoreRef(NamedTuple):
    """Names a state store: its kind and its name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def holds_files(self) -> bool:
        """Whether manifests lie in files there; False for a cluster that is written to directly."""
        return holds_files(self.kind)


@dataclass(frozen=True, slots=True)
class Place:
    """What a store may share with other stores of its kind.

    Attributes:
        name: equal for two stores that are one place, such as one branch of one repository.
        folder: where in that place the store begins; empty when the store is the whole place.
    """

    name: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class StoreKind:
    """One kind of state store.

    Attributes:
        resource: where its objects live on the API server.
        identify: from a store's spec, what the store means, as it is written there. While the answer is the same, what
            was written to the store is still in it.
        find_place: from a store's spec, the place that it may share with others; None when nothing is shared.
        holds_files: manifests lie in files, which can be laid out in folders and be read by everybody who reads the
            store. False: they become objects of a cluster.
        has_prefix: ``spec.path`` is a folder in the store. False: there is none, or it is the store itself.
    """

    resource: Resource
    identify: Callable[[Spec], str]
    find_place: Callable[[Spec], Place] | None
    holds_files: bool
    has_prefix: bool

    @property
    def kind(self) -> str:
        """The kind's name, such as ``GitStateStore``."""
        return self.resource.kind

    def prefix_of(self, spec: Spec) -> str:
        """The folder of a store that everything in it goes to, as it is written; empty for the whole store."""
        return str(spec.get("path") or "") if self.has_prefix else ""

    def address_of(self, spec: Spec) -> str:
        """A short hash of where a store is: it changes when the same object begins to mean another repository."""
        return hashlib.sha256(self.identify(spec).encode()).hexdigest()[:12]

    def place_of(self, name: str, spec: Spec) -> Place:
        """The place of the store of that name; a place of its own when its kind shares nothing."""
        return self.find_place(spec) if self.find_place else Place(str(StoreRef(self.kind, name)))


class GitBranch(NamedTuple):
    """The branch of a repository that a GitStateStore means."""

    url: str
    branch: str

    def __str__(self) -> str:
        return f"{self.url}#{self.branch}"


def read_git_branch(spec: Spec) -> GitBranch:
    """The branch that the spec of a GitStateStore means; the URL is empty when it gives none."""
    return GitBranch(str(spec.get("url") or ""), str(spec.get("branch") or GIT_BRANCH))


def read_kubeconfig_key(spec: Spec) -> str:
    """The key of its Secret that a KubernetesStateStore takes its kubeconfig from."""
    return str(read_map(spec.get("secretRef")).get("key") or KUBECONFIG_KEY)


def _identify_git(spec: Spec) -> str:
    return str(read_git_branch(spec))


def _find_git_place(spec: Spec) -> Place:
    """Addresses are compared as they are written, but for their end: only the server knows which are one repository."""
    found = read_git_branch(spec)
    return Place(str(found._replace(url=found.url.rstrip("/").removesuffix(".git"))))


def _identify_directory(spec: Spec) -> str:
    return str(spec.get("path") or "")


def _find_directory_place(spec: Spec) -> Place:
    """All folders are in one file system, where one may lie inside of another."""
    return Place(DIRECTORY_STATE_STORE.kind, folder=str(spec.get("path") or "/"))


def _identify_cluster(spec: Spec) -> str:
    reference = read_map(spec.get("secretRef"))
    if not read_text(reference.get("name")):
        return ""  # the cluster that the operator works on
    where = f"{read_text(reference.get('namespace')) or 'default'}/{reference['name']}"
    key = read_kubeconfig_key(spec)
    # The default key is left out: addresses were recorded before there was a choice.
    return where if key == KUBECONFIG_KEY else f"{where}#{key}"


GIT: Final = StoreKind(
    GIT_STATE_STORE,
    identify=_identify_git,
    find_place=_find_git_place,
    holds_files=True,
    has_prefix=True,
)
KUBERNETES: Final = StoreKind(
    KUBERNETES_STATE_STORE,
    identify=_identify_cluster,
    find_place=None,
    holds_files=False,
    has_prefix=True,
)
DIRECTORY: Final = StoreKind(
    DIRECTORY_STATE_STORE,
    identify=_identify_directory,
    find_place=_find_directory_place,
    holds_files=True,
    has_prefix=False,
)

STORE_KINDS: Final[Mapping[str, StoreKind]] = {kind.kind: kind for kind in (GIT, KUBERNETES, DIRECTORY)}
"""Every kind that can be written to, by its name."""


def holds_files(kind: str) -> bool:
    """Whether manifests lie in files in a store of that kind, known here or not."""
    known = STORE_KINDS.get(kind)
    return known is None or known.holds_files


def require_store_kind(kind: str, field: str) -> StoreKind:
    """The kind of that name; raises InvalidObject, of that field, for one that cannot be written to."""
    if known := STORE_KINDS.get(kind):
        return known
    *others, last = STORE_KINDS
    problem = (
        f"{kind} is not supported yet" if kind in NOT_SUPPORTED_YET else f"{kind!r} is not a kind of state store"
    )
    raise InvalidObject(field, problem, f"use {', '.join(others)} or {last}")
