"""One object, one owner: held against a register that is a plain map."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.stores.errors import Reason, StoreError
from troth.stores.kubernetes_objects import ObjectKey
from troth.stores.kubernetes_ownership import ObjectOwnership

KEYS = [ObjectKey("", "ConfigMap", "default", name) for name in "abc"]
OWNERS = ["first", "second", "third"]

owners = st.sampled_from(OWNERS)
keys = st.frozensets(st.sampled_from(KEYS))


def answer_always(*, yields: bool) -> Callable[[str, ObjectKey], bool]:
    return lambda _owner, _key: yields


@given(st.lists(st.tuples(st.sampled_from(["assign", "take away", "free"]), owners, keys, st.booleans())))
def test_an_object_has_the_owner_that_a_plain_map_says(
    steps: list[tuple[str, str, frozenset[ObjectKey], bool]],
) -> None:
    register = ObjectOwnership()
    model: dict[ObjectKey, str] = {}
    for step, owner, wanted, yields in steps:
        if step == "assign":
            free = all(model.get(key, owner) == owner for key in wanted)
            with contextlib.nullcontext() if free else pytest.raises(StoreError):
                register.assign(owner, wanted)
            if free:
                model = {key: each for key, each in model.items() if each != owner} | dict.fromkeys(wanted, owner)
        elif step == "take away":
            register.take_away(owner, wanted)
            model = {key: each for key, each in model.items() if not (each == owner and key in wanted)}
        else:
            register.free_for(owner, wanted, yields=answer_always(yields=yields))
            if yields:
                model = {key: each for key, each in model.items() if key not in wanted or each == owner}
        for key in KEYS:
            for other in OWNERS:
                assert register.is_foreign(other, key) == (model.get(key, other) != other)
        assert set(model.values()) <= set(register.owners)


def test_whoever_comes_second_is_told_who_was_first() -> None:
    register = ObjectOwnership()
    register.assign("first", KEYS[:1])
    with pytest.raises(
        StoreError, match=r"ConfigMap default/a is claimed by both first and second; first was first"
    ) as told:
        register.assign("second", KEYS)
    assert told.value.reason == Reason.PATH_CONFLICT


def test_an_owner_without_objects_is_forgotten() -> None:
    register = ObjectOwnership()
    register.assign("first", KEYS)
    register.assign("first", ())
    assert list(register.owners) == []


def test_only_what_another_owner_yields_is_freed() -> None:
    register = ObjectOwnership()
    register.assign("first", KEYS)
    register.free_for("second", KEYS, yields=lambda other, key: (other, key) == ("first", KEYS[0]))
    assert [register.is_foreign("second", key) for key in KEYS] == [False, True, True]
