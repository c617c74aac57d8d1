"""However much is added to other places, and whoever adds it: each place gets its turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from troth.turns import Turns

NAMES = st.integers(0, 4)
PLACES = st.tuples(NAMES, NAMES)


@given(
    st.sets(PLACES, min_size=1),
    st.lists(st.lists(PLACES, max_size=3), max_size=60),
)
def test_every_place_gets_its_turn_whatever_is_added_meanwhile(
    at_first: set[tuple[int, int]], added: list[list[tuple[int, int]]]
) -> None:
    turns: Turns[tuple[int, int, int], int, int] = Turns()
    number = 0
    waited: dict[tuple[int, int], int] = {}
    for places in [sorted(at_first), *added]:
        for row, column in places:
            number += 1
            turns.add((number, row, column), row, column)
            waited.setdefault((row, column), 0)
        item = turns.take()
        if item is None:
            continue
        served = item[1:]
        for place in waited:
            waited[place] += 1
        most = max(waited.values())
        assert most <= 2 * 5 * 5
        del waited[served]
        for row, column, _ in turns.sizes():
            waited.setdefault((row, column), 0)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 3))
def test_a_stranger_waits_two_turns_for_each_row_or_each_column_whichever_are_fewer(
    rows: int, columns: int, before: int
) -> None:
    turns: Turns[object, int, int] = Turns()

    def crowd() -> None:
        for row in range(rows):
            for column in range(columns):
                turns.add(object(), row, column)

    for _ in range(3):
        crowd()
    for _ in range(before):
        turns.take()
    stranger = object()
    turns.add(stranger, -1, -1)
    served = 0
    while turns.take() is not stranger:
        served += 1
        crowd()
    assert served <= 2 * min(rows, columns) + 1


def test_somebody_who_shares_the_row_of_one_crowd_and_the_column_of_another_is_served() -> None:
    turns: Turns[object, str, str] = Turns()
    wanted = object()
    turns.add(wanted, "crowded", "slow")
    for _ in range(10):
        turns.add(object(), "crowded", "mine")
        turns.add(object(), "theirs", "slow")
    assert wanted in [turns.take() for _ in range(6)]


@given(st.lists(PLACES, max_size=40))
def test_nothing_is_lost_and_a_place_keeps_its_order(places: list[tuple[int, int]]) -> None:
    turns: Turns[tuple[int, int, int], int, int] = Turns()
    items = [(number, row, column) for number, (row, column) in enumerate(places)]
    for item in items:
        turns.add(item, *item[1:])
    taken = []
    while (got := turns.take()) is not None:
        taken.append(got)
    assert sorted(taken) == items
    for place in set(places):
        assert [item for item in taken if item[1:] == place] == [item for item in items if item[1:] == place]
    assert turns.take() is None
    assert list(turns.sizes()) == []


def test_who_is_not_admitted_keeps_its_turn_and_stops_nobody() -> None:
    turns: Turns[str, str, str] = Turns()
    for item, row in (("1", "a"), ("2", "b"), ("3", "c")):
        turns.add(item, row, "p")
    assert turns.take(lambda row, _: row != "a") == "2"
    assert turns.take(lambda row, _: row == "nobody") is None
    assert turns.take() == "1"


def test_what_is_removed_waits_no_more() -> None:
    turns: Turns[str, str, str] = Turns()
    turns.add("1", "a", "p")
    turns.add("2", "a", "q")
    turns.add("3", "a", "q")
    assert turns.remove("1", "a", "p")
    assert not turns.remove("1", "a", "p")
    assert turns.take_place("a", "q") == ["2", "3"]
    assert not turns


@given(st.integers(0, 5), st.booleans())
def test_who_comes_anew_to_a_row_is_next_and_not_after_the_crowd_once_more(served: int, row_too: bool) -> None:
    turns: Turns[object, int, int] = Turns()
    for _ in range(20):
        turns.add(object(), 0, 0)
    for _ in range(served + 2):  # a turn by rows and one by columns, at least
        turns.take()
    mended = object()
    turns.add(mended, int(row_too), 1)
    assert turns.take() is mended


def test_newcomers_without_end_do_not_stop_who_was_there() -> None:
    turns: Turns[object, int, int] = Turns()
    crowd = object()
    turns.add(object(), 0, 0)
    turns.add(crowd, 0, 0)
    turns.take()
    for number in range(1, 12):
        turns.add(object(), 0, number)
        if turns.take() is crowd:
            return
    raise AssertionError("it was never served")
