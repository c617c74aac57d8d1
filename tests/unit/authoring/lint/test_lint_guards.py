"""What a template asked before it reads is believed: no finding where every request renders."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.authoring.lint.linted import codes, of_template


def spec(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


OPTIONAL_NULL = spec(
    o={"type": "object", "nullable": True, "properties": {"x": {"type": "string", "default": "y"}}}
)


@pytest.mark.parametrize(
    "template",
    [
        "{% if spec.o is defined and spec.o is not none %}o: {{ spec.o.x }}{% endif %}",
        "{% if spec.o is defined and spec.o %}o: {{ spec.o.x }}{% endif %}",
        "{% if spec.o is defined and spec.o != none %}o: {{ spec.o.x }}{% endif %}",
        "{% if spec.o is defined and not spec.o is none %}o: {{ spec.o.x }}{% endif %}",
        "{% if spec.o is mapping %}o: {{ spec.o.x }}{% endif %}",
        "{% if spec.get('o') %}o: {{ spec.o.x }}{% endif %}",
        "{% if spec.o is defined %}{% if spec.o is not none %}o: {{ spec.o.x }}{% endif %}{% endif %}",
        "{% if spec.o is not defined or spec.o is none %}{{ fail('no') }}{% endif %}o: {{ spec.o.x }}",
        "{% set o = spec.o | default(none) %}{% if o %}o: {{ o.x }}{% endif %}",
        "{% set o = spec.get('o') %}{% if o is not none %}o: {{ o.x }}{% endif %}",
    ],
)
def test_null_is_taken_back_by_whatever_asks_for_it(template: str) -> None:
    assert codes(template, spec=OPTIONAL_NULL) == []


@pytest.mark.parametrize(
    "template",
    [
        "{% if spec.o is defined %}o: {{ spec.o.x }}{% endif %}",
        "{% if spec.o is not none %}o: {{ spec.o.x }}{% endif %}",
        "{% if spec.o is defined and spec.o is none %}o: {{ spec.o.x }}{% endif %}",
        "{% if spec.o is mapping %}{% else %}o: {{ spec.o.x }}{% endif %}",
        "{% if spec.o is mapping %}{% set spec = {'o': none} %}o: {{ spec.o.x }}{% endif %}",
    ],
)
def test_what_was_not_asked_is_still_found(template: str) -> None:
    assert "T102" in codes(template, spec=OPTIONAL_NULL)


def test_a_text_that_may_be_null_is_not_made_a_word() -> None:
    text = spec(a={"type": "string", "nullable": True, "default": "x"})
    assert codes("{{ spec.a | upper }}", spec=text) == ["T102"]
    assert codes("a: {{ spec.a }}", spec=text) == []
    assert codes("a: {{ spec.a | default('b', true) | upper }}", spec=text) == []
    assert codes("{% if spec.a is not none %}a: {{ spec.a | upper }}{% endif %}", spec=text) == []
    assert codes("{% if spec.a %}a: {{ spec.a | trim }}{% endif %}", spec=text) == []


TABLE = spec(
    m={
        "type": "object",
        "default": {},
        "additionalProperties": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
    }
)


@pytest.mark.parametrize(
    "template",
    [
        "{{ (spec.m.get('y') or {'a': 'b'}).a }}",
        "{% set y = spec.m.get('y') %}{% if y %}{{ y.a }}{% endif %}",
        "{% set y = spec.m.get('y') %}{{ y.a if y else 'none' }}",
    ],
)
def test_what_is_true_is_not_null(template: str) -> None:
    assert codes(template, spec=TABLE) == []
    assert codes("{{ spec.m.get('y').a }}", spec=TABLE) == ["T102"]


ITEMS = spec(
    l={
        "type": "array",
        "default": [],
        "items": {"type": "object", "properties": {"a": {"type": "string"}, "n": {"type": "integer"}}},
    }
)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in spec.l | selectattr('a', 'defined') %}{{ i.a }}{% endfor %}",
        "{% for i in spec.l | rejectattr('a', 'undefined') %}{{ i.a }}{% endfor %}",
        "{{ (spec.l | selectattr('a', 'defined') | first | default({'a': 'q'})).a }}",
        "{% for i in spec.l | selectattr('a', 'defined') | list %}{{ i.a }}{{ i.n | default(1) }}{% endfor %}",
        "{% for i in spec.l if i.a is defined %}{{ i.a }}{% endfor %}",
        "{% for i in spec.l | selectattr('a', 'in', ['x', 'y']) %}{{ i.a }}{% endfor %}",
    ],
)
def test_a_selection_by_an_attribute_has_it(template: str) -> None:
    assert codes(template, spec=ITEMS) == []
    for other in ("selectattr('n', 'defined')", "rejectattr('a', 'defined')", "selectattr('a', 'undefined')"):
        assert codes(f"{{% for i in spec.l | {other} %}}{{{{ i.a }}}}{{% endfor %}}", spec=ITEMS) == ["T102"]


def test_a_field_of_what_keeps_unknown_fields_is_read() -> None:
    keeps = spec(t={"type": "object", "default": {}, "x-kubernetes-preserve-unknown-fields": True})
    found = of_template("{{ spec.t.foo | default('x') }}", spec=keeps, required=False)
    assert [remark.code for remark in found] == []


SIZES = {"s": {"n": 1}, "m": {"n": 2, "x": True}, "l": {"n": 3, "x": True}}


@pytest.mark.parametrize(
    "template",
    [
        "{% if spec.size == 'm' %}{{ t[spec.size].x }}{% endif %}{{ row }}",
        "{% if spec.size != 's' %}{{ t[spec.size].x }}{% endif %}{{ row }}",
        "{% if spec.size == 's' %}{% else %}{{ t[spec.size].x }}{% endif %}{{ row }}",
        "{% if spec.size != 's' %}{{ row.x }}{% endif %}{{ t }}",
        "{% if 'm' == spec.size %}{{ row.x }}{% endif %}{{ t }}",
    ],
)
def test_an_enum_that_was_asked_is_what_it_was_found_to_be(template: str) -> None:
    sizes = spec(size={"type": "string", "enum": ["s", "m", "l"], "default": "s"})
    more = {"values": {"t": SIZES, "row": "{{ t[spec.size] }}"}, "spec": sizes}
    assert codes(template, **more) == []
    assert codes("{{ row.x }}{{ t }}", **more) == ["T102"]
    assert codes("{% if spec.size == 's' %}{{ t[spec.size].x }}{% endif %}{{ row }}", **more) != []
    assert codes("{% if spec.size != 'm' %}{{ row.x }}{% endif %}{{ t }}", **more) == ["T102"]


def test_a_map_that_may_be_empty_is_not_when_it_is_true() -> None:
    b = spec(b={"type": "object", "required": ["c"], "properties": {"c": {"type": "string"}}})
    values = {"b": "{{ spec.b | default({}) }}"}
    assert codes("{% if b %}{{ b.c }}{% endif %}", values=values, spec=b) == []
    assert codes("{{ b.c if b else 'x' }}", values=values, spec=b) == []
    assert (
        codes("a", values=values, spec=b, files=[{"path": "y", "when": "{{ b }}", "template": "{{ b.c }}"}]) == []
    )
    (found,) = of_template("{{ b.c }}", values=values, spec=b)
    assert (found.code, "may be empty" in found.message) == ("T102", True)


@pytest.mark.parametrize("given", ["{}", "none", "''", "0", "false", "[]"])
def test_a_branch_of_a_macro_that_a_call_never_takes_is_not_held_against_it(given: str) -> None:
    macro = "{% macro opt(o) %}{% if o %}{{ o.x }}{% else %}none{% endif %}{% endmacro %}{{ spec.size }}"
    assert codes(macro + "{{ opt({'x': 1}) }}{{ opt(" + given + ") }}") == []
    assert codes(macro + "{{ opt({'x': 1}) }}{{ opt({'y': 1}) }}") == ["T101"]


def test_types_have_their_articles_and_attributes_their_owner() -> None:
    (found,) = of_template("{{ spec.n | length }}", spec=spec(n={"type": "integer", "default": 1}))
    assert "spec.n is a whole number, but length needs a list" in found.message
    (found,) = of_template("{{ spec.l | selectattr('on') | list }}", spec=ITEMS)
    assert (found.code, found.message) == ("T101", "the items of spec.l have no 'on': the API server drops it")
