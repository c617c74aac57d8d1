"""The directory store: whole files, no way out, nothing left behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.file_stores import DirectoryStore
from tests.store_contract import Claims
from troth.stores import StoreError
from troth.stores.directory import directory_root


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DirectoryStore]:
    store = DirectoryStore(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def claims() -> Claims:
    return Claims("default")


async def test_a_link_is_never_followed(store: DirectoryStore, claims: Claims, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep.yaml").write_text("kept")
    (store.root / "resources").symlink_to(outside)
    writer = store.writer()
    with pytest.raises(StoreError) as caught:
        await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    assert caught.value.reason == "PathConflict"
    assert [path.name for path in outside.iterdir()] == ["keep.yaml"]


async def test_a_link_in_the_owners_folder_is_removed_and_not_what_it_points_to(
    store: DirectoryStore, claims: Claims, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep.yaml").write_text("kept")
    mine = store.root / "resources" / "a"
    mine.mkdir(parents=True)
    (mine / "folder").symlink_to(outside)
    (mine / "x.yaml").symlink_to(outside / "keep.yaml")
    writer = store.writer()
    await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    assert sorted(path.name for path in mine.iterdir()) == ["x.yaml"]
    assert not (mine / "x.yaml").is_symlink()
    assert (outside / "keep.yaml").read_text() == "kept"


async def test_folders_that_are_empty_afterwards_go_too_but_not_the_root(
    store: DirectoryStore, claims: Claims
) -> None:
    writer = store.writer()
    await writer.write(claims("a", {"resources/a/deep/er/x.yaml": "1"}))
    await writer.write(claims("a", {}))
    assert list(store.root.iterdir()) == []


async def test_a_reader_sees_a_file_whole_or_not_at_all(store: DirectoryStore, claims: Claims) -> None:
    writer = store.writer()
    target = store.root / "resources/a/x.yaml"
    values = ["1" * 20000, "2" * 20000]
    await writer.write(claims("a", {"resources/a/x.yaml": values[0]}))
    sizes = set()
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            sizes.add(len(await asyncio.to_thread(target.read_bytes)))

    reader = asyncio.create_task(read())
    for number in range(20):
        await writer.write(claims("a", {"resources/a/x.yaml": values[number % 2]}))
    done.set()
    await reader
    assert len(sizes) == 1


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path, claims: Claims) -> None:
    store = DirectoryStore(tmp_path)
    store.root.rmdir()
    writer = store.writer()
    for attempt in (writer.check(), writer.write(claims("a", {"a/x.yaml": "1"}))):
        with pytest.raises(StoreError, match="does not exist") as caught:
            await attempt
        assert caught.value.reason == "RepositoryMissing"
    assert not store.root.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written_says_so(store: DirectoryStore) -> None:
    store.root.chmod(0o500)
    with pytest.raises(StoreError) as caught:
        await store.writer().check()
    assert caught.value.reason == "StorageFailed"


async def test_the_version_is_the_content(store: DirectoryStore, claims: Claims) -> None:
    writer = store.writer()
    one = await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    two = await writer.write(claims("a", {"resources/a/x.yaml": "2"}))
    again = await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
    assert one.version.startswith("sha256:")
    assert one.version == again.version != two.version


async def test_kratixs_records_are_kept_and_heeded_after_a_restart(store: DirectoryStore, claims: Claims) -> None:
    record = "worker/.kratix/default-a.yaml"
    writer = store.writer()
    await writer.write(
        claims("a", {"worker/x.yaml": "1", "worker/y.yaml": "1"}, directory=None, state_file=record)
    )
    assert (store.root / record).read_text() == "files:\n- worker/x.yaml\n- worker/y.yaml\n"
    writer = store.writer()
    await writer.write(claims("a", {"worker/x.yaml": "1"}, directory=None, state_file=record))
    assert await store.contents() == {"worker/x.yaml": "1"}
    writer = store.writer()
    await writer.write(claims("a", {}, directory=None, state_file=record))
    assert list(store.root.iterdir()) == []


def test_a_store_must_lie_in_the_allowed_folder(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to(tmp_path)
    assert directory_root(str(allowed / "a"), local_root=allowed) == allowed / "a"
    assert directory_root("a", local_root=allowed) == allowed / "a"
    for path in ("/etc", str(allowed / ".."), str(allowed / "link"), str(tmp_path / "allowed2")):
        with pytest.raises(StoreError) as caught:
            directory_root(path, local_root=allowed)
        assert caught.value.reason == "LocalPathRefused"
    with pytest.raises(StoreError, match="--local-stores"):
        directory_root("/a", local_root=None)
    with pytest.raises(StoreError):
        directory_root("", local_root=allowed)


def test_a_path_that_is_longer_than_the_machine_takes_is_refused_before_it_is_resolved(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is longer than 4096 characters"):
        directory_root("a/" * 3_000, local_root=tmp_path)
