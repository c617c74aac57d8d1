"""What a Promise may reach on the cluster that it is applied to; docs/reference/reach.md has the rule in full.

A Promise decides what is written to the destinations that it selects, and that is meant: whoever may write Promises
may deploy there. What it may do to the cluster that it is applied to is less. It may offer an API in a group of its
author's, and have its Works kept in a namespace for that. It may not offer an API in a group that belongs to
Kubernetes, to Kratix or to Troth, for the operator's rights on a group are rights on everything in it; and its Works
do not lie beside the cluster's own objects.

Who already has the API on the cluster (another Promise, or a definition that Troth did not make) only the cluster
knows: the operator refuses that when it installs the definition.

Rejected: *to leave it to the API server*, which protects the groups of Kubernetes by an annotation that an author can
write, and none of the others; *a list of the groups that are allowed*, which is what the chart's
``rbac.requestApis.groups`` is.
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
"""Groups that are somebody's with all that is below them. Kratix's own Promises offer APIs in marketplace.kratix.io."""

_CLUSTER_NAMESPACES: Final = frozenset({"kube-system", "kube-public", "kube-node-lease"})
_GROUP_FIELD: Final = "spec.api.spec.group"
_NAMESPACE_FIELD: Final = "spec.workflows.config.pipelineNamespace"


@dataclass(frozen=True, slots=True)
class Reach:
    """Which namespaces a Promise may have its Works kept in.

    Attributes:
        system_namespace: the operator's own namespace, which no Promise may name.
        allowed_namespaces: namespaces that a Promise may name although they are the cluster's or the operator's own.
    """

    system_namespace: str = names.SYSTEM_NAMESPACE
    allowed_namespaces: frozenset[str] = frozenset()


def check_group(group: str) -> None:
    """Whether a Promise may offer an API in that group.

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
    """Whether a Promise may have its Works kept in its ``pipelineNamespace``.

    Args:
        spec: the Promise's spec.
        reach: what the operator allows; without it, what one allows that nobody has told anything else.
        kept_in: where Works of requests of this Promise are already. Those stay: an update takes nothing away.

    Raises:
        InvalidObject: that namespace is the cluster's or the operator's own.
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
    """The names in a list that is separated by commas or spaces."""
    return frozenset(text.replace(",", " ").split())
