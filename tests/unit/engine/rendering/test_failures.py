"""A failure says where, which expression, on what input, what is wrong and what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from tests.unit.engine.pipelines import context, failure, pipeline, render
from troth.engine.failure import Failure

SPEC_REQUIRED = (
    "if it may be missing, write | default(…); if not, the API has to require it: required: [size] in the schema of "
    "spec, and required: [spec] beside properties in openAPIV3Schema"
)
ENDLESS = "the template calls itself without end, or what it builds nests too deep"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (
            "a: 1\nb: {{ spec.sise }}\n",
            {
                "reason": "TemplateUndefined",
                "line": 2,
                "column": 7,
                "expression": "spec.sise",
                "input": "spec.sise",
                "message": "spec has no 'sise'",
                "hint": "did you mean spec.size? Available: size, version, databases",
            },
        ),
        (
            "{% for db in spec.databases %}\n- {{ db.name }}: {{ db.sise }} {{ name }}\n{% endfor %}\n",
            {"line": 2, "expression": "db.sise", "input": "spec.databases[0].sise"},
        ),
        (
            "a: {{ spec.databases[5].name }}\n",
            {"input": "spec.databases[5]", "message": "spec.databases is a list of 2, and has no [5]"},
        ),
        (
            "a: {{ spec.databases[2:] | first }}\n",
            {
                "reason": "TemplateUndefined",
                "expression": "spec.databases[2:] | first",
                "input": "spec.databases",
                "message": "the list is empty, and has no first item",
                "hint": "write | default(…) after it, or check first that the list is not empty",
            },
        ),
        ("a: {{ ([] | last).name }}\n", {"message": "the list is empty, and has no last item"}),
        ("a: {{ ([] | max) + 1 }}\n", {"message": "the list is empty, and has no largest or smallest item"}),
        ("a: {{ spec.size.cpu }}\n", {"input": "spec.size.cpu", "message": "spec.size is text, and has no 'cpu'"}),
        ('a: {{ labels["app.x/y"] }}\n', {"input": 'labels["app.x/y"]'}),
        ("a: {{ spec.backup.schedule }}\n", {"input": "spec.backup", "message": "spec has no 'backup'"}),
        ("{% if spec.ha %}\na: 1\n{% endif %}\n", {"line": 1, "expression": "if spec.ha", "input": "spec.ha"}),
        ("a: {{ sepc.size }}\n", {"message": "there is no 'sepc' here", "hint": "did you mean spec?"}),
        ("a: {{ item }}\n", {"hint": "it exists in files with forEach only"}),
        (
            "a: {{ name }} {{ spec.size + 1 }}\n",
            {"reason": "TemplateError", "expression": "spec.size + 1", "input": "spec.size", "value": "small"},
        ),
        ("a: {{ spec.size() }}\n", {"message": "text is not a function and cannot be called"}),
        ("a: {{ 1 / 0 }}\n", {"reason": "TemplateError", "message": "division by zero"}),
        ("a: {{ spec.size | quantity }}\n", {"input": "spec.size", "value": "small"}),
        ("a: {{ spec.size | from_json }}\n", {"reason": "TemplateError", "input": "spec.size"}),
        ("a: {{ spec.size | regex_replace('(', '') }}\n", {"reason": "TemplateError"}),
        ("a: {{ spec.items }}\n", {"reason": "TemplateUndefined", "message": "spec has no 'items'"}),
        (
            "a: {{ range }}\n",
            {
                "reason": "TemplateError",
                "message": "the expression gives the function range(…), not called, which is not a value",
            },
        ),
        ("a: {{ {}.__class__ }}\n", {"reason": "TemplateUndefined"}),
        ("a: {{ spec.size.__class__() }}\n", {"reason": "TemplateError"}),
        ("a: {{ spec.databases.append(1) }}\n", {"reason": "TemplateError"}),
        ("a: {{ '\\ud800' }}\n", {"reason": "TemplateError"}),
        ("a: {{ ['\\ud800'] }}\n", {"reason": "TemplateError"}),
        ("a: {{ 1e999 }}\n", {"reason": "TemplateError"}),
        ("a: {{ fail('not', spec.size) }}\n", {"reason": "Refused", "line": 1, "message": "not small"}),
        (
            "{% macro m() %}{{ m() }}{% endmacro %}\na: {{ m() }}\n",
            {"reason": "TemplateError", "message": ENDLESS},
        ),
        ("{% include 'labls' %}\n", {"reason": "TemplateError", "hint": "did you mean 'labels'?"}),
        (
            "{% include 'labels' %}\n",
            {"reason": "TemplateUndefined", "file": "partials.labels", "line": 2, "expression": "spec.labls"},
        ),
        (
            "{% import 'macros' as m %}\na: {{ m.f() }}\n",
            {
                "file": "partials.macros",
                "hint": "import the partial with context: {% import … as … with context %}",
            },
        ),
        # ---- syntax
        ("a: {{ spec.size | foo }}\n", {"reason": "TemplateSyntax", "message": "there is no filter 'foo'"}),
        ("a: {{ spec.size | to_yml }}\n", {"hint": "did you mean to_yaml?"}),
        ("a: {{ spec.size | safe }}\n", {"reason": "TemplateSyntax"}),
        ("{% if false %}{{ spec.size | foo }}{% endif %}\n", {"reason": "TemplateSyntax", "line": 1}),
        ("a: {{ spec.size is foo }}\n", {"message": "there is no test 'foo'"}),
        (
            "a: 1\nb: {{ spec.size }\n",
            {"reason": "TemplateSyntax", "line": 2, "hint": "an expression ends with }}"},
        ),
        ("a: 1\n{% if true %}\nb: 1\n", {"reason": "TemplateSyntax"}),
        ("a: 1\n{% frobnicate %}\n", {"reason": "TemplateSyntax", "line": 2, "expression": "frobnicate"}),
        ("{% autoescape false %}{{ spec.size }}{% endautoescape %}", {"reason": "TemplateSyntax"}),
        (
            "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
            {"reason": "TemplateSyntax", "message": "nested too deeply"},
        ),
        ("{% for a in [] %}" * 30 + "{% endfor %}" * 30, {"reason": "TemplateSyntax"}),
        # ---- YAML
        (
            "a: 1\n\nb: {{ name }}: c\n",
            {"reason": "InvalidYAML", "line": 3, "expression": "name", "input": "name", "value": "orders"},
        ),
        (
            (
                "{% if true %}\na: 1\n{% endif %}\nb:\n{% for d in spec.databases %}\n"
                "- x\n- y: {{ d.name }}\n   z: 1\n{% endfor %}\n"
            ),
            {"reason": "InvalidYAML", "line": 8},
        ),
        ("x:\n  {{ spec | to_yaml }}\n  size: 1\n", {"reason": "InvalidYAML"}),
        ("a: 1\n{% include 'broken' %}\n", {"reason": "InvalidYAML", "file": "partials.broken", "line": 2}),
        ("a: {{ name }}\na: 1\n", {"reason": "InvalidYAML", "line": 2, "hint": "remove one of them"}),
        ("a: &a [*a]\n", {"reason": "InvalidYAML", "line": 1}),
        ("[" * 1000, {"reason": "InvalidYAML"}),
        (
            "{% set ns = namespace(l=[]) %}{% for i in range(150) %}{% set ns.l = [ns.l] %}{% endfor %}\na: {{ ns.l }}",
            {"reason": "TemplateError"},
        ),
    ],
)
def test_a_failure_says_where_and_why(template: str, expected: dict[str, Any]) -> None:
    partials = {
        "labels": "a: 1\nb: {{ spec.labls }}\n",
        "macros": "{% macro f() %}{{ spec.size }}{% endmacro %}",
        "broken": "b: 1\n c: {{ name }}\n",
    }
    found = failure(template, partials=partials).as_status()
    assert {key: found.get(key) for key in expected} == expected, found
    assert found["pipeline"] == "main"
    assert found["message"]


def test_a_template_is_unbounded_when_it_calls_itself_and_not_when_it_says_so() -> None:
    calling = failure("{% macro m() %}{{ m() }}{% endmacro %}\na: {{ m() }}\n")
    assert (calling.message, calling.is_unbounded) == (ENDLESS, True)
    assert Failure.from_wire(asdict(calling)).is_unbounded
    saying = failure(f"a: {{{{ fail('{ENDLESS}') }}}}\n")
    assert (saying.message, saying.is_unbounded) == (ENDLESS, False)


def test_a_value_looked_up_by_an_input_names_the_input() -> None:
    values = {
        "sizes": {"small": 1, "medium": 2},
        "wanted": "{{ spec.size | default('small') }}",
        "size": "{{ sizes[wanted] }}",
    }
    found = render(pipeline("a: {{ size }}", values=values), context({"size": "smal"}))
    assert isinstance(found, Failure)
    assert found.as_status() == {
        "reason": "TemplateUndefined",
        "pipeline": "main",
        "file": "values.size",
        "line": 1,
        "column": 4,
        "expression": "sizes[wanted]",
        "input": "spec.size",
        "value": "smal",
        "message": "sizes has no 'smal'",
        "hint": "did you mean sizes.small? Available: small, medium",
    }
    assert found.sentence() == (
        "main/values.size:1: sizes has no 'smal'; did you mean sizes.small? Available: small, medium"
    )


@pytest.mark.parametrize(
    ("fields", "file"),
    [
        ({"values": {"a": {"b": ["{{ nope }}"]}}}, "values.a.b[0]"),
        ({"status": {"message": "x {{ nope }}"}}, "status.message"),
        ({"control": {"message": "{{ nope }}", "suspend": True}}, "control.message"),
        ({"files": [{"path": "a.yaml", "when": "{{ nope }}", "template": "a: 1"}]}, "files[0].when"),
        ({"files": [{"path": "{{ nope }}", "template": "a: 1"}]}, "files[0].path"),
        ({"files": [{"path": "{{ index }}", "forEach": "{{ nope }}", "template": "a: 1"}]}, "files[0].forEach"),
        ({"files": [{"path": "{{ name }}.yaml", "template": "a: {{ nope }}"}]}, "orders.yaml"),
        ({"destinations": [{"matchLabels": {"a": "{{ nope }}"}}]}, "destinations[0].matchLabels.a"),
        ({"destinations": [{"directory": "{{ nope }}", "matchLabels": {"a": "b"}}]}, "destinations[0].directory"),
    ],
)
def test_a_failing_leaf_names_its_field(fields: dict[str, Any], file: str) -> None:
    found = render(pipeline(**fields))
    assert isinstance(found, Failure)
    assert (found.reason, found.file, found.line) == ("TemplateUndefined", file, 1)


def test_long_texts_are_cut() -> None:
    found = failure("a: {{ fail('x' * 5000) }}", {"t": "y" * 5000})
    assert len(found.message) <= 1024
    found = failure("a: {{ spec.t | quantity }}", {"t": "y" * 5000})
    assert len(found.value) <= 80
    assert len(found.message) <= 1024


def test_a_failure_is_one_line() -> None:
    assert "\n" not in failure("a: {{ fail('a\nb') }}").sentence()


def test_output_that_is_not_yaml_is_told_of_the_file_at_hand_not_of_the_first_with_that_template() -> None:
    template = "a: 1\n{% if true %}  b: c: d\n{% endif %}"
    found = [failure(template, path=f"{name}.yaml") for name in ("first", "second")]
    assert [one.reason for one in found] == ["InvalidYAML"] * 2
    assert [(one.file, one.line) for one in found] == [("first.yaml", 2), ("second.yaml", 2)]


def test_a_spec_that_was_left_out_is_told_with_how_the_api_requires_it() -> None:
    assert failure("a: {{ spec.size }}\n", {}).hint == SPEC_REQUIRED
