"""Any bytes whatever that others write into a store are read within bounds, and with an error of our own or none."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.stores.test_edits import Simulation, claim
from troth.stores import Former
from troth.stores.errors import StoreError
from troth.stores.foreign import LARGEST, Unreadable, read_json, read_yaml
from troth.stores.git_repository import parse_batch, parse_difference, parse_names, parse_tree, small_blobs
from troth.stores.kubernetes_inventory import Inventory, read_inventory
from troth.stores.state_file import Record, parse_state_file, recorded_files, render_state_file

YAML_LIKE = st.text(alphabet="[]{}:,-&*!<>|'\"#% \n\tfiles0129e_.~?@`é\x00\x07", max_size=80)
BYTES = st.one_of(
    st.binary(max_size=200), YAML_LIKE.map(str.encode), YAML_LIKE.map(lambda t: f"files: {t}".encode())
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
)
BOMB = "a: &a {x: [1,2,3,4,5,6,7,8,9]}\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} {{<<: [{', '.join(['*' + chr(97 + n)] * 9)}]}}\n" for n in range(9)
)


@given(BYTES)
def test_a_state_file_of_any_bytes_is_read_or_set_aside(content: bytes) -> None:
    record = parse_state_file(content)
    assert all(isinstance(entry, str) for entry in record.entries)
    assert all(
        path.startswith("w/")
        for path in recorded_files(parse_state_file(content), path="w/.kratix/a.yaml", prefix="")
    )


@given(st.lists(st.text(alphabet="abc/-._ 0129:é", min_size=1, max_size=20), unique=True))
def test_what_we_write_is_read_again_without_a_complaint(files: list[str]) -> None:
    assert parse_state_file(render_state_file(files, prefix="")) == Record(tuple(files))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("files: [!!int x]", "tag"),
        ("files: [5]", "not a path"),
        ("files: [~]", "not a path"),
        ("files: 5", "no list"),
        ("files: [a", "YAML"),
        ("files: [a]\n---\nfiles: [b]", "more than one document"),
        ("files: [a]\nfiles: [b]", "twice"),
        ("x: &a [b]\nfiles: *a", "alias"),
        ("files: " + "[" * 100_000, "deeper"),
        ("files: " + "{a: " * 100_000, "deeper"),
        (BOMB, "alias"),
        ("files: [!!python/object/apply:os.system [id]]", "tag"),
        ("files:\n" + "- abcdefghi\n" * (LARGEST // 12 + 1), "larger"),
        ("\x00", "YAML"),
        ("files: [" + "a," * 1_000_000 + "]", "more than"),
        ("".join(f"k{number}: 1\n" for number in range(100_000)), "more than"),
    ],
)
def test_a_bad_state_file_is_set_aside_at_once_and_says_why(text: str, problem: str) -> None:
    began = time.process_time()
    assert problem in parse_state_file(text.encode()).problem
    assert time.process_time() - began < 1


def test_a_date_in_a_state_file_is_a_path_whether_there_is_such_a_day_or_not() -> None:
    record = parse_state_file(b"files: [2024-99-99, 2024-01-01]")
    assert record == Record(("2024-99-99", "2024-01-01"))


@given(st.one_of(st.none(), st.text(), JSON.map(json.dumps), st.integers()))
def test_an_inventory_of_any_text_is_read_or_set_aside(objects: Any) -> None:
    inventory = read_inventory({"data": {"owner": "o", "digest": "d", "objects": objects, "stamps": objects}})
    assert isinstance(inventory, Inventory)
    assert not (inventory.problem and (inventory.entries or inventory.digest))


@pytest.mark.slow
@given(JSON)
def test_a_config_map_of_any_shape_is_read_or_set_aside(data: Any) -> None:
    assert isinstance(read_inventory({"data": data}), Inventory)


@pytest.mark.parametrize("objects", ["[" * 100_000, '["abcd"]', '[["v1","Pod","",1]]', "{}", "[1e999]", "NaN"])
def test_a_bad_inventory_names_nothing_and_says_why(objects: str) -> None:
    inventory = read_inventory({"data": {"owner": "o", "digest": "d", "objects": objects}})
    assert inventory.problem.startswith("cannot be read")
    assert (inventory.owner, inventory.entries, inventory.digest) == ("o", frozenset(), "")


@given(BYTES)
def test_any_bytes_are_plain_values_or_refused_with_one_error(content: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert _depth_of_plain(read_yaml(content)) <= 16
    with contextlib.suppress(Unreadable):
        assert _depth_of_plain(read_json(content.decode(errors="replace"))) <= 1024


def _depth_of_plain(value: Any) -> int:
    """How deep a value nests that is made of nothing but maps, lists and scalars of JSON."""
    if isinstance(value, dict):
        assert all(type(key) is str for key in value)
        return 1 + max((_depth_of_plain(child) for child in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth_of_plain(child) for child in value), default=0)
    assert type(value) in (str, int, float, bool, type(None))
    return 0


def test_an_owner_whose_record_is_spoilt_writes_it_anew_and_removes_nothing_on_its_word() -> None:
    store = Simulation({"w/x.yaml": "x"})
    store.write(claim("one", {"w/a.yaml": "1"}, state_file="w/.kratix/one.yaml"))
    good = store.tree.get("w/.kratix/one.yaml")
    store.restart()
    store.content["spoilt"] = b"files: [w/x.yaml, !!int x]"
    store.tree.put("w/.kratix/one.yaml", "spoilt")
    store.resume(Former("one", state_file="w/.kratix/one.yaml"))
    store.write(claim("one", {"w/a.yaml": "1"}, state_file="w/.kratix/one.yaml"))
    assert store.files() == {"w/x.yaml": "x", "w/a.yaml": "1", "w/.kratix/one.yaml": good}


def test_an_owner_that_leaves_waits_until_its_spoilt_record_is_repaired() -> None:
    store = Simulation()
    store.write(claim("one", {"w/a.yaml": "1"}, state_file="w/.kratix/one.yaml"))
    good = store.tree.get("w/.kratix/one.yaml")
    assert good
    store.restart()
    store.content["spoilt"] = b"files: ["
    store.tree.put("w/.kratix/one.yaml", "spoilt")
    with pytest.raises(StoreError, match=r"the record 'w/.kratix/one.yaml' is not YAML.*repair it"):
        store.write(claim("one", {}, state_file="w/.kratix/one.yaml"))
    assert store.tree.get("w/a.yaml") == "1"
    store.write(claim("two", {"w/b.yaml": "2"}, state_file="w/.kratix/two.yaml"))
    store.tree.put("w/.kratix/one.yaml", good)
    store.write(claim("one", {}, state_file="w/.kratix/one.yaml"))
    assert set(store.files()) == {"w/b.yaml", "w/.kratix/two.yaml"}


GIT_NAMES = st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name)


@given(st.dictionaries(GIT_NAMES, st.sampled_from([b"100644", b"120000", b"160000", b"100755"])))
def test_file_names_of_any_bytes_are_read_from_git(names: dict[bytes, bytes]) -> None:
    blob = b"a" * 40
    listed = b"".join(b"%s blob %s\t%s\0" % (mode, blob, name) for name, mode in names.items())
    found = {path.encode(errors="surrogateescape") for path in parse_tree(listed).files()}
    assert any(b"/" in name for name in names) or found == set(names)
    changed = b"".join(b":%s %s %s %s M\0%s\0" % (m, m, blob, blob, name) for name, m in names.items())
    assert [path.encode(errors="surrogateescape") for path, _ in parse_difference(changed)] == list(names)
    assert parse_names(b"\0".join(names), frozenset(), frozenset()) == {}


@given(st.lists(st.binary(max_size=100)))
def test_blobs_of_any_bytes_are_read_from_git(blobs: list[bytes]) -> None:
    answer = b"".join(b"%040d blob %d\n%s\n" % (n, len(each), each) for n, each in enumerate(blobs))
    assert [content for _, content in parse_batch(answer + b"f" * 40 + b" missing\n")] == blobs
    checked = b"".join(b"%040d blob %d\n" % (n, len(each)) for n, each in enumerate(blobs)) + b"f missing\n"
    sizes = sorted((len(each), n) for n, each in enumerate(blobs) if len(each) <= 50)
    small, total = small_blobs(checked, 50, 200)
    assert small == [b"%040d\n" % n for _, n in sizes][: len(small)]
    assert total == sum(size for size, _ in sizes[: len(small)]) <= 200
    assert len(small) == len(sizes) or total + sizes[len(small)][0] > 200
