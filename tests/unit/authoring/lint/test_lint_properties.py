"""Lint gives no false alarm, and what it lets pass renders: for generated APIs and templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.authoring.lint.linted import promise, remarks
from tests.unit.promises.library import request_of
from troth.api.objects import read_promise, read_request
from troth.engine.failure import Failure
from troth.engine.linting.requests import specs
from troth.engine.promises.offers import read_offer
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import render_context, render_pipeline

pytestmark = pytest.mark.slow

NAMES = ("alpha", "beta", "items", "keys", "size")
DEFAULTS: Mapping[str, Any] = {"string": "x", "integer": 3, "boolean": True}
ENUM = ["small", "large"]


@st.composite
def scalars(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(DEFAULTS)))
    schema: dict[str, Any] = {"type": kind}
    if kind == "string" and draw(st.booleans()):
        schema["enum"] = ENUM
    if draw(st.booleans()):
        schema["default"] = schema["enum"][0] if "enum" in schema else DEFAULTS[kind]
    return schema


def objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=3).flatmap(
        lambda properties: st.sets(st.sampled_from(sorted(properties))).map(
            lambda required: {"type": "object", "properties": properties, "required": sorted(required)}
        )
    )


APIS = objects(
    st.recursive(
        scalars(),
        lambda inner: objects(inner) | inner.map(lambda items: {"type": "array", "items": items}),
        max_leaves=5,
    )
)


class Writer:
    """Writes templates that read every field of a schema."""

    def __init__(self, draw: st.DrawFn, *, careful: bool) -> None:
        self._draw = draw
        self._careful = careful
        self._loops = 0

    def read(self, schema: Mapping[str, Any], path: str, *, certain: bool) -> str:
        """Text that reads what is at the path; ``certain`` when it always exists."""
        if certain:
            return self._read(schema, path)
        guards = [self._read_if_defined, self._read_unless_undefined, self._read_in_set, self._read_with_default]
        if not self._careful:
            guards.append(lambda schema, path: self._read(schema, path))
        guard: Callable[[Mapping[str, Any], str], str] = self._draw(st.sampled_from(guards))
        return guard(schema, path)

    def _read_if_defined(self, schema: Mapping[str, Any], path: str) -> str:
        return f"{{% if {path} is defined %}}{self._read(schema, path)}{{% endif %}}"

    def _read_unless_undefined(self, schema: Mapping[str, Any], path: str) -> str:
        return (
            f"{{% if not ({path} is defined) or false %}}none{{% else %}}{self._read(schema, path)}{{% endif %}}"
        )

    def _read_in_set(self, schema: Mapping[str, Any], path: str) -> str:
        self._loops += 1
        name = f"known{self._loops}"
        inner = self._read(schema, path)
        return f"{{% set {name} = {path} is defined %}}{{% if {name} %}}{inner}{{% endif %}}"

    def _read_with_default(self, schema: Mapping[str, Any], path: str) -> str:
        if schema["type"] == "array":
            return self._read(schema, f"({path} | default([]))")
        if schema["type"] == "object":
            return self._read_if_defined(schema, path)
        default = repr(schema["enum"][0] if "enum" in schema else DEFAULTS[schema["type"]])
        return f"{{{{ {path} | default({default}) }}}}"

    def _read(self, schema: Mapping[str, Any], path: str) -> str:
        kind = schema["type"]
        if kind == "object":
            return "".join(
                self.read(child, f"{path}['{name}']", certain=name in schema["required"] or "default" in child)
                for name, child in schema["properties"].items()
            )
        if kind == "array":
            self._loops += 1
            item = f"item{self._loops}"
            inner = self.read(schema["items"], item, certain=True)
            return f"{{% for {item} in {path} %}}{inner}{{% endfor %}}{{{{ {path} | length }}}}"
        forms = ["{{ %s }}", "{{ %s ~ 'x' }}", "{%% if %s is defined %%}x{%% endif %%}"]
        if "enum" in schema:
            forms += [
                "{%% if %s == 'small' %%}a{%% elif %s == 'large' %%}b{%% endif %%}",
                "{{ {'small': 1, 'large': 2}[%s] }}",
            ]
        elif kind == "string":
            forms += ["{{ %s | upper }}", "{%% if %s == 'x' %%}a{%% endif %%}"]
        elif kind == "integer":
            forms += [
                "{{ %s + 1 }}",
                "{%% if %s > 2 %%}a{%% endif %%}",
                "{%% for _ in range(%s) %%}a{%% endfor %%}",
            ]
        else:
            forms += ["{%% if %s %%}a{%% endif %%}", "{{ 'a' if %s else 'b' }}"]
        form: str = self._draw(st.sampled_from(forms))
        return form % ((path,) * form.count("%s"))


@st.composite
def written(draw: st.DrawFn, *, careful: bool) -> tuple[dict[str, Any], bool, str]:
    schema = draw(APIS)
    required = draw(st.booleans())
    writer = Writer(draw, careful=careful)
    if required or not careful:
        return schema, required, writer.read(schema, "spec", certain=True)
    # A spec that may be left out has no field that is certain.
    text = "".join(
        writer.read(child, f"spec['{name}']", certain=False) for name, child in schema["properties"].items()
    )
    return schema, required, text


def obj_of(schema: Mapping[str, Any], required: bool, template: str) -> dict[str, Any]:
    return promise({"files": [{"path": "x.txt", "template": template}]}, schema, required=required)


RELAXED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@RELAXED
@given(written(careful=True))
def test_a_template_that_reads_declared_fields_with_care_gives_no_false_alarm(
    case: tuple[dict[str, Any], bool, str],
) -> None:
    assert remarks(obj_of(*case), without=()) == []


@RELAXED
@given(written(careful=False))
def test_a_template_that_lint_lets_pass_renders_every_request(case: tuple[dict[str, Any], bool, str]) -> None:
    schema, required, _ = case
    obj = obj_of(*case)
    if remarks(obj):
        return
    view = read_promise(obj)
    [pipeline] = read_offer(view).resource_configure
    for spec in (*specs(schema), *([] if required else [None])):
        request = read_request(request_of(obj, "a", spec))
        outcome = render_pipeline(pipeline, render_context(view, request), limits=Limits(), nonce="0")
        assert not isinstance(outcome, Failure), outcome.sentence()
