"""What is declared about two versions is read strictly: each mistake is named with its field and its remedy."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from troth.api import InvalidObject
from troth.engine.promises.conversion.declarations import (
    Conversion,
    Entries,
    Lone,
    Same,
    Units,
    Values,
    read_conversions,
)

F = "spec.api.conversions[0]"


def read(text: str) -> tuple[Conversion, ...]:
    return read_conversions({"conversions": yaml.safe_load(text)})


def test_an_api_without_conversions_has_none() -> None:
    assert read_conversions(None) == read_conversions({}) == read_conversions({"conversions": None}) == ()


def test_each_kind_of_declaration_is_read() -> None:
    [found] = read("""
- between: [v1, v2]
  fields:
  - {v1: spec.owner, v2: spec.contact.team}
  - {v2: spec.tls, default: null}
  - {v1: spec.size, v2: spec.profile, values: [{v1: small, v2: 1}]}
  - {v1: spec.storageGB, v2: spec.storage, unit: {v1: Gi}}
  - {v1: spec.users, v2: spec.accounts, key: {v1: name, v2: login}, fields: [{v1: role}]}
""")
    assert found.versions == ("v1", "v2")
    assert [type(rule.carry) for rule in found.rules] == [Same, Lone, Values, Units, Entries]
    assert found.rules[0].paths == (("spec", "owner"), ("spec", "contact", "team"))
    assert found.rules[1].carry == Lone(None)
    assert found.rules[1].paths == (None, ("spec", "tls"))
    entries = found.rules[4].carry
    assert isinstance(entries, Entries)
    assert entries.keys == ("name", "login")
    assert entries.rules[0].field == f"{F}.fields[4].fields[0]"


FIELDS = {
    "{v1: spec.a, v3: spec.b}": (".fields[0].v3", "is not a known field"),
    "{default: 1}": (".fields[0]", "names no field"),
    "{v1: ''}": (".fields[0].v1", "not the path of a field"),
    "{v1: 'spec.users[].name'}": (".fields[0].v1", "not the path of a field"),
    "{v1: 5}": (".fields[0].v1", "is a number, not text"),
    "{v1: metadata.name, v2: spec.a}": (".fields[0].v1", "metadata is the same in all versions"),
    "{v1: status.x, v2: status.y}": (".fields[0].v1", "status is the same in all versions"),
    "{v1: spec.a, v2: spec.b, default: 1}": (
        ".fields[0].default",
        "only for a field that one version does not have",
    ),
    "{v1: spec.a, unit: {v1: Gi}}": (".fields[0].unit", "needs a field in both versions; write v2: and its path"),
    "{v1: spec.a, v2: spec.b, unit: Gi}": (".fields[0].unit", "is text, not a map"),
    "{v1: spec.a, v2: spec.b, unit: {}}": (".fields[0].unit", "names no version"),
    "{v1: spec.a, v2: spec.b, unit: {v1: GB}}": (".fields[0].unit.v1", "'GB', not a unit"),
    "{v1: spec.a, v2: spec.b, unit: {v1: 0}}": (".fields[0].unit.v1", "'0', not a unit"),
    "{v1: spec.a, v2: spec.b, values: []}": (".fields[0].values", "has 0 pairs"),
    "{v1: spec.a, v2: spec.b, values: {a: b}}": (".fields[0].values", "is a map, not a list"),
    "{v1: spec.a, v2: spec.b, values: [{v1: a}]}": (".fields[0].values[0].v2", "is missing"),
    "{v1: spec.a, v2: spec.b, values: [{v1: a, v2: []}]}": (".fields[0].values[0].v2", "is a list"),
    "{v1: spec.a, v2: spec.b, values: [{v1: a, v2: b}, {v1: a, v2: b}]}": (".fields[0].values[1]", "same pair"),
    "{v1: spec.a, v2: spec.b, fields: []}": (".fields[0].fields", "needs a key"),
    "{v1: spec.a, v2: spec.b, key: ''}": (".fields[0].key", "is not the name of a field"),
    "{v1: spec.a, v2: spec.b, key: {v1: name}}": (".fields[0].key.v2", "is not the name of a field"),
    "{v1: spec.a, v2: spec.b, key: n, fields: [{v1: n, v2: m}]}": (".fields[0].fields[0].v1", "which is the key"),
    "{v1: spec.a, v2: spec.b, key: n, unit: {v1: Gi}}": (".fields[0].key", "cannot be used together with unit"),
    "{v1: spec.a, v2: spec.b}, {v1: spec.a, v2: spec.c}": (".fields[1].v1", "names spec.a, as"),
    "{v1: spec.a, v2: spec.b}, {v1: spec.c, v2: spec.b.x}": (".fields[1].v2", "which is a part of spec.b"),
}


@pytest.mark.parametrize(("fields", "said"), FIELDS.items(), ids=FIELDS.keys())
def test_a_mistake_in_a_field_is_named_with_its_place(fields: str, said: tuple[str, str]) -> None:
    with pytest.raises(InvalidObject) as caught:
        read(f"[{{between: [v1, v2], fields: [{fields}]}}]")
    assert caught.value.field == F + said[0]
    assert said[1] in str(caught.value)
    assert caught.value.remedy


WHOLE = {
    "[{between: [v1]}]": ".between",
    "[{between: [v1, v1]}]": ".between",
    "[{between: [v1, 2]}]": ".between",
    "[{between: [v1, unit]}]": ".between",
    "[{fields: []}]": ".between",
    "[{betwen: [v1, v2]}]": ".betwen",
    "[5]": "",
}


@pytest.mark.parametrize(("text", "place"), WHOLE.items(), ids=WHOLE.keys())
def test_a_mistake_in_a_conversion_is_named_with_its_place(text: str, place: str) -> None:
    with pytest.raises(InvalidObject) as caught:
        read(text)
    assert caught.value.field == F + place


def test_a_pair_is_declared_once_however_far_apart_the_two_are() -> None:
    pairs = ", ".join(f"{{v1: {number}, v2: {number}}}" for number in [*range(20), 0.0])
    with pytest.raises(InvalidObject, match=r"values\[20\]: is the same pair as one before"):
        read(f"[{{between: [v1, v2], fields: [{{v1: spec.a, v2: spec.b, values: [{pairs}]}}]}}]")
    [found] = read(
        "[{between: [v1, v2], fields: [{v1: a, v2: b, values: [{v1: 1, v2: 1}, {v1: true, v2: 1}, {v1: '1', v2: 1}]}]}]"
    )
    carry = found.rules[0].carry
    assert isinstance(carry, Values)
    assert len(carry.pairs) == 3


def test_two_versions_have_one_conversion() -> None:
    with pytest.raises(
        InvalidObject, match=r"conversions\[1\]\.between: is the second conversion between v2 and v1"
    ):
        read("[{between: [v1, v2]}, {between: [v2, v1]}]")


@pytest.mark.parametrize(
    "text",
    [
        f"[{', '.join('{between: [v1, v' + str(number) + ']}' for number in range(2, 60))}]",
        f"[{{between: [v1, v2], fields: [{', '.join('{v1: spec.a' + str(number) + '}' for number in range(501))}]}}]",
        f"[{{between: [v1, v2], fields: {'[{v1: a.a, v2: b.b, key: k, fields: ' * 9}[]{'}]' * 9}}}]",
    ],
    ids=["conversions", "fields", "depth"],
)
def test_how_much_can_be_declared_is_bounded(text: str) -> None:
    with pytest.raises(InvalidObject, match=r"at most|less deeply"):
        read(text)


WORDS = st.sampled_from(
    ["between", "fields", "v1", "v2", "default", "values", "unit", "key", "spec.a", "spec.b", "Gi", "x"]
)
ANY: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.just(["v1", "v2"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=20,
)


@given(ANY | ANY.map(lambda fields: [{"between": ["v1", "v2"], "fields": [fields]}]))
def test_whatever_is_declared_is_read_or_refused_in_words(value: Any) -> None:
    found: tuple[Conversion, ...] = ()
    refusal: InvalidObject | None = None
    try:
        found = read_conversions({"conversions": value})
    except InvalidObject as error:
        refusal = error
    assert refusal is None or refusal.field.startswith("spec.api.conversions")
    assert all(isinstance(conversion, Conversion) for conversion in found)
