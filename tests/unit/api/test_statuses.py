"""What is read from a status has its type, whatever somebody has written there."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from troth.api.statuses import read_own

ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda child: st.one_of(st.lists(child, max_size=3), st.dictionaries(st.text(max_size=3), child, max_size=3)),
    max_leaves=5,
)
NOTES = (
    "observedGeneration",
    "placements",
    "components",
    "unscheduled",
    "held",
    "statusKeys",
    "conditionTypes",
    "path",
    "location",
    "alsoIn",
    "aggregate",
    "seal",
)


@given(st.one_of(ANYTHING, st.dictionaries(st.sampled_from(NOTES), ANYTHING)))
def test_the_operators_own_notes_are_read_whatever_stands_in_their_place(noted: Any) -> None:
    own = read_own({"troth": noted})
    assert own.observed_generation is None or isinstance(own.observed_generation, int)
    for entries in (own.placements, own.components, own.unscheduled, own.held, own.also_in):
        assert all(isinstance(entry, dict) for entry in entries)
    assert all(isinstance(name, str) for name in own.status_keys | own.condition_types)
    assert isinstance(own.location, dict)
    assert isinstance(own.aggregate, dict)
    assert isinstance(own.text("path"), str)
    assert isinstance(own.seal, str)


def test_what_was_noted_is_read_back() -> None:
    placed = [{"destination": "near", "version": "1a2b"}]
    own = read_own(
        {"troth": {"observedGeneration": 3, "placements": placed, "statusKeys": ["url"], "path": "a/b"}}
    )
    assert (own.observed_generation, own.placements, own.text("path")) == (3, placed, "a/b")
    assert (own.status_keys, own.condition_types) == (frozenset({"url"}), frozenset[str]())
    assert read_own({}).observed_generation is None
