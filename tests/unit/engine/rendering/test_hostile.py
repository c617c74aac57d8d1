"""Whatever a template and its values are: an outcome, never an exception, and no value that gets out of its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.pipelines import context, pipeline, render
from troth.engine.failure import Failure
from troth.engine.rendering.check import check_pipeline
from troth.engine.rendering.render import Rendered
from troth.engine.yaml.manifests import load_documents

EVIL = st.sampled_from(
    [
        "\nevil: true\n",
        "\nevil: true #",
        "\n  evil: true\n",
        "\n---\nevil: true\n",
        '"\nevil: true #',
        "'\nevil: true #",
        "x, evil: true, y",
        "], evil: true, y: [",
        "{evil: true}",
        "evil: true",
        "\n- evil: true\n",
        "evil: \ue000abc123.0\ue001",
    ]
)
EXPRESSIONS = st.sampled_from(
    [
        "spec.x",
        "v",
        "v ~ spec.x",
        "spec.x ~ v",
        "v + spec.x",
        "[v, spec.x]",
        "{'k': spec.x, spec.x: v}",
        "m(spec.x)",
        "m(v) ~ v",
        "v | indent(2)",
        "v | indent(2, true)",
        "spec.x | indent(2, true)",
        "m(v) | nindent(4)",
        "{'k': [spec.x, v]} | to_yaml",
        "[spec.x] | to_yaml | indent(4)",
        "v | to_yaml",
        "v | replace('p', spec.x)",
        "spec.x | replace('e', v)",
        "[v, v] | join(spec.x)",
        "v | string",
        "v | trim",
        "'%s' % v",
        "v % ()",
        "'{}{}'.format(v, spec.x)",
        "v.format(spec.x)",
        "v.join([spec.x])",
        "spec.x.join([v, v])",
        "v.replace('p', spec.x)",
        "v[0:9]",
        "v.split('\\n') | join('\\n')",
        "v | map('string') | join",
        "(v, spec.x) | first",
        "v | default(spec.x)",
        "undefined_thing | default(v)",
        "v if v == spec.x else spec.x",
        "[v, spec.x] | sort | last",
        "v | list | join",
        "v | truncate(20, true, spec.x)",
        "v | wordwrap(3, wrapstring=spec.x)",
        "v | center(99)",
        "v | upper",
        "v | regex_replace('p', spec.x)",
        "v | b64encode | b64decode",
        "v | to_json | from_json",
        "ns.x",
        "loop",
        "w",
        "caller",
        "self",
    ]
)
PIECES = st.one_of(
    st.sampled_from(
        [
            "a: ",
            "\n",
            "\n  ",
            "\n- ",
            "- ",
            "b: |\n  ",
            'c: "',
            '"',
            "'",
            "[",
            "]",
            "{",
            "}",
            ", ",
            ": ",
            " ",
            "# ",
            "\n---\n",
            "\nd: >-\n    ",
            "&x ",
            "*x",
            "{% set v %}p{{ spec.x }}{% endset %}",
            "{% set v | upper %}p{{ spec.x }}{% endset %}",
            "{% set ns.x %}{{ v }}{% endset %}",
            "{% set v = v ~ spec.x %}",
            "{% filter string %}p{{ spec.x }}{% endfilter %}",
            "{% filter indent(2, true) %}p{{ v }}{% endfilter %}",
            "{% filter replace('p', spec.x) %}p{{ v }}{% endfilter %}",
            "{% call w() %}{{ spec.x }}{% endcall %}",
            "{% call(y) w() %}{{ v }}{{ y }}{% endcall %}",
            "{% for y in [spec.x] recursive %}{{ y }}{{ loop([]) }}{% endfor %}",
            "{% include 'part' %}",
            "{% import 'part' as part with context %}{{ part.inside(v) }}{{ part.kept }}",
            "{% block name %}{{ v }}{% endblock %}{{ self.name() }}",
            "{% with v = spec.x %}{{ v }}{% endwith %}",
        ]
    ),
    EXPRESSIONS.map(lambda expression: f"{{{{ {expression} }}}}"),
)
PARTIALS = {
    "part": "{% macro inside(z) %}q{{ z }}{% endmacro %}{% set kept %}r{{ spec.x }}{% endset %}p: {{ spec.x }}",
}
BEGIN = (
    "{% macro m(z) %}q{{ z }}{% endmacro %}{% macro w() %}{{ caller(spec.x) }}{% endmacro %}"
    "{% set ns = namespace(x=spec.x) %}{% set v %}p{{ spec.x }}{% endset %}"
)


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(keys_of(child) for child in value.values()))
    return set().union(*(keys_of(child) for child in value)) if isinstance(value, list) else set()


@pytest.mark.slow
@given(st.sampled_from(["", "a: ", "a: |\n  ", "- "]), st.lists(PIECES, min_size=1, max_size=8).map("".join), EVIL)
def test_a_value_never_gets_out_of_its_place(start: str, template: str, value: str) -> None:
    outcome = render(pipeline(BEGIN + start + template, partials=PARTIALS), context({"x": value}))
    if isinstance(outcome, Rendered):
        for file in outcome.files:
            for document in load_documents(file.content.decode()):
                assert "evil" not in {key.casefold().strip() for key in keys_of(document)}, template


@given(st.text(st.sampled_from(list("{}%#-+ \nabx.|:'\"[]()=,0~")), max_size=60))
def test_any_source_has_an_outcome(source: str) -> None:
    given_ = pipeline("x" + source, values={"a": source}, status={"b": source}, partials={"p": source})
    outcome = render(given_)
    assert isinstance(outcome, (Rendered, Failure))
    assert check_pipeline(given_) is None or isinstance(outcome, (Rendered, Failure))
    if isinstance(outcome, Failure):
        assert outcome.message
        assert outcome.sentence()
