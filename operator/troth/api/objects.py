"""Typed, frozen views of the objects that Troth reads.

A view is made once, where an object enters (`kube` decodes with these), and holds what reconciling needs.
What is dropped on the way, managedFields and the content of workloads above all, is what makes ten thousand
requests fit into memory. Reading is lenient: the API server has checked the schema, and an object
that an older schema let through must still be reconciled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from troth.api import labels as names
from troth.api.nesting import PartialObject
from troth.api.statuses import read_status
from troth.api.store_kinds import StoreRef
from troth.api.typed import (
    read_list,
    read_map,
    read_maps,
    read_text,
    read_texts,
    read_whole,
    require_list,
    require_map,
    require_text,
)

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """The fields of ``metadata`` that reconciling reads."""

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
    unread: str = ""
    """Which fields were left out because they exceed the bounds of `nesting`, and what to do; "" if none was."""

    @property
    def is_paused(self) -> bool:
        """Whether the object has the label that pauses its reconciliation (kratix-compatibility.md#requests)."""
        return self.labels.get(names.PAUSED) == "true"


@dataclass(frozen=True, slots=True)
class Requirement:
    """An entry of a Promise's ``spec.requiredPromises``; an empty version accepts any."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Selector:
    """Labels that a destination must have, and who asks for them: promise, promise-workflow or resource-workflow."""

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
        """The version that the author gave it as a label, or "" without that label (kratix-compatibility.md#kinds)."""
        return self.metadata.labels.get(names.PROMISE_VERSION, "")

    @property
    def is_available(self) -> bool:
        """Whether its status says that it can fulfil requests."""
        return self.status.get("status") == "Available"

    @property
    def is_observed(self) -> bool:
        """Whether its status is about its newest spec."""
        return bool(self.status.get("observedGeneration") == self.metadata.generation)


@dataclass(frozen=True, slots=True)
class Request:
    """A resource request. ``raw`` is the object without managedFields."""

    metadata: ObjectMeta
    status: Object
    raw: Object

    @property
    def is_observed(self) -> bool:
        """Whether its status is about its newest spec."""
        return bool(self.status.get("observedGeneration") == self.metadata.generation)


@dataclass(frozen=True, slots=True)
class Workload:
    """One file of a Work or WorkPlacement: its path, and the Git blob id and size of its decoded content.

    ``may_hold_secrets``: whether the content may hold a Secret in the clear; False is certain. It follows from the
    content, so it is ignored when two files are compared.
    """

    filepath: str
    blob: str
    size: int = 0
    may_hold_secrets: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class WorkloadGroup:
    """Files of a Work that go to the same destinations."""

    id: str
    directory: str
    selectors: tuple[Selector, ...]
    workloads: tuple[Workload, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """A Work: the durable record of what one pipeline produced for one owner.

    Its content is acted on only as far as seals prove that the operator wrote it (`troth.engine.placement.seals`).

    Attributes:
        sealed_for: the uid of the owner for whom the operator sealed it; empty when it is not as the operator wrote it.
        reported: whether its status is as the operator wrote it.
        former: whether it has no seal and is older than the operator's key, so that it may be from before there were
            seals.
    """

    metadata: ObjectMeta
    promise_name: str
    resource_name: str
    groups: tuple[WorkloadGroup, ...]
    status: Object
    sealed_for: str = ""
    reported: bool = False
    former: bool = False

    @property
    def type(self) -> str:
        """``promise``, ``resource`` or ``static-dependency``."""
        return self.metadata.labels.get(names.WORK_TYPE, names.WORK_TYPE_RESOURCE)


@dataclass(frozen=True, slots=True)
class WorkPlacement:
    """A WorkPlacement: one group of a Work on one destination.

    Its content is acted on only as far as seals prove that the operator wrote it (`troth.engine.placement.seals`).

    Attributes:
        sealed_for: the uid of the owner for whom the operator sealed it; empty when it is not as the operator wrote it.
        recorded: the generation whose files were written to the location that its status records; 0 when the operator
            did not write that record.
        former: whether it, or its record, has no seal and it is older than the operator's key, so that it may be from
            before there were seals.
    """

    metadata: ObjectMeta
    destination: str
    promise_name: str
    resource_name: str
    group_id: str
    workloads: tuple[Workload, ...]
    status: Object
    sealed_for: str = ""
    recorded: int = 0
    former: bool = False


@dataclass(frozen=True, slots=True)
class KindPattern:
    """A pattern for kinds of API groups. In both ``group`` and ``kind``, ``*`` stands for any characters."""

    group: str
    kind: str


@dataclass(frozen=True, slots=True)
class Allow:
    """What may be placed on a Destination; engine/placement/allowing.py judges by it.

    Attributes:
        namespaces: patterns of the namespaces that objects may be in; None for any.
        kinds: the kinds of namespaced objects that may be placed; None for every kind that is known to be namespaced.
        cluster_kinds: the cluster-scoped kinds that may be placed.
        files: whether files that do not hold manifests may be placed.
    """

    namespaces: tuple[str, ...] | None = None
    kinds: tuple[KindPattern, ...] | None = None
    cluster_kinds: tuple[KindPattern, ...] = ()
    files: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """A Destination. ``mode`` is nestedByMetadata, aggregatedYAML or none (kratix-compatibility.md#destinations).

    ``adopts``: whether existing objects that Troth did not make may be taken over. ``allow``: what may be placed there;
    None for everything.
    """

    metadata: ObjectMeta
    path: str
    store: StoreRef
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
    """A state store of any kind. ``spec`` is as written; each kind of store reads its own fields."""

    metadata: ObjectMeta
    kind: str
    spec: Object
    secret: SecretReference | None
    status: Object


def read_metadata(obj: Object) -> ObjectMeta:
    """The view of an object's ``metadata``. A field of a type that the API server does not accept is missing."""
    metadata = read_map(obj.get("metadata"))
    return ObjectMeta(
        name=read_text(metadata.get("name")),
        namespace=read_text(metadata.get("namespace")),
        uid=read_text(metadata.get("uid")),
        resource_version=read_text(metadata.get("resourceVersion")),
        generation=read_whole(metadata.get("generation")),
        labels=read_texts(metadata.get("labels")),
        annotations=read_texts(metadata.get("annotations")),
        finalizers=tuple(name for name in read_list(metadata.get("finalizers")) if isinstance(name, str)),
        deleting="deletionTimestamp" in metadata,
        deletion_timestamp=read_text(metadata.get("deletionTimestamp")),
        creation_timestamp=read_text(metadata.get("creationTimestamp")),
        owner_uids=tuple(read_text(owner.get("uid")) for owner in read_maps(metadata.get("ownerReferences"))),
        unread=obj.unread if isinstance(obj, PartialObject) else "",
    )


def read_promise_spec(spec: Object) -> PromiseSpec:
    """The view of a Promise's or a PromiseRevision's spec.

    The ``destinationSelectors`` are merged into one map; the EARLIER entry wins on a duplicate key
    (kratix-compatibility.md#kinds).

    Raises:
        InvalidObject: a field has a type that the API server would not accept.
    """
    workflows = require_map(spec.get("workflows"), "spec.workflows")
    config = require_map(workflows.get("config"), "spec.workflows.config")
    selectors: dict[str, str] = {}
    for index, entry in enumerate(require_list(spec.get("destinationSelectors"), "spec.destinationSelectors")):
        field = f"spec.destinationSelectors[{index}]"
        labels = require_map(require_map(entry, field).get("matchLabels"), f"{field}.matchLabels")
        for label, value in labels.items():
            selectors.setdefault(label, require_text(value, f"{field}.matchLabels.{label}"))
    requirements: list[Requirement] = []
    for index, entry in enumerate(require_list(spec.get("requiredPromises"), "spec.requiredPromises")):
        field = f"spec.requiredPromises[{index}]"
        name, version = (
            require_text(require_map(entry, field).get(key), f"{field}.{key}") for key in ("name", "version")
        )
        requirements.append(Requirement(name, version))
    return PromiseSpec(
        api=require_map(spec.get("api"), "spec.api") or None,
        resource_workflows=_read_workflows(workflows.get("resource"), "spec.workflows.resource"),
        promise_workflows=_read_workflows(workflows.get("promise"), "spec.workflows.promise"),
        pipeline_namespace=require_text(
            config.get("pipelineNamespace"), "spec.workflows.config.pipelineNamespace"
        ),
        required_promises=tuple(requirements),
        dependencies=tuple(require_list(spec.get("dependencies"), "spec.dependencies")),
        destination_selectors=selectors,
    )


def read_promise(obj: Object) -> Promise:
    """The view of a Promise. Raises InvalidObject, as `read_promise_spec` does."""
    return Promise(
        metadata=read_metadata(obj),
        spec=read_promise_spec(require_map(obj.get("spec"), "spec")),
        status=read_status(obj),
        raw=without_managed_fields(obj),
    )


def read_request(obj: Object) -> Request:
    """The view of a request of any API."""
    return Request(metadata=read_metadata(obj), status=read_status(obj), raw=without_managed_fields(obj))


def read_destination(obj: Object) -> Destination:
    """The view of a Destination, with Kratix's defaults filled in."""
    spec = read_map(obj.get("spec"))
    reference = read_map(spec.get("stateStoreRef"))
    filepath = read_map(spec.get("filepath"))
    return Destination(
        metadata=read_metadata(obj),
        path=read_text(spec.get("path")),
        store=StoreRef(read_text(reference.get("kind")), read_text(reference.get("name"))),
        strict_match_labels=bool(spec.get("strictMatchLabels")),
        mode=read_text(filepath.get("mode")) or "nestedByMetadata",
        filename=read_text(filepath.get("filename")) or "aggregated.yaml",
        cleanup=read_text(spec.get("cleanup")) or "none",
        init_workloads=read_map(spec.get("initWorkloads")).get("enabled", True) is not False,
        status=read_status(obj),
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
    spec = read_map(obj.get("spec"))
    reference = read_map(spec.get("secretRef"))
    name = read_text(reference.get("name"))
    return StateStore(
        metadata=read_metadata(obj),
        kind=read_text(obj.get("kind")),
        spec=spec,
        secret=SecretReference(name, read_text(reference.get("namespace")) or "default") if name else None,
        status=read_status(obj),
    )


def read_selectors(entries: Sequence[Object] | None) -> tuple[Selector, ...]:
    """The view of a workload group's ``destinationSelectors``."""
    return tuple(
        Selector(read_texts(entry.get("matchLabels")), read_text(entry.get("source", "promise")))
        for entry in read_maps(entries)
    )


def without_managed_fields(obj: Object) -> Object:
    """The object without ``metadata.managedFields``; shares everything else with the original."""
    metadata = read_map(obj.get("metadata"))
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def _read_workflows(workflows: Any, field: str) -> Workflows:
    found = require_map(workflows, field)
    return Workflows(
        configure=tuple(require_list(found.get("configure"), f"{field}.configure")),
        delete=tuple(require_list(found.get("delete"), f"{field}.delete")),
    )
