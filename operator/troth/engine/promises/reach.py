"""Limits what a Promise may do on the cluster that it is applied to; docs/reference/reach.md has all the rules.

A Promise decides what is written to the destinations that it selects, which is intended: people who may write Promises
may deploy there. It may do less on the cluster that it is applied to. It may offer an API in a group of its author's,
and have its Works kept in a namespace for them. It may not offer an API in a group that belongs to Kubernetes, to
Kratix or to Troth, because the operator's rights on a group are rights on everything in it; and its Works must not be
kept beside the cluster's own objects.

Only the cluster knows whether somebody else has the API already (another Promise, or a definition that Troth did not
make): the operator refuses this when it installs the definition.

Rejected: *leaving it to the API server*, which protects the groups of Kubernetes by an annotation that an author can
write, and no other groups; *a list of allowed groups*, which the chart already has as ``rbac.requestApis.groups``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from troth.api import InvalidObject
from troth.api import labels as names
from troth.api.objects import PromiseSpec

_OWN_DOMAINS: Final = {
    "k8s.io": "Kubernetes",
    "kubernetes.io": "Kubernetes",
    "platform.kratix.io": "Kratix",
    "troth.dev": "Troth",
}
"""Groups that are reserved with all groups below them. Kratix's own Promises offer APIs in marketplace.kratix.io."""

_CLUSTER_NAMESPACES: Final = frozenset({"kube-system", "kube-public", "kube-node-lease"})
_GROUP_FIELD: Final = "spec.api.spec.group"
_NAMESPACE_FIELD: Final = "spec.workflows.config.pipelineNamespace"


@dataclass(frozen=True, slots=True)
class Reach:
    """The namespaces in which a Promise may have its Works kept.

    Attributes:
        system_namespace: the operator's own namespace, which no Promise may name.
        allowed_namespaces: namespaces that a Promise may name although they are the cluster's or the operator's own.
    """

    system_namespace: str = names.SYSTEM_NAMESPACE
    allowed_namespaces: frozenset[str] = frozenset()


def check_group(group: str) -> None:
    """Checks that a Promise may offer an API in a group.

    Raises:
        InvalidObject: the group belongs to Kubernetes, to Kratix or to Troth.
    """
    written = group.strip().rstrip(".").lower()
    for domain, owner in _OWN_DOMAINS.items():
        if written == domain or written.endswith(f".{domain}"):
            raise InvalidObject(_GROUP_FIELD, f"is {group!r}, a group that belongs to {owner}", _OF_YOUR_OWN)
    if "." not in written:
        raise InvalidObject(
            _GROUP_FIELD, f"is {group!r}: groups without a dot, such as apps, are Kubernetes' own", _OF_YOUR_OWN
        )


_OF_YOUR_OWN: Final = "offer the API in a group of your own, such as platform.example.com"


def check_pipeline_namespace(
    spec: PromiseSpec, reach: Reach | None = None, *, kept_in: Iterable[str] = ()
) -> None:
    """Checks that a Promise may have its Works kept in its ``pipelineNamespace``.

    Args:
        spec: the Promise's spec.
        reach: what the operator allows; None for the default of an operator.
        kept_in: the namespaces in which Works of this Promise's requests are already, which stay allowed after an
            update.

    Raises:
        InvalidObject: the namespace is the cluster's or the operator's own.
    """
    reach = reach or Reach()
    namespace = spec.pipeline_namespace
    if namespace in reach.allowed_namespaces or namespace in kept_in:
        return
    if namespace in _CLUSTER_NAMESPACES:
        whose = "a namespace that belongs to Kubernetes"
    elif namespace == reach.system_namespace:
        whose = "the operator's own namespace"
    else:
        return
    raise InvalidObject(
        _NAMESPACE_FIELD,
        f"is {namespace!r}, {whose}",
        "make a namespace for the pipelines of this Promise and name that one, or allow this one with the operator's "
        "setting pipelineNamespaces",
    )


def read_namespaces(text: str) -> frozenset[str]:
    """Returns the names in a list that is separated by commas or spaces."""
    return frozenset(text.replace(",", " ").split())
