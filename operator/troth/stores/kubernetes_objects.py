"""Reads the Kubernetes objects in the files of a claim, in their order, and checks that none occurs twice.

Only files that end in ``.yaml``, ``.yml`` or ``.json`` are read; a README next to them is not an object. A ``List``
stands for its items. An object of a namespaced kind without a namespace goes to ``default``, and the namespace of an
object of a cluster-wide kind is dropped, as kubectl and Flux do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from troth.api import Resource, TrothError
from troth.api.files import holds_manifests
from troth.stores.errors import Reason, StoreError

Parse = Callable[[str], Sequence[Any]]

DEFAULT_NAMESPACE: Final = "default"

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_BUILT_IN: Final = re.compile(
    r"[^.]*|([^.]+\.)?k8s\.io|(.+\.)?(authorization|apiserver)\.k8s\.io|(.+\.)?kubernetes\.io"
)
"""The groups that an API server serves itself. Groups of other projects may end alike: gateway.networking.k8s.io."""


class ObjectKey(NamedTuple):
    """Identifies an object, whatever version it is written in."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        kind = f"{self.kind}.{self.group}" if self.group else self.kind
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as an inventory lists it."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> ObjectKey:
        """The object's key."""
        return ObjectKey(self.api_version.rpartition("/")[0], self.kind, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object and the file it came from. ``body`` may be changed."""

    entry: Entry
    body: dict[str, Any]
    path: str

    @property
    def key(self) -> ObjectKey:
        """The object's key."""
        return self.entry.key


def read_manifests(files: Mapping[str, bytes], parse: Parse) -> list[Manifest]:
    """The objects of all files, in the order of the paths. Raises StoreError (InvalidManifest, final)."""
    found = []
    for path in sorted(files):
        if not holds_manifests(path):
            continue
        try:
            documents = parse(files[path].decode())
        except UnicodeDecodeError as error:
            raise _invalid(path, "is not UTF-8 text") from error
        except TrothError as error:
            raise _invalid(path, f"is not YAML: {error}") from error
        found += [_manifest(obj, path) for document in documents for obj in _objects(document, path)]
    return found


def require_unique(manifests: Iterable[Manifest]) -> None:
    """Raise StoreError (InvalidManifest, final), which names both files, when two files have the same object."""
    seen: dict[ObjectKey, str] = {}
    for manifest in manifests:
        first = seen.get(manifest.key)
        if first is not None:
            raise _invalid(first, f"and {manifest.path!r} both hold {manifest.key}")
        seen[manifest.key] = manifest.path


def own_resources(manifests: Iterable[Manifest]) -> dict[tuple[str, str], Resource]:
    """The resources that CustomResourceDefinitions among the manifests define, by API version and kind.

    A definition only says what is wanted; the API server decides what it serves, and has to be asked before an object
    of the kind is written. A definition that it would refuse because of its names, or for a group that it serves
    itself, is ignored here.

    Raises:
        StoreError: a field of a definition has the wrong type (InvalidManifest, final).
    """
    found = {}
    for manifest in manifests:
        if not is_definition(manifest.entry):
            continue
        spec = _field(manifest, manifest.body, "spec", dict)
        names = _field(manifest, spec, "spec.names", dict)
        group, plural, kind = spec.get("group"), names.get("plural"), names.get("kind")
        served: list[Any] = []
        for version in _field(manifest, spec, "spec.versions", list):
            if not isinstance(version, dict):
                raise _malformed(manifest, "spec.versions[]", "a map")
            if version.get("served") is True:
                served.append(version.get("name"))
        if not (_is_group(group) and _is_label(plural) and isinstance(kind, str) and kind):
            continue
        if manifest.entry.name != f"{plural}.{group}":
            continue
        for name in filter(_is_label, served):
            resource = Resource(group, name, plural, kind, namespaced=spec.get("scope") != "Cluster")
            found[resource.api_version, resource.kind] = resource
    return found


def _field(manifest: Manifest, holder: dict[str, Any], field: str, sort: type[Any]) -> Any:
    value = holder.get(field.rpartition(".")[2])
    if value is None:
        return sort()
    if not isinstance(value, sort):
        raise _malformed(manifest, field, "a map" if sort is dict else "a list")
    return value


def _malformed(manifest: Manifest, field: str, sort: str) -> StoreError:
    return _invalid(
        manifest.path, f"holds the CustomResourceDefinition {manifest.entry.name} whose {field} is not {sort}"
    )


def _is_label(text: Any) -> bool:
    return isinstance(text, str) and _LABEL.fullmatch(text) is not None


def _is_group(text: Any) -> bool:
    """Whether a definition may be for a group: it must be a valid name, and not a group of the API server itself."""
    return isinstance(text, str) and all(map(_is_label, text.split("."))) and not _BUILT_IN.fullmatch(text)


def placed(manifest: Manifest, resource: Resource) -> Manifest:
    """The manifest with the namespace that it gets on the cluster."""
    namespace = (manifest.entry.namespace or DEFAULT_NAMESPACE) if resource.namespaced else ""
    if namespace == manifest.entry.namespace:
        return manifest
    metadata = {**manifest.body["metadata"], "namespace": namespace}
    if not namespace:
        del metadata["namespace"]
    return replace(
        manifest, entry=replace(manifest.entry, namespace=namespace), body={**manifest.body, "metadata": metadata}
    )


def is_definition(entry: Entry) -> bool:
    """Whether it is a CustomResourceDefinition."""
    return entry.kind == "CustomResourceDefinition" and entry.api_version.startswith("apiextensions.k8s.io/")


def is_namespace(key: ObjectKey) -> bool:
    """Whether it is a Namespace."""
    return (key.group, key.kind) == ("", "Namespace")


def stage(entry: Entry) -> int:
    """The order of applying: definitions (0), namespaces (1), the rest (2). Removal is in reverse order."""
    return 0 if is_definition(entry) else 1 if is_namespace(entry.key) else 2


def _objects(document: Any, path: str) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict):
        raise _invalid(path, "holds something that is not a Kubernetes object")
    items = document.get("items")
    if document.get("apiVersion") == "v1" and document.get("kind") == "List" and isinstance(items, list):
        for item in items:
            yield from _objects(item, path)
    else:
        yield document


def _manifest(obj: dict[str, Any], path: str) -> Manifest:
    metadata = obj.get("metadata")
    facts = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj.get("kind"),
        "metadata.name": metadata.get("name") if isinstance(metadata, dict) else None,
    }
    for field, value in facts.items():
        if not isinstance(value, str) or not value:
            raise _invalid(path, f"holds an object without {field}")
    namespace = metadata.get("namespace") or "" if isinstance(metadata, dict) else ""
    if not isinstance(namespace, str):
        raise _invalid(path, "holds an object whose metadata.namespace is not a string")
    for field in ("labels", "annotations"):
        if isinstance(metadata, dict) and not isinstance(metadata.get(field) or {}, dict):
            raise _invalid(path, f"holds an object whose metadata.{field} is not a map")
    api_version, kind, name = (str(value) for value in facts.values())
    return Manifest(Entry(api_version, kind, namespace, name), obj, path)


def _invalid(path: str, problem: str) -> StoreError:
    return StoreError(
        Reason.INVALID_MANIFEST, f"{path!r} {problem}", "correct the Promise's pipeline", retryable=False
    )
