"""The note of a Work that says which objects had another name."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from troth.api import labels as names
from troth.api.objects import ObjectMeta, Work
from troth.api.pipelines import Move
from troth.controllers.handover import read_moves, write_moves

MOVES = st.builds(Move, st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda child: st.one_of(st.lists(child, max_size=4), st.dictionaries(st.text(max_size=3), child, max_size=2)),
)


def work(note: str) -> Work:
    meta = ObjectMeta("work", annotations={names.MOVED: note})
    return Work(meta, promise_name="p", resource_name="", groups=(), status={})


@given(st.lists(MOVES))
def test_the_note_is_read_as_it_was_written(moves: list[Move]) -> None:
    assert read_moves(work(write_moves(moves))) == moves


@given(st.one_of(JUNK.map(json.dumps), st.text()))
def test_a_spoilt_note_names_nothing_but_texts(note: str) -> None:
    for move in read_moves(work(note)):
        assert all(isinstance(text, str) for text in (move.kind, move.old, move.new))


def test_what_is_sound_in_a_spoilt_note_counts() -> None:
    rows: list[Any] = [["ConfigMap", "old", "new"], ["ConfigMap", "old"], "abc", 5, [1, 2, 3]]
    assert read_moves(work(json.dumps(rows))) == [Move("ConfigMap", "old", "new")]
