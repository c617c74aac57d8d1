"""The kinds of state store, each a value that answers all questions about its kind.

How two stores of a kind are told apart, which place they may share, whether they hold files or objects: the rest of
Troth asks the kind and never compares its name. A new kind is therefore a value here, a module in `troth.stores` that
opens its writer, and a line in `troth.stores.factory` (CONTRIBUTING.md says what else belongs to it).

A kind that is not known here is treated as one that holds files. Nothing is written to it; what is reported for a
Destination that names it (its paths, its neighbours) is then the same as for Kratix's own kinds, which all hold files.

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
"""The branch of a GitStateStore that does not name one (the default of ``spec.branch`` in crds/)."""

KUBECONFIG_KEY: Final = "kubeconfig"
"""The key in the Secret of a KubernetesStateStore that does not name one."""

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
        """Whether the store holds manifests as files; False for a cluster that is written to directly."""
        return holds_files(self.kind)


@dataclass(frozen=True, slots=True)
class Place:
    """The place that a store writes to, which other stores of its kind may share.

    Attributes:
        name: equal for two stores that are one place, such as one branch of one repository.
        folder: the folder of that place in which the store begins; empty when the store is the whole place.
    """

    name: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class StoreKind:
    """One kind of state store.

    Attributes:
        resource: where its objects live on the API server.
        identify: from a store's spec to a text that identifies what the store refers to, such as a repository and its
            branch. While it stays the same, what was written to the store is still in it.
        find_place: from a store's spec to the place that it may share with other stores; None when stores of this kind
            share nothing.
        holds_files: whether manifests are kept as files, which can be laid out in folders and read by everybody who
            reads the store. When False, they become objects of a cluster.
        has_prefix: whether ``spec.path`` is a folder in the store. When False, there is no such field, or it is the
            store itself.
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
        """Returns the folder that all files of a store go to, as written in its spec; empty for the whole store."""
        return str(spec.get("path") or "") if self.has_prefix else ""

    def address_of(self, spec: Spec) -> str:
        """Returns a short hash of where a store is. It changes when the object is pointed at another repository."""
        return hashlib.sha256(self.identify(spec).encode()).hexdigest()[:12]

    def place_of(self, name: str, spec: Spec) -> Place:
        """Returns the place of the store of that name; a place of its own when stores of its kind share nothing."""
        return self.find_place(spec) if self.find_place else Place(str(StoreRef(self.kind, name)))


class GitBranch(NamedTuple):
    """The repository and branch that a GitStateStore refers to."""

    url: str
    branch: str

    def __str__(self) -> str:
        return f"{self.url}#{self.branch}"


def read_git_branch(spec: Spec) -> GitBranch:
    """Returns the repository and branch of a GitStateStore's spec; the URL is empty when the spec has none."""
    return GitBranch(str(spec.get("url") or ""), str(spec.get("branch") or GIT_BRANCH))


def read_kubeconfig_key(spec: Spec) -> str:
    """Returns the key under which the Secret of a KubernetesStateStore holds its kubeconfig."""
    return str(read_map(spec.get("secretRef")).get("key") or KUBECONFIG_KEY)


def _identify_git(spec: Spec) -> str:
    return str(read_git_branch(spec))


def _find_git_place(spec: Spec) -> Place:
    """URLs count as written, without a final ``/`` or ``.git``; only the server knows which others are the same."""
    found = read_git_branch(spec)
    return Place(str(found._replace(url=found.url.rstrip("/").removesuffix(".git"))))


def _identify_directory(spec: Spec) -> str:
    return str(spec.get("path") or "")


def _find_directory_place(spec: Spec) -> Place:
    """All folders are in one file system, so one may lie inside another."""
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
    """Whether a store of that kind holds manifests as files. True for a kind that is not known here."""
    known = STORE_KINDS.get(kind)
    return known is None or known.holds_files


def require_store_kind(kind: str, field: str) -> StoreKind:
    """Returns the kind of that name. Raises InvalidObject for ``field`` if there is no writer for the kind."""
    if known := STORE_KINDS.get(kind):
        return known
    *others, last = STORE_KINDS
    problem = (
        f"{kind} is not supported yet" if kind in NOT_SUPPORTED_YET else f"{kind!r} is not a kind of state store"
    )
    raise InvalidObject(field, problem, f"use {', '.join(others)} or {last}")
