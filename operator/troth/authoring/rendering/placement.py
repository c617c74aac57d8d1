"""Where the files of a workflow go: groups, scheduling, layout in the store, and what the status says of it.

One way for a request's pipelines, the Promise's own and its dependencies, as in the operator: all of them are Works.
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
    """The files of one workload group on one destination.

    Attributes:
        destination: the Destination's name, or `ANYWHERE`.
        name: the WorkPlacement's name.
        wants: the labels that a destination must have.
        layout: where its files stand in the store.
        contents: its files, by their path in the pipeline's output.
        state_prefix: the folder of the store that everything goes to.
        pipeline: whose output it is; "" for a Promise's dependencies.
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
        """What tells it from all others: its name comes first, for that is the order in a shared file."""
        return self.name, self.namespace

    @property
    def files(self) -> dict[str, bytes]:
        """Path in the store to content; of a shared file, as if nothing else was in it."""
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
    """Whose files they are.

    Attributes:
        promise: the Promise.
        work_namespace: where its Works live.
        work_type: of the Works, as in their label.
        name: the request's name; "" for the Promise itself.
        namespace: the request's namespace; "" for the Promise itself.
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
        works: what the status says of them.
        placements: their files, by Destination.
        failure: the last of them that cannot stand where it should.
    """

    works: tuple[WorkFacts, ...]
    placements: tuple[Placement, ...]
    failure: Failure | None

    @property
    def waiting(self) -> tuple[Mapping[str, str], ...]:
        """Labels of groups for which there is no Destination."""
        return tuple(waiting.wants for work in self.works for waiting in work.unscheduled)

    @property
    def withheld(self) -> tuple[str, ...]:
        """What is not written because a store refuses Secrets in the clear."""
        return tuple(work.withheld for work in self.works if work.withheld)

    @property
    def exposed(self) -> tuple[str, ...]:
        """Which Secrets would be written in the clear."""
        return tuple(work.exposed for work in self.works if work.exposed)


def place_works(
    works: Iterable[tuple[Owner, str, Sequence[GroupContent]]], destinations: Destinations | None
) -> Placed:
    """Where the Works of one workflow go; one that fails holds up no other.

    Args:
        works: of each Work its owner, whose output it is ("" for dependencies), and the files.
        destinations: where they may go; None for one destination that matches everything.
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
    """The failure, at the line of the template where the object's kind stands, if one does."""
    found = error.violation
    failure = Failure("NotAllowed", str(error), pipeline=pipeline, file=found.path)
    template = value_at(promise.raw, field_of(promise.raw, failure)) if pipeline else None
    if not isinstance(template, str) or not found.kind:
        return failure
    return replace(failure, line=line_of_kind(template, found.kind, found.position))


def _place_groups(
    owner: Owner, pipeline: str, groups: Sequence[GroupContent], destinations: Destinations | None
) -> tuple[WorkFacts, list[Placement]]:
    """Where the groups of one pipeline go, among Destinations that have nothing of it yet.

    Args:
        owner: whose they are.
        pipeline: whose output they are; "" for dependencies.
        groups: the files.
        destinations: where they may go; None for one destination that matches everything.

    Raises:
        InvalidObject: a file cannot stand where it should.
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
    """Which Secrets in the clear are in a group, in a clause; "" for none."""
    return describe(
        (secret, path)
        for path, content in group.contents().items()
        for secret in find_plain_secrets(path, content)
    )


def own_files(destinations: Destinations) -> dict[str, dict[str, bytes]]:
    """What the Destinations themselves have in their stores (canaries), by destination and path.

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
