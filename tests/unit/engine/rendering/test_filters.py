"""The filters that authors know from Ansible and Helm, on plain values."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.pipelines import document, failure, rendered
from troth.engine.admission.formats import format_check
from troth.engine.quantities import number_of, parse_quantity
from troth.engine.rendering.durations import duration, duration_text
from troth.engine.rendering.filters import allowed_filters, allowed_tests, dns_label
from troth.engine.rendering.suggestions import INSTEAD


def value_of(expression: str, **spec: Any) -> Any:
    return rendered("", spec, status={"v": f"{{{{ {expression} }}}}"}).status["v"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'a' | b64encode", "YQ=="),
        ("'w6Q=' | b64decode", "ä"),
        ("'a' | sha256", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("{'b': 1, 'a': 2} | sha256 == {'a': 2, 'b': 1} | sha256", True),
        ("'a' | hash('md5')", "0cc175b9c0f1b6a831c399e269772661"),
        ("spec.x | default('d')", "d"),
        ("spec.x.y.z | default('d')", "d"),
        ("spec.x is defined", False),
        ("{'a': [1, none, true]} | to_json", '{"a":[1,null,true]}'),
        ("{'a': 1} | to_nice_json", '{\n  "a": 1\n}'),
        ("{'a': 'yes'} | to_yaml", 'a: "yes"'),
        ("'yes' | to_yaml", '"yes"'),
        ("{'a': 'yes'} | to_yaml | b64encode | b64decode", 'a: "yes"'),
        ("'{\"a\": 1}' | from_json", {"a": 1}),
        ("'a: 012' | from_yaml", {"a": 10}),
        ("'a: 1\\n---\\nb: 2' | from_yaml_all", [{"a": 1}, {"b": 2}]),
        ("[1, none, true, 'x'] | join('-')", "1-null-true-x"),
        ("[{'n': 'a'}, {'n': 'b'}] | join(',', 'n')", "a,b"),
        ("none ~ true ~ 1.5 ~ 'x'", "nulltrue1.5x"),
        ("1 | string ~ 2", "12"),
        ("'A_b c' | dns_label", "a-b-c-" + dns_label("A_b c")[-8:]),
        ("'ABC' | dns_label", "abc"),
        ("'Ä b-C!' | slug", "b-c"),
        ("'a,b' | split(',')", ["a", "b"]),
        ("'abc' | regex_replace('b', 'x')", "axc"),
        ("'abc' | regex_replace('(b)', '<\\\\1>')", "a<b>c"),
        ("'v16.4' | regex_search('[0-9]+')", "16"),
        ("'v16.4' | regex_search('([0-9]+)[.]([0-9]+)', 1, 2)", ["16", "4"]),
        ("'x' | regex_search('[0-9]+')", None),
        ("'a1b2' | regex_findall('[0-9]')", ["1", "2"]),
        ("'a.b' | regex_escape", "a\\.b"),
        ("'yes' | bool", True),
        ("'no' | bool", False),
        ("true | ternary('a', 'b')", "a"),
        ("none | ternary('a', 'b', 'c')", "c"),
        ("{'a': {'x': 1}} | combine({'a': {'y': 2}})", {"a": {"y": 2}}),
        ("{'a': {'x': 1}} | combine({'a': {'y': 2}}, recursive=true)", {"a": {"x": 1, "y": 2}}),
        ("{'a': 1} | dict2items", [{"key": "a", "value": 1}]),
        ("[{'key': 'a', 'value': 1}] | items2dict", {"a": 1}),
        ("[['a', 1]] | items2dict", {"a": 1}),
        ("[1, [2, [3, none]]] | flatten", [1, 2, 3]),
        ("[1, [2, [3]]] | flatten(1)", [1, 2, [3]]),
        ("[1, 2] | zip(['a', 'b'])", [[1, "a"], [2, "b"]]),
        ("[1] | zip_longest([2, 3])", [[1, 2], [None, 3]]),
        ("[2, 1, 2] | unique", [2, 1]),
        ("[1, 2] | union([2, 3])", [1, 2, 3]),
        ("[1, 2] | intersect([2, 3])", [2]),
        ("[1, 2] | difference([2, 3])", [1]),
        ("[1, 2] | symmetric_difference([2, 3])", [1, 3]),
        ("['b', 'a'] | sort | first", "a"),
        ("[{'n': 1}, {'n': 2}] | map(attribute='n') | sum", 3),
        ("[{'n': 1}, {'n': 2}] | selectattr('n', 'gt', 1)", [{"n": 2}]),
        ("[{'items': 1}] | map(attribute='items')", [1]),
        ("[{'n': 1, 'v': 2}] | groupby('n') | map(attribute='grouper')", [1]),
        ("'2Gi' | quantity", 2147483648),
        ("'250m' | quantity", 0.25),
        ("'512Mi' | quantity_mul(3)", "1536Mi"),
        ("'1Gi' | quantity_mul(0.5)", "512Mi"),
        ("'1Gi' | quantity_add('1Gi')", "2Gi"),
        ("'1' | quantity_sub('250m')", "750m"),
        ("'1' | quantity_div(3)", "334m"),
        ("2 | quantity_mul('1.5')", "3"),
        ("['1Gi', '900Mi'] | quantity_max", "1Gi"),
        ("'1Gi' | quantity_min('900Mi')", "900Mi"),
        ("'1h30m' | duration", 5400),
        ("'1h30m' | duration('m')", 90),
        ("'1h30m' | duration('hours')", 1.5),
        ("'2d' | duration('h')", 48),
        ("'3 weeks' | duration('d')", 21),
        ("'250ms' | duration", 0.25),
        ("90 | duration('m')", 1.5),
        ("'90m' | duration_text", "1h30m"),
        ("5400 | duration_text", "1h30m"),
        ("'2d' | duration_text", "48h"),
        ("('45m' | duration * 2) | duration_text", "1h30m"),
        ("'16.10' is version('16.9', '>')", True),
        ("'v1.2.0' is version('1.2')", True),
        ("'1.0-rc1' is version('1.0', 'lt')", True),
        ("'abc' is match('b')", False),
        ("'abc' is search('b')", True),
        ("[1, 2] is contains(1)", True),
        ("[1] is subset([1, 2])", True),
        ("[1, 2] is superset([1])", True),
        ("'a' in spec | default({})", False),
    ],
)
def test_filters_do_what_their_names_say(expression: str, expected: Any) -> None:
    found = value_of(expression)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "expression",
    [
        "'x' | b64decode",
        "'{' | from_json",
        "'a: b: c' | from_yaml",
        "'x' | quantity",
        "'1' | quantity_div(0)",
        "'90' | duration",
        "'1h' | duration('x')",
        "'1y' | duration",
        "'a' | hash('crc')",
        "'a' | regex_search('(')",
        "[1] | combine({})",
        "'1' is version('2', '~')",
        "{'a': nope} | to_json",
        "'a' | nope",
        "lipsum()",
        "cycler(1)",
        "self.__class__",
        "[1] | map('attr', '__class__')",
    ],
)
def test_wrong_inputs_are_failures(expression: str) -> None:
    assert failure("", status={"v": f"{{{{ {expression} }}}}"}).message


def test_nothing_that_differs_between_two_runs_or_trusts_text_is_allowed() -> None:
    for name in ("random", "shuffle", "now", "lookup", "safe", "attr", "escape", "urlize", "xmlattr", "pprint"):
        assert name not in allowed_filters()
    assert "filter" not in allowed_tests()
    assert not set(INSTEAD) & set(allowed_filters())


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100), st.integers(12, 63))
def test_a_dns_label_is_one(text: str, length: int) -> None:
    label = dns_label(text, length)
    assert 0 < len(label) <= length
    assert label.strip("-") == label
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@given(st.lists(st.text(st.sampled_from("ab_."), max_size=70), min_size=2, max_size=2, unique=True))
def test_two_names_never_share_a_dns_label(names: list[str]) -> None:
    assert dns_label(names[0]) != dns_label(names[1])


@given(st.integers(0, 10**15), st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi"]))
def test_a_quantity_written_again_is_the_same_amount(number: int, suffix: str) -> None:
    quantity = parse_quantity(f"{number}{suffix}")
    again = parse_quantity(str(quantity))
    assert again.amount == quantity.amount
    assert number_of(again) == number_of(quantity)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1500m", "1500m"),
        ("1000m", "1"),
        ("1e3", "1k"),
        ("1.5Gi", "1536Mi"),
        ("0", "0"),
        ("0.1", "100m"),
        ("-1", "-1"),
        ("1.0001", "1001m"),
    ],
)
def test_quantities_have_kubernetes_form(text: str, written: str) -> None:
    assert str(parse_quantity(text)) == written


@given(st.integers(-(10**5), 10**5), st.sampled_from(["ns", "us", "ms", "s", "m", "h", "d"]))
def test_a_duration_written_again_is_as_long_and_in_units_that_go_has(number: int, unit: str) -> None:
    written = duration_text(f"{number}{unit}")
    assert duration(written, "ns") == duration(f"{number}{unit}", "ns")
    assert re.fullmatch(r"-?(\d+(\.\d+)?(ns|us|ms|s|m|h))+", written)
    assert duration_text(written) == written


@pytest.mark.parametrize(
    "text",
    ["", "90", "1x", "1y", "--1h", "1h30", "PT1H", None, True, [], 1e300, float("nan"), "\uff11h", "9" * 18 + "w"],
)
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(ValueError):
        duration(text)


def test_a_filter_reads_each_duration_that_the_api_server_lets_in() -> None:
    check = format_check("duration")
    assert check is not None
    for text in ("1h30m", "300ms", "1.5h", "0", "2d", "3 weeks", "1 Hour", "10 minutes", "5sec", "1 wk", "7days"):
        assert check(text)
        assert isinstance(duration(text), (int, float))


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1gi", "1KiB", "abc", None, True, "1e999", [], "\uff11"])
def test_what_is_no_quantity_is_refused(text: Any) -> None:
    with pytest.raises(ValueError):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("body", "filters", "expected"),
    [
        ("a: {{ spec.x }}", "from_yaml", {"a": "v"}),
        ("a: {{ spec.x }}", "from_yaml_all", [{"a": "v"}]),
        ('{"a": "{{ spec.x }}"}', "from_json", {"a": "v"}),
    ],
)
def test_what_a_template_wrote_into_a_variable_can_be_read_as_data(body: str, filters: str, expected: Any) -> None:
    template = f"{{% set text %}}{body}{{% endset %}}v: {{{{ text | {filters} }}}}\n"
    assert document(template, {"x": "v"}) == {"v": expected}
