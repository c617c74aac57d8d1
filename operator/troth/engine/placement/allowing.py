"""Decides whether rendered files may be placed on a Destination, by the Destination's rules (``spec.allow``).

The manifests are judged in the same way for every kind of store, as a GitOps tool or kubectl will read them. These
tools flatten everything that has a list ``items``, whatever its kind is; they drop the namespace of a cluster-scoped
object; and they choose a namespace for an object without one. So:

* each of the ``items`` is judged, at any depth, and so is the object that holds them, unless it is a list itself;
* Kubernetes' own groups and kinds are known: a kind in one of these groups that is not listed as namespaced is
  cluster-scoped. For all other kinds the scope is not known here. They count as namespaced only where a rule names them
  without a wildcard, and as cluster-scoped otherwise;
* an object without a namespace counts as one in ``default``;
* the rules for namespaces also apply to the name of a Namespace;
* a file whose name decides how its folder is used, such as ``Chart.yaml``, counts as a file without manifests.

Case matters, as it does for an API server: a kind that is spelled differently is another kind. A document that cannot
be read or is not an object is refused, and so is a file without manifests, because their effect is unknown.

Objects that an applied object brings in turn (a Kustomization of Flux, a HelmRelease, an Application, an operator's
custom resource) are not seen here; such kinds are only allowed where a rule names them.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from troth.api import TrothError
from troth.api.files import holds_manifests
from troth.api.objects import Allow, KindPattern
from troth.engine.placement.file_paths import meaning
from troth.engine.yaml.manifests import load_documents

DEFAULT_NAMESPACE: Final = "default"
_LONGEST: Final = 100
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

NAMESPACED: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset(
        {
            "Binding", "ConfigMap", "Endpoints", "Event", "LimitRange", "PersistentVolumeClaim", "Pod", "PodTemplate",
            "ReplicationController", "ResourceQuota", "Secret", "Service", "ServiceAccount",
        }
    ),
    "admissionregistration.k8s.io": frozenset(),
    "apiextensions.k8s.io": frozenset(),
    "apiregistration.k8s.io": frozenset(),
    "apps": frozenset({"ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"}),
    "authentication.k8s.io": frozenset(),
    "authorization.k8s.io": frozenset({"LocalSubjectAccessReview"}),
    "autoscaling": frozenset({"HorizontalPodAutoscaler"}),
    "batch": frozenset({"CronJob", "Job"}),
    "certificates.k8s.io": frozenset({"PodCertificateRequest"}),
    "coordination.k8s.io": frozenset({"Lease", "LeaseCandidate"}),
    "discovery.k8s.io": frozenset({"EndpointSlice"}),
    "events.k8s.io": frozenset({"Event"}),
    "flowcontrol.apiserver.k8s.io": frozenset(),
    "internal.apiserver.k8s.io": frozenset(),
    "networking.k8s.io": frozenset({"Ingress", "NetworkPolicy"}),
    "node.k8s.io": frozenset(),
    "policy": frozenset({"PodDisruptionBudget"}),
    "rbac.authorization.k8s.io": frozenset({"Role", "RoleBinding"}),
    "resource.k8s.io": frozenset({"ResourceClaim", "ResourceClaimTemplate"}),
    "scheduling.k8s.io": frozenset(),
    "storage.k8s.io": frozenset({"CSIStorageCapacity"}),
    "storagemigration.k8s.io": frozenset(),
}  # fmt: skip
"""The groups of Kubernetes itself, and their namespaced kinds. A test compares this with an API server."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that may not be placed, and the rule that forbids it.

    Attributes:
        path: the path of the file.
        subject: the object, such as ``ConfigMap payments/ledger``; empty when it is the file itself.
        kind: the object's kind, as it is written in the file; or "".
        rule: why it is forbidden, a clause that names the field of the Destination.
        position: how many objects of that kind are in the file before it.
    """

    path: str
    subject: str
    kind: str
    rule: str
    position: int = 0

    def sentence(self, destination: str) -> str:
        """Returns the violation in a sentence."""
        what = f"{self.subject} (in {self.path})" if self.subject else self.path
        return f"{what} is not allowed on the Destination {destination}: {self.rule}"


def judge_files(files: Mapping[str, bytes], allow: Allow) -> Violation | None:
    """Returns the first violation, in the order of the files' paths; None when there is none."""
    for path in sorted(files):
        if not holds_manifests(path):
            if not allow.files:
                return Violation(path, "", "", "it holds no manifests, and spec.allow.files is not true")
            continue
        if not allow.files and (name := meaning(path)):
            rule = f"GitOps tools give the name {_cut(name)} a meaning, and spec.allow.files is not true"
            return Violation(path, "", "", rule)
        try:
            documents = load_documents(files[path].decode())
        except (TrothError, UnicodeDecodeError) as error:
            return Violation(
                path, "", "", f"it cannot be read, so it cannot be judged by spec.allow ({_cut(error)})"
            )
        met: Counter[str] = Counter()
        for document in documents:
            for obj in _objects(document):
                if found := _judge(path, obj, allow):
                    return replace(found, position=met[found.kind])
                met[obj["kind"]] += 1
    return None


def fingerprint(allow: Allow) -> str:
    """Returns a hash of the rules, so that files that were found to be allowed need not be judged again."""
    return hashlib.sha256(repr(allow).encode()).hexdigest()[:16]


def _judge(path: str, obj: Any, allow: Allow) -> Violation | None:
    metadata = obj.get("metadata") if isinstance(obj, Mapping) else None
    version, kind = (obj.get("apiVersion"), obj.get("kind")) if isinstance(obj, Mapping) else (None, None)
    metadata = {} if metadata is None else metadata
    name, namespace = (
        (metadata.get("name"), metadata.get("namespace")) if isinstance(metadata, Mapping) else (0, 0)
    )
    texts = (version, kind, "" if name is None else name, "" if namespace is None else namespace)
    if not all(isinstance(text, str) for text in texts) or not version or not kind:
        rule = "it holds something that is not a Kubernetes object, which spec.allow has no rule for"
        return Violation(path, "", "", rule)
    version, kind, name, namespace = (str(text) for text in texts)
    group = version.rpartition("/")[0]
    known = NAMESPACED.get(group)
    shown = f"{kind}.{group}" if group else kind
    if known is None:
        inside = any(entry.kind == kind and _matches(entry.group, group) for entry in allow.kinds or ())
    else:
        inside = kind in known
    if inside:
        place = namespace or DEFAULT_NAMESPACE
        subject = _cut(f"{shown} {place}/{name}")
        if not _any_kind(allow.kinds, group, kind):
            return Violation(path, subject, kind, "spec.allow.kinds does not list its kind")
        if not _any_name(allow.namespaces, place):
            return Violation(path, subject, kind, _not_in(place, allow))
        return None
    subject = _cut(f"{shown} {name}")
    if not _any_kind(allow.cluster_kinds, group, kind):
        rule = "it lives outside of namespaces, and spec.allow.clusterKinds does not list its kind"
        if known is None:
            rule = (
                "its kind is not one of Kubernetes' own; if it lives in namespaces, spec.allow.kinds has to name it "
                "without a wildcard, otherwise spec.allow.clusterKinds has to list it"
            )
        return Violation(path, subject, kind, rule)
    if (group, kind) == ("", "Namespace") and not _any_name(allow.namespaces, name):
        return Violation(path, subject, kind, _not_in(name, allow))
    return None


def _objects(document: Any) -> Iterator[Any]:
    """Yields the objects that kubectl and GitOps tools find in a document."""
    pending: list[tuple[Any, str, str]] = [(document, "", "")]
    while pending:
        found, kind, version = pending.pop()
        if not isinstance(found, Mapping):
            yield found
            continue
        if kind and not found.get("kind") and not found.get("apiVersion"):
            found = {**found, "kind": kind, "apiVersion": version}  # as for the items of a ConfigMapList
        items = found.get("items")
        if not isinstance(items, list):
            yield found
            continue
        own, written = str(found.get("kind")), str(found.get("apiVersion"))
        is_list = own.endswith("List") and written.rpartition("/")[0] in NAMESPACED
        if not is_list:
            yield found  # perhaps not a list but a kind of its own, which would be applied as it is
        inner = own.removesuffix("List") if is_list and own != "List" else ""
        pending.extend((item, inner, written) for item in reversed(items) if is_list or isinstance(item, Mapping))


def _not_in(namespace: str, allow: Allow) -> str:
    listed = ", ".join((allow.namespaces or ())[:5]) or "none"
    more = ", …" if len(allow.namespaces or ()) > 5 else ""
    return (
        f"spec.allow.namespaces ({listed}{more}) does not have the namespace {_cut(namespace) or 'without a name'}"
    )


def _any_kind(patterns: Iterable[KindPattern] | None, group: str, kind: str) -> bool:
    return patterns is None or any(
        _matches(entry.group, group) and _matches(entry.kind, kind) for entry in patterns
    )


def _any_name(patterns: Iterable[str] | None, name: str) -> bool:
    """Whether a rule allows the namespace. An invalid name, such as ``team-${X}`` before substitution, never is."""
    return patterns is None or (
        _LABEL.fullmatch(name) is not None and any(_matches(pattern, name) for pattern in patterns)
    )


def _matches(pattern: str, text: str) -> bool:
    return pattern == text or ("*" in pattern and _compiled(pattern).fullmatch(text) is not None)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Several stars in a row count as one. Atomic groups keep each star from backtracking.
    parts = [re.escape(part) for part in re.split(r"\*+", pattern)]
    first, *rest = parts
    inner = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(f"{first}{inner}.*{rest[-1]}" if rest else first, re.DOTALL)


def _cut(text: object) -> str:
    found = str(text)
    return found if len(found) <= _LONGEST else f"{found[: _LONGEST - 1]}…"
