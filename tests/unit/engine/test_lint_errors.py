"""The operator says of a Promise what lint calls errors, and nothing of what lint only advises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any

import orjson
import pytest

from tests.unit.authoring.linted import SPEC, promise
from troth.api.objects import read_promise
from troth.engine import Limits, RenderPool
from troth.engine.linting import LintReport, find_errors, lintable
from troth.engine.serving import as_served


def report(obj: Mapping[str, Any]) -> LintReport:
    return find_errors(lintable(read_promise(as_served(obj))))


def of(template: str, **pipeline: Any) -> LintReport:
    return report(promise({"files": [{"path": "{{ name }}/x.yaml", "template": template}], **pipeline}))


def test_an_error_names_its_code_the_line_and_what_to_do() -> None:
    found = of("a: b\nc: {{ spec.sise }}\n")
    assert [(error.code, error.place) for error in found.errors] == [("T101", "one/{{ name }}/x.yaml:2")]
    assert "did you mean size?" in found.errors[0].fix
    assert found.errors[0].sentence().startswith("one/{{ name }}/x.yaml:2: T101: the API has no spec.sise")


def test_what_stands_elsewhere_than_in_a_file_is_named_by_its_field() -> None:
    values = of("a: {{ what }} {{ spec.size }}", values={"what": "{{ spec.owner }}"}).errors
    assert [(error.code, error.place) for error in values] == [("T102", "one/values.what:1")]
    partials = of("{% include 'a.b' %}", partials={"a.b": "x: {{ spec.size }}\ny: {{ spec.sise }}"}).errors
    assert [error.place for error in partials] == ["one/partials.a.b:2"]


def test_advice_is_no_error() -> None:
    found = of("a: b", values={"unused": 1}, partials={"dead": "x"})
    assert found == LintReport()


@pytest.mark.parametrize(
    "template",
    [
        "a: {{ spec.owner }} {# troth:ignore T102 every request has it #}",
        "{# troth:ignore T102 every request has it #}\na: {{ spec.owner }}",
    ],
)
def test_a_comment_silences_an_error_here_too(template: str) -> None:
    assert of(template).count == 0
    assert of(template.replace(" every request has it", "")).count == 1  # without a reason it silences nothing
    assert of(template.replace("T102", "T101")).count == 1


def test_a_comment_in_a_partial_silences() -> None:
    partials = {"labels.j2": "x: {{ spec.owner }}  {# troth:ignore T102 old requests only #}"}
    assert of("a: {{ spec.size }}\n{% include 'labels.j2' %}", partials=partials).count == 0


def test_many_errors_are_counted_and_ten_are_told() -> None:
    found = of("\n".join(f"a{number}: {{{{ spec.x{number} }}}}" for number in range(30)))
    assert len(found.errors) == 10
    assert found.count == 30


def test_a_message_has_an_end() -> None:
    found = of("{{ spec." + "x" * 5000 + " }}")
    assert all(len(text) <= 400 for text in (found.errors[0].message, found.errors[0].fix))


def test_templates_that_cannot_be_followed_are_said_to_be() -> None:
    found = of("{% include 'loop' %}", partials={"loop": "{% include 'loop' %}"})
    assert found.unfinished
    assert not found.count


def test_a_report_survives_the_way_from_a_worker() -> None:
    for found in (of("a: {{ spec.sise }}"), of("a: {{ spec.size }}"), LintReport(unfinished="why")):
        assert LintReport.from_wire(orjson.loads(orjson.dumps(asdict(found)))) == found


@pytest.fixture
async def pool() -> AsyncIterator[RenderPool]:
    pool = RenderPool(size=1, limits=Limits(seconds=1.0))
    await pool.start()
    yield pool
    await pool.close()


async def test_a_worker_finds_the_same_and_goes_on(pool: RenderPool) -> None:
    wrong = read_promise(as_served(promise({"files": [{"path": "x", "template": "{{ spec.sise }}"}]})))
    assert await pool.lint(wrong) == find_errors(lintable(wrong))
    right = read_promise(as_served(promise({"files": [{"path": "x", "template": "{{ spec.size }}"}]})))
    assert await pool.lint(right) == LintReport()


async def test_templates_that_take_too_long_are_said_to_be_unfinished(pool: RenderPool) -> None:
    spec = {**SPEC, "properties": {f"p{number}": {"type": "string"} for number in range(200)}}
    macro = "{% macro m(a) %}" + "{% if a.p1 is defined %}{{ a.p2 | default(a.p3) }}{% endif %}" * 3000
    macro += "{% endmacro %}" + "{{ m(spec) }}" * 400
    obj = promise({"files": [{"path": "x", "template": macro}]}, {**spec, "required": []})
    found = await pool.lint(read_promise(as_served(obj)))
    assert found.unfinished
    assert await pool.lint(read_promise(as_served(promise({"files": [{"path": "x", "template": "a"}]}))))
