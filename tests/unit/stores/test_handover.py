"""What a claim no longer wants stays until it has arrived where it is wanted now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.file_stores import DirectoryStore, GitStore
from tests.store_contract import Claims, manifest, object_name
from troth.dev.git_server import git
from troth.engine.yaml.manifests import load_documents
from troth.stores import Claim, StoreError
from troth.stores.content import blob_id
from troth.stores.edits import Edit
from troth.stores.handover import Handover, Spared, keep_back, objects_of
from troth.stores.kubernetes_objects import ObjectKey
from troth.stores.ownership import Ownership

Files = GitStore | DirectoryStore


@pytest.fixture(params=[GitStore, DirectoryStore])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Files]:
    store: Files = request.param(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def claims(store: Files) -> Claims:
    return Claims(store.namespace)


def key(path: str, namespace: str = "default") -> ObjectKey:
    return ObjectKey("", "ConfigMap", namespace, object_name(path))


def handing(claim: Claim, *along: Claim, spared: Spared | None = None, succeeds: bool = True) -> Claim:
    """The claim, with what changes hands."""

    async def ask() -> Handover:
        return Handover(tuple(along), spared or Spared())

    return replace(claim, handover=ask, succeeds=succeeds)


async def test_a_claim_that_takes_the_place_of_another_carries_its_files_out_in_the_same_commit(
    store: Files, claims: Claims
) -> None:
    writer = await store.open()
    await writer.write(claims("old", {"resources/old/x.yaml": "1"}))
    before = await commits(store)
    await writer.write(handing(claims("new", {"resources/new/x.yaml": "1"}), claims("old", {}, directory=None)))
    assert await store.contents() == {"resources/new/x.yaml": "1"}
    assert len(await commits(store)) == len(before) + bool(before)


@pytest.mark.parametrize("wanted", [("z",), ()])
async def test_what_is_released_leaves_a_file_in_which_all_else_stays(
    store: Files, wanted: tuple[str, ...]
) -> None:
    path = "resources/a/all.yaml"

    def claim(*names: str) -> Claim:
        text = b"---\n".join(manifest(name, "1", "default") for name in names)

        async def load() -> Mapping[str, bytes]:
            return {path: text} if names else {}

        return Claim(
            owner="one",
            files={path: blob_id(text)} if names else {},
            load=load,
            message="one",
            obsolete=() if names else (path,),
            by_name=True,
        )

    writer = await store.open()
    await writer.write(claim("x", "y", "z"))
    spared = Spared(everything=True, released=frozenset({key("x")}))
    for _ in range(2):  # the second time finds it as it must be
        await writer.write(handing(claim(*wanted), spared=spared))
        assert await names_in(store) == {object_name(name) for name in "yz"}
    spared = Spared(frozenset({key("y")}), everything=True, released=frozenset({key("y")}))
    await writer.write(handing(claim(*wanted), spared=spared))
    assert await names_in(store) == {object_name(name) for name in "yz"}, "one that is on its way stays"
    await writer.write(claim(*wanted))
    if wanted:
        assert await names_in(store) == {object_name(name) for name in wanted}
    else:
        assert path not in await store.contents()


async def test_a_path_changes_hands_without_being_called_a_conflict(store: Files, claims: Claims) -> None:
    writer = await store.open()
    old = claims(
        "old", {"flat/x.yaml": "1", "flat/y.yaml": "1"}, directory=None, state_file="flat/.kratix/old.yaml"
    )
    new = claims("new", {"flat/x.yaml": "2"}, directory=None, state_file="flat/.kratix/new.yaml")
    gone = claims("old", {}, directory=None, state_file="flat/.kratix/old.yaml")
    await writer.write(old)
    with pytest.raises(StoreError, match="claimed by both old and new"):
        await writer.write(new)
    await writer.write(handing(new, gone, succeeds=False))
    assert await store.contents() == {"flat/x.yaml": "2"}


async def test_two_claims_may_swap_their_paths(store: Files, claims: Claims) -> None:
    writer = await store.open()
    files = ("flat/x.yaml", "flat/y.yaml")
    for owner, path in zip("ab", files, strict=True):
        await writer.write(claims(owner, {path: owner}, directory=None, state_file=f"flat/.kratix/{owner}.yaml"))
    one, two = (
        claims(owner, {path: owner}, directory=None, state_file=f"flat/.kratix/{owner}.yaml")
        for owner, path in zip("ba", files, strict=True)
    )
    await writer.write(handing(one, two, succeeds=False))
    assert await store.contents() == {"flat/x.yaml": "b", "flat/y.yaml": "a"}


async def test_two_that_both_want_a_path_are_still_told_of_each_other(store: Files, claims: Claims) -> None:
    writer = await store.open()
    first = claims("first", {"flat/x.yaml": "1"}, directory=None)
    await writer.write(first)
    with pytest.raises(StoreError, match="first was first"):
        await writer.write(handing(claims("second", {"flat/x.yaml": "2"}, directory=None), first))
    assert await store.contents() == {"flat/x.yaml": "1"}


@pytest.mark.parametrize("layout", ["folder", "record"])
@pytest.mark.parametrize("spared", [Spared(frozenset({key("x", "")})), Spared(everything=True)])
async def test_what_is_on_its_way_elsewhere_stays_until_it_has_arrived(
    store: Files, claims: Claims, layout: str, spared: Spared
) -> None:
    def claim(files: Mapping[str, str]) -> Claim:
        content = {f"resources/a/{name}.yaml": manifest(name, value, "default") for name, value in files.items()}
        made = claims("a", dict.fromkeys(content, ""), directory=None)
        if layout == "record":
            made = replace(made, state_file="resources/.kratix/a.yaml")
        else:
            made = replace(made, directory="resources/a")
        return with_content(made, content)

    writer = await store.open()
    await writer.write(claim({"x": "1", "y": "1"}))
    for reopened in (False, True):
        if reopened:
            writer = await store.open()
        written = await writer.write(handing(claim({"y": "2"}), spared=spared))
        assert written.held
        assert set((await store.contents()).values()) == {"1", "2"}
    written = await writer.write(handing(claim({"y": "2"})))
    assert not written.held
    assert set((await store.contents()).values()) == {"2"}


async def test_an_object_stays_in_a_file_that_is_written_anew_without_it(store: Files, claims: Claims) -> None:
    def claim(*names: str) -> Claim:
        content = {"resources/a/all.yaml": b"---\n".join(manifest(name, "1", "default") for name in names)}
        return with_content(claims("a", {"resources/a/all.yaml": ""}), content)

    writer = await store.open()
    await writer.write(claim("x", "y"))
    spared = Spared(frozenset({key("x")}))
    written = [await writer.write(handing(claim("y", "z"), spared=spared)) for _ in range(2)]
    assert [(each.held, each.changed) for each in written] == [(True, True), (True, False)]
    assert await names_in(store) == {object_name(name) for name in "xyz"}
    written = [await writer.write(handing(claim("y", "z"))) for _ in range(2)]
    assert [(each.held, each.changed) for each in written] == [(False, True), (False, False)]
    assert await names_in(store) == {object_name(name) for name in "yz"}


async def test_what_cannot_come_along_lets_nothing_leave(store: Files, claims: Claims) -> None:
    writer = await store.open()
    await writer.write(claims("a", {"resources/a/x.yaml": "1", "resources/a/y.yaml": "1"}))
    arriving = claims("b", {"resources/b/x.yaml": "1"}, fails=True)
    written = await writer.write(handing(claims("a", {"resources/a/y.yaml": "1"}), arriving))
    assert written.held
    assert "resources/a/x.yaml" in await store.contents()


async def test_a_claim_without_a_departing_object_asks_nobody(store: Files, claims: Claims) -> None:
    async def ask() -> Handover:
        raise AssertionError("nothing leaves")

    writer = await store.open()
    for value in "12":
        await writer.write(replace(claims("a", {"resources/a/x.yaml": value}), handover=ask))
    assert await store.contents() == {"resources/a/x.yaml": "2"}


NAMES = st.sampled_from("abcdef")
FILE = st.lists(NAMES, min_size=1, max_size=3, unique=True)
FILES = st.dictionaries(st.sampled_from(["one.yaml", "two.yaml", "three.yml"]), FILE, max_size=3)


@given(old=FILES, new=FILES, spared=st.frozensets(NAMES))
def test_keeping_back_loses_nothing_that_is_spared_and_keeps_nothing_else(
    old: dict[str, list[str]], new: dict[str, list[str]], spared: frozenset[str]
) -> None:
    had, has = (
        {path: b"---\n".join(manifest(name, "1", "ns") for name in each) for path, each in files.items()}
        for files in (old, new)
    )
    edit = Edit(dict.fromkeys(has, "blob"), frozenset(had.keys() - has.keys()))
    keys = Spared(frozenset(key(name, "ns") for name in spared))
    kept = keep_back(edit, old=had, new=has, spared=keys, parse=load_documents)
    result = {path: content for path, content in had.items() if path not in kept.edit.removes}
    result.update({path: kept.content.get(path, has[path]) for path in kept.edit.writes})
    there = {each for path, content in result.items() for each in objects_of(path, content, load_documents)}
    before = {key(name, "ns") for each in old.values() for name in each}
    wanted = {key(name, "ns") for each in new.values() for name in each}
    assert wanted <= there
    assert before & keys.keys <= there
    in_kept_files = {key(name, "ns") for path in kept.paths for name in old[path]}
    assert there <= wanted | (before & keys.keys) | in_kept_files


@given(st.lists(st.tuples(st.sampled_from("abc"), st.frozensets(st.sampled_from("xyz"))), min_size=2, max_size=3))
def test_what_is_assigned_together_is_assigned_wholly_or_not_at_all(
    wanted: list[tuple[str, frozenset[str]]],
) -> None:
    ownership = Ownership()
    for owner in "abc":
        ownership.assign(owner, {f"{owner}.yaml", "xyz"["abc".index(owner)]}, None)
    together = [(owner, files, None) for owner, files in dict(wanted).items()]
    others = {"xyz"["abc".index(owner)] for owner in "abc" if owner not in dict(wanted)}
    given_away = [path for _, files, _ in together for path in files]
    fits = len(given_away) == len(set(given_away)) and not others & set(given_away)
    if fits:
        ownership.assign_together(together)
    else:
        with pytest.raises(StoreError):
            ownership.assign_together(together)
    for owner, files in dict(wanted).items():
        expected = files if fits else {"xyz"["abc".index(owner)]}
        assert all(not ownership.is_foreign(owner, path) for path in expected)


def with_content(claim: Claim, content: Mapping[str, bytes]) -> Claim:
    async def load() -> Mapping[str, bytes]:
        return content

    return replace(claim, files={path: blob_id(each) for path, each in content.items()}, load=load)


async def commits(store: Files) -> list[str]:
    if not isinstance(store, GitStore):
        return []
    return git(store.repository, "rev-list", "main").decode().split()


async def names_in(store: Files) -> set[str]:
    if isinstance(store, GitStore):
        content = git(store.repository, "show", "main:resources/a/all.yaml")
    else:
        content = (store.root / "resources/a/all.yaml").read_bytes()
    return {key.name for key in objects_of("all.yaml", content, load_documents)}
