"""Destinations of one place: who keeps it, who is refused, and what is only said."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.placement.neighbours import Folder, find_neighbours


def folder(
    name: str, path: str, mode: str = "nestedByMetadata", filename: str = "aggregated.yaml", store: str = "one"
) -> Folder:
    """Folders are as old as their names say."""
    return Folder(name, f"2026-01-01T00:00:0{ord(name[0]) - ord('a')}Z", path, store, mode, filename)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (folder("a", "prod"), folder("b", "prod")),
        (folder("a", ""), folder("b", "")),
        (folder("a", "prod"), folder("b", "prod", "none")),
        (folder("a", "prod", "aggregatedYAML", "a.yaml"), folder("b", "prod", "aggregatedYAML", "b.yaml")),
        (folder("a", "prod"), folder("b", "prod/resources")),
        (folder("a", "prod"), folder("b", "prod/resources/default/postgresql/orders")),
        (folder("a", "prod"), folder("b", "prod/dependencies/x", "none")),
        (folder("a", "prod/resources"), folder("b", "prod")),
        (folder("a", ""), folder("b", "resources/team")),
        (folder("a", "prod", "none"), folder("b", "prod/.kratix")),
        (folder("a", "prod", "none"), folder("b", "prod/.kratix/x")),
        (folder("a", "prod", "none"), folder("b", "prod/.trothkeep")),
        (folder("a", "prod", "aggregatedYAML", "x/all.yaml"), folder("b", "prod/x")),
        (folder("a", "prod", "aggregatedYAML", "all.yaml"), folder("b", "prod/all.yaml")),
        (folder("a", "prod", "aggregatedYAML", "all.yaml"), folder("b", "prod/all.yaml/x")),
    ],
)
def test_the_younger_of_two_that_would_meet_is_refused_and_told_of_the_other(
    first: Folder, second: Folder
) -> None:
    for order in permutations([first, second]):
        found = find_neighbours(order)
        assert not found["a"].taken_by
        assert found["b"].taken_by == "a"
        assert found["b"].taken_how.endswith(("Destination a", "Destination a would be written to"))


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (folder("a", ""), folder("b", "worker-1")),
        (folder("a", "clusters"), folder("b", "clusters/worker-1")),
        (folder("a", "clusters", "none"), folder("b", "clusters/worker-1")),
        (folder("a", "clusters", "none"), folder("b", "clusters/worker-1", "none")),
        (folder("a", "clusters", "aggregatedYAML"), folder("b", "clusters/x")),
        (folder("a", "clusters"), folder("b", "clusters/resources-2")),
        (folder("b", "clusters"), folder("a", "clusters/worker-1")),
    ],
)
def test_a_folder_in_another_where_nothing_can_be_lost_is_said_of_both(outer: Folder, inner: Folder) -> None:
    found = find_neighbours([outer, inner])
    assert not found["a"].taken_by
    assert not found["b"].taken_by
    assert found[inner.destination].around == (outer.destination,)
    assert list(found[outer.destination].inside.values()) == [inner.destination]
    for each, other in ((outer, inner), (inner, outer)):
        assert f"Destination {other.destination}" in found[each.destination].remark()


def test_folders_beside_each_other_are_no_neighbours() -> None:
    paths = ("prod", "prod-2", "pro", "a/b", "a/bc", "x/prod")
    found = find_neighbours([folder(chr(ord("a") + number), path) for number, path in enumerate(paths)])
    assert not any(each.taken_by or each.remark() for each in found.values())


def test_one_folder_through_two_stores_is_said() -> None:
    found = find_neighbours([folder("a", "prod"), folder("b", "prod", store="two"), folder("c", "prod")])
    assert not found["b"].taken_by
    assert "Destination b, through another store" in found["a"].remark()
    assert "Destination a, through another store" in found["b"].remark()
    assert found["c"].taken_by == "a"
    below = find_neighbours([folder("a", "prod"), folder("b", "prod/resources/x", store="two")])
    assert below["b"].taken_by == "a"


@pytest.mark.parametrize("twin", ["Prod", "PROD", "\uff50rod"])
def test_spellings_that_some_file_systems_take_for_one_are_said(twin: str) -> None:
    found = find_neighbours([folder("a", "prod"), folder("b", twin)])
    assert not found["b"].taken_by
    assert "Destination b" in found["a"].remark()
    assert "Destination a" in found["b"].remark()


def test_a_refused_one_keeps_nobody_out() -> None:
    found = find_neighbours(
        [folder("a", "prod"), folder("b", "prod/resources", "none"), folder("c", "prod/resources/.kratix/x")]
    )
    assert found["b"].taken_by == "a"
    assert found["c"].taken_by == "a"


def test_no_file_of_an_outer_one_may_lie_in_an_inner_one() -> None:
    found = find_neighbours([folder("a", "", "none"), folder("b", "worker-1"), folder("c", "worker-1/sub")])
    assert found["a"].stranger_at("worker-1/resources/x.yaml") == "b"
    assert found["a"].stranger_at("worker-1") == "b"
    assert found["a"].stranger_at("worker-1/sub/x.yaml") == "c"
    assert found["a"].stranger_at("worker-10/x.yaml") == ""
    assert found["b"].stranger_at("resources/x.yaml") == ""
    assert found["b"].stranger_at("sub/x.yaml") == "c"


def test_of_many_only_some_are_named() -> None:
    found = find_neighbours([folder("a", ""), *(folder(f"b{number}", f"w{number}") for number in range(9))])
    assert "b0, b1, b2 and 6 more" in found["a"].remark()


PATHS = st.lists(st.sampled_from(["a", "b", "resources", ".kratix", "x.yaml"]), max_size=3).map("/".join)
MODES = st.sampled_from(["nestedByMetadata", "none", "aggregatedYAML"])


@given(st.lists(st.tuples(PATHS, MODES), max_size=8))
def test_the_judgement_depends_on_age_alone(drawn: list[tuple[str, str]]) -> None:
    folders = [folder(chr(ord("a") + n), path, mode, "x.yaml") for n, (path, mode) in enumerate(drawn)]
    found = find_neighbours(folders)
    assert found == find_neighbours(reversed(folders))
    assert found.keys() == {each.destination for each in folders}
    accepted = [each for each in folders if not found[each.destination].taken_by]
    assert len({each.path for each in accepted}) == len(accepted)
    assert find_neighbours(accepted) == {each.destination: found[each.destination] for each in accepted}
