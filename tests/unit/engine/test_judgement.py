"""What becomes of a request, from the request and its Promise alone; and that everybody who asks gets that answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.platforms import promise, request
from tests.unit.authoring.test_home import home_of
from troth.api import Promise, Request
from troth.api import labels as names
from troth.api.objects import Workflows, read_promise, read_request
from troth.api.pipelines import JinjaPipeline
from troth.api.revisions import PromiseRevision, ResourceBinding, read_promise_revision, read_resource_binding
from troth.authoring.home import load_home
from troth.authoring.rendering.requests import Requests
from troth.engine.admission.serving import as_available, as_created, as_served, as_watched
from troth.engine.judgement import (
    Judgement,
    Leaving,
    Paused,
    PipelineMemory,
    Refused,
    Renders,
    Waiting,
    judge_request,
)
from troth.engine.linting.trying import Trial
from troth.engine.promises.bindings import Versions
from troth.engine.rendering.context import RenderContext
from troth.engine.rendering.render import Outcome

READY = {"observedGeneration": 2, "status": "Available", "conditions": [{"type": "Ready", "status": "True"}]}
LACKING = {
    "observedGeneration": 2,
    "status": "Unavailable",
    "conditions": [{"type": "Ready", "status": "False", "reason": "Broken", "message": "the API is not served"}],
}
UNPAUSED = {**LACKING, "conditions": [{"type": "Ready", "status": "False", "reason": "PausedReconciliation"}]}
PAUSE = {names.PAUSED: "true"}
DELETE = {
    "apiVersion": "troth.dev/v1alpha1",
    "kind": "JinjaPipeline",
    "metadata": {"name": "farewell"},
    "spec": {"values": {"check": "{{ spec.size }}"}},
}


def promise_view(status: Mapping[str, Any] = READY, *, delete: Sequence[Any] = (), **metadata: Any) -> Promise:
    obj = promise("things")
    obj["spec"]["workflows"]["resource"]["delete"] = list(delete)
    obj["metadata"] = {**obj["metadata"], "generation": 2, "uid": "p", **metadata}
    return read_promise({**obj, "status": status})


def request_view(observed: int = 0, **metadata: Any) -> Request:
    obj = request("things", "orders", "team", size="small")
    obj["metadata"] = {**obj["metadata"], "generation": 3, **metadata}
    return read_request({**obj, "status": {"observedGeneration": observed}})


def judge(of: Promise, asked: Request) -> Judgement:
    return judge_request(of, asked, api_version="v1")


GOING: dict[str, Any] = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
HELD: dict[str, Any] = {**GOING, "finalizers": [names.DELETE_WORKFLOWS]}


@pytest.mark.parametrize(
    ("of", "asked", "kind", "why"),
    [
        (promise_view(), request_view(), Renders, ""),
        (promise_view(labels=PAUSE), request_view(), Paused, "its Promise things has the label"),
        (promise_view(), request_view(labels=PAUSE), Paused, "it has the label"),
        (promise_view(LACKING, labels=PAUSE), request_view(**GOING), Paused, "it is not deleted"),
        (promise_view(LACKING), request_view(**GOING), Leaving, "it is being deleted"),
        (promise_view(LACKING), request_view(), Waiting, "the API is not served"),
        (promise_view(**GOING), request_view(), Waiting, "the Promise things is being deleted"),
        (promise_view(**GOING), request_view(observed=3), Waiting, "has not been looked at yet"),
        (promise_view({}), request_view(), Waiting, "has not been looked at yet"),
        (promise_view({**READY, "observedGeneration": 1}), request_view(), Waiting, "has not been looked at yet"),
        (promise_view(UNPAUSED), request_view(), Waiting, "has not been looked at yet"),
        (promise_view({"observedGeneration": "2", "status": []}), request_view(), Waiting, "not been looked at"),
    ],
)
def test_what_becomes_of_a_request(of: Promise, asked: Request, kind: type[Judgement], why: str) -> None:
    found = judge(of, asked)
    assert type(found) is kind
    if not isinstance(found, Renders):
        assert why in found.why


def test_what_is_rendered_is_bound_to_the_promises_spec_and_version() -> None:
    found = judge(promise_view(labels={names.PROMISE_VERSION: "v1.2.0"}), request_view())
    assert isinstance(found, Renders)
    assert [pipeline.name for pipeline in found.pipelines] == ["instance"]
    assert (found.bound.version, found.bound.revision) == ("v1.2.0", "p/2/v1.2.0")
    assert found.bound.context(request_view()).promise["version"] == "v1.2.0"
    assert found.selectors == {"for": "things"}


def kept(version: str, *, available: bool = True, **metadata: Any) -> PromiseRevision:
    """A revision whose pipeline has the version as its name, and which was available or not."""
    obj = promise("things")
    obj["spec"]["workflows"]["resource"]["configure"][0]["metadata"]["name"] = f"at-{version}"
    body = {
        "metadata": {"name": f"things-{version}", "uid": version, "generation": 4, **metadata},
        "spec": {"promiseRef": {"name": "things"}, "version": version, "promiseSpec": obj["spec"]},
    }
    conditions = [{"type": "Available", "status": "True" if available else "False"}]
    return read_promise_revision({**body, "status": {"observedGeneration": 4, "conditions": conditions}})


def bound_to(version: str, name: str = "binding") -> ResourceBinding:
    body = {
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"version": version, "promiseRef": {"name": "things"}, "resourceRef": {"name": "orders"}},
    }
    return read_resource_binding(body)


NEWEST = {names.PROMISE_VERSION: "v2"}


def judge_bound(of: Promise, asked: Request, *versions: str, revisions: Sequence[PromiseRevision]) -> Judgement:
    bindings = tuple(bound_to(version, f"binding-{number}") for number, version in enumerate(versions))
    return judge_request(of, asked, api_version="v1", versions=Versions(bindings, tuple(revisions)))


@pytest.mark.parametrize("status", [READY, LACKING, {}], ids=["available", "broken", "unobserved"])
def test_a_request_that_stays_on_a_version_is_rendered_with_it_whatever_became_of_the_newest(
    status: Mapping[str, Any],
) -> None:
    of = promise_view(status, labels=NEWEST)
    found = judge_bound(of, request_view(), "v1", revisions=[kept("v1")])
    assert isinstance(found, Renders)
    assert [pipeline.name for pipeline in found.pipelines] == ["at-v1"]
    assert (found.bound.version, found.bound.asked, found.bound.revision) == ("v1", "v1", "v1/4/v1")
    assert found.bound.context(request_view()).promise["version"] == "v1"
    assert found.bound.promise is of


def test_a_broken_newest_version_holds_up_only_what_asks_for_it() -> None:
    broken = promise_view(LACKING, labels=NEWEST)
    for version in ("latest", "v2"):
        found = judge_bound(broken, request_view(), version, revisions=[kept("v1")])
        assert isinstance(found, Waiting)
        assert "the API is not served" in found.why


@pytest.mark.parametrize("version", ["latest", "v2"])
def test_a_request_that_asks_for_the_newest_version_is_rendered_with_the_promise_itself(version: str) -> None:
    of = promise_view(labels=NEWEST)
    found = judge_bound(of, request_view(), version, revisions=[kept("v1"), kept("v2")])
    assert isinstance(found, Renders)
    assert found.bound.used is of
    assert (found.bound.version, found.bound.asked) == ("v2", version)


def test_a_version_of_which_there_is_no_revision_is_refused_with_those_that_there_are() -> None:
    going = kept("v9", **GOING)
    found = judge_bound(
        promise_view(labels=NEWEST), request_view(), "v9", revisions=[kept("v1"), kept("v2"), going]
    )
    assert isinstance(found, Refused)
    assert (found.reason, found.passes, found.by_promise) == ("FailedPromiseRevisionLookup", True, False)
    assert "v9" in found.why
    assert "there are: v1, v2." in found.why


def test_a_version_that_was_never_available_is_waited_for() -> None:
    found = judge_bound(promise_view(labels=NEWEST), request_view(), "v1", revisions=[kept("v1", available=False)])
    assert isinstance(found, Waiting)
    assert "v1 of the Promise things has never been available" in found.why


def test_a_request_with_two_bindings_is_refused_until_one_is_left() -> None:
    found = judge_bound(promise_view(labels=NEWEST), request_view(), "v1", "v2", revisions=[kept("v1")])
    assert isinstance(found, Refused)
    assert "binding-0, binding-1" in found.why


def test_pausing_or_deleting_the_promise_counts_for_every_version() -> None:
    paused = promise_view(labels={**NEWEST, **PAUSE})
    assert isinstance(judge_bound(paused, request_view(), "v1", revisions=[kept("v1")]), Paused)
    going = promise_view(labels=NEWEST, **GOING)
    assert isinstance(judge_bound(going, request_view(), "v1", revisions=[kept("v1")]), Waiting)


@pytest.mark.parametrize(
    ("applied", "revisions", "version"),
    [
        ("v1", [kept("v1")], "v1"),
        ("v1", [kept("v1", **GOING)], "v1"),
        ("v1", [], "v2"),
        ("v2", [kept("v1")], "v2"),
        ("", [kept("v1")], "v2"),
    ],
)
def test_a_request_is_deleted_with_the_version_that_it_was_carried_out_with_as_long_as_that_is_kept(
    applied: str, revisions: Sequence[PromiseRevision], version: str
) -> None:
    asked = request_view(**HELD)
    asked = Request(asked.metadata, {"promiseVersion": applied}, asked.raw)
    found = judge_bound(promise_view(labels=NEWEST), asked, "latest", revisions=revisions)
    assert isinstance(found, Leaving)
    assert found.bound.version == version


def test_pipelines_of_a_kept_version_that_cannot_be_read_are_said_at_the_request() -> None:
    body = kept("v1")
    broken = replace(
        body, spec=replace(body.spec, resource_workflows=Workflows(configure=({"kind": "Pipeline"},)))
    )
    found = judge_bound(promise_view(labels=NEWEST), request_view(), "v1", revisions=[broken])
    assert isinstance(found, Refused)
    assert not found.by_promise


def test_a_request_that_cannot_be_read_is_refused_and_keeps_what_it_has() -> None:
    asked = request_view()
    unread = Request(_unread(asked), asked.status, asked.raw)
    found = judge(promise_view(), unread)
    assert isinstance(found, Refused)
    assert (found.reason, found.by_promise) == ("Unreadable", False)
    assert "stays as it is" in found.why


def test_pipelines_that_cannot_be_read_are_the_promises_fault() -> None:
    of = promise_view()
    broken = promise("things")
    broken["spec"]["workflows"]["resource"]["configure"] = [{"kind": "Pipeline"}]
    found = judge(Promise(of.metadata, read_promise(broken).spec, of.status, of.raw), request_view())
    assert isinstance(found, Refused)
    assert found.by_promise


def test_delete_pipelines_run_as_long_as_their_finalizer_is_there() -> None:
    of = promise_view(delete=[DELETE])
    waits, let_go = judge(of, request_view(**HELD)), judge(of, request_view(**GOING))
    assert isinstance(waits, Leaving)
    assert isinstance(let_go, Leaving)
    assert [pipeline.name for pipeline in waits.pipelines] == ["farewell"]
    assert (let_go.pipelines, let_go.failure) == ((), "")


def test_delete_pipelines_that_cannot_run_hold_the_request_and_say_why() -> None:
    asked = request_view(**HELD)
    unread = judge(promise_view(delete=[DELETE]), Request(_unread(asked), asked.status, asked.raw))
    broken = judge(promise_view(delete=[{"kind": "Pipeline"}]), asked)
    assert isinstance(unread, Leaving)
    assert isinstance(broken, Leaving)
    assert unread.stalled
    assert names.DELETE_WORKFLOWS in unread.failure
    assert names.DELETE_WORKFLOWS in broken.failure, "what ends it"
    assert not broken.stalled


METADATA = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(
            st.sampled_from([names.PAUSED, "team"]), st.sampled_from(["true", "false", "a"])
        ),
        "annotations": st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["", "one", "two words"])),
        "deletionTimestamp": st.just("2026-01-01T00:00:00Z"),
        "finalizers": st.lists(st.sampled_from([names.DELETE_WORKFLOWS, "example.com/other"]), unique=True),
        "generation": st.integers(0, 5),
    },
)


@given(of=METADATA, asked=METADATA)
def test_render_and_lint_render_what_is_judged_to_be_rendered(
    tmp_path_factory: pytest.TempPathFactory, of: dict[str, Any], asked: dict[str, Any]
) -> None:
    obj, wanted = promise("things"), request("things", "orders", "team", size="small")
    obj["metadata"].update(of)
    wanted["metadata"].update(asked)
    requests = Requests(load_home(home_of(tmp_path_factory.mktemp("home"), obj)), destinations=None)
    seen: list[tuple[Sequence[JinjaPipeline], RenderContext]] = []

    def render(pipelines: Sequence[JinjaPipeline], context: RenderContext) -> Sequence[Outcome]:
        seen.append((pipelines, context))
        return ()

    requests.render_with(render, wanted)
    Trial(requests.promise, requests.offer, render).try_request(wanted)
    view = read_request(as_watched(wanted, "things"))
    found = judge(as_available(read_promise(as_served(as_created(obj)))), view)
    assert isinstance(found, Renders), "there is nothing to wait for where there is no cluster"
    assert seen == [(found.pipelines, found.bound.context(view))] * 2


def test_what_is_remembered_of_a_revision_is_what_would_be_read_again() -> None:
    memory = PipelineMemory()
    for version in ("v1.0.0", "v2.0.0", "v1.0.0"):
        of = promise_view(labels={names.PROMISE_VERSION: version})
        assert judge_request(of, request_view(), api_version="v1", read=memory.read) == judge(of, request_view())


def _unread(asked: Request) -> Any:
    return replace(asked.metadata, unread="spec is nested too deeply")
