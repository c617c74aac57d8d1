"""What nobody here made is neither written over nor deleted, in a repository as in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.file_stores import DirectoryStore, GitStore
from tests.store_contract import Claims, manifest
from tests.unit.stores.test_edits import Simulation, claim, clean, trees
from troth.dev.git_server import git
from troth.stores import Former, StateStoreWriter, StoreError
from troth.stores.paths import as_one_path
from troth.stores.state_file import parse_state_file
from troth.stores.tree import PathTree

BY_HAND = {
    ".github/workflows/ci.yaml": b"on: push\n",
    "apps/by-hand.yaml": b"kind: ByHand\n",
    "README.md": b"# Read me\n",
}
RECORD = "{}.kratix/default-{}.yaml"


class Place:
    """A store of files with what somebody made there by hand."""

    def __init__(self, store: GitStore | DirectoryStore) -> None:
        self.store = store
        self.claims = Claims("default")
        self.put(BY_HAND)

    def put(self, files: Mapping[str, bytes]) -> None:
        if isinstance(self.store, GitStore):
            self.store.push(files)
            return
        for path, content in files.items():
            target = self.store.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def remove(self, path: str) -> None:
        if isinstance(self.store, GitStore):
            self.store.push({}, [path])
        else:
            (self.store.root / path).unlink()

    async def open(self, *former: Former) -> StateStoreWriter:
        writer = self.store.writer()
        await writer.resume(former)
        return writer

    async def write(
        self,
        writer: StateStoreWriter,
        owner: str,
        files: Mapping[str, str],
        *,
        folder: str = "",
        adopts: bool = False,
    ) -> None:
        record = RECORD.format(folder, owner)
        await writer.write(self.claims(owner, files, directory=None, state_file=record, adopts=adopts))

    def by_hand(self) -> dict[str, bytes]:
        files = self.store.files()
        return {path: files[path] for path in BY_HAND if path in files}

    def record(self, owner: str) -> tuple[list[str], list[str]]:
        record = parse_state_file(self.store.files()[RECORD.format("", owner)])
        return list(record.entries), list(record.adopted)


@pytest.fixture(params=["git", "directory"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    store = GitStore(tmp_path) if request.param == "git" else DirectoryStore(tmp_path)
    yield Place(store)
    await store.close()


@pytest.mark.parametrize("path", BY_HAND)
async def test_a_file_that_somebody_made_is_neither_written_over_nor_deleted_with_the_request(
    place: Place, path: str
) -> None:
    writer = await place.open()
    with pytest.raises(
        StoreError, match=r"exists in the store, and Troth did not make it.*existing: Adopt"
    ) as caught:
        await place.write(writer, "a", {"mine.yaml": "1", path: "1"})
    assert caught.value.reason == "NotOurs"
    assert path in caught.value.message
    assert "mine.yaml" not in place.store.files()
    for again in (writer, await place.open(Former("a", state_file=RECORD.format("", "a")))):
        await place.write(again, "a", {})
        assert place.by_hand() == BY_HAND


async def test_a_file_that_already_is_what_is_wanted_is_no_less_somebody_elses(place: Place) -> None:
    place.put({"same.yaml": manifest("same.yaml", "1", "default")})
    writer = await place.open()
    with pytest.raises(StoreError, match="did not make it"):
        await place.write(writer, "a", {"same.yaml": "1"})
    await place.write(writer, "a", {})
    assert "same.yaml" in place.store.files()


async def test_an_edit_that_names_such_a_file_is_refused_and_loses_nothing_of_what_was_there(place: Place) -> None:
    writer = await place.open()
    await place.write(writer, "a", {"a.yaml": "1"})
    with pytest.raises(StoreError, match="did not make it"):
        await place.write(writer, "a", {"apps/by-hand.yaml": "1"})
    assert place.by_hand() == BY_HAND
    assert await place.store.contents() == {"a.yaml": "1"}
    with pytest.raises(StoreError, match=r"\ba\b.*\bb\b"):
        await place.write(writer, "b", {"a.yaml": "2"})
    await place.write(writer, "a", {})
    assert await place.store.contents() == {}
    assert place.by_hand() == BY_HAND


async def test_what_stood_in_the_way_may_be_removed_and_then_the_file_is_ours(place: Place) -> None:
    writer = await place.open()
    with pytest.raises(StoreError):
        await place.write(writer, "a", {"apps/by-hand.yaml": "1"})
    place.remove("apps/by-hand.yaml")
    assert await writer.refresh()
    await place.write(writer, "a", {"apps/by-hand.yaml": "1"})
    await place.write(writer, "a", {})
    assert "apps/by-hand.yaml" not in place.store.files()


async def test_one_that_is_refused_stops_nobody_in_the_same_commit(place: Place) -> None:
    writer = await place.open()
    owners = [f"o{number}" for number in range(6)]
    wanted = {owner: "README.md" if owner == "o3" else f"{owner}.yaml" for owner in owners}
    answers = await asyncio.gather(
        *(place.write(writer, owner, {path: "1"}) for owner, path in wanted.items()), return_exceptions=True
    )
    assert [type(answer) for answer in answers].count(StoreError) == 1
    assert await place.store.contents() == {f"{owner}.yaml": "1" for owner in owners if owner != "o3"}
    assert place.by_hand() == BY_HAND


async def test_what_is_adopted_is_written_and_left_when_nobody_wants_it_any_more(place: Place) -> None:
    writer = await place.open()
    await place.write(writer, "a", {"apps/by-hand.yaml": "1", "new.yaml": "1"}, adopts=True)
    assert place.record("a") == (["new.yaml"], ["apps/by-hand.yaml"])
    before = await place.store.revision()
    for again in (writer, await place.open(Former("a", state_file=RECORD.format("", "a")))):
        await place.write(again, "a", {"apps/by-hand.yaml": "1", "new.yaml": "1"})
        assert await place.store.revision() == before
    # adopted once is adopted: the permission may go
    await place.write(again, "a", {"apps/by-hand.yaml": "2", "new.yaml": "2"})
    assert await place.store.contents() == {"apps/by-hand.yaml": "2", "new.yaml": "2"}
    await place.write(await place.open(), "a", {})
    assert await place.store.contents() == {"apps/by-hand.yaml": "2"}


async def test_somebody_who_may_push_gives_a_file_to_one_owner_by_its_record(place: Place) -> None:
    writer = await place.open()
    record = RECORD.format("", "a")
    for owner, path in (("a", "apps/by-hand.yaml"), ("b", "README.md")):
        with pytest.raises(StoreError, match=f"under adopted in '.kratix/default-{owner}.yaml'"):
            await place.write(writer, owner, {path: "1"})
    place.put({record: b"adopted: [apps/by-hand.yaml, README.md]\n"})
    assert await writer.refresh()
    await place.write(writer, "a", {"apps/by-hand.yaml": "1"})
    assert place.record("a") == ([], ["apps/by-hand.yaml"])
    with pytest.raises(StoreError, match="did not make it"):
        await place.write(writer, "b", {"README.md": "1"})
    await place.write(writer, "a", {})
    assert await place.store.contents() == {"apps/by-hand.yaml": "1"}


async def test_what_is_adopted_stays_when_its_path_changes(place: Place) -> None:
    writer = await place.open()
    await place.write(writer, "a", {"apps/by-hand.yaml": "1"}, adopts=True)
    await place.write(writer, "a", {"moved.yaml": "1"})
    assert await place.store.contents() == {"apps/by-hand.yaml": "1", "moved.yaml": "1"}
    assert place.record("a") == (["moved.yaml"], [])


async def test_an_adopted_file_that_somebody_removes_is_made_anew_and_ours_from_then_on(place: Place) -> None:
    writer = await place.open()
    await place.write(writer, "a", {"apps/by-hand.yaml": "1"}, adopts=True)
    place.remove("apps/by-hand.yaml")
    await place.write(writer, "a", {"apps/by-hand.yaml": "1"})
    assert place.record("a") == (["apps/by-hand.yaml"], [])
    await place.write(writer, "a", {})
    assert await place.store.contents() == {}


@pytest.mark.parametrize("former", [True, False])
async def test_what_an_earlier_release_or_kratix_made_goes_on_as_it_was(place: Place, former: bool) -> None:
    place.put(
        {
            "w/a.yaml": manifest("w/a.yaml", "1", "default"),
            "w/gone.yaml": b"kind: Gone\n",
            "w/.kratix/default-a.yaml": b"files:\n- w/a.yaml\n- w/gone.yaml\n",
        }
    )
    writer = await place.open(*([Former("a", state_file="w/.kratix/default-a.yaml")] if former else []))
    await place.write(writer, "a", {"w/a.yaml": "2"}, folder="w/")
    assert await place.store.contents() == {"w/a.yaml": "2"}
    assert "w/gone.yaml" not in place.store.files()
    await place.write(writer, "a", {}, folder="w/")
    assert set(place.store.files()) == set(BY_HAND)


@pytest.mark.parametrize("spoilt", [b"files: [!!int x]\n", None], ids=["spoilt", "removed"])
async def test_whoever_is_known_to_have_files_keeps_them_when_its_record_is_gone(
    place: Place, spoilt: bytes | None
) -> None:
    record = RECORD.format("", "a")
    await place.write(await place.open(), "a", {"x.yaml": "1"})
    if spoilt is None:
        place.remove(record)
    else:
        place.put({record: spoilt})
    with pytest.raises(StoreError, match="did not make it"):
        await place.write(await place.open(Former("a", state_file=record, written=False)), "a", {"x.yaml": "2"})
    writer = await place.open(Former("a", state_file=record))
    await place.write(writer, "a", {"x.yaml": "2"})
    assert await place.store.contents() == {"x.yaml": "2"}
    with pytest.raises(StoreError, match="did not make it"):
        await place.write(writer, "a", {"x.yaml": "2", "README.md": "1"})


@pytest.mark.parametrize(
    ("path", "twin"),
    [
        ("readme.md", "README.md"),
        ("README.md.", "README.md"),
        ("README.md ", "README.md"),
        ("Apps/By-Hand.yaml", "apps/by-hand.yaml"),
        ("re\u200cadme.md", "README.md"),
        ("README.md/inside.yaml", "README.md"),
        ("readme.md/inside.yaml", "README.md"),
        ("APPS", "apps"),
        (".GitHub/workflows/CI.yaml", ".github/workflows/ci.yaml"),
    ],
)
async def test_a_path_that_some_file_system_takes_for_that_of_another_file_is_refused(
    place: Place, path: str, twin: str
) -> None:
    writer = await place.open()
    with pytest.raises(StoreError) as caught:
        await place.write(writer, "a", {path: "1"}, adopts=True)
    assert caught.value.reason == "PathConflict"
    assert repr(twin) in caught.value.message
    assert set(place.store.files()) == set(BY_HAND)


async def test_two_owners_do_not_get_two_spellings_of_one_path(place: Place) -> None:
    place.put({"stra\u00dfe.yaml": b"kind: A\n"})
    writer = await place.open()
    await place.write(writer, "a", {"x/\u00e9.yaml": "1"})
    for path in ("x/e\u0301.yaml", "X/\u00c9.YAML"):
        with pytest.raises(StoreError, match=r"claimed by both a and b"):
            await place.write(writer, "b", {path: "1"})
    with pytest.raises(StoreError, match="take both for one file"):
        await place.write(writer, "b", {"STRASSE.yaml": "1"})
    # of its own file an owner may change the spelling
    await place.write(writer, "a", {"x/\u00c9.yaml": "1"})
    assert await place.store.contents() == {"x/\u00c9.yaml": "1"}


@pytest.mark.parametrize(
    "path", [".kratix/default-b.yaml", "sub/.kratix/default-b.yaml", "sub/.KRATIX/x.yaml", "sub/.kratix./x.yaml"]
)
async def test_nobody_writes_the_records_of_others(place: Place, path: str) -> None:
    writer = await place.open()
    with pytest.raises(StoreError, match="kept for the records of files") as caught:
        await place.write(writer, "a", {path: "1"}, adopts=True)
    assert not caught.value.retryable


async def test_what_only_might_be_an_owners_is_not_deleted(place: Place) -> None:
    writer = await place.open()
    await writer.write(place.claims("d", {}, directory=None, obsolete=tuple(BY_HAND)))
    assert place.by_hand() == BY_HAND
    assert await writer.finds_foreign("README.md")
    assert not await writer.finds_foreign("all.yaml")
    await writer.write(place.claims("d", {"all.yaml": "1"}, directory=None))
    assert not await writer.finds_foreign("all.yaml")
    again = await place.open(Former("d", ("all.yaml",)))
    assert not await again.finds_foreign("all.yaml")
    await again.write(place.claims("d", {}, directory=None, obsolete=("all.yaml",)))
    assert "all.yaml" not in place.store.files()


async def test_a_link_or_a_submodule_is_somebody_elses_and_nothing_is_written_through_it(tmp_path: Path) -> None:
    store = GitStore(tmp_path)
    head = store.head().encode()
    git(
        store.repository,
        "fast-import",
        "--quiet",
        stdin=b"commit refs/heads/main\ncommitter A <a@b> 0 +0000\ndata 1\nx\nfrom refs/heads/main^0\n"
        b"M 120000 inline link\ndata 11\n/etc/passwd\nM 160000 " + head + b" module\n",
    )
    place = Place(store)
    writer = await place.open()
    for path in ("link", "module"):
        with pytest.raises(StoreError, match="did not make it"):
            await place.write(writer, "a", {path: "1"})
    for path, what in (("link/x.yaml", "a symbolic link"), ("module/x.yaml", "a submodule")):
        with pytest.raises(StoreError, match=f"{what} stands at"):
            await place.write(writer, "a", {path: "1"})
    await place.write(writer, "a", {})
    listed = git(store.repository, "ls-tree", "main").decode().splitlines()
    assert {line.split()[0] for line in listed} >= {"120000", "160000"}
    await store.close()


async def test_a_push_that_a_rule_refuses_makes_nobody_an_owner(tmp_path: Path) -> None:
    store = GitStore(tmp_path)
    store.hook("update", "exit 1")
    place_hook = store.repository / "hooks" / "update"
    claims = Claims("default")
    writer = store.writer()
    mine = claims("a", {"later.yaml": "1"}, directory=None, state_file=RECORD.format("", "a"))
    with pytest.raises(StoreError):
        await writer.write(mine)
    place_hook.unlink()
    store.push({"later.yaml": b"kind: ByHand\n"})
    with pytest.raises(StoreError, match="did not make it"):
        await writer.write(mine)
    await writer.write(claims("a", {}, directory=None, state_file=RECORD.format("", "a")))
    assert store.files()["later.yaml"] == b"kind: ByHand\n"
    await store.close()


async def test_a_branch_that_is_set_back_before_the_request_takes_nothing_from_anybody(tmp_path: Path) -> None:
    store = GitStore(tmp_path)
    place = Place(store)
    before = store.head()
    writer = await place.open()
    await place.write(writer, "a", {"x.yaml": "1"})
    store.rewind(before)
    again = await place.open(Former("a", state_file=RECORD.format("", "a")))
    await place.write(again, "a", {"x.yaml": "1"})
    assert await store.contents() == {"x.yaml": "1"}
    assert place.by_hand() == BY_HAND
    await store.close()


async def test_a_folder_that_is_killed_at_any_moment_forgets_nothing_of_what_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record names every file before it is there, and until it is gone."""
    from troth.stores import directory

    class Killed(BaseException):
        pass

    steps = [{"a.yaml": "1", "b.yaml": "1"}, {"b.yaml": "2", "c.yaml": "1"}, {}]
    folder_type = directory._Folder
    for moment in range(40):
        folder = tmp_path / str(moment)
        folder.mkdir()
        store = DirectoryStore(folder)
        left = [moment]

        def dying(method: str, left: list[int] = left) -> None:
            original = getattr(folder_type, method)

            def work(self: object, *arguments: object, **named: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return original(self, *arguments, **named)

            monkeypatch.setattr(folder_type, method, work)

        for method in ("_write", "_remove"):
            dying(method)
        place = Place(store)
        done = True
        for files in steps:
            try:
                await place.write(await place.open(), "a", files)
            except Killed:
                done = False
                break
        monkeypatch.undo()
        await place.write(await place.open(), "a", steps[1])
        assert await store.contents() == steps[1]
        await place.write(await place.open(), "a", {})
        assert set(store.files()) == set(BY_HAND), moment
        if done:
            return
    raise AssertionError("it never came through")


async def test_a_root_that_is_replaced_by_a_link_is_told_and_not_followed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    claims = Claims("default")
    writer = store.writer()
    await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    elsewhere = tmp_path / "elsewhere"
    store.root.rename(elsewhere)
    store.root.symlink_to(elsewhere)
    for attempt in (
        writer.check,
        writer.refresh,
        lambda: writer.write(claims("a", {"resources/a/x.yaml": "2"})),
        lambda: writer.write(claims("a", {})),
        lambda: writer.finds_foreign("x"),
    ):
        with pytest.raises(StoreError, match="has become a symbolic link") as caught:
            await attempt()
        assert caught.value.reason == "LocalPathRefused"
        assert caught.value.retryable
    assert (elsewhere / "resources/a/x.yaml").read_bytes() == manifest("resources/a/x.yaml", "1", "default")
    store.root.unlink()
    elsewhere.rename(store.root)
    await writer.write(claims("a", {"resources/a/x.yaml": "2"}))
    await store.close()


async def test_a_link_above_the_root_is_told_too(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    store = DirectoryStore(above)
    writer = store.writer()
    above.rename(tmp_path / "moved")
    above.symlink_to(tmp_path / "moved")
    with pytest.raises(StoreError, match="has become a symbolic link"):
        await writer.refresh()
    await store.close()


@given(
    trees.map(clean),
    st.lists(
        st.tuples(st.sampled_from(["one", "two"]), trees, st.sampled_from(["", "restart", "adopt"])), max_size=8
    ),
)
def test_whatever_is_asked_for_nothing_that_was_there_is_changed_unless_it_is_adopted_or_ever_deleted(
    before: dict[str, str], steps: list[tuple[str, dict[str, str], str]]
) -> None:
    store = Simulation({path: f"by hand {blob}" for path, blob in before.items()})
    adopted: set[str] = set()
    for owner, files, how in steps:
        if how == "restart":
            store.restart()
            for each in ("one", "two"):
                store.resume(Former(each, state_file=f".kratix/{each}.yaml", written=False))
        wanted = clean(files)
        try:
            store.write(claim(owner, wanted, state_file=f".kratix/{owner}.yaml", adopts=how == "adopt"))
        except StoreError as error:
            assert error.reason in {"NotOurs", "PathConflict"}  # noqa: PT017 - a refusal is one of the right outcomes
        else:
            if how == "adopt":
                adopted |= wanted.keys()
        for path, blob in before.items():
            assert store.tree.get(path) is not None
            assert path in adopted or store.tree.get(path) == f"by hand {blob}"
    for owner in ("one", "two"):
        store.write(claim(owner, {}, state_file=f".kratix/{owner}.yaml"))
    assert store.files().keys() == before.keys()


@given(
    st.dictionaries(
        st.lists(st.sampled_from(["a", "A", "b.", "b", "\u00e9", "e\u0301"]), min_size=1, max_size=3).map(
            "/".join
        ),
        st.just("1"),
        max_size=6,
    ),
    st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from(["a", "A", "b"]), min_size=1, max_size=3).map("/".join)),
        max_size=8,
    ),
)
def test_a_tree_knows_the_twins_of_a_path_whatever_happened_to_it(
    files: dict[str, str], changes: list[tuple[bool, str]]
) -> None:
    tree = PathTree.of(clean(files))
    for put, path in changes:
        list(tree.twins(path))
        if put:
            tree.put(path, "2")
        else:
            tree.remove(path)
    fresh = PathTree.of({path: tree.get(path) or "" for path in tree.files()})
    for path in ("a", "a/b", "A/B", "b/a/a", "\u00c9/a"):
        assert list(tree.twins(path)) == list(fresh.twins(path))
        for twin in tree.twins(path):
            assert as_one_path(path).startswith(as_one_path(twin))
            assert twin != path
