"""The record of what an owner has in a shared folder is understood wherever it lies."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from troth.stores.state_file import parse_state_file, recorded_files, render_state_file

PREFIXES = st.lists(st.sampled_from(["p", "q"]), max_size=3).map("/".join)
DESTINATIONS = st.lists(st.sampled_from(["d", "e"]), min_size=1, max_size=3).map("/".join)
FILES = st.lists(st.sampled_from(["x.yaml", "y/z.yaml", "p/x.yaml"]), min_size=1, unique=True)


@given(PREFIXES, PREFIXES, DESTINATIONS, FILES)
def test_a_record_that_was_written_under_another_prefix_names_the_same_files(
    then: str, now: str, destination: str, names: list[str]
) -> None:
    base = "/".join(part for part in (then, destination) if part)
    files = [f"{base}/{name}" for name in names]
    record = render_state_file(files, prefix=then)
    assert recorded_files(parse_state_file(record), path=f"{base}/.kratix/a.yaml", prefix=now) == files


def test_a_record_relative_to_the_destination_is_read_too() -> None:
    record = yaml.safe_dump({"files": ["x.yaml", "y/z.yaml"]}).encode()
    found = recorded_files(parse_state_file(record), path="p/d/.kratix/a.yaml", prefix="p")
    assert found == ["p/d/x.yaml", "p/d/y/z.yaml"]


def test_a_record_never_names_what_lies_outside_its_destination() -> None:
    record = yaml.safe_dump({"files": ["../other/x.yaml", "/etc/passwd", "p/other/x.yaml", 5]}).encode()
    found = recorded_files(parse_state_file(record), path="p/d/.kratix/a.yaml", prefix="p")
    assert all(path.startswith("p/d/") for path in found)
