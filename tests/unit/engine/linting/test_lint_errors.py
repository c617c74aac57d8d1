"""The operator says of a Promise what lint calls errors, and nothing of what lint only advises."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.unit.authoring.lint.linted import SPEC, definition, promise
from tests.waiting import eventually
from troth.api.objects import Promise, read_promise
from troth.engine.admission.serving import as_served
from troth.engine.lint_report import LintError, LintReport
from troth.engine.linting.errors import find_path_errors
from troth.engine.linting.report import joined, lintable
from troth.engine.rendering.limits import Limits
from troth.engine.workers.inspection import PromiseInspector


def report(obj: Mapping[str, Any]) -> LintReport:
    return find_path_errors(lintable(read_promise(as_served(obj))))


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
    mute = of(template.replace(" every request has it", ""))
    assert {error.code for error in mute.errors} == {"T002", "T102"}  # without a reason it silences nothing
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


PORT = """apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports:
  - port: http
"""


def read(obj: Mapping[str, Any]) -> Promise:
    return read_promise(as_served(obj))


def children() -> set[int]:
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and fields[0] != "Z":
                found.add(int(status.parent.name))
    return found


@pytest.fixture
def inspector() -> PromiseInspector:
    return PromiseInspector(Limits(seconds=1.0))


@pytest.mark.slow
async def test_a_process_finds_what_is_read_and_what_is_rendered(inspector: PromiseInspector) -> None:
    found = await inspector.find_errors(
        read(promise({"files": [{"path": "x.yaml", "template": PORT + "# {{ spec.sise | default(1) }}\n"}]}))
    )
    assert [(error.code, error.place) for error in found.errors] == [
        ("T101", "one/x.yaml:7"),
        ("T202", "one/x.yaml:6"),
    ]
    assert "ports[0].port: is the text 'http'" in found.errors[1].message
    assert (found.count, found.unfinished) == (2, "")
    right = promise({"files": [{"path": "x", "template": "{{ spec.size }}"}]})
    assert await inspector.find_errors(read(right)) == LintReport()


async def test_a_request_that_no_template_can_render_is_told_with_its_line(inspector: PromiseInspector) -> None:
    spec = {"type": "object", "properties": {"size": {"type": "integer", "minimum": 0, "default": 1}}}
    obj = promise({"files": [{"path": "x.txt", "template": "a: b\nc: {{ 10 // spec.size }}\n"}]}, spec)
    (error,) = (await inspector.find_errors(read(obj))).errors
    assert (error.code, error.place) == ("T208", "one/x.txt:2")
    assert 'when a request says {"size":0}' in error.message


@pytest.mark.slow
async def test_a_comment_silences_what_is_rendered_too(inspector: PromiseInspector) -> None:
    template = PORT.replace("  - port: http", "  {# troth:ignore T202 a mesh reads names #}\n  - port: http")
    found = await inspector.find_errors(read(promise({"files": [{"path": "x.yaml", "template": template}]})))
    assert found == LintReport()


@pytest.mark.slow
async def test_the_definitions_among_the_dependencies_are_what_objects_are_held_against(
    inspector: PromiseInspector,
) -> None:
    brought = definition({"type": "object", "properties": {"size": {"type": "integer"}}})
    brought["spec"]["group"], brought["metadata"]["name"] = "other.example.com", "things.other.example.com"
    thing = "apiVersion: other.example.com/v1\nkind: Thing\nmetadata: {name: x}\nspec:\n  size: {{ spec.size }}\n"
    obj = promise({"files": [{"path": "x.yaml", "template": thing}]})
    assert (await inspector.find_errors(read(obj))).count == 0
    obj["spec"]["dependencies"] = [brought]
    (error,) = (await inspector.find_errors(read(obj))).errors
    assert (error.code, error.place) == ("T202", "one/x.yaml:5")


async def test_the_promises_own_workflow_and_what_it_brings_are_looked_at(inspector: PromiseInspector) -> None:
    obj = promise({"files": [{"path": "x.yaml", "template": "a: {{ spec.size }}"}]})
    own = {**obj["spec"]["workflows"]["resource"]["configure"][0], "metadata": {"name": "own"}}
    own["spec"] = {"files": [{"path": "own.yaml", "template": "a: 1\nb: {{ promise.metadata.labels.team }}\n"}]}
    obj["spec"]["workflows"]["promise"] = {"configure": [own]}
    obj["spec"]["dependencies"] = [
        {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "x"}}
    ]
    found = {(error.code, error.place) for error in (await inspector.find_errors(read(obj))).errors}
    assert {("T207", "spec.dependencies[0]"), ("T210", "own/own.yaml:2")} <= found


@pytest.mark.slow
async def test_a_template_without_end_is_an_error_and_what_was_read_is_still_told(
    inspector: PromiseInspector,
) -> None:
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}\n{{ spec.sise }}"
    found = await inspector.find_errors(read(promise({"files": [{"path": "x", "template": endless}]})))
    assert [error.code for error in found.errors] == ["T101", "T208"]
    assert "did not finish" in found.errors[1].message


@pytest.mark.slow
async def test_several_promises_at_once_are_looked_at_one_after_the_other(inspector: PromiseInspector) -> None:
    promises = [
        read(promise({"files": [{"path": "x.yaml", "template": PORT.replace("web", f"web{n}")}]}))
        for n in range(4)
    ]
    found = await asyncio.gather(*(inspector.find_errors(each) for each in promises))
    assert [report.count for report in found] == [1] * 4


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
async def test_whoever_is_cancelled_leaves_no_process_behind(inspector: PromiseInspector) -> None:
    subject = read(promise({"files": [{"path": "x", "template": "{{ spec.size }}"}]}))
    before = children()
    looking = asyncio.create_task(inspector.find_errors(subject))
    await eventually(lambda: children() != before or looking.done(), "it is under way")
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await eventually(lambda: children() == before, "the process is gone")
    assert await inspector.find_errors(subject) == LintReport()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
async def test_a_process_that_is_kept_for_somebody_who_gives_up_ends(inspector: PromiseInspector) -> None:
    subject = read(promise({"files": [{"path": "x", "template": "{{ spec.size }}"}]}))
    before = children()
    first, second = (asyncio.create_task(inspector.find_errors(subject)) for _ in range(2))
    first.add_done_callback(lambda _: second.cancel())
    assert await first == LintReport()
    await asyncio.gather(second, return_exceptions=True)
    await eventually(lambda: children() == before, "the process is gone")
    assert await inspector.find_errors(subject) == LintReport()


def test_two_looks_make_one_report() -> None:
    one, other = of("a: {{ spec.sise }}"), LintReport(unfinished="why")
    assert joined([one, other]) == LintReport(one.errors, 1, "why")
    failed = LintError("T208", "one/{{ name }}/x.yaml:1", "no sise", "")
    elsewhere = replace(failed, place="one/{{ name }}/x.yaml:2")
    assert joined([one, LintReport((failed, elsewhere), 2)]) == LintReport((*one.errors, elsewhere), 2)
    many = of("\n".join(f"a{number}: {{{{ spec.x{number} }}}}" for number in range(30)))
    assert (len(joined([many, many]).errors), joined([many, many]).count) == (10, 60)


@pytest.mark.slow
async def test_templates_that_take_too_long_are_said_to_be_unfinished(inspector: PromiseInspector) -> None:
    spec = {**SPEC, "properties": {f"p{number}": {"type": "string"} for number in range(200)}}
    macro = "{% macro m(a) %}" + "{% if a.p1 is defined %}{{ a.p2 | default(a.p3) }}{% endif %}" * 3000
    macro += "{% endmacro %}" + "{{ m(spec) }}" * 400
    obj = promise({"files": [{"path": "x", "template": macro}]}, {**spec, "required": []})
    found = await inspector.find_errors(read_promise(as_served(obj)))
    assert found.unfinished
    assert await inspector.find_errors(
        read_promise(as_served(promise({"files": [{"path": "x", "template": "a"}]})))
    )
