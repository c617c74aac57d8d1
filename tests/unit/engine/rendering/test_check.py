"""What is wrong with a template whatever the request says is found when the Promise is applied."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.engine.pipelines import pipeline
from troth.engine.rendering.check import check_pipeline
from troth.engine.rendering.limits import Limits


@pytest.mark.parametrize(
    ("fields", "reason", "file", "hint"),
    [
        ({"template": "a: {{ spec.x"}, "TemplateSyntax", "file.yaml", None),
        ({"template": "a: {{ spec.x | to_yml }}"}, "TemplateSyntax", "file.yaml", "did you mean to_yaml?"),
        (
            {"template": "{% include 'lables' %}", "partials": {"labels": "a"}},
            "TemplateSyntax",
            "file.yaml",
            "did you mean 'labels'?",
        ),
        ({"template": "{% from 'x' import y %}"}, "TemplateSyntax", "file.yaml", "add it to partials"),
        ({"template": "a: {{ spec.x | durations }}"}, "TemplateSyntax", "file.yaml", "did you mean duration?"),
        (
            {"template": "a: {{ spec.x | b64 }}"},
            "TemplateSyntax",
            "file.yaml",
            "did you mean b64decode or b64encode?",
        ),
        ({"template": "a: {{ spec.x | merge(y) }}"}, "TemplateSyntax", "file.yaml", "use combine"),
        (
            {"template": "a: {{ spec.x | zzz }}"},
            "TemplateSyntax",
            "file.yaml",
            "docs/reference/template.md lists all filters",
        ),
        (
            {"template": "a: {{ spec.x | contains(1) }}"},
            "TemplateSyntax",
            "file.yaml",
            "contains is a test: write `is contains`",
        ),
        (
            {"template": "a: {{ spec.x is length }}"},
            "TemplateSyntax",
            "file.yaml",
            "length is a filter: write `| length`",
        ),
        (
            {"template": "a: {{ spec.x is startswith('a') }}"},
            "TemplateSyntax",
            "file.yaml",
            'use match("…"), a pattern from the start',
        ),
        ({"template": "{% elsif spec.x %}"}, "TemplateSyntax", "file.yaml", "did you mean elif?"),
        ({"template": "{% endfro %}"}, "TemplateSyntax", "file.yaml", "did you mean endfor?"),
        (
            {"template": "{% zzz %}"},
            "TemplateSyntax",
            "file.yaml",
            "statements are if, for, set, macro, call, filter, include, import, with, block",
        ),
        ({"template": "a: {{ sepc.x }}"}, "TemplateUndefined", "file.yaml", "did you mean spec?"),
        (
            {"template": "a: {{ item.x }}"},
            "TemplateUndefined",
            "file.yaml",
            "it exists in files with forEach only",
        ),
        ({"partials": {"p": "{% if %}"}}, "TemplateSyntax", "partials.p", None),
        ({"values": {"a": {"b": ["{{ x y }}"]}}}, "TemplateSyntax", "values.a.b[0]", None),
        ({"status": {"{{ nope }}": 1}}, "TemplateUndefined", "status", None),
        ({"control": {"message": "{{ nope }}"}}, "TemplateUndefined", "control.message", None),
        (
            {"destinations": [{"matchLabels": {"a": "{{ nope }}"}}]},
            "TemplateUndefined",
            "destinations[0].matchLabels.a",
            None,
        ),
        (
            {"files": [{"path": "a", "template": "", "when": "{{ index }}"}]},
            "TemplateUndefined",
            "files[0].when",
            None,
        ),
        ({"files": [{"path": "{{ x", "template": ""}]}, "TemplateSyntax", "files[0].path", None),
        (
            {"files": [{"path": "{{ index }}", "template": "", "forEach": "{{ item }}"}]},
            "TemplateUndefined",
            "files[0].forEach",
            None,
        ),
        ({"template": "{{ 1 }}" * 50_000}, "TemplateTooLarge", "file.yaml", None),
        ({"template": "{{ " + "(" * 9000 + ")" * 9000 + " }}"}, "TemplateSyntax", "file.yaml", None),
    ],
)
def test_what_can_never_work_is_found(fields: dict[str, Any], reason: str, file: str, hint: str | None) -> None:
    found = check_pipeline(pipeline(**fields))
    assert found is not None
    assert (found.reason, found.file, found.pipeline) == (reason, file, "main"), found
    if hint is not None:
        assert found.hint == hint


@pytest.mark.parametrize(
    "fields",
    [
        {"template": "a: {{ spec.anything }}"},
        {"template": "a: {{ maybe | default(1) }}\nb: {{ other is defined }}"},
        {
            "template": (
                "{% set x = 1 %}{% macro m(y) %}{{ x }}{{ y }}{{ caller() }}{% endmacro %}"
                "{% for z in [1] %}{{ z }}{{ loop.index }}{% endfor %}"
            )
        },
        {
            "template": "{% include 'p' %}{{ set_there }}",
            "partials": {"p": "{% set set_there = 1 %}{{ from_outside }}"},
        },
        {"template": "{% include 'missing' ignore missing %}"},
        {"template": "{% include spec.partial %}"},
        {"template": "{% raw %}{{ not a template }}{% endraw %}"},
        {"template": "no braces"},
        {"template": "{{ a }}{{ values.b }}", "values": {"b": 1, "a": "{{ b }}"}},
        {
            "files": [
                {"path": "{{ index }}", "template": "{{ item }}", "when": "{{ item }}", "forEach": "{{ spec.l }}"}
            ]
        },
        {"template": "{% set ns = namespace(x=1) %}{{ dict(a=1) }}{{ range(3) }}{{ fail('x') }}"},
    ],
)
def test_what_may_work_passes(fields: dict[str, Any]) -> None:
    assert check_pipeline(pipeline(**fields), limits=Limits()) is None


def test_a_check_runs_nothing() -> None:
    assert check_pipeline(pipeline("{{ fail('ran') }}{{ 'a' * 10**12 }}{{ 'b' | center(10**12) }}")) is None
