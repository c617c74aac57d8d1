"""Planning, ownership and paths: properties, without any store."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import given

from troth.stores import Claim, Former, StoreError
from troth.stores.content import blob_id
from troth.stores.edits import Wish, former_holding, plan, read_claim, restore
from troth.stores.ownership import Ownership, Ownerships
from troth.stores.paths import ancestors, confine
from troth.stores.state_file import Record, parse_state_file, recorded_files, render_state_file
from troth.stores.tree import PathTree

names = st.sampled_from(["a", "b", "c", "x.yaml"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
trees = st.dictionaries(paths, st.sampled_from(["1", "2"]), max_size=12)


def clean(files: Mapping[str, str]) -> dict[str, str]:
    """Without files that are folders of others."""
    folders = {folder for path in files for folder in ancestors(path)}
    return {path: blob for path, blob in files.items() if path not in folders}


async def no_content() -> Mapping[str, bytes]:
    return {}


def claim(
    owner: str,
    files: Mapping[str, str],
    *,
    directory: str | None = None,
    state_file: str | None = None,
    adopts: bool = False,
) -> Claim:
    return Claim(owner, files, no_content, directory=directory, state_file=state_file, adopts=adopts)


class Simulation:
    """A store that does what the plans say."""

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self.tree = PathTree.of(files or {})
        self.ownership = Ownership()
        self.content: dict[str, bytes] = {}
        self.held: dict[str, frozenset[str]] = {}

    def restart(self) -> None:
        self.ownership = Ownership()
        self.held = {}

    def resume(self, former: Former) -> None:
        had = former_holding(former, self.tree, read=self.read, prefix="")
        restore(had, self.ownership, owner=former.owner, by=self)

    def read(self, blob: str) -> Record:
        return parse_state_file(self.content.get(blob, b""))

    def write(self, each: Claim) -> bool:
        wish = read_claim(each, prefix="")
        self.ownership.assign(wish.owner, wish.files, wish.claim.directory if wish.files else None)
        edit = plan(
            wish,
            self.tree,
            self.ownership,
            former=self.held.get(wish.owner, ()),
            read=self.read,
            prefix="",
        )
        for path in edit.removes:
            self.tree.remove(path)
        for path, blob in edit.writes.items():
            self.tree.put(path, blob)
        self.content[blob_id(edit.record)] = edit.record
        made = frozenset(wish.files) - edit.adopted
        self.held[wish.owner] = made
        if each.directory is None:
            self.ownership.provenance.note(made=made, adopted=edit.adopted, gone=edit.removes)
        return bool(edit)

    def files(self) -> dict[str, str | None]:
        return {path: self.tree.get(path) for path in self.tree.files()}


@pytest.mark.slow
@given(trees)
def test_a_tree_holds_what_was_put_and_forgets_what_was_removed(files: dict[str, str]) -> None:
    files = clean(files)
    tree = PathTree.of(files)
    assert {path: tree.get(path) for path in tree.files()} == files
    for folder in {above for path in files for above in ancestors(path)}:
        assert set(tree.under(folder)) == {path for path in files if path.startswith(f"{folder}/")}
    for path in files:
        tree.remove(path)
    assert list(tree.files()) == []
    assert tree.get("a") is None


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), trees, st.booleans()), max_size=12))
def test_after_any_sequence_the_store_is_what_the_last_claims_say(
    steps: list[tuple[str, dict[str, str], bool]],
) -> None:
    store = Simulation({"stranger.txt": "s"})
    wanted: dict[str, dict[str, str]] = {}
    for owner, files, restart in steps:
        if restart:
            store.restart()
            for each, mine in wanted.items():
                assert not store.write(claim(each, mine, directory=each))
        inside = {f"{owner}/{path}": blob for path, blob in clean(files).items()}
        store.write(claim(owner, inside, directory=owner))
        wanted[owner] = inside
        assert not store.write(claim(owner, inside, directory=owner))
    expected = {path: blob for files in wanted.values() for path, blob in files.items()}
    assert store.files() == expected | {"stranger.txt": "s"}


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), trees), max_size=10))
def test_owners_that_share_a_folder_never_touch_each_others_files(steps: list[tuple[str, dict[str, str]]]) -> None:
    store = Simulation()
    wanted: dict[str, dict[str, str]] = {}
    for owner, files in steps:
        mine = {f"shared/{path}": blob for path, blob in clean(files).items()}
        try:
            store.write(claim(owner, mine, state_file=f"shared/.kratix/default-{owner}.yaml"))
        except StoreError as error:
            assert error.reason == "PathConflict"  # noqa: PT017 - a conflict is one of the two right outcomes
        else:
            wanted[owner] = mine
        store.held = {}  # as after a restart: only the state files remember
    found = {path: blob for path, blob in store.files().items() if ".kratix" not in path}
    assert found == {path: blob for files in wanted.values() for path, blob in files.items()}


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sets(paths, max_size=4), st.none() | paths), max_size=12))
def test_ownership_never_gives_one_place_to_two(
    steps: list[tuple[str, set[str], str | None]],
) -> None:
    ownership = Ownership()
    held: dict[str, tuple[set[str], str | None]] = {}
    for owner, files, directory in steps:
        try:
            ownership.assign(owner, files, directory)
        except StoreError as error:
            assert owner in str(error)  # noqa: PT017 - the property is about what it says
            assert any(other in str(error) for other in held if other != owner)  # noqa: PT017
            continue
        held[owner] = (files, directory)
        for other, (theirs, folder) in held.items():
            if other == owner:
                continue
            assert not files & theirs
            for path in files:
                assert folder is None or (path != folder and folder not in ancestors(path))
            if directory is not None:
                assert all(directory != path and directory not in ancestors(path) for path in theirs)
                assert folder is None or not _nested(folder, directory)
    for owner in list(held):
        ownership.release(owner)
    ownership.assign("new", ["a", "b/c"], "d")


def _nested(one: str, other: str) -> bool:
    return one == other or one in ancestors(other) or other in ancestors(one)


@given(st.text(max_size=40))
def test_a_path_is_refused_or_stays_inside_and_is_its_own_normal_form(path: str) -> None:
    try:
        normal = confine(path, owner="o")
    except StoreError as error:
        assert error.reason == "InvalidPath"  # noqa: PT017 - a refusal is one of the two right outcomes
        return
    assert normal == posixpath.normpath(normal) == confine(normal, owner="o")
    assert not normal.startswith(("/", "../"))
    assert ".git" not in normal.lower().split("/")


@pytest.mark.parametrize(
    "path", [".g\u200cit/x", "a/.Git/config", "GIT~1/x", ".git./x", ".git::$INDEX/x", "x" * 256]
)
def test_spellings_that_some_file_system_folds_to_git_are_refused(path: str) -> None:
    with pytest.raises(StoreError, match="of o "):
        confine(path, owner="o")


def test_a_path_is_shown_shortened() -> None:
    with pytest.raises(StoreError) as caught:
        confine("/" + "x" * 5000, owner="o")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a/x": "1", "a/./x": "2"}, "twice"),
        ({"a": "1", "a/x": "2"}, "a file and a folder"),
        ({".kratix/s.yaml": "1"}, "record"),
    ],
)
def test_a_claim_that_contradicts_itself_is_refused(files: dict[str, str], problem: str) -> None:
    with pytest.raises(StoreError, match=problem) as caught:
        read_claim(claim("o", files, state_file=".kratix/s.yaml"), prefix="")
    assert not caught.value.retryable


async def test_content_is_found_under_the_spelling_of_the_claim() -> None:
    async def load() -> Mapping[str, bytes]:
        return {"a//x.yaml": b"1"}

    wish: Wish = read_claim(Claim("o", {"a//x.yaml": blob_id(b"1")}, load), prefix="")
    assert await wish.claim.load() == {"a/x.yaml": b"1"}


def test_a_state_file_is_kratixs_and_leaves_out_the_stores_prefix() -> None:
    content = render_state_file(
        ["clusters/prod/worker/b.yaml", "clusters/prod/worker/a.yaml"], prefix="clusters/prod"
    )
    assert content == b"files:\n- worker/b.yaml\n- worker/a.yaml\n"


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("files:\n- worker/a.yaml\n", ["pre/worker/a.yaml"]),
        ("files:\n- a.yaml\n", ["pre/worker/a.yaml"]),
        ("files:\n- ../../etc/passwd\n- /etc/passwd\n- worker-2/a.yaml\n- 7\n", ["pre/worker/worker-2/a.yaml"]),
        ("files: none\n", []),
        ("- a list\n", []),
        ("{{{", []),
    ],
)
def test_a_state_file_is_believed_only_about_its_own_destination(listed: str, found: list[str]) -> None:
    path = "pre/worker/.kratix/default-a.yaml"
    assert recorded_files(parse_state_file(listed.encode()), path=path, prefix="pre") == found


def test_a_forged_state_file_removes_nothing_of_others() -> None:
    store = Simulation({"w/stranger.yaml": "s"})
    store.write(claim("one", {"w/one.yaml": "1"}, state_file="w/.kratix/one.yaml"))
    forged = b"files:\n- w/one.yaml\n- w/stranger.yaml\n- ../x\n"
    store.content["forged"] = forged
    store.tree.put("w/.kratix/two.yaml", "forged")
    store.write(claim("two", {"w/two.yaml": "2"}, state_file="w/.kratix/two.yaml"))
    assert store.tree.get("w/one.yaml") == "1"


def test_two_writers_of_one_place_share_what_they_know_and_neither_forgets_for_the_other() -> None:
    registers = Ownerships()
    register, one, two = registers.at("repository#main"), object(), object()
    assert registers.at("repository#main") is register
    assert registers.at("repository#other") is not register
    register.assign("a", ["x"], None, by=one)
    with pytest.raises(StoreError):
        register.assign("b", ["x"], None, by=two)
    register.assign("a", ["x"], None, by=two)
    register.release("a", by=one)
    with pytest.raises(StoreError):
        register.assign("b", ["x"], None, by=one)
    assert register.is_claimed("x", by=two)
    assert not register.is_claimed("x", by=one)
    register.abandon(two)
    register.release("a", by=one)
    register.assign("b", ["x"], None, by=one)


def test_what_an_owner_had_before_never_replaces_what_is_claimed_now() -> None:
    register = Ownership()
    register.restore("a", ["x"], None)
    register.restore("b", ["x", "y"], None)
    register.assign("c", ["y"], None)
    register.assign("a", ["z"], None)
    register.restore("a", ["x"], None)
    register.assign("b", ["x"], None)
    with pytest.raises(StoreError):
        register.assign("c", ["z"], None)
