"""Decides where the files of a workflow go: groups, scheduling, layout in the store, and what the status says.

The pipelines of a request, those of the Promise and its dependencies are treated alike, as in the operator, because
all of them become Works.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from troth.api import InvalidObject, Promise, TrothError
from troth.api import labels as names
from troth.api.naming import short_group_id
from troth.api.objects import Destination, ObjectMeta, Workload, WorkloadGroup, WorkPlacement
from troth.authoring.rendering.destinations import Destinations, anywhere
from troth.engine.failure import Failure
from troth.engine.placement.allowing import Violation, judge_files
from troth.engine.placement.layout import Layout, aggregate, destination_files, place
from troth.engine.placement.plain_secrets import describe, exposed, find_plain_secrets, withheld
from troth.engine.placement.scheduling import effective_selector, schedule, target_of
from troth.engine.placement.work import GroupContent, blob_id, placement_name, work_name
from troth.engine.rendering.sources import field_of, line_of_kind, value_at
from troth.engine.status.facts import PlacementFacts, Waiting, WorkFacts


@dataclass(frozen=True, slots=True)
class Placement:
    """The files of one workload group on one Destination.

    Attributes:
        destination: the Destination's name, or `ANYWHERE`.
        name: the WorkPlacement's name.
        wants: the labels that a Destination must have.
        layout: where its files are in the store.
        contents: its files, by their path in the pipeline's output.
        state_prefix: the folder of the store that everything goes to.
        pipeline: the pipeline that produced it; empty for a Promise's dependencies.
        namespace: the WorkPlacement's namespace.
    """

    destination: str
    name: str
    wants: Mapping[str, str]
    layout: Layout
    contents: Mapping[str, bytes]
    state_prefix: str = ""
    pipeline: str = ""
    namespace: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """A key that is unique among placements. The name comes first, since that is the order in a shared file."""
        return self.name, self.namespace

    @property
    def files(self) -> dict[str, bytes]:
        """The contents by path in the store. A shared file is given as if nothing else was in it."""
        by_blob = {blob_id(content): content for content in self.contents.values()}
        found = {path: by_blob[blob] for path, blob in self.layout.files.items()}
        if self.layout.state_file is not None:
            from troth.stores.state_file import render_state_file

            found[self.layout.state_file] = render_state_file(self.layout.files, prefix=self.state_prefix)
        if self.layout.aggregate is not None:
            found[self.layout.aggregate] = aggregate({self.key: self.contents}) or b""
        return found


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of Works: a request or a Promise.

    Attributes:
        promise: the Promise.
        work_namespace: the namespace of its Works.
        work_type: the type of the Works, as in their label.
        name: the request's name; empty for the Promise itself.
        namespace: the request's namespace; empty for the Promise itself.
    """

    promise: Promise
    work_namespace: str
    work_type: str
    name: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the Works of one workflow go.

    Attributes:
        works: what the status says about them.
        placements: their files, by Destination.
        failure: the last failure of a Work with files that cannot be placed; None if all can be.
    """

    works: tuple[WorkFacts, ...]
    placements: tuple[Placement, ...]
    failure: Failure | None

    @property
    def waiting(self) -> tuple[Mapping[str, str], ...]:
        """The labels of groups for which there is not a Destination."""
        return tuple(waiting.wants for work in self.works for waiting in work.unscheduled)

    @property
    def withheld(self) -> tuple[str, ...]:
        """What is not written because a store refuses Secrets in plain text."""
        return tuple(work.withheld for work in self.works if work.withheld)

    @property
    def exposed(self) -> tuple[str, ...]:
        """The Secrets that would be written in plain text."""
        return tuple(work.exposed for work in self.works if work.exposed)


def place_works(
    works: Iterable[tuple[Owner, str, Sequence[GroupContent]]], destinations: Destinations | None
) -> Placed:
    """Where the Works of one workflow go. One that fails does not prevent the others.

    Args:
        works: for each Work its owner, the pipeline that produced it (empty for dependencies), and its files.
        destinations: where they may go; None for one Destination that matches everything.
    """
    found: list[WorkFacts] = []
    placements: list[Placement] = []
    failure: Failure | None = None
    for owner, pipeline, groups in works:
        try:
            facts, placed = _place_groups(owner, pipeline, groups, destinations)
        except _Disallowed as error:
            failure = _not_allowed(owner.promise, pipeline, error)
            continue
        except InvalidObject as error:
            failure = Failure("InvalidPath", error.problem, pipeline=pipeline, file=error.field, hint=error.remedy)
            continue
        found.append(facts)
        placements.extend(placed)
    return Placed(tuple(found), tuple(placements), failure)


class _Disallowed(TrothError):
    """A Destination does not allow what would be placed there."""

    def __init__(self, destination: str, violation: Violation) -> None:
        super().__init__(violation.sentence(destination))
        self.violation = violation


def _not_allowed(promise: Promise, pipeline: str, error: _Disallowed) -> Failure:
    """The failure, with the line of the template that has the object's kind, if there is one."""
    found = error.violation
    failure = Failure("NotAllowed", str(error), pipeline=pipeline, file=found.path)
    template = value_at(promise.raw, field_of(promise.raw, failure)) if pipeline else None
    if not isinstance(template, str) or not found.kind:
        return failure
    return replace(failure, line=line_of_kind(template, found.kind, found.position))


def _place_groups(
    owner: Owner, pipeline: str, groups: Sequence[GroupContent], destinations: Destinations | None
) -> tuple[WorkFacts, list[Placement]]:
    """Where the groups of one pipeline go, when none of its files are on any Destination yet.

    Args:
        owner: the owner of the files.
        pipeline: the pipeline that produced them; empty for dependencies.
        groups: the files.
        destinations: where they may go; None for one Destination that matches everything.

    Raises:
        InvalidObject: a file cannot be written to its place.
        _Disallowed: a Destination does not allow an object.
    """
    work = work_name(
        promise=owner.promise.name,
        resource=owner.name,
        resource_namespace=owner.namespace if owner.work_namespace != owner.namespace else "",
        pipeline=pipeline,
    )
    labels = {names.PIPELINE_NAME: pipeline} if pipeline else {}
    if owner.namespace and owner.work_namespace != owner.namespace:
        labels[names.RESOURCE_NAMESPACE] = owner.namespace
    placements: list[Placement] = []
    facts: list[PlacementFacts] = []
    waiting: list[Waiting] = []
    kept_back: list[str] = []
    shown: list[str] = []
    for group, chosen, wants in _schedule(owner, work, groups, destinations):
        if not chosen:
            waiting.append(Waiting(group.id, wants))
        secrets = _plain_secrets(group) if destinations is not None else ""
        for destination in chosen:
            if destination.allow and (violation := judge_files(group.contents(), destination.allow)):
                raise _Disallowed(destination.name, violation)
            policy = destinations.policy(destination) if destinations is not None and secrets else "allow"
            store = f"{destination.store.kind} {destination.store.name}"
            if policy == "refuse":
                kept_back.append(withheld(secrets, store))
                continue
            if policy == "warn":
                shown.append(exposed(secrets, store))
            workloads = tuple(
                Workload(path, blob_id(content), len(content)) for path, content in group.contents().items()
            )
            placement = WorkPlacement(
                metadata=ObjectMeta(
                    name=placement_name(work, destination.name, short_group_id(group.id)),
                    namespace=owner.work_namespace,
                    labels=labels,
                ),
                destination=destination.name,
                promise_name=owner.promise.name,
                resource_name=owner.name,
                group_id=group.id,
                workloads=workloads,
                status={},
            )
            store_path = destinations.store_path(destination) if destinations is not None else ""
            layout = place(destination, placement, store_path=store_path)
            path = layout.directory or layout.aggregate or (layout.state_file or "").rpartition("/.kratix/")[0]
            placements.append(
                Placement(
                    destination.name,
                    placement.metadata.name,
                    wants,
                    layout,
                    group.contents(),
                    state_prefix=store_path.strip("/"),
                    pipeline=pipeline,
                    namespace=owner.work_namespace,
                )
            )
            facts.append(
                PlacementFacts(
                    name=placement.metadata.name,
                    group_id=group.id,
                    destination=destination.name,
                    path=path,
                    files=len(workloads),
                    written=True,
                )
            )
    return (
        WorkFacts(
            name=work,
            groups=len(groups),
            unscheduled=tuple(waiting),
            placements=tuple(facts),
            generation=1,
            exposed="; ".join(dict.fromkeys(shown)),
            withheld="; ".join(dict.fromkeys(kept_back)),
        ),
        placements,
    )


def _plain_secrets(group: GroupContent) -> str:
    """A clause that names the Secrets in plain text in a group; empty if there are none."""
    return describe(
        (secret, path)
        for path, content in group.contents().items()
        for secret in find_plain_secrets(path, content)
    )


def own_files(destinations: Destinations) -> dict[str, dict[str, bytes]]:
    """The files that the Destinations themselves have in their stores (canaries), by Destination and path.

    Raises:
        InvalidObject: a path of a store or a Destination leaves the store.
    """
    return {
        destination.name: dict(
            destination_files(destination, store_path=destinations.store_path(destination)).files
        )
        for destination in destinations.destinations
    }


def _schedule(
    owner: Owner, work: str, groups: Sequence[GroupContent], destinations: Destinations | None
) -> list[tuple[GroupContent, list[Destination], Mapping[str, str]]]:
    if destinations is None:
        return [(group, [anywhere()], effective_selector(group.selectors)) for group in groups]
    plan = schedule(
        owner=f"{owner.work_namespace}/{work}",
        work_type=owner.work_type,
        groups=[WorkloadGroup(group.id, group.directory, group.selectors, ()) for group in groups],
        targets=[target_of(destination) for destination in destinations.destinations],
        existing=(),
    )
    by_id = {group.id: group for group in groups}
    return [
        (by_id[found.group_id], [destinations.named(name) for name in found.destinations], found.wants)
        for found in plan.groups
    ]
