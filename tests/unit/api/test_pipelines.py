"""A pipeline is parsed strictly: what is wrong names its field and what was probably meant."""

from __future__ import annotations

from typing import Any

import pytest

from troth.api import InvalidObject
from troth.api.pipelines import (
    DestinationRule,
    FileTemplate,
    JinjaPipeline,
    Move,
    parse_pipeline,
    parse_pipelines,
)

META = {"apiVersion": "troth.dev/v1alpha1", "kind": "JinjaPipeline", "metadata": {"name": "instance"}}


def obj(**spec: Any) -> dict[str, Any]:
    return {**META, "spec": spec}


def problem_of(given: Any, **kwargs: Any) -> InvalidObject:
    with pytest.raises(InvalidObject) as caught:
        parse_pipeline(given, "spec.workflows.resource.configure[0]", **kwargs)
    return caught.value


def templates(given: dict[str, Any], **kwargs: Any) -> JinjaPipeline:
    parsed = parse_pipeline(given, "pipeline", **kwargs)
    assert isinstance(parsed, JinjaPipeline)
    return parsed


def test_everything_that_an_author_may_write_is_read() -> None:
    parsed = templates(
        {
            **META,
            "metadata": {"name": "instance", "labels": {"a": "b"}, "annotations": {"c": "d"}},
            "spec": {
                "values": {"sizes": {"small": 1}, "size": "{{ sizes[spec.size] }}"},
                "files": [
                    {"path": "a.yaml", "template": "a: 1"},
                    {"path": "{{ item }}.yaml", "template": "x", "when": "{{ true }}", "forEach": "{{ spec.l }}"},
                    {"path": "b.yaml", "template": "x", "when": False},
                ],
                "partials": {"labels": "a: b"},
                "destinations": [
                    {"directory": "backup", "matchLabels": {"role": "backup"}},
                    {"matchLabels": {"x": 1}},
                ],
                "moved": [{"kind": "Secret", "from": "{{ name }}", "to": "{{ name }}-login"}],
                "status": {"message": "hi", "n": 1},
                "control": {"suspend": "{{ spec.x }}", "message": "m", "retryAfter": "10m"},
            },
        },
    )
    assert parsed.name == "instance"
    assert list(parsed.values) == ["sizes", "size"]
    assert parsed.files == (
        FileTemplate("a.yaml", "a: 1"),
        FileTemplate("{{ item }}.yaml", "x", "{{ true }}", "{{ spec.l }}"),
        FileTemplate("b.yaml", "x", "{{ false }}"),
    )
    assert parsed.destinations == (
        DestinationRule("backup", {"role": "backup"}),
        DestinationRule(".", {"x": 1}),  # type: ignore[dict-item]  # a number stays one until it is rendered
    )
    assert parsed.moved == (Move("Secret", "{{ name }}", "{{ name }}-login"),)
    assert parsed.control["retryAfter"] == "10m"


def test_an_empty_spec_is_fine() -> None:
    assert templates({**META, "spec": None}).files == ()
    assert templates(META).files == ()


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({**META, "kind": "Pipeline"}, "apiVersion", "use platform.kratix.io/v1alpha1"),
        ({**META, "kind": "JinjaPipline"}, "kind", "use JinjaPipeline"),
        ({**META, "apiVersion": "troth.dev/v1"}, "apiVersion", "use troth.dev/v1alpha1"),
        ({**META, "apiVersion": None}, "apiVersion", "missing"),
        ({**META, "sepc": {}}, "sepc", "did you mean spec?"),
        ({**META, "metadata": {}}, "metadata.name", "missing"),
        ({**META, "metadata": {"name": "A_b"}}, "metadata.name", "lower-case"),
        ({**META, "metadata": {"name": "a", "lables": {}}}, "metadata.lables", "did you mean labels?"),
        ({**META, "metadata": "x"}, "metadata", "write a map"),
        (obj(file=[]), "spec.file", "did you mean files?"),
        (obj(nonsense=[]), "spec.nonsense", "known fields: values"),
        (obj(files={}), "spec.files", "a list"),
        (obj(move=[]), "spec.move", "did you mean moved?"),
        (obj(moved={}), "spec.moved", "a list"),
        (obj(moved=["x"]), "spec.moved[0]", "a map"),
        (obj(moved=[{"kind": "Secret", "from": "a"}]), "spec.moved[0].to", "missing"),
        (obj(moved=[{"from": "a", "to": "b"}]), "spec.moved[0].kind", "missing"),
        (obj(moved=[{"kind": "Secret", "from": 1, "to": "b"}]), "spec.moved[0].from", "not text"),
        (obj(moved=[{"kind": "Secret", "from": "a", "to": "a"}]), "spec.moved[0].to", "is the name that it had"),
        (obj(moved=[{"kind": "Secret", "form": "a", "to": "b"}]), "spec.moved[0].form", "did you mean from?"),
        (obj(files=["x"]), "spec.files[0]", "a map"),
        (
            obj(files=[{"path": "a", "template": "x", "foreach": "{{ x }}"}]),
            "spec.files[0].foreach",
            "did you mean forEach?",
        ),
        (obj(files=[{"template": "x"}]), "spec.files[0].path", "missing"),
        (obj(files=[{"path": "a"}]), "spec.files[0].template", "missing"),
        (obj(files=[{"path": "a", "template": {"a": 1}}]), "spec.files[0].template", "is a map, not text"),
        (obj(files=[{"path": " ", "template": "x"}]), "spec.files[0].path", "empty"),
        (obj(files=[{"path": "../a", "template": "x"}]), "spec.files[0].path", "leaves"),
        (obj(files=[{"path": "/a", "template": "x"}]), "spec.files[0].path", "leaves"),
        (obj(files=[{"path": "a\\b", "template": "x"}]), "spec.files[0].path", "leaves"),
        (
            obj(files=[{"path": "a", "template": "x"}, {"path": "./a", "template": "x"}]),
            "spec.files[1].path",
            "files[0]",
        ),
        (
            obj(files=[{"path": "a", "template": "x", "forEach": "{{ spec.l }}"}]),
            "spec.files[0].path",
            "same for each",
        ),
        (
            obj(files=[{"path": "a", "template": "x", "when": "spec.x"}]),
            "spec.files[0].when",
            "write {{ spec.x }}",
        ),
        (obj(files=[{"path": "a", "template": "x", "when": 3}]), "spec.files[0].when", "a number"),
        (
            obj(files=[{"path": "a", "template": "x", "forEach": ["a"]}]),
            "spec.files[0].forEach",
            "a list, not text",
        ),
        (obj(values={"spec": 1}), "spec.values.spec", "already means something"),
        (obj(values=[1]), "spec.values", "a map"),
        (obj(partials={"a": 1}), "spec.partials.a", "text"),
        (obj(destinations=[{"directory": "a"}]), "spec.destinations[0].matchLabels", "empty"),
        (obj(destinations=[{"matchLabels": {"a": {}}}]), "spec.destinations[0].matchLabels.a", "a map"),
        (
            obj(destinations=[{"matchlabels": {"a": "b"}}]),
            "spec.destinations[0].matchlabels",
            "did you mean matchLabels?",
        ),
        (
            obj(destinations=[{"directory": 1, "matchLabels": {"a": "b"}}]),
            "spec.destinations[0].directory",
            "text",
        ),
        (obj(status={"kratix": {}}), "spec.status.kratix", "platform"),
        (obj(status="x"), "spec.status", "a map"),
        (obj(control={"retry": "1m"}), "spec.control.retry", "did you mean retryAfter?"),
        (obj(control={"retryAfter": 10}), "spec.control.retryAfter", "a number"),
        (obj(control={"maxAttempts": True}), "spec.control.maxAttempts", "true or false"),
        ("x", "", "a map"),
    ],
)
def test_a_mistake_names_its_field(given: Any, field: str, words: str) -> None:
    found = problem_of(given)
    assert found.field == ".".join(part for part in ("spec.workflows.resource.configure[0]", field) if part)
    assert words in f"{found.problem}; {found.remedy}"


def test_either_or_may_share_a_path() -> None:
    files = [{"path": "a", "template": "x", "when": f"{{{{ {word} }}}}"} for word in ("spec.x", "not spec.x")]
    assert len(templates(obj(files=files)).files) == 2


@pytest.mark.parametrize(
    "spec",
    [
        {"files": [{"path": "a", "template": "x"}]},
        {"destinations": [{"matchLabels": {"a": "b"}}]},
        {"moved": [{"kind": "Secret", "from": "a", "to": "b"}]},
    ],
)
def test_a_delete_pipeline_has_no_files(spec: dict[str, Any]) -> None:
    assert "delete pipeline" in problem_of(obj(**spec), action="delete").problem
    assert templates(obj(status={"message": "bye"}), action="delete").status == {"message": "bye"}


def test_pipelines_keep_their_order_and_have_names_of_their_own() -> None:
    named = [{**META, "metadata": {"name": name}} for name in ("b", "a")]
    assert [pipeline.name for pipeline in parse_pipelines(named, "p")] == ["b", "a"]
    with pytest.raises(InvalidObject, match="two pipelines") as caught:
        parse_pipelines([META, META], "p")
    assert caught.value.field == "p[1].metadata.name"
    with pytest.raises(InvalidObject, match="a list"):
        parse_pipelines({}, "p")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"files": [{"path": "a.yaml", "template": {"from": "templates/a.yaml.j2"}}]}, "files[0].template"),
        ({"partials": {"labels": {"from": "templates/labels.j2"}}}, "partials.labels"),
        ({"values": {"sizes": {"from": "values/sizes.yaml"}}}, "values.sizes"),
    ],
)
def test_a_promise_that_was_not_built_is_refused_with_how_to_build_it(spec: dict[str, Any], field: str) -> None:
    error = problem_of(obj(**spec))
    assert error.field.endswith(field)
    assert "build the Promise first: troth build DIR | kubectl apply --server-side -f -" in error.remedy


def test_a_value_may_have_a_field_called_from() -> None:
    values = {"route": {"from": "a", "to": "b"}, "mail": [{"from": "x"}]}
    assert templates(obj(values=values)).values == values
