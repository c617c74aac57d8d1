"""A value is a value: whatever it holds and wherever it stands, it comes back exactly and adds nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.engine.pipelines import context, document, documents, pipeline, render, rendered
from troth.engine.rendering.render import Rendered
from troth.engine.yaml.manifests import load_documents
from troth.engine.yaml.words import as_json_has_it

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    [
        "",
        " ",
        "yes",
        "No",
        "null",
        "~",
        "012",
        "1e3",
        "1:30",
        "2024-01-01",
        "16",
        "0x1f",
        ".inf",
        "<<",
        "=",
        "---",
        "...",
        "{{ spec }}",
        "{% raw %}",
        "# no comment",
        "a: b",
        "- a",
        "x\nevil: true",
        "x\n---\nevil: true",
        '"',
        "'",
        '", evil: true, x: "',
        "*alias",
        "&anchor",
        "!tag",
        "|",
        "%YAML 9",
        "\ue000abc123.0\ue001",
        "\ue0000.0\ue001",
        "\ufeff",
        "\x00\x1b\x85\u2028",
        "a\r\nb",
        "\t",
        "<b>&amp;",
    ]
)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(ANY_TEXT, children, max_size=4),
    max_leaves=12,
)


def after_json(value: Any) -> Any:
    """The value after the API server wrote it as JSON: a fraction without a fraction is a whole number."""
    if isinstance(value, dict):
        return {key: after_json(child) for key, child in value.items()}
    if isinstance(value, list):
        return [after_json(child) for child in value]
    return as_json_has_it(value) if type(value) in (int, float) else value


POSITIONS: dict[str, tuple[str, Any]] = {
    "plain": ("a: {{ spec.x }}\nb: 1\n", lambda x: {"a": x, "b": 1}),
    "plain after a comment": ("a: {{ spec.x }} # {{ spec.x }}\n", lambda x: {"a": x}),
    "double quoted": ('a: "{{ spec.x }}"\nb: 1\n', lambda x: {"a": x, "b": 1}),
    "single quoted": ("a: '{{ spec.x }}'\nb: 1\n", lambda x: {"a": x, "b": 1}),
    "inside of a word": ("a: p-{{ spec.x }}-s\nb: 1\n", lambda x: {"a": f"p-{x}-s", "b": 1}),
    "twice in a word": ("a: {{ spec.x }}{{ spec.x }}\n", lambda x: {"a": x + x}),
    "literal block": ("a: |\n  {{ spec.x }}\nb: 1\n", lambda x: {"a": f"{x}\n", "b": 1}),
    "literal block, stripped": ("a: |-\n  {{ spec.x }}\nb: 1\n", lambda x: {"a": x, "b": 1}),
    "literal block between lines": ("a: |\n  x\n  {{ spec.x }}\n  y\n", lambda x: {"a": f"x\n{x}\ny\n"}),
    "folded block": ("a: >-\n  {{ spec.x }}\nb: 1\n", lambda x: {"a": x, "b": 1}),
    "key": ("{{ spec.x }}: 1\n", lambda x: {x: 1}),
    "part of a key": ("p-{{ spec.x }}: 1\n", lambda x: {f"p-{x}": 1}),
    "quoted key": ('"{{ spec.x }}": 1\n', lambda x: {x: 1}),
    "item": ("- {{ spec.x }}\n- 1\n", lambda x: [x, 1]),
    "item in flow": ("a: [{{ spec.x }}, 1]\n", lambda x: {"a": [x, 1]}),
    "value in flow": ("a: {b: {{ spec.x }}, c: 1}\n", lambda x: {"a": {"b": x, "c": 1}}),
    "key in flow": ("a: { {{ spec.x }}: 1 }\n", lambda x: {"a": {x: 1}}),
    "comment": ("# {{ spec.x }}\na: 1 # {{ spec.x }}\n", lambda x: {"a": 1}),
    "macro": ("{% macro m(v) %}{{ v }}{% endmacro %}\na: {{ m(spec.x) }}\n", lambda x: {"a": x}),
    "macro in a word": (
        "{% macro m(v) %}p-{{ v }}{% endmacro %}\na: {{ m(spec.x) }}\n",
        lambda x: {"a": f"p-{x}"},
    ),
    "joined with a macro": (
        "{% macro m(v) %}p-{{ v }}{% endmacro %}\na: {{ m(spec.x) ~ spec.x }}\n",
        lambda x: {"a": f"p-{x}{x}"},
    ),
    "captured": ("{% set v %}p-{{ spec.x }}{% endset %}\na: {{ v }}\n", lambda x: {"a": f"p-{x}"}),
    "captured and filtered": (
        "{% set v | string %}p-{{ spec.x }}{% endset %}\na: {{ v }}\n",
        lambda x: {"a": f"p-{x}"},
    ),
    "filter block": ("a: {% filter string %}p-{{ spec.x }}{% endfilter %}\n", lambda x: {"a": f"p-{x}"}),
    "call block": (
        "{% macro m() %}{{ caller() }}{% endmacro %}\na: {% call m() %}p-{{ spec.x }}{% endcall %}\n",
        lambda x: {"a": f"p-{x}"},
    ),
    "compared": (
        "{% macro m(v) %}{{ v }}{% endmacro %}\na: {{ m(spec.x) == spec.x }}\n",
        lambda x: {"a": True},
    ),
    "joined": ("a: {{ 'p-' ~ spec.x }}\nb: {{ 'p-' + spec.x }}\n", lambda x: {"a": f"p-{x}", "b": f"p-{x}"}),
    "loop": ("{% for v in [spec.x, spec.x] %}\n- {{ v }}\n{% endfor %}\n", lambda x: [x, x]),
    "recursive loop": (
        (
            "{% for v in [[spec.x]] recursive %}"
            "{% if v is string %}- {{ v }}{% else %}{{ loop(v) }}{% endif %}{% endfor %}\n"
        ),
        lambda x: [x],
    ),
    "indented": ("a: |-\n  {{ spec.x | indent(2) }}\nb: 1\n", lambda x: {"a": x, "b": 1}),
    "indented on a new line": ("a: |-\n{{- spec.x | nindent(2) }}\nb: 1\n", lambda x: {"a": x, "b": 1}),
    "as YAML": ("a: {{ spec.x | to_yaml }}\nb: 1\n", lambda x: {"a": x, "b": 1}),
    "as YAML on a line": ("a:\n  {{ {'k': spec.x} | to_yaml }}\nb: 1\n", lambda x: {"a": {"k": x}, "b": 1}),
    "as a key of YAML": ("a:\n  {{ {spec.x: [spec.x]} | to_yaml | indent(2) }}\n", lambda x: {"a": {x: [x]}}),
    "as YAML in quotes": ('a: "\n  {{ {"k": spec.x} | to_yaml }}\n  "\nb: 1\n', None),
    "as YAML in flow": ("a: [\n  {{ [spec.x] | to_yaml }}\n  ]\nb: 1\n", None),
    "as JSON": ("a: {{ spec.x | to_json | from_json }}\n", lambda x: {"a": x}),
}


@pytest.mark.slow
@pytest.mark.parametrize("position", POSITIONS)
@given(value=ANY_TEXT)
def test_any_text_in_any_position_comes_back_exactly(position: str, value: str) -> None:
    template, expected = POSITIONS[position]
    outcome = render(pipeline(template), context({"x": value}))
    if expected is None:  # how it reads is the author's problem, but nothing may be added
        if isinstance(outcome, Rendered):
            (read,) = load_documents(outcome.files[0].content.decode())
            assert list(read) == ["a", "b"]
        return
    assert isinstance(outcome, Rendered), outcome
    assert load_documents(outcome.files[0].content.decode()) == [expected(value)]


@pytest.mark.slow
@given(JSON_VALUES)
def test_any_value_alone_keeps_its_type(value: Any) -> None:
    read = document("a: {{ spec.x }}\nb: [{{ spec.x }}]\n{{ 'c' }}: {{ spec | dict2items }}\n", {"x": value})
    expected = {"a": value, "b": [value], "c": [{"key": "x", "value": value}]}
    assert repr(read) == repr(after_json(expected))


@pytest.mark.slow
@given(JSON_VALUES)
def test_a_value_as_yaml_reads_as_the_value(value: Any) -> None:
    template = (
        "a:\n  k: 1\n  {{ {'v': spec.x} | to_yaml | indent(2) }}\nb:\n{{- {'v': spec.x} | to_yaml | nindent(2) }}\n"
        "c: |\n  {{ {'v': spec.x} | to_yaml }}\nd:\n- {{ {'v': spec.x} | to_yaml }}\ne: {{ spec.x | to_yaml }}\n"
    )
    read = document(template, {"x": value})
    text = read.pop("c")
    assert repr(read) == repr(
        after_json({"a": {"k": 1, "v": value}, "b": {"v": value}, "d": [{"v": value}], "e": value})
    )
    assert repr(load_documents(text)) == repr(after_json([{"v": value}]))


@given(ANY_TEXT)
def test_a_value_in_a_leaf_comes_back_exactly(value: str) -> None:
    outcome = render(
        pipeline(
            values={"alone": "{{ spec.x }}", "inside": "p-{{ spec.x }}", "deep": {"list": ["{{ spec.x }}"]}},
            status={
                "alone": "{{ alone }}",
                "inside": "{{ inside }}",
                "deep": "{{ deep }}",
                "word": "{{ alone }}!",
            },
        ),
        context({"x": value}),
    )
    assert isinstance(outcome, Rendered), outcome
    assert outcome.status == {
        "alone": value,
        "inside": f"p-{value}",
        "deep": {"list": [value]},
        "word": f"{value}!",
    }


@given(ANY_TEXT)
@example("a\nb")
def test_a_file_that_is_no_yaml_gets_the_text(value: str) -> None:
    outcome = rendered(
        "<{{ spec.x }}>\n{{ spec.n }} {{ spec.l }}\n", {"x": value, "n": 1, "l": [1]}, path="a.conf"
    )
    assert outcome.files[0].content.decode() == f"<{value}>\n1 [1]\n"


def test_indenting_is_real_where_layout_is_the_authors() -> None:
    outcome = rendered("  {{ spec.x | indent(2) }}\n", {"x": "a\nb"}, path="a.conf")
    assert outcome.files[0].content == b"  a\n  b\n"


@pytest.mark.slow
@given(JSON_VALUES)
def test_the_same_inputs_give_the_same_bytes(value: Any) -> None:
    template = "a: {{ spec.x }}\nb: p-{{ spec.x }}\nc: {{ spec.x | to_yaml }}\nd: |\n  {{ spec.x }}\n"
    one = render(pipeline(template), context({"x": value}), nonce="1f0e")
    other = render(pipeline(template), context({"x": value}), nonce="77ab")
    assert one == other


def test_a_token_of_another_render_is_only_text() -> None:
    assert document("a: \ue000ffff.0\ue001\nb: {{ 1 }}\n") == {"a": "\ue000ffff.0\ue001", "b": 1}


@pytest.mark.parametrize("margin", ["x", "  \n", "\u00a0", "- "])
def test_lines_are_indented_with_nothing_but_spaces(margin: str) -> None:
    outcome = render(
        pipeline("a:\n{{ spec.x | indent(spec.margin, true) }}"), context({"x": "1", "margin": margin})
    )
    assert not isinstance(outcome, Rendered)


def test_numbers_inside_of_text_make_text() -> None:
    assert document("a: {{ 1 }}.{{ 10 }}\nb: {{ 3 }}Gi\nc: '{{ 3 }}'\nd: {{ 3 }}\n") == {
        "a": "1.10",
        "b": "3Gi",
        "c": "3",
        "d": 3,
    }


def test_a_map_inside_of_text_is_json() -> None:
    assert document("a: 'x {{ spec }}'", {"k": [1, None, True]}) == {"a": 'x {"k":[1,null,true]}'}


def test_a_generator_is_a_list() -> None:
    assert document("a: {{ spec.l | map('upper') }}\nb: {{ range(3) }}\nc: {{ spec.keys() }}", {"l": ["x"]}) == {
        "a": ["X"],
        "b": [0, 1, 2],
        "c": ["l"],
    }


def test_two_equal_keys_from_values_are_refused() -> None:
    outcome = render(pipeline("{{ spec.x }}: 1\n{{ spec.y }}: 2\n"), context({"x": "k", "y": "k"}))
    assert not isinstance(outcome, Rendered)
    assert outcome.reason == "InvalidYAML"


def test_what_looks_like_a_method_is_a_field_of_the_data() -> None:
    spec = {"items": [1], "keys": "k", "values": 2, "get": 3, "upper": 4}
    template = "a: {{ spec.items }}\nb: {{ spec.keys }}\nc: {{ spec.values }}\nd: {{ spec.get('upper') }}\n"
    assert document(template, spec) == {"a": [1], "b": "k", "c": 2, "d": 4}


def test_the_namespace_is_text_and_jinjas_namespace() -> None:
    template = "{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}\n"
    assert document(template + "a: {{ namespace }}\nb: {{ ns.n }}\n") == {"a": "shop", "b": 3}


def test_partials_see_values_and_cannot_be_broken_by_them() -> None:
    partials = {
        "labels": "app: {{ spec.x }}\nteam: {{ promise.labels.team }}\n",
        "names": "{% macro full(v) %}{{ v }}-full{% endmacro %}",
    }
    template = (
        "metadata:\n  labels:\n    {% filter indent(4, true) %}{% include 'labels' %}{% endfilter %}\n"
        "{% import 'names' as names %}\nname: {{ names.full(spec.x) }}\n"
    )
    assert document(template, {"x": "a: b\nc"}, partials=partials) == {
        "metadata": {"labels": {"app": "a: b\nc", "team": "data"}},
        "name": "a: b\nc-full",
    }


def test_several_documents_stay_several_and_empty_ones_go() -> None:
    assert documents("---\na: 1\n---\n# nothing\n---\nb: 2\n---\n") == [{"a": 1}, {"b": 2}]
