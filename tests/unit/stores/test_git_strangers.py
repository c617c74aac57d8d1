"""Whoever edits a file of Troth's by hand learns from the log that it was undone, and which commit that undid."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.file_stores import GitStore
from tests.store_contract import Claims
from troth.dev.git_server import git
from troth.stores.git import GitSettings, GitWriter

PATIENT = GitSettings(minimum_fetch_interval=3600.0)
FOLDER = "resources/default/a"
FILE = f"{FOLDER}/x.yaml"
SAYS = "This undoes what others changed in files of the placement above:"
UNKNOWN = "changed earlier, in an unknown commit"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[GitStore]:
    store = GitStore(tmp_path, settings=PATIENT)
    yield store
    await store.close()


@pytest.fixture
def claims() -> Claims:
    return Claims("default")


@pytest.fixture
async def writer(store: GitStore, claims: Claims) -> GitWriter:
    """One that has written a file, and looks only when it must."""
    writer = store.writer()
    await writer.write(claims("default/a", {FILE: "ours"}))
    return writer


async def undo(store: GitStore, writer: GitWriter, claims: Claims) -> list[str]:
    """The lines of the commit with which a writer that has looked puts everything back."""
    await writer.refresh()
    await writer.write(claims("default/a", {FILE: "ours"}))
    assert (await store.contents())[FILE] == "ours"
    return store.messages()[0].strip().splitlines()


async def test_what_undoes_a_change_names_the_commit_that_made_it(
    store: GitStore, writer: GitWriter, claims: Claims
) -> None:
    theirs = store.push({FILE: b"theirs\n"})
    assert await undo(store, writer, claims) == [
        "Update from: a",
        "",
        "default/a: 1 file changed",
        "",
        SAYS,
        "",
        f"* {FILE}: changed by {theirs}",
    ]
    await writer.write(claims("default/a", {FILE: "ours, later"}))
    assert SAYS not in store.messages()[0], "what was undone is not told again"


async def test_a_removed_file_and_a_file_that_was_added_are_told_as_well(
    store: GitStore, writer: GitWriter, claims: Claims
) -> None:
    theirs = store.push({f"{FOLDER}/added.yaml": b"theirs\n"}, [FILE])
    assert (await undo(store, writer, claims))[-2:] == [
        f"* {FOLDER}/added.yaml: changed by {theirs}",
        f"* {FILE}: changed by {theirs}",
    ]


async def test_a_change_that_is_met_while_pushing_is_told(
    store: GitStore, writer: GitWriter, claims: Claims
) -> None:
    theirs = store.push({FILE: b"theirs\n"})
    await writer.write(claims("default/a", {FILE: "ours, later"}))
    assert f"* {FILE}: changed by {theirs}" in store.messages()[0].splitlines()


async def test_of_several_commits_those_are_named_that_changed_the_file(
    store: GitStore, writer: GitWriter, claims: Claims
) -> None:
    first = store.push({FILE: b"theirs\n"})
    store.push({"by-hand.txt": b"next to it\n"})
    second = store.push({FILE: b"theirs, better\n"})
    store.push({"by-hand.txt": b"still next to it\n"})
    assert (await undo(store, writer, claims))[-1] == f"* {FILE}: changed by {second} and {first}"


async def test_commits_that_were_seen_at_different_times_are_all_named(
    store: GitStore, writer: GitWriter, claims: Claims
) -> None:
    first = store.push({FILE: b"theirs\n"})
    await writer.refresh()
    second = store.push({FILE: b"theirs, better\n"})
    assert (await undo(store, writer, claims))[-1] == f"* {FILE}: changed by {second} and {first}"


async def test_of_a_merge_the_commit_that_was_merged_is_named(
    store: GitStore, writer: GitWriter, claims: Claims
) -> None:
    base = store.head()
    theirs = store.push({FILE: b"theirs\n"})
    store.rewind(base)
    store.push({"by-hand.txt": b"meanwhile\n"})
    tree = git(store.repository, "merge-tree", "--write-tree", "main", theirs).decode().split()[0]
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    merge = git(store.repository, *identity, "commit-tree", tree, "-p", "main", "-p", theirs, "-m", "Merge")
    store.rewind(merge.decode().strip())
    assert (await undo(store, writer, claims))[-1] == f"* {FILE}: changed by {theirs}"


async def test_a_change_next_to_a_placement_is_not_called_undone(
    store: GitStore, writer: GitWriter, claims: Claims
) -> None:
    store.push({"by-hand.txt": b"next to it\n"})
    await writer.refresh()
    await writer.write(claims("default/a", {FILE: "ours, later"}))
    assert SAYS not in store.messages()[0]
    assert "by-hand.txt" in store.files()


async def test_a_change_that_was_taken_back_is_not_called_undone(
    store: GitStore, writer: GitWriter, claims: Claims
) -> None:
    content = store.files()[FILE]
    store.push({FILE: b"theirs\n"})
    await writer.refresh()
    store.push({FILE: content})
    await writer.refresh()
    before = store.head()
    assert not (await writer.write(claims("default/a", {FILE: "ours"}))).changed
    assert store.head() == before
    await writer.write(claims("default/a", {FILE: "ours, later"}))
    assert SAYS not in store.messages()[0]


async def test_nothing_is_guessed_of_a_branch_that_was_set_back(
    store: GitStore, writer: GitWriter, claims: Claims
) -> None:
    before = store.head()
    await writer.write(claims("default/a", {FILE: "ours, later"}))
    store.rewind(before)
    await writer.refresh()
    await writer.write(claims("default/a", {FILE: "ours, later"}))
    assert store.messages()[0].strip().splitlines()[-1] == f"* {FILE}: {UNKNOWN}"


async def test_nothing_is_guessed_when_too_many_commits_came(
    store: GitStore, writer: GitWriter, claims: Claims
) -> None:
    store.push({FILE: b"theirs\n"})
    for number in range(40):
        store.push({"by-hand.txt": str(number).encode()})
    assert (await undo(store, writer, claims))[-1] == f"* {FILE}: {UNKNOWN}"


async def test_a_clone_that_was_made_anew_tells_as_well(
    store: GitStore, writer: GitWriter, claims: Claims, tmp_path: Path
) -> None:
    theirs = store.push({FILE: b"theirs\n"})
    await writer._repository.drop()
    assert (await undo(store, writer, claims))[-1] == f"* {FILE}: changed by {theirs}"


async def test_of_many_paths_the_first_are_named_and_the_others_counted(store: GitStore, claims: Claims) -> None:
    writer = store.writer()
    wanted = {f"{FOLDER}/{number:02}.yaml": "ours" for number in range(25)}
    await writer.write(claims("default/a", wanted))
    theirs = store.push({}, list(wanted))
    await writer.refresh()
    await writer.write(claims("default/a", wanted))
    lines = store.messages()[0].strip().splitlines()
    assert lines[-21:] == [
        *(f"* {path}: changed by {theirs}" for path in sorted(wanted)[:20]),
        "* and 5 more",
    ]
