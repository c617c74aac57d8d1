"""The components of a request: requests of other Promises that its own pipelines render.

An object is a component when its labels name its parent: ``kratix.io/parent-promise-name``, ``-parent-resource-name``
and ``-parent-resource-namespace`` (kratix-compatibility.md#names). The template writes them. So rendering stays a
function of the request and the Promise, the labels are in the repository for every tool that applies it, and the author
decides which objects to wait for: a request that goes to another cluster, with an operator of its own, is not a
component.

Rejected: recognising requests by their kind (the result, or its meaning, would depend on which Promises are installed
at that moment), and labels that the operator adds (a file would no longer be what its template gives).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from troth.api import labels as names
from troth.api.files import holds_manifests
from troth.engine.yaml.manifests import InvalidManifest, load_documents

_MARK: Final = names.PARENT_RESOURCE_NAME.encode()
_DEFAULT_NAMESPACE: Final = "default"
_SEARCHED: Final = 100  # at most this many items of a list


@dataclass(frozen=True, slots=True)
class Component:
    """A request of another Promise, as it was rendered.

    Attributes:
        api_version: ``group/version``.
        kind: its kind.
        namespace: its namespace; ``default`` when the manifest does not have one, as when it is applied.
        name: its name.
        spec: the rendered spec, by which to tell whether it was applied.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    spec: Any = field(default=None, hash=False)

    @property
    def group(self) -> str:
        """Its API group."""
        return self.api_version.rpartition("/")[0]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """The key of a component, without the version of its API."""
        return (self.group, self.kind, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Parent:
    """The request to which components belong."""

    promise: str
    namespace: str
    name: str


def read_parent(labels: Mapping[str, str]) -> Parent | None:
    """Returns the request that an object's labels name as its parent, or None."""
    name = labels.get(names.PARENT_RESOURCE_NAME)
    promise = labels.get(names.PARENT_PROMISE_NAME)
    namespace = labels.get(names.PARENT_RESOURCE_NAMESPACE)
    return Parent(promise, namespace, name) if promise and namespace and name else None


def may_hold_components(content: bytes) -> bool:
    """Whether a file may contain components. This is a quick search, and False is certain."""
    return _MARK in content


def find_components(files: Iterable[tuple[str, bytes]], parent: Parent) -> tuple[Component, ...]:
    """Finds the components of a request in its rendered files (path, content), ordered by kind and name."""
    found: dict[tuple[str, str, str, str], Component] = {}
    for path, content in files:
        if not may_hold_components(content) or not holds_manifests(path):
            continue
        try:
            documents = load_documents(content.decode())
        except (InvalidManifest, UnicodeDecodeError):
            continue  # the tool that applies the file reports the fault
        for document in documents:
            component = _read(document, parent)
            if component is not None:
                found[component.identity] = component
    return tuple(sorted(found.values(), key=lambda each: (each.kind, each.namespace, each.name, each.group)))


def first_difference(rendered: Any, live: Any, path: str = "spec") -> str:
    """Returns the first path at which a live object lacks what was rendered; "" when it has everything.

    Additional fields are not a difference: they may be defaults, or others may have added them. A rendered null is
    ignored, because the API server drops it, and may use the default of the field instead.
    """
    if isinstance(rendered, Mapping):
        if not isinstance(live, Mapping):
            return "" if not rendered and live is None else path
        for key, value in rendered.items():
            if value is None:
                continue  # the API server drops a null, or uses the default of the field instead
            difference = first_difference(value, live.get(key), f"{path}.{key}")
            if difference:
                return difference
        return ""
    if isinstance(rendered, list):
        if not isinstance(live, list):
            return "" if not rendered and live is None else path
        for index, item in enumerate(rendered):
            # Usually at the same index, but others may have added items before it.
            candidates = live[index : index + 1] + live[:_SEARCHED]
            if all(first_difference(item, other) for other in candidates):
                return f"{path}[{index}]"
        return path if not rendered and live else ""
    same = rendered == live and isinstance(rendered, bool) == isinstance(live, bool)
    return "" if same else path


def _read(document: Any, parent: Parent) -> Component | None:
    metadata = document.get("metadata") if isinstance(document, Mapping) else None
    if not isinstance(metadata, Mapping):
        return None
    labels = metadata.get("labels")
    if not isinstance(labels, Mapping) or read_parent(labels) != parent:
        return None
    api_version, kind, name = document.get("apiVersion"), document.get("kind"), metadata.get("name")
    namespace = metadata.get("namespace") or _DEFAULT_NAMESPACE
    texts = (api_version, kind, name, namespace)
    if not all(isinstance(text, str) and text for text in texts):
        return None
    return Component(str(api_version), str(kind), str(namespace), str(name), document.get("spec"))
