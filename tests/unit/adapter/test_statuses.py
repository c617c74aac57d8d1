"""The laws by which what a pipeline says is merged into a status, and what is refused or left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.adapter.control import Control
from troth.adapter.errors import Unusable
from troth.adapter.statuses import make_report, patch_status, read_status_document
from troth.api.step_reports import read_step_report, reported_status
from troth.engine.status.author import author_status
from troth.engine.status.facts import PipelineFacts, PromiseFacts, RequestFacts, WorkflowFacts
from troth.engine.status.patch import apply_patch, status_patch
from troth.engine.status.promise import promise_status
from troth.engine.status.request import request_status

FILE = "/kratix/metadata/status.yaml"
NOW = "2026-11-30T12:00:00Z"
THEN = "2026-11-30T13:00:00Z"

_keys = st.sampled_from(["a", "b", "c", "message2"])
_values = st.recursive(
    st.integers(-5, 5) | st.text(max_size=3) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)
_conditions = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["Up", "Fast"]), "status": st.sampled_from(["True", "False"])},
        optional={"reason": st.just("Because"), "message": st.text(max_size=3)},
    ),
    max_size=3,
    unique_by=lambda condition: condition["type"],
)
_documents = st.builds(
    lambda fields, conditions: {**fields, **({"conditions": conditions} if conditions else {})},
    st.dictionaries(_keys, _values, max_size=4),
    _conditions,
)


def after(status: dict[str, Any], document: Any, control: Control = Control(), **options: Any) -> dict[str, Any]:  # noqa: B008
    """A status once a pipeline has said something in it."""
    said = read_status_document(document, FILE, workflow_type="resource")
    patch = patch_status(
        status,
        said,
        make_report(said, control),
        **{"action": "configure", "pipeline": "instance", "now": NOW, **options},
    )
    return apply_patch(status, patch)


def without_report(status: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in status.items() if key != "troth"}


@given(before=_documents, document=_documents)
def test_saying_it_twice_writes_nothing_the_second_time(before: Any, document: Any) -> None:
    once = after(after({}, before, pipeline="first"), document)
    said = read_status_document(document, FILE, workflow_type="resource")
    report = make_report(said, Control())
    assert patch_status(once, said, report, action="configure", pipeline="instance", now=THEN) is None


@given(before=_documents, document=_documents)
def test_what_is_said_stands_in_the_status_and_what_is_not_said_stays(before: Any, document: Any) -> None:
    status = after({}, before, pipeline="first")
    found = without_report(after(status, document))

    def holds(value: Any, said: Any) -> bool:
        if isinstance(said, dict):
            return isinstance(value, dict) and all(
                holds(value.get(key), child) for key, child in said.items() if child is not None
            )
        return bool(said is None or value == said or isinstance(said, list))

    for key, value in document.items():
        if key != "conditions":
            assert holds(found.get(key), value)
    for key, value in without_report(status).items():
        if key not in document:
            assert found[key] == value


@given(before=_documents, document=_documents)
def test_conditions_are_merged_by_type_and_move_only_with_their_status(before: Any, document: Any) -> None:
    status = after({}, before, pipeline="first")
    found = {item["type"]: item for item in after(status, document, now=THEN).get("conditions", [])}
    old = {item["type"]: item for item in status.get("conditions", [])}
    said = {item["type"]: item for item in document.get("conditions", [])}
    assert found.keys() == old.keys() | said.keys()
    for kind, condition in found.items():
        assert condition["status"] == (said.get(kind) or old[kind])["status"]
        same = kind in old and old[kind]["status"] == condition["status"]
        assert condition["lastTransitionTime"] == (NOW if same else THEN)


@given(first=_documents, second=_documents)
def test_merging_one_after_the_other_is_merging_what_both_say(first: Any, second: Any) -> None:
    fields = [{key: value for key, value in said.items() if key != "conditions"} for said in (first, second)]
    at_once = read_status_document(fields[0], FILE, workflow_type="resource").author.fields
    both = after(dict(at_once), fields[1])
    assert without_report(after(after({}, fields[0]), fields[1])) == without_report(both)


@given(document=_documents)
def test_the_operator_reads_back_from_the_report_what_the_pipeline_said(document: Any) -> None:
    others = {"ours": 1, "conditions": [{"type": "Ready", "status": "False"}], "troth": {"phase": "Pending"}}
    status = after(others, document)
    said = reported_status(status, read_step_report(status, "configure", "instance"))
    assert "ours" not in said
    assert {key for key in said if key != "conditions"} <= document.keys()
    assert {item["type"] for item in said.get("conditions", [])} == {
        item["type"] for item in document.get("conditions", [])
    }
    assert status["troth"]["phase"] == "Pending"
    assert after(status, said) == status


def test_reports_of_other_pipelines_and_actions_stay_and_an_old_one_goes() -> None:
    status = after({}, {"a": 1}, pipeline="first")
    status = after(status, {"b": 1}, Control(suspend=True, message="wait"))
    status = after(status, {"c": 1}, action="delete")
    assert status["troth"]["workflows"] == {
        "configure": {
            "first": {"statusKeys": ["a"]},
            "instance": {"statusKeys": ["b"], "suspend": True, "message": "wait"},
        },
        "delete": {"instance": {"statusKeys": ["c"]}},
    }
    status = after(status, None, Control())
    assert status["troth"]["workflows"]["configure"] == {"first": {"statusKeys": ["a"]}}
    assert read_step_report(status, "configure", "instance").suspend is False


def test_a_pipeline_that_says_nothing_writes_nothing() -> None:
    said = read_status_document(None, FILE, workflow_type="resource")
    status = {"message": "Pending", "troth": {"phase": "Pending"}}
    assert (
        patch_status(status, said, make_report(said, Control()), action="configure", pipeline="p", now=NOW) is None
    )


@pytest.mark.parametrize("key", ["kratix", "troth"])
@pytest.mark.parametrize("kind", ["resource", "promise"])
def test_the_platforms_own_keys_are_refused(key: str, kind: str) -> None:
    with pytest.raises(Unusable, match=rf"^{FILE}: {key}: this key is written by the platform itself"):
        read_status_document({key: {}, "message": "a"}, FILE, workflow_type=kind)


def test_what_the_operator_writes_itself_is_left_out_with_a_warning() -> None:
    document = {
        "observedGeneration": 7,
        "size": 1,
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Up", "status": "True"}],
    }
    said = read_status_document(document, FILE, workflow_type="resource")
    assert dict(said.author.fields) == {"size": 1}
    assert [condition["type"] for condition in said.author.conditions] == ["Up"]
    assert said.left_out == (
        "observedGeneration: this key is written by the operator",
        "the condition Ready: it is written by the operator",
    )


def test_of_a_promise_workflow_only_the_message_survives() -> None:
    document = {"message": "ready", "size": 1, "conditions": [{"type": "Up", "status": "True"}]}
    said = read_status_document(document, FILE, workflow_type="promise")
    assert (dict(said.author.fields), said.author.conditions) == ({"message": "ready"}, ())
    assert said.left_out == (
        "size: a promise workflow can only write message",
        "conditions: a promise workflow can only write message",
    )


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("text", "is text, not a map"),
        ([{"a": 1}], "is a list, not a map"),
        ({"message": 3}, "message: must be text"),
        ({"conditions": {}}, "conditions: must be a list of conditions"),
        ({"conditions": [{"type": "Up"}]}, "conditions[0].status: must be"),
        ({"a": {"b": 2**70}}, "a.b: the number does not fit in 64 bits"),
    ],
)
def test_what_a_status_cannot_hold_is_refused_with_file_and_field(document: Any, words: str) -> None:
    with pytest.raises(Unusable) as refused:
        read_status_document(document, FILE, workflow_type="resource")
    assert str(refused.value).startswith(f"{FILE}: {words}")


@given(document=_documents)
def test_what_the_operator_writes_keeps_what_a_pod_wrote(document: Any) -> None:
    said = read_status_document(document, FILE, workflow_type="resource")
    status = after({}, document, Control(suspend=True, message="wait"))
    report = read_step_report(status, "configure", "instance")
    steps = (PipelineFacts("instance", "Running"),)
    request = RequestFacts(1, "v1", WorkflowFacts(steps, author=said.author))
    written = apply_patch(status, status_patch(status, request_status(status, request, now=THEN)))
    assert read_step_report(written, "configure", "instance") == report
    promise = PromiseFacts(1, workflow=WorkflowFacts(steps))
    of_promise = after({}, None, Control(suspend=True))
    written = apply_patch(of_promise, status_patch(of_promise, promise_status(of_promise, promise, now=THEN)))
    assert read_step_report(written, "configure", "instance").suspend


@given(document=_documents)
def test_the_operator_has_nothing_to_write_about_what_it_reads_back(document: Any) -> None:
    """With the report at hand its own status says the same as the pod's: neither undoes the other's."""
    status = after({}, document)
    read = reported_status(status, read_step_report(status, "configure", "instance"))
    author = author_status([("instance", read)])
    facts = RequestFacts(1, "v1", WorkflowFacts((PipelineFacts("instance", "Succeeded"),), author=author))
    wanted = request_status(status, facts, now=THEN)
    mine = {key for key in wanted if key in document} - {"conditions"}
    assert status_patch(status, {key: wanted[key] for key in mine}) is None
    conditions = {item["type"]: item for item in wanted["conditions"]}
    assert all(conditions[item["type"]] == item for item in status.get("conditions", []))


def test_a_message_survives_the_one_that_the_operator_shows_until_all_is_ready() -> None:
    status = after({}, {"message": "the cache is up"})
    assert status["message"] == "the cache is up"
    waiting = apply_patch(status, {"message": "Waiting for a Destination"})
    report = read_step_report(waiting, "configure", "instance")
    assert reported_status(waiting, report) == {"message": "the cache is up"}
