"""What is known of a request's components, from informers that know more or less."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from troth.api import Key, Resource
from troth.api.objects import Request, read_metadata, read_promise, read_request
from troth.controllers.components import Components
from troth.controllers.platform import Platform
from troth.engine.promises.definitions import Definition
from troth.engine.rendering.components import Component, Parent

PARENT = Parent("service", "shop", "web")
PARENT_KEY = Key("services.example.com", "shop", "web")
REDIS = Resource("db.example.com", "v1", "redises", "Redis")
CACHE = Component("db.example.com/v1", "Redis", "shop", "cache", {"size": "small"})
OURS = {
    "kratix.io/parent-promise-name": "service",
    "kratix.io/parent-resource-name": "web",
    "kratix.io/parent-resource-namespace": "shop",
}


@dataclass
class Known:
    """A cluster as the caches know it."""

    requests: dict[tuple[str, str], Request] = field(default_factory=dict)
    followed: bool = True
    synced: bool = True
    failing: bool = False
    defined: bool = True
    promised: bool = True
    paused: bool = False
    resource: Resource = REDIS
    noted: set[tuple[str, str]] = field(default_factory=set)

    def platform(self) -> Platform:
        informer = SimpleNamespace(
            get=lambda namespace, name: self.requests.get((namespace, name)),
            synced=SimpleNamespace(is_set=lambda: self.synced),
            last_error=RuntimeError() if self.failing else None,
        )
        api = SimpleNamespace(promise="redis", resource=self.resource, informer=informer)
        labels = {"kratix.io/paused": "true"} if self.paused else {}
        promise = read_promise({"metadata": {"name": "redis", "labels": labels}})
        definition = Definition(
            read_metadata({"metadata": {"labels": {"kratix.io/promise-name": "redis"}}}), {}, True, "", ()
        )
        caches = SimpleNamespace(
            request_apis=SimpleNamespace(
                of_kind=lambda _group, _kind: api if self.followed else None, note_parent=self._note
            ),
            definition_of_kind=lambda _group, _kind: definition if self.defined else None,
            promises=SimpleNamespace(get=lambda _namespace, _name: promise if self.promised else None),
        )
        return cast("Platform", SimpleNamespace(caches=caches))

    def _note(self, _parent: Key, kinds: Iterable[tuple[str, str]]) -> None:
        self.noted |= set(kinds)

    def judge(
        self, *components: Component, status: Mapping[str, Any] | None = None, complete: bool = True
    ) -> list[tuple[str, str]] | None:
        """State and message of each component, or None when nothing can be said."""
        found = Components(self.platform()).facts(
            PARENT_KEY, PARENT, components or (CACHE,), status or {}, complete=complete
        )
        return None if found is None else [(each.state, each.message) for each in found]

    def remaining(self, *names: str) -> list[str]:
        """What a deletion waits for when these were reported."""
        return Components(self.platform()).remaining(PARENT_KEY, PARENT, reported(*names))


def reported(*names: str) -> dict[str, Any]:
    """A parent's status that names components."""
    entry = {"apiVersion": "db.example.com/v1", "kind": "Redis", "namespace": "shop"}
    return {"troth": {"components": [{**entry, "name": name, "ready": True} for name in names]}}


def redis(
    *,
    labels: Mapping[str, str] = OURS,
    size: str = "small",
    api_version: str = "db.example.com/v1",
    deleting: bool = False,
    ready: str = "True",
) -> dict[tuple[str, str], Request]:
    """The component as the API server has it."""
    metadata = {"name": "cache", "namespace": "shop", "generation": 2, "labels": dict(labels)}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    conditions = [{"type": "Ready", "status": ready, "reason": "WorksFailing", "message": "the store is full"}]
    return {
        ("shop", "cache"): read_request(
            {
                "apiVersion": api_version,
                "kind": "Redis",
                "metadata": metadata,
                "spec": {"size": size, "version": "8"},
                "status": {"observedGeneration": 2, "conditions": conditions},
            }
        )
    }


def test_a_component_is_ready_when_it_holds_what_was_rendered_and_says_so() -> None:
    known = Known(redis())
    assert known.judge() == [("Ready", "")]
    assert known.noted == {("db.example.com", "Redis")}


def test_a_component_that_is_not_there_is_missing_and_one_without_our_labels_is_on_its_way() -> None:
    assert Known().judge() == [("Pending", "does not exist yet")]
    assert Known(redis(labels={})).judge() == [("Pending", "is on its way")]
    assert Known(redis(deleting=True)).judge() == [("Pending", "is being deleted")]


def test_a_component_that_does_not_hold_what_was_rendered_does_not_count_as_ready() -> None:
    assert Known(redis(size="large")).judge() == [("Pending", "does not have the rendered spec.size yet")]
    # In another version of the API the fields may be others.
    assert Known(redis(size="large", api_version="db.example.com/v2")).judge() == [("Ready", "")]


def test_what_fails_is_quoted() -> None:
    assert Known(redis(ready="False")).judge() == [("Failing", "the store is full")]


def test_somebody_elses_component_and_the_request_itself_never_become_ready_for_it() -> None:
    other = {**OURS, "kratix.io/parent-resource-name": "other"}
    assert Known(redis(labels=other)).judge() == [("Failing", "it belongs to shop/other of the Promise service")]
    itself = Component("example.com/v1", "Service", "shop", "web")
    known = Known(redis(), resource=Resource("example.com", "v1", "services", "Service"))
    known.requests[("shop", "web")] = known.requests[("shop", "cache")]
    assert known.judge(itself) == [("Failing", "is this request itself, which cannot wait for itself")]


def test_while_its_requests_are_being_listed_nothing_is_said() -> None:
    assert Known(synced=False).judge() is None
    assert Known(redis(), synced=False).judge() is None
    assert Known(followed=False).judge() is None, "its Promise was not looked at since the start"


def test_what_keeps_a_component_from_being_seen_is_said() -> None:
    assert Known(synced=False, failing=True).judge() == [("Failing", "cannot be read at the moment")]
    assert Known(followed=False, paused=True).judge() == [("Failing", "its Promise redis is paused")]
    nobody = [("Failing", "no Promise offers Redis of db.example.com")]
    assert Known(followed=False, defined=False).judge() == nobody
    assert Known(followed=False, promised=False).judge() == nobody


def test_until_all_pipelines_have_run_what_was_known_before_still_counts() -> None:
    known = Known(redis())
    before = reported("cache", "old")
    assert known.judge(CACHE, status=before) == [("Ready", "")]
    assert known.judge(CACHE, status=before, complete=False) == [
        ("Ready", ""),
        ("Pending", "does not exist yet"),
    ]


def test_a_deletion_waits_for_the_components_that_were_reported_and_are_still_there() -> None:
    assert Known(redis()).remaining("cache", "gone") == ["Redis cache"]
    assert Known().remaining("cache") == []
    assert Known(redis(labels={})).remaining("cache") == [], "it was taken out of the parent's hands"
    assert Known(followed=False, defined=False).remaining("cache") == []


def test_a_deletion_waits_while_nobody_can_tell_whether_a_component_is_gone() -> None:
    for known in (
        Known(synced=False),
        Known(synced=False, failing=True),
        Known(followed=False),
        Known(followed=False, paused=True),
    ):
        assert known.remaining("cache") == ["Redis cache"]


def test_a_component_is_named_in_the_status_before_it_is_made_and_only_once() -> None:
    components = Components(Known().platform())
    before = reported("old")
    announced = components.announce((CACHE,), before)
    assert announced is not None
    [old, new] = announced
    assert old == before["troth"]["components"][0]
    assert (new["name"], new["ready"], new["message"]) == ("cache", False, "does not exist yet")
    assert components.announce((CACHE,), {"troth": {"components": [old, new]}}) is None
    assert components.announce((), before) is None
