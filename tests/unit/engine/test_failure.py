"""A failure is read back from a status as it was written."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from troth.engine.failure import Failure, Reason

_TEXTS = st.sampled_from(["", "x", "two words"])
_NUMBERS = st.none() | st.integers(0, 300)
_FAILURES = st.builds(
    Failure,
    st.sampled_from(get_args(Reason)),
    _TEXTS,
    pipeline=_TEXTS,
    file=_TEXTS,
    line=_NUMBERS,
    column=_NUMBERS,
    expression=_TEXTS,
    input=_TEXTS,
    value=_TEXTS,
    hint=_TEXTS,
    container=_TEXTS,
    exit_code=_NUMBERS,
    log=_TEXTS,
)
_ANYTHING: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just([{}])


@given(_FAILURES)
def test_a_failure_that_was_recorded_is_read_as_the_same_so_that_it_is_not_written_again(failure: Failure) -> None:
    assert Failure.from_status(failure.as_status()) == failure


@given(st.dictionaries(st.sampled_from(sorted(Failure("Refused", "m", "p", "f").as_status())), _ANYTHING))
def test_whatever_somebody_wrote_as_a_failure_is_read(fields: dict[str, Any]) -> None:
    found = Failure.from_status(fields)
    assert found is None or found.sentence() is not None
    assert Failure.from_status({**fields, "reason": "Unknown"}) is None
