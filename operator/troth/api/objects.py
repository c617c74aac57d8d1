"""Typed, frozen views of the objects that Troth reads.

A view is made once, where an object enters (`kube` decodes with these), and holds what reconciling needs.
What is dropped on the way, managedFields and the content of workloads above all, is what makes ten thousand
requests fit into memory (design 5). Reading is lenient: the API server has checked the schema, and an object
that an older schema let through must still be reconciled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from troth.api import labels as names

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """What reconciling reads of ``metadata``."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    deletion_timestamp: str = ""
    creation_timestamp: str = ""
    owner_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Requirement:
    """An entry of a Promise's ``spec.requiredPromises``; an empty version accepts any."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Selector:
    """Labels that a destination must have, and who asked: promise, promise-workflow or resource-workflow."""

    match_labels: Mapping[str, str]
    source: str = "promise"


@dataclass(frozen=True, slots=True)
class Workflows:
    """The pipelines of one type (promise or resource), as the author wrote them."""

    configure: tuple[Object, ...] = ()
    delete: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True)
class PromiseSpec:
    """A Promise's ``spec``; the same in a PromiseRevision, which is why it is a type of its own."""

    api: Object | None
    resource_workflows: Workflows
    promise_workflows: Workflows
    pipeline_namespace: str
    required_promises: tuple[Requirement, ...]
    dependencies: tuple[Object, ...]
    destination_selectors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Promise:
    """A Promise. ``raw`` is the object without managedFields, for a promise workflow's templates."""

    metadata: ObjectMeta
    spec: PromiseSpec
    status: Object
    raw: Object

    @property
    def name(self) -> str:
        """The Promise's name."""
        return self.metadata.name

    @property
    def version(self) -> str:
        """The author's version, or "" (kratix-api.md 1.1: an unlabelled Promise has none)."""
        return self.metadata.labels.get(names.PROMISE_VERSION, "")


@dataclass(frozen=True, slots=True)
class Request:
    """A resource request. ``raw`` is the object without managedFields."""

    metadata: ObjectMeta
    status: Object
    raw: Object


@dataclass(frozen=True, slots=True)
class Workload:
    """One file of a Work or WorkPlacement: its path, and the Git blob id and size of its decoded content."""

    filepath: str
    blob: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class WorkloadGroup:
    """Files of a Work that go to the same destinations."""

    id: str
    directory: str
    selectors: tuple[Selector, ...]
    workloads: tuple[Workload, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """A Work: the durable record of what one pipeline produced for one owner."""

    metadata: ObjectMeta
    promise_name: str
    resource_name: str
    groups: tuple[WorkloadGroup, ...]
    status: Object

    @property
    def type(self) -> str:
        """``promise``, ``resource`` or ``static-dependency``."""
        return self.metadata.labels.get(names.WORK_TYPE, names.WORK_TYPE_RESOURCE)


@dataclass(frozen=True, slots=True)
class WorkPlacement:
    """A WorkPlacement: one group of a Work on one destination."""

    metadata: ObjectMeta
    destination: str
    promise_name: str
    resource_name: str
    group_id: str
    workloads: tuple[Workload, ...]
    status: Object


@dataclass(frozen=True, slots=True)
class KindPattern:
    """Kinds of an API group; in both, ``*`` stands for any characters."""

    group: str
    kind: str


@dataclass(frozen=True, slots=True)
class Allow:
    """What may be placed on a Destination; engine/allowing.py judges by it.

    Attributes:
        namespaces: patterns of the namespaces that objects may be in; None for any.
        kinds: the kinds that may be in them; None for every kind that is known to live in namespaces.
        cluster_kinds: the kinds that may be there outside of namespaces.
        files: files that hold no manifests may be there.
    """

    namespaces: tuple[str, ...] | None = None
    kinds: tuple[KindPattern, ...] | None = None
    cluster_kinds: tuple[KindPattern, ...] = ()
    files: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """A Destination. ``mode`` is nestedByMetadata, aggregatedYAML or none (kratix-api.md 1.5).

    ``adopts``: what is there and was not made by Troth may be taken over. ``allow``: what may be placed there; None for
    everything.
    """

    metadata: ObjectMeta
    path: str
    store_kind: str
    store_name: str
    strict_match_labels: bool
    mode: str
    filename: str
    cleanup: str
    init_workloads: bool
    status: Object
    names_file: bool = True
    adopts: bool = False
    allow: Allow | None = None

    @property
    def name(self) -> str:
        """The Destination's name."""
        return self.metadata.name


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Names a Secret."""

    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class StateStore:
    """A state store of any kind; ``spec`` is as written, each kind of store reads its own fields."""

    metadata: ObjectMeta
    kind: str
    spec: Object
    secret: SecretReference | None
    status: Object


def read_metadata(obj: Object) -> ObjectMeta:
    """The view of an object's ``metadata``."""
    metadata = obj.get("metadata") or {}
    return ObjectMeta(
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        generation=metadata.get("generation", 0),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        finalizers=tuple(metadata.get("finalizers") or ()),
        deleting="deletionTimestamp" in metadata,
        deletion_timestamp=metadata.get("deletionTimestamp", ""),
        creation_timestamp=metadata.get("creationTimestamp", ""),
        owner_uids=tuple(owner.get("uid", "") for owner in metadata.get("ownerReferences") or ()),
    )


def read_promise_spec(spec: Object) -> PromiseSpec:
    """The view of a Promise's or a PromiseRevision's spec.

    Of the squashed ``destinationSelectors`` the EARLIER entry wins on a duplicate key (kratix-api.md 1.1).
    """
    workflows = spec.get("workflows") or {}
    selectors: dict[str, str] = {}
    for entry in spec.get("destinationSelectors") or ():
        for label, value in (entry.get("matchLabels") or {}).items():
            selectors.setdefault(label, value)
    return PromiseSpec(
        api=spec.get("api") or None,
        resource_workflows=_read_workflows(workflows.get("resource")),
        promise_workflows=_read_workflows(workflows.get("promise")),
        pipeline_namespace=(workflows.get("config") or {}).get("pipelineNamespace", ""),
        required_promises=tuple(
            Requirement(entry.get("name", ""), entry.get("version", ""))
            for entry in spec.get("requiredPromises") or ()
        ),
        dependencies=tuple(spec.get("dependencies") or ()),
        destination_selectors=selectors,
    )


def read_promise(obj: Object) -> Promise:
    """The view of a Promise."""
    return Promise(
        metadata=read_metadata(obj),
        spec=read_promise_spec(obj.get("spec") or {}),
        status=obj.get("status") or {},
        raw=without_managed_fields(obj),
    )


def read_request(obj: Object) -> Request:
    """The view of a request of any API."""
    return Request(metadata=read_metadata(obj), status=obj.get("status") or {}, raw=without_managed_fields(obj))


def read_destination(obj: Object) -> Destination:
    """The view of a Destination, with Kratix's defaults filled in."""
    spec = obj.get("spec") or {}
    reference = spec.get("stateStoreRef") or {}
    filepath = spec.get("filepath") or {}
    return Destination(
        metadata=read_metadata(obj),
        path=spec.get("path", ""),
        store_kind=reference.get("kind", ""),
        store_name=reference.get("name", ""),
        strict_match_labels=bool(spec.get("strictMatchLabels")),
        mode=filepath.get("mode") or "nestedByMetadata",
        filename=filepath.get("filename") or "aggregated.yaml",
        cleanup=spec.get("cleanup") or "none",
        init_workloads=(spec.get("initWorkloads") or {}).get("enabled", True) is not False,
        status=obj.get("status") or {},
        names_file=bool(filepath.get("filename")),
        adopts=spec.get("existing") == "Adopt",
        allow=_read_allow(spec["allow"]) if spec.get("allow") is not None else None,
    )


def _read_allow(spec: Object) -> Allow:
    def kinds(field: str) -> tuple[KindPattern, ...]:
        return tuple(KindPattern(entry.get("group", ""), entry.get("kind", "")) for entry in spec.get(field) or ())

    return Allow(
        namespaces=tuple(spec["namespaces"]) if spec.get("namespaces") is not None else None,
        kinds=kinds("kinds") if spec.get("kinds") is not None else None,
        cluster_kinds=kinds("clusterKinds"),
        files=spec.get("files") is True,
    )


def read_state_store(obj: Object) -> StateStore:
    """The view of a state store. A Secret reference without a namespace means the namespace ``default``."""
    spec = obj.get("spec") or {}
    reference = spec.get("secretRef") or {}
    return StateStore(
        metadata=read_metadata(obj),
        kind=obj.get("kind", ""),
        spec=spec,
        secret=(
            SecretReference(reference["name"], reference.get("namespace") or "default")
            if reference.get("name")
            else None
        ),
        status=obj.get("status") or {},
    )


def read_selectors(entries: Sequence[Object] | None) -> tuple[Selector, ...]:
    """The view of a workload group's ``destinationSelectors``."""
    return tuple(
        Selector(entry.get("matchLabels") or {}, entry.get("source", "promise")) for entry in entries or ()
    )


def without_managed_fields(obj: Object) -> Object:
    """The object without ``metadata.managedFields``; shares everything else with the original."""
    metadata = obj.get("metadata") or {}
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def _read_workflows(workflows: Object | None) -> Workflows:
    return Workflows(
        configure=tuple((workflows or {}).get("configure") or ()),
        delete=tuple((workflows or {}).get("delete") or ()),
    )
