"""A pipeline gives files, destinations, status and control, the same ones for the same inputs."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.engine.pipelines import PROMISE, context, documents, pipeline, render, rendered
from troth.api.objects import read_promise, read_request
from troth.api.pipelines import DestinationRule
from troth.engine.failure import Failure
from troth.engine.rendering.durations import parse_duration
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Control, RenderContext, Rendered, order_values, render_context
from troth.engine.rendering.templates import Environment


def outcome_of(spec: dict[str, Any] | None = None, **fields: Any) -> Rendered:
    outcome = render(pipeline(**fields), context(spec))
    assert isinstance(outcome, Rendered), outcome
    return outcome


def failure_of(spec: dict[str, Any] | None = None, **fields: Any) -> Failure:
    outcome = render(pipeline(**fields), context(spec))
    assert isinstance(outcome, Failure), outcome
    return outcome


# ---- values


def test_values_may_be_written_in_any_order() -> None:
    # The API server sorts the keys of a Promise, so the author's order is lost.
    values = {
        "all": "{{ values.size.cpu }}-{{ values['sizes'] | length }}",
        "size": "{{ sizes[wanted] }}",
        "sizes": {"small": {"cpu": "1"}, "large": {"cpu": "4"}},
        "wanted": "{{ spec.size }}",
    }
    assert outcome_of(values=values, status={"a": "{{ all }}", "s": "{{ size }}"}).status == {
        "a": "1-2",
        "s": {"cpu": "1"},
    }


def test_values_come_behind_those_that_they_read() -> None:
    values = {
        "a": "{{ b }}",
        "b": ["{{ c.x }}"],
        "c": {"x": "{{ values.d }}"},
        "d": 1,
        "e": "{{ values | length }}",
    }
    order = order_values(values, Environment())
    assert order == ["d", "c", "b", "a", "e"]


def test_values_that_need_one_another_are_named() -> None:
    failure = failure_of(values={"a": "{{ b }}", "b": "{{ a }}"})
    assert failure.reason == "TemplateUndefined"
    assert "circle" in failure.hint


def test_a_leaf_with_a_line_break_of_a_block_is_still_the_value() -> None:
    assert outcome_of(values={"n": "{{ 3 }}\n"}, status={"n": "{{ n + 1 }}"}).status == {"n": 4}


def test_leaves_without_expressions_stay_as_they_are() -> None:
    status = {"a": " x ", "b": 1, "c": None, "d": [True, {"e": "f\n"}], "g": {}}
    assert outcome_of(status=status).status == status


# ---- scope


def test_a_request_finds_what_the_design_promises() -> None:
    names = ["request", "spec", "name", "namespace", "labels", "annotations", "promise", "values"]
    status = {name: f"{{{{ {name} }}}}" for name in names}
    found = outcome_of({"x": 1}, values={"v": 2}, status=status).status
    assert found["name"] == "orders"
    assert found["namespace"] == "shop"
    assert found["labels"] == {"app": "orders"}
    assert found["annotations"] == {}
    assert found["spec"] == {"x": 1}
    assert found["request"]["kind"] == "PostgreSQL"
    assert found["promise"] == PROMISE
    assert found["values"] == {"v": 2}


def test_a_request_without_spec_has_an_empty_one() -> None:
    assert render(pipeline("a: {{ spec.x | default(1) }}"), RenderContext(PROMISE, {"metadata": {"name": "a"}}))


def test_a_promise_workflow_has_the_promise_and_no_request() -> None:
    promise = {"metadata": {"name": "pg", "labels": {"a": "b"}}, "spec": {"x": 1}}
    scope = RenderContext(promise, None)
    outcome = render(
        pipeline(status={"n": "{{ name }}", "x": "{{ promise.spec.x }}", "l": "{{ labels.a }}"}), scope
    )
    assert isinstance(outcome, Rendered)
    assert outcome.status == {"n": "pg", "x": 1, "l": "b"}
    failure = render(pipeline("a: {{ request.spec }}"), scope)
    assert isinstance(failure, Failure)
    assert failure.reason == "TemplateUndefined"
    assert "promise" in failure.hint


def test_what_troth_writes_is_not_read() -> None:
    metadata = {
        "name": "orders",
        "resourceVersion": "7",
        "finalizers": ["kratix.io/works"],
        "managedFields": [{}],
        "labels": {"app": "a", "kratix.io/workflow-suspended": "true"},
    }
    request = read_request({"metadata": metadata, "spec": {"x": 1}, "status": {"phase": "x"}})
    promise = read_promise(
        {"metadata": {"name": "pg", "labels": {"kratix.io/promise-version": "v1"}}, "spec": {"y": 1}, "status": {}}
    )
    scope = render_context(promise, request)
    assert scope.request == {"metadata": {"name": "orders", "labels": {"app": "a"}}, "spec": {"x": 1}}
    assert scope.promise == {"name": "pg", "version": "v1", "labels": {"kratix.io/promise-version": "v1"}}
    assert render_context(promise, request, version="v2").promise["version"] == "v2"
    own = render_context(promise, None)
    assert own.request is None
    assert own.promise == {"metadata": promise.raw["metadata"], "spec": {"y": 1}}


def test_two_ways_of_applying_give_the_same_to_a_template() -> None:
    plain = {"name": "orders", "namespace": "a", "labels": {"team": "a"}, "annotations": {"example.com/note": "n"}}
    by_kubectl = {
        **plain,
        "annotations": {
            "example.com/note": "n",
            "kubectl.kubernetes.io/last-applied-configuration": '{"a": 1}',
            "argocd.argoproj.io/tracking-id": "apps:/x",
            "meta.helm.sh/release-name": "r",
        },
        "labels": {
            "team": "a",
            "app.kubernetes.io/managed-by": "Helm",
            "kustomize.toolkit.fluxcd.io/name": "apps",
            "applyset.kubernetes.io/part-of": "x",
        },
        "selfLink": "/x",
    }
    promise = read_promise({"metadata": {"name": "pg", "labels": by_kubectl["labels"]}, "spec": {}})
    seen = [
        render_context(promise, read_request({"metadata": metadata, "spec": {}}))
        for metadata in (plain, by_kubectl)
    ]
    assert seen[0] == seen[1]
    assert seen[0].promise["labels"] == {"team": "a"}
    own = render_context(read_promise({"metadata": {**by_kubectl, "name": "pg"}, "spec": {}}), None)
    assert own.promise["metadata"] == {**plain, "name": "pg"}


def test_nothing_is_left_of_a_map_that_only_tools_wrote() -> None:
    noted = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    request = read_request({"metadata": {"name": "a", "labels": {}, "annotations": noted}, "spec": {}})
    outcome = render(
        pipeline(status={"n": "{{ annotations }}", "r": "{{ request.metadata }}"}),
        render_context(read_promise({"metadata": {"name": "pg"}, "spec": {}}), request),
    )
    assert isinstance(outcome, Rendered)
    assert outcome.status == {"n": {}, "r": {"name": "a"}}


def test_settings_of_tools_and_names_that_people_write_are_shown() -> None:
    written = {
        "argocd.argoproj.io/sync-wave": "1",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
        "app.kubernetes.io/managed-by": "team-a",
        "app.kubernetes.io/instance": "orders",
        "kubectl.kubernetes.io/default-container": "web",
        "kratix.io/promise-name": "pg",
    }
    metadata = {"name": "a", "uid": "u", "generation": 2, "labels": written, "annotations": written}
    context = render_context(
        read_promise({"metadata": {"name": "pg"}, "spec": {}}), read_request({"metadata": metadata, "spec": {}})
    )
    assert context.request is not None
    assert context.request["metadata"] == metadata


def test_who_reads_what_a_tool_noted_is_told_why_it_is_not_there() -> None:
    scope = RenderContext({}, {"metadata": {"name": "a", "labels": {"team": "a"}}, "spec": {}})
    failure = render(pipeline("a: {{ labels['argocd.argoproj.io/instance'] }}"), scope)
    assert isinstance(failure, Failure)
    assert failure.hint == "a template does not see what tools note for themselves; use a name of your own"


# ---- files


def test_for_each_renders_once_for_each_item() -> None:
    files = [
        {
            "path": "db/{{ item.name }}.yaml",
            "forEach": "{{ spec.databases }}",
            "when": "{{ item.name != 'skip' }}",
            "template": "db: {{ item.name }}\ni: {{ index }}\n",
        }
    ]
    spec = {"databases": [{"name": "b"}, {"name": "skip"}, {"name": "a"}]}
    assert [(file.path, file.content) for file in outcome_of(spec, files=files).files] == [
        ("db/a.yaml", b"db: a\ni: 2\n"),
        ("db/b.yaml", b"db: b\ni: 0\n"),
    ]


def test_for_each_over_a_map_gives_keys_and_values() -> None:
    files = [{"path": "{{ item.key }}.txt", "forEach": "{{ spec.m }}", "template": "{{ item.value }}"}]
    assert [file.content for file in outcome_of({"m": {"a": 1, "b": 2}}, files=files).files] == [b"1", b"2"]


@pytest.mark.parametrize(("value", "files"), [([], 0), (None, 0), ("text", None), (3, None)])
def test_for_each_takes_lists(value: Any, files: int | None) -> None:
    fields: dict[str, Any] = {
        "files": [{"path": "{{ index }}.yaml", "forEach": "{{ spec.l }}", "template": "a: 1"}]
    }
    outcome = render(pipeline(**fields), context({"l": value}))
    if files is None:
        assert isinstance(outcome, Failure)
        assert outcome.file == "files[0].forEach"
    else:
        assert isinstance(outcome, Rendered)
        assert len(outcome.files) == files


@pytest.mark.parametrize(
    ("value", "there"),
    [
        (True, True),
        (False, False),
        (0, False),
        (None, False),
        ([], False),
        ("", False),
        ("false", False),
        ("x", True),
    ],
)
def test_when_decides(value: Any, there: bool) -> None:
    files = [{"path": "a.yaml", "when": "{{ spec.w }}", "template": "a: 1"}]
    assert bool(outcome_of({"w": value}, files=files).files) is there


def test_a_file_without_a_document_is_left_out() -> None:
    assert rendered("{% if false %}\na: 1\n{% endif %}\n# only a comment\n").files == ()


def test_yaml_is_canonical_in_the_authors_order() -> None:
    template = "b:   1   # why\na: {z: [1,2], x: 'yes'}\n---\n---\nc: 'x'\n"
    assert rendered(template).files[0].content == b'b: 1\na:\n  z:\n  - 1\n  - 2\n  x: "yes"\n---\nc: x\n'


def test_json_is_canonical() -> None:
    file = rendered(
        '{"b": {{ spec.n }}, "a": "{{ spec.t }}", "l": {{ spec.l }}}', {"n": 1, "t": '"x', "l": [1]}, path="a.json"
    )
    assert orjson.loads(file.files[0].content) == {"b": 1, "a": '"x', "l": [1]}
    assert file.files[0].content.startswith(b'{\n  "b": 1,\n')


def test_other_files_stay_as_they_are() -> None:
    assert (
        rendered("#!/bin/sh\necho  {{ name }}  \n", path="run.sh").files[0].content
        == b"#!/bin/sh\necho  orders  \n"
    )


def test_files_are_sorted_and_normalised() -> None:
    files = [{"path": path, "template": "a: 1"} for path in ("./z.yaml", "a//b.yaml", "a/{{ name }}.yaml")]
    assert [file.path for file in outcome_of(files=files).files] == ["a/b.yaml", "a/orders.yaml", "z.yaml"]


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "/etc/x",
        "a\\b",
        "",
        " ",
        ".",
        "a/",
        "a/..",
        "x\ny",
        "x\x00",
        ".git/config",
        "a/.GIT/x",
        "x" * 300,
    ],
)
def test_a_path_never_leaves_its_folder(path: str) -> None:
    failure = failure_of({"p": path}, files=[{"path": "{{ spec.p }}", "template": "a: 1"}])
    assert failure.reason == "InvalidPath"
    assert failure.file == "files[0].path"
    assert failure.input == "spec.p"


def test_a_path_that_is_too_long_says_how_long_it_may_be() -> None:
    failure = failure_of({"p": "x" * 300}, files=[{"path": "{{ spec.p }}", "template": "a: 1"}])
    assert failure.message == f"the path '{'x' * 255}…' is too long"
    assert failure.hint.startswith("a name has at most 255 bytes")


def test_two_files_cannot_have_one_path() -> None:
    files = [{"path": "{{ name }}.yaml", "template": "a: 1"}, {"path": "./orders.yaml", "template": "a: 1"}]
    assert failure_of(files=files).reason == "DuplicatePath"


def test_a_file_cannot_be_a_folder() -> None:
    files = [{"path": "a", "template": "x"}, {"path": "a/b", "template": "x"}]
    assert failure_of(files=files).reason == "InvalidPath"


def test_either_or_may_share_a_path() -> None:
    files = [
        {"path": "a.yaml", "when": "{{ spec.ha }}", "template": "a: 1"},
        {"path": "a.yaml", "when": "{{ not spec.ha }}", "template": "a: 2"},
    ]
    assert outcome_of({"ha": False}, files=files).files[0].content == b"a: 2\n"


# ---- limits


@pytest.mark.parametrize(
    "fields",
    [
        {"template": "a: 1\n" * 1000},
        {"template": "{% for i in range(1000) %}\na: 1\n---\n{% endfor %}"},
        {"template": "a: '{{ 'x' * 3000 }}'"},
        {
            "template": "x" * 900 + "{% for i in range(100) %}xxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}",
            "path": "a.txt",
        },
        {"template": "{% for i in range(50) %}{{ 'x' * 1000 }}{% endfor %}", "path": "a.txt"},
        {"template": "x", "partials": {"p": "x" * 2000}},
        {"files": [{"path": "{{ index }}", "forEach": "{{ range(99) }}", "template": "x"}]},
        {"template": "a: {{ 'x' * 10**10 }}"},
        {"template": "a: {{ [1] * 10**10 }}"},
        {"template": "a: {{ 9**99999999 }}"},
        {"template": "a: {{ range(10**9) }}"},
    ],
    ids=range(11),
)
def test_what_is_too_large_says_so(fields: dict[str, Any]) -> None:
    limits = Limits(source_bytes=1500, document_bytes=2000, output_bytes=20_000, documents=20, items=20)
    outcome = render(pipeline(**fields), limits=limits)
    assert isinstance(outcome, Failure)
    assert outcome.reason == "TemplateTooLarge", outcome


def test_a_status_that_is_too_large_says_so() -> None:
    failure = failure_of(status={"a": ["{{ 'x' * 1000000 }}"]})
    assert (failure.reason, failure.file) == ("TemplateTooLarge", "status")


def test_ten_thousand_documents_are_too_many() -> None:
    outcome = render(pipeline("{% for i in range(10000) %}\na: {{ i }}\n---\n{% endfor %}"))
    assert isinstance(outcome, Failure)
    assert (outcome.reason, outcome.message) == ("TemplateTooLarge", "more than 1000 documents")
    assert len(documents("{% for i in range(1000) %}\na: {{ i }}\n---\n{% endfor %}")) == 1000


# ---- destinations, status, control


def test_destination_rules_are_rendered() -> None:
    files = [{"path": "backup/a.yaml", "template": "a: 1"}]
    rules = [
        {"directory": "backup/", "matchLabels": {"role": "{{ spec.role }}", "gpu": "{{ true }}"}},
        {"matchLabels": {"env": "dev"}},
    ]
    assert outcome_of({"role": "backup"}, files=files, destinations=rules).destinations == (
        DestinationRule("backup", {"role": "backup", "gpu": "true"}),
        DestinationRule(".", {"env": "dev"}),
    )


def test_a_rule_for_files_left_out_is_left_out() -> None:
    files = [{"path": "backup/a.yaml", "when": "{{ false }}", "template": "a: 1"}]
    rules = [{"directory": "backup", "matchLabels": {"role": "backup"}}]
    assert outcome_of(files=files, destinations=rules).destinations == ()


@pytest.mark.parametrize(
    "rules",
    [
        [{"directory": "a/b", "matchLabels": {"x": "y"}}],
        [{"directory": "..", "matchLabels": {"x": "y"}}],
        [{"directory": "nowhere", "matchLabels": {"x": "y"}}],
        [{"directory": ".", "matchLabels": {"x": "y"}}, {"matchLabels": {"x": "y"}}],
        [{"matchLabels": {"x": "{{ spec.list }}"}}],
        [{"matchLabels": {"x": "{{ none }}"}}],
        [{"matchLabels": {"x": "a b"}}],
    ],
)
def test_rules_that_cannot_be_carried_out_are_refused(rules: list[Any]) -> None:
    failure = failure_of({"list": []}, destinations=rules, files=[{"path": "a.yaml", "template": "a: 1"}])
    assert failure.reason == "InvalidDestinations"
    assert failure.file.startswith("destinations[")


@pytest.mark.parametrize(
    "status",
    [{"{{ 'kratix' }}": 1}, {"{{ 'troth' }}": 1}, {"conditions": {}}, {"conditions": [{"status": "True"}]}],
)
def test_status_that_is_not_the_authors_is_refused(status: dict[str, Any]) -> None:
    assert failure_of(status=status).reason == "InvalidStatus"


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ({}, None),
        (
            {"suspend": "{{ spec.wait }}", "message": "waits for {{ name }}"},
            Control(True, "waits for orders", None),
        ),
        ({"suspend": "{{ not spec.wait }}", "message": "x"}, None),
        ({"suspend": "{{ 'false' }}"}, None),
        ({"suspend": False, "retryAfter": None}, None),
        ({"retryAfter": "1h30m"}, Control(False, "", 5400.0)),
        ({"retryAfter": "10s", "maxAttempts": 3}, Control(False, "", 10.0, 3)),
        ({"retryAfter": "10s", "maxAttempts": "{{ 2 if spec.wait else 9 }}"}, Control(False, "", 10.0, 2)),
        ({"retryAfter": "10s", "maxAttempts": "{{ '' }}"}, Control(False, "", 10.0)),
        ({"retryAfter": "{{ '10s' if spec.wait else '' }}"}, Control(False, "", 10.0)),
        ({"retryAfter": "{{ '10s' if not spec.wait else '' }}"}, None),
    ],
)
def test_control_is_rendered(control: dict[str, Any], expected: Control | None) -> None:
    assert outcome_of({"wait": True}, control=control).control == expected


def test_a_wrong_duration_is_named() -> None:
    failure = failure_of(control={"retryAfter": "{{ spec.after }}"}, spec={"after": "soon"})
    assert failure.file == "control.retryAfter"
    assert failure.input == "spec.after"


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "many"])
def test_a_limit_of_attempts_that_is_not_a_count_is_named(most: Any) -> None:
    control = {"retryAfter": "10s", "maxAttempts": "{{ spec.most }}"}
    failure = failure_of(control=control, spec={"most": most})
    assert failure.file == "control.maxAttempts"
    assert "is not a count" in failure.message


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("300ms", 0.3), ("1.5h", 5400), ("1h2m3s", 3723), (".5s", 0.5), ("2us", 2e-6), ("1m", 60)],
)
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "-1s", "1d", "s", "1s ", "1 s", None, True, "99999999h", [], {}])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)
