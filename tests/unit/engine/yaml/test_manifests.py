"""YAML in and out: read as the API server does, written so that every reader agrees."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.engine.rendering.test_values import ANY_TEXT, JSON_VALUES, after_json
from troth.engine.yaml.emit import TooDeep
from troth.engine.yaml.manifests import (
    InvalidManifest,
    TooManyDocuments,
    dump_document,
    dump_documents,
    load_document,
    load_documents,
)

LINES = st.lists(
    st.sampled_from(["", " ", "a", " b", "\tc", "d ", "- e", "f: g", "# h", "---", "...", "|"]), max_size=6
)
TEXTS = (
    ANY_TEXT
    | LINES.map("\n".join)
    | st.lists(st.sampled_from(list("a1 :#-\n\t\"'{}[],&*!|>%@`~?=.<_y")), max_size=8).map("".join)
)


@given(TEXTS, TEXTS)
@example("k" * 2000, "v")
@example("a\nb" * 100, "a\n\n\nb\n")
def test_any_text_written_is_read_back_by_yaml_1_1_and_by_kubernetes(key: str, text: str) -> None:
    for value in (
        {"k": text},
        {key: text},
        [text, [text]],
        {key: {key: [text, {key: text}]}},
        text,
        {key: [[text]]},
    ):
        written = dump_document(value)
        assert load_document(written) == value, written
        assert yaml.safe_load(written) == value, written


@given(TEXTS, TEXTS)
@example("k" * 2000, "v")
def test_any_text_written_is_read_back_by_yaml_1_2(key: str, text: str) -> None:
    reader = pytest.importorskip("ruamel.yaml").YAML(typ="safe", pure=True)
    value = {key: {"k": [text]}}
    written = dump_document(value)
    assert reader.load(written) == value, written


@given(JSON_VALUES)
def test_any_value_written_is_read_back(value: Any) -> None:
    assert repr(load_document(dump_document(value))) == repr(after_json(value))


@pytest.mark.slow
@given(st.lists(JSON_VALUES.filter(lambda value: value is not None), max_size=4))
def test_documents_written_are_read_back(values: list[Any]) -> None:
    assert repr(load_documents(dump_documents(values))) == repr(after_json(values))


def test_the_canonical_form_is_plain_to_read() -> None:
    value = {
        "apiVersion": "apps/v1",
        "spec": {
            "replicas": 3,
            "args": ["--port=80", "a b", "yes", "16", "1.5", "on", "nginx:1.25", "http://x:80/y?z=1"],
            "empty": {},
            "none": [],
            "nothing": None,
            "script": "#!/bin/sh\nset -e\n\necho hi\n",
            "list": [{"name": "a", "value": ""}, [1, 2]],
        },
    }
    assert dump_document(value) == (
        "apiVersion: apps/v1\nspec:\n  replicas: 3\n  args:\n  - --port=80\n  - a b\n"
        '  - "yes"\n  - "16"\n  - "1.5"\n  - "on"\n  - nginx:1.25\n  - http://x:80/y?z=1\n'
        "  empty: {}\n  none: []\n  nothing: null\n"
        "  script: |\n    #!/bin/sh\n    set -e\n\n    echo hi\n"
        '  list:\n  - name: a\n    value: ""\n  - - 1\n    - 2\n'
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("y", True),
        ("N", False),
        ("1e3", 1000),
        ("1.0", 1),
        ("1e999", "1e999"),
        ("012", 10),
        ("0o17", 15),
        ("0b11", 3),
        ("0x1F", 31),
        ("1_000", 1000),
        ("-1", -1),
        ("+1", 1),
        ("089", 89),
        ("0x_", "0x_"),
        (".5", 0.5),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("1:30", "1:30"),
        ("1.2.3", "1.2.3"),
        ("~", None),
        ("Null", None),
        ("=", "="),
        ("'012'", "012"),
        ("!!str 012", "012"),
        ("!!int '12'", 12),
        ("{a: 1, 'b': [x]}", {"a": 1, "b": ["x"]}),
        ('{"a":\t1}', {"a": 1}),
    ],
)
def test_words_are_read_as_kubernetes_reads_them(text: str, value: Any) -> None:
    read = load_document(f"k: {text}")["k"]
    assert read == value
    assert type(read) is type(value)


def test_keys_are_text() -> None:
    assert load_document("1: a\ntrue: b\n1.5: c\n1e3: d\n") == {"1": "a", "true": "b", "1.5": "c", "1000": "d"}


def test_merge_keys_work_and_what_is_written_wins() -> None:
    text = "base: &base {a: 1, b: 2}\nother:\n  <<: *base\n  b: 3\n"
    assert load_document(text)["other"] == {"a": 1, "b": 3}
    assert load_document("{<<: [{a: 1}, {a: 2, b: 3}]}") == {"a": 1, "b": 3}
    assert load_document('{"<<": 1}') == {"<<": 1}


def test_a_key_that_readers_would_merge_differently_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidManifest, match="'a', which is there already") as caught:
        load_document("base: &base {a: 1}\nother:\n  a: 2\n  <<: *base\n")
    assert caught.value.line == 4
    assert load_document("[{a: 1, <<: {a: 1, b: 2}}]") == [{"a": 1, "b": 2}]


def test_a_later_anchor_of_the_same_name_counts_from_where_it_stands() -> None:
    assert load_document("{a: &x 1, b: *x, c: &x {d: &x 2}, e: *x}") == {"a": 1, "b": 1, "c": {"d": 2}, "e": 2}
    assert load_documents("a: &x 1\n---\na: &x [1]\nb: &x 2\nc: *x\n") == [{"a": 1}, {"a": [1], "b": 2, "c": 2}]
    with pytest.raises(InvalidManifest, match="holds itself"):
        load_document("{a: &x 1, b: &x [*x]}")
    with pytest.raises(InvalidManifest, match="nested more than"):
        load_document("a: &x 1\nb: &x 1\nc: " + "[" * 500)


def test_a_last_line_without_a_break_gets_one() -> None:
    assert load_document("a: |\n  x") == load_document("a: |\n  x\n") == {"a": "x\n"}


def test_json_is_read_as_json_also_before_documents_of_yaml() -> None:
    assert load_document('{"a": "\\/", "b": " \u2028 ", "c": 1.0}') == {"a": "/", "b": " \u2028 ", "c": 1}
    assert load_documents('{"a": "\\/"}\n---\na: |\n  x') == [{"a": "/"}, {"a": "x\n"}]
    assert load_documents('{"a": 1} {"a": 2}\n{"a": 3}') == [{"a": 1}, {"a": 2}, {"a": 3}]
    with pytest.raises(InvalidManifest, match="occurs twice") as caught:
        load_documents('{"a": 1}\n---\na: 1\na: 2\n')
    assert caught.value.line == 4


def test_aliases_share_nothing() -> None:
    read = load_document("a: &x {k: [1]}\nb: *x\n")
    assert read["a"] == read["b"]
    assert read["a"]["k"] is not read["b"]["k"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "occurs twice"),
        ("a: 1\n b: 2\n", 2, "': '"),
        ("a: b: c\n", 1, "': '"),
        ("a:\n- b\n  c: 1\n", 3, "': '"),
        ("a: @x\n", 1, "keeps for itself"),
        ("a: 'x\n", None, "quote"),
        ("a: *x\n", 1, "anchor"),
        ("a: !custom x\n", 1, "!custom"),
        ("a: !!binary gICA\n", 1, "!!binary"),
        ("a: .inf\n", 1, "JSON"),
        ("1e99: x\n", 1, "too large"),
        ("? [a]\n: 1\n", 1, "a key that is a map or a list"),
        ("{a: 1}: 2\n", 1, "a key that is a map or a list"),
        ("null: 1\n", 1, "without a name"),
        ("y: 1\non: 2\n", 2, "the key 'true' occurs twice, as 'on' without quotes is true"),
        ("a: \x01\n", None, "control character"),
        ("a: &x [*x]\n", 1, "holds itself"),
        ("a: {<<: 1}\n", 1, "merges maps"),
        ("\ta: 1\n", 1, "a tab where spaces must be"),
        ("a:\n  \tb: 1\n", 2, "a tab where spaces must be"),
        ("é: 日\na:\n\tb: 1\n", None, "a tab where spaces must be"),
        ("{!!merge a: {b: 1}}\n", 1, "the tag '!!merge' does not fit here"),
        ('a: 1\nb: "x\\/y"\n', 2, "write '/'"),
        ("%YAML 1.1\n---\na: 1\n", 1, "begins with '%'"),
        ("a: 1\n--- b\n", 2, "next line"),
        ("a: 1\n...\nb: 2\n", 3, "text after the end of a document"),
        ("---\n...\n", 2, "begins with '...'"),
        ("a: !!null x\n", 1, "not a null"),
        ("a: !!int 1.5\n", 1, "not a whole number"),
        ('{"a":\n1e400}', 2, "too large"),
        ("18446744073709551615: x\n", 1, "too large"),
    ],
)
def test_what_is_no_yaml_is_said_in_plain_words_with_its_line(text: str, line: int | None, words: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        load_documents(text)
    assert words in caught.value.problem
    if line is not None:
        assert caught.value.line == line


@given(st.text(st.sampled_from(list("ab:-{}[]\n \"'&*!<|>?,#%1.~")), max_size=60) | st.text(max_size=40))
def test_a_text_is_read_or_refused_never_anything_else(text: str) -> None:
    try:
        values = load_documents(text)
    except InvalidManifest:
        return
    assert repr(load_documents(dump_documents(values))) == repr([value for value in values if value is not None])


@pytest.mark.slow
def test_many_documents_with_stars_and_ampersands_have_no_aliases() -> None:
    document = "note: a * b & c\n" + "".join(f"k{index}: [{{a: 1}}, {{b: [2, 3]}}]\n" for index in range(500))
    assert len(load_documents("---\n".join([document] * 20))) == 20


def test_multiplying_aliases_are_refused_in_milliseconds() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for previous, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{previous}'] * 9)}]")
    start = time.process_time()
    with pytest.raises(InvalidManifest, match="aliases"):
        load_documents("\n".join(lines))
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("text", ["[" * 250_000, "{a: " * 60_000, "- " * 100_000, "? " * 100_000])
def test_deep_nesting_is_refused_before_it_can_end_the_process(text: str) -> None:
    with pytest.raises(InvalidManifest):
        load_documents(text)


def test_what_nests_too_deep_is_not_written() -> None:
    value: Any = 1
    for _ in range(200):
        value = [value]
    with pytest.raises(TooDeep):
        dump_document(value)


def test_more_documents_than_allowed_are_refused() -> None:
    assert len(load_documents("a: 1\n---\n" * 3, most=3)) == 3
    with pytest.raises(TooManyDocuments):
        load_documents("a: 1\n---\n" * 4, most=3)


def test_one_document_is_one() -> None:
    assert load_document("") is None
    assert load_document("---\na: 1\n---\n# end\n") == {"a": 1}
    with pytest.raises(InvalidManifest, match="2 documents"):
        load_document("a: 1\n---\nb: 1\n")


@pytest.mark.parametrize("value", [float("inf"), float("nan"), object()])
def test_what_json_cannot_hold_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError):
        dump_document({"a": value})


@given(ANY_TEXT)
@example("😀")
@example("\\ud83d\\ude00")
@example("\\😀")
def test_json_that_writes_a_character_as_two_escapes_is_read_as_kubectl_reads_it(text: str) -> None:
    assert load_document(json.dumps({"a": text})) == {"a": text}


def test_half_a_character_is_refused_in_json_and_two_escapes_are_in_yaml() -> None:
    for written in (r'{"a": "\ud83d"}', r'{"a": "\ude00\ud83d"}', r'a: "\ud83d\ude00"'):
        with pytest.raises(InvalidManifest):
            load_document(written)
