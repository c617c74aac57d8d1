"""Rendering depends on its inputs alone: not on the process, not on what was rendered before."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys

import pytest

from tests.unit.engine.pipelines import context, pipeline, render
from troth.engine.failure import Failure
from troth.engine.rendering.filters import allowed_filters
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Rendered, render_pipeline
from troth.engine.rendering.templates import Environment

SPEC = {"a": 1, "b": "two", "c": [3, 4, 3], "d": {"e": "f", "g": None, "h": 1.5}, "text": "some text: yes"}
VALUES = [
    "fail",
    "range",
    "dict",
    "namespace",
    "m",
    "[fail]",
    "{'a': fail}",
    "[[dict, 1], range]",
    "spec",
    "spec.keys()",
    "spec.values()",
    "spec.items()",
    "(spec.keys() - d.keys())",
    "(spec.items() - spec.items())",
    "(spec | items)",
    "(spec.c | map('string'))",
    "(spec.c | select('odd'))",
    "(spec.c | reject)",
    "(spec.c | unique)",
    "(spec.c | batch(2))",
    "(spec.c | slice(2))",
    "(spec.text | reverse)",
    "(spec.c | reverse)",
    "(spec.c | groupby(0) if false else spec.c)",
    "range(3)",
    "namespace(a=[1])",
    "self",
    "loop",
    "caller",
    "spec.get",
    "'a'.join",
]
AS_ARGUMENTS = ["fail", "(spec.keys() - d.keys())", "(spec.c | map('string'))"]
EXPRESSIONS = [
    "'%s' % @",
    "'%s%s' % (1, @)",
    "'%(a)s' % {'a': @}",
    "'%r' % [@]",
    "'{}'.format(@)",
    "'{a}'.format(a=@)",
    "'{a!r:>9}'.format(a=@)",
    "'{a}'.format_map({'a': @})",
    "'a' ~ @",
    "'a'.join([@])",
    "'a'.replace('a', @)",
    "[@]",
    "{'a': @}",
    "@ or 1",
    "@ == @",
    "(@, 2) | string",
    "dict(a=@)",
]
PREFIX = "{% set d = {'a': 1} %}{% macro m() %}x{% endmacro %}"


def every_template() -> list[str]:
    """Each value through each filter and each way in which a template makes text of it."""
    filters = sorted(allowed_filters())
    found = [f"{value} | {name}" for value in VALUES[:20] for name in filters]
    found += [f"'a%sb' | {name}({value}, {value})" for value in AS_ARGUMENTS for name in filters]
    found += [expression.replace("@", value) for value in VALUES for expression in EXPRESSIONS]
    return [f"{PREFIX}{{{{ {expression} }}}}" for expression in found]


def all_outcomes() -> dict[str, str]:
    """What each template gives; the words of a failure are part of it."""
    found = {}
    environment, limits = Environment(), Limits()
    for source in every_template():
        outcome = render_pipeline(
            pipeline(source, path="a.txt"), context(SPEC), limits=limits, nonce="abc", environment=environment
        )
        if isinstance(outcome, Rendered):
            found[source] = "".join(file.content.decode() for file in outcome.files)
        else:
            found[source] = f"{outcome.reason}: {outcome.message} {outcome.value}"
    return found


@pytest.mark.slow
def test_every_process_renders_the_same() -> None:
    module = "tests.unit.engine.rendering.test_purity"
    program = f"import json; from {module} import all_outcomes; print(json.dumps(all_outcomes()))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    answers = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**environment, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "20261129")
    ]
    first, second = (json.loads(process.communicate(timeout=120)[0]) for process in answers)

    assert len(first) > 2000
    assert {source: text for source, text in first.items() if second[source] != text} == {}
    assert [source for source, text in first.items() if " at 0x" in text.lower()] == []
    assert sum(not text.startswith("Template") for text in first.values()) > 500, "many are rendered"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("'%s' % fail", "the function fail(…), not called"),
        ("'{}'.format([range])", "the function range(…), not called"),
        ("dict | upper", "the function dict(…), not called"),
        ("(spec.keys() - {'a': 1}.keys()) | list", "use the filter difference"),
    ],
)
def test_what_has_no_text_is_refused_with_words(expression: str, words: str) -> None:
    outcome = render(pipeline("a: {{ " + expression + " }}"), context(SPEC))

    assert isinstance(outcome, Failure)
    assert words in outcome.sentence()


@pytest.mark.parametrize(
    "source",
    [
        "{{ dict.update(spec, a=2) }}",
        "{{ dict['update'](spec, a=2) }}",
        "{{ dict.setdefault(spec, 'z', 2) }}",
        "{{ dict.pop(spec, 'a') }}",
        "{{ dict.clear(spec) }}",
        "{{ dict(spec).update(a=2) }}",
        "{{ dict.fromkeys(spec) }}",
        "{{ spec.update({'a': 2}) }}",
        "{{ spec.c.append(9) }}",
        "{{ spec.c.sort() }}",
        "{{ spec.d.pop('e') }}",
        "{{ spec | combine({'a': 2}, recursive=true) }}",
        "{{ spec | dictsort }}{{ spec.c | sort }}{{ spec.c | unique }}",
        "{% set x = spec %}{% set x = dict(x, a=5) %}{{ x.a }}",
        "{% set ns = namespace(x=spec) %}{% set ns.x = 1 %}{{ ns.x }}",
        "{{ request.spec.update(a=2) }}",
        "{{ request | combine({'spec': {'a': 2}}) }}",
        "{{ labels.update(a='b') }}",
        "{{ promise.update(name='b') }}",
        "{{ spec.__setitem__('a', 2) }}",
        "{% for key in spec.keys() %}{{ spec.pop(key) }}{% endfor %}",
    ],
)
def test_nothing_that_a_template_is_given_can_be_changed(source: str) -> None:
    given = context(SPEC)
    before = copy.deepcopy((given.promise, given.request))

    render(pipeline(source, path="a.txt", values={"own": "{{ spec }}"}), given)

    assert (given.promise, given.request) == before
