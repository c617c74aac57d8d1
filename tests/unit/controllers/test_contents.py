"""Contents: the newest stay, within a bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from troth.controllers.contents import Contents


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 40)), max_size=60), st.integers(40, 200))
def test_it_never_holds_more_than_its_bound_and_always_the_newest(puts: list[tuple[int, int]], limit: int) -> None:
    contents = Contents(limit=limit)
    sizes: dict[str, int] = {}
    for name, size in puts:
        blob = str(name)
        sizes.setdefault(blob, size)
        if contents.get(blob) is None:
            sizes[blob] = size
        contents.put(blob, "x" * sizes[blob])
        assert contents.get(blob) == "x" * sizes[blob]
        assert sum(len(contents.get(key) or "") for key in sizes) <= limit
