"""What is over within a moment is not reported, and what lasts is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from troth.api import Key
from troth.controllers.patience import Patience

KEY, OTHER = Key("works.platform.kratix.io", "team", "a"), Key("works.platform.kratix.io", "team", "b")
SECONDS = st.integers(0, 100)


@given(SECONDS, st.lists(SECONDS, min_size=1))
def test_a_state_is_reported_once_it_has_lasted_and_not_before(patience: int, looks: list[int]) -> None:
    found, (first, *later) = Patience(patience), sorted(looks)
    assert found.left(KEY, first) == patience
    for now in later:
        assert (found.left(KEY, now) == 0) == (now >= first + patience)


def test_a_state_that_comes_again_has_to_last_again_and_another_object_is_not_concerned() -> None:
    found = Patience(2.0)
    found.left(KEY, 0.0)
    found.left(OTHER, 0.0)
    found.forget(KEY)
    assert found.left(KEY, 2.0) == 2.0
    assert found.left(OTHER, 2.0) == 0.0
