"""The state of a request's components, read from the informers that follow their Promises anyway.

The components are those that were rendered, and not those that exist. So a request is never Ready before its components
were seen, and a request that carries the right labels without having been rendered is not a component. Their state is
what their own status says, once they hold what was rendered.

Components are listed in their parent's status before they are written anywhere, just as a finalizer is set before the
first effect: a parent that is being deleted waits for those that its status names.

While the requests of a Promise are still being listed (after a restart) nothing is known of them. The parent then
leaves its status as it is, and is queued when the list is complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from troth.api import Key
from troth.api import labels as names
from troth.api.objects import Request
from troth.api.statuses import read_own
from troth.controllers.platform import Platform
from troth.engine.rendering.components import Component, Parent, first_difference, read_parent
from troth.engine.status.components import BEING_DELETED, MISSING, ON_ITS_WAY, components_block, judge_component
from troth.engine.status.facts import ComponentFacts


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known of one component: the request, if it exists, or why nothing can be known of it yet."""

    promise: str = ""
    request: Request | None = None
    unknown: bool = False
    problem: str = ""


class Components:
    """Looks at the components of requests."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def announce(self, rendered: Iterable[Component], status: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
        """``status.troth.components`` with the components that were rendered for the first time added.

        None when the status names all of them already.
        """
        known = {component.identity for component in reported(status)}
        fresh = [component for component in rendered if component.identity not in known]
        if not fresh:
            return None
        facts = [
            ComponentFacts(item.api_version, item.kind, item.name, item.namespace, message=MISSING)
            for item in fresh
        ]
        return [*read_own(status).components, *components_block(facts)]

    def facts(
        self, key: Key, parent: Parent, rendered: Iterable[Component], status: Mapping[str, Any], *, complete: bool
    ) -> tuple[ComponentFacts, ...] | None:
        """The state of the components, or None while it cannot be known.

        Args:
            key: the key of the parent.
            parent: the same object, as labels name it.
            rendered: the components that its pipelines render now.
            status: the parent's status.
            complete: whether all pipelines have run. Otherwise the components that were known before still count.
        """
        components = list(rendered)
        if not complete:
            known = {component.identity for component in components}
            components += [old for old in reported(status) if old.identity not in known]
        if not components:
            return ()
        self._platform.caches.request_apis.note_parent(key, {(item.group, item.kind) for item in components})
        found: list[ComponentFacts] = []
        for component in components:
            look = self._look(component)
            if look.unknown:
                return None
            found.append(self._judge(key, parent, component, look))
        return tuple(found)

    def remaining(self, key: Key, parent: Parent, status: Mapping[str, Any]) -> list[str]:
        """The components in the status that still exist, in words; for a parent that is being deleted."""
        components = reported(status)
        self._platform.caches.request_apis.note_parent(key, {(item.group, item.kind) for item in components})
        found: list[str] = []
        for component in components:
            look = self._look(component)
            live = look.request
            if live is None and not look.unknown and not (look.promise and look.problem):
                continue
            if live is not None and read_parent(live.metadata.labels) != parent:
                continue  # it belongs to somebody else by now
            found.append(f"{component.kind} {component.name}")
        return found

    def _look(self, component: Component) -> _Look:
        caches = self._platform.caches
        api = caches.request_apis.of_kind(component.group, component.kind)
        if api is not None:
            informer = api.informer
            live = informer.get(component.namespace, component.name)
            if informer.synced.is_set():
                return _Look(api.promise, live)
            if informer.last_error is None:
                return _Look(api.promise, live, unknown=True)
            return _Look(api.promise, live, problem="cannot be read at the moment")
        definition = caches.definition_of_kind(component.group, component.kind)
        promise = (
            caches.promises.get("", definition.metadata.labels.get(names.PROMISE_NAME, "")) if definition else None
        )
        if definition is None or promise is None:
            return _Look(problem=f"no Promise offers {component.kind} of {component.group}")
        if promise.metadata.is_paused:
            return _Look(promise.name, problem=f"its Promise {promise.name} is paused")
        # Its Promise has not been reconciled since the start, or its definition is being installed or removed.
        return _Look(promise.name, unknown=definition.established and not definition.metadata.deleting)

    def _judge(self, key: Key, parent: Parent, component: Component, look: _Look) -> ComponentFacts:
        facts = ComponentFacts(
            component.api_version, component.kind, component.name, component.namespace, promise=look.promise
        )
        live = look.request
        if look.problem:
            return facts.with_state("Failing", look.problem)
        if live is None:
            return facts.with_state("Pending", MISSING)
        api = self._platform.caches.request_apis.of_kind(component.group, component.kind)
        if api and Key(api.resource.name, component.namespace, component.name) == key:
            return facts.with_state("Failing", "is this request itself, which cannot wait for itself")
        if live.metadata.deleting:
            return facts.with_state("Pending", BEING_DELETED)
        owner = read_parent(live.metadata.labels)
        if owner != parent:
            if owner is None:
                return facts.with_state(
                    "Pending", ON_ITS_WAY
                )  # it existed before, and is refused until it is adopted
            return facts.with_state(
                "Failing", f"it belongs to {owner.namespace}/{owner.name} of the Promise {owner.promise}"
            )
        if component.spec is not None and live.raw.get("apiVersion") == component.api_version:
            difference = first_difference(component.spec, live.raw.get("spec"))
            if difference:
                return facts.with_state("Pending", f"does not have the rendered {difference} yet")
        return judge_component(facts, status=live.status, generation=live.metadata.generation)


def reported(status: Mapping[str, Any]) -> list[Component]:
    """The components that a request's status names."""
    return [
        Component(
            entry.get("apiVersion", ""), entry.get("kind", ""), entry.get("namespace", ""), entry.get("name", "")
        )
        for entry in read_own(status).components
    ]
