"""What a repository holds is a stranger's, and what a batch writes may be much: neither is ever held whole."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.file_stores import GitStore
from tests.store_contract import Claims
from troth.dev.git_server import git
from troth.stores import Claim, StoreError
from troth.stores.content import blob_id
from troth.stores.gathering import Pace
from troth.stores.git import GitSettings
from troth.stores.git_command import GitCommand, OutputTooLarge, Scrubber

pytestmark = pytest.mark.slow

MIB = 1 << 20


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[GitStore]:
    store = GitStore(tmp_path)
    yield store
    await store.close()


def push(store: GitStore, files: Mapping[str, Path]) -> None:
    """A stranger commits files, each of which is given by a file beside the repository."""
    git(store.repository, "read-tree", "main")
    for path, content in files.items():
        blob = git(store.repository, "hash-object", "-w", str(content)).decode().strip()
        git(store.repository, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    tree = git(store.repository, "write-tree").decode().strip()
    who = ("-c", "user.name=stranger", "-c", "user.email=s@example.com")
    commit = git(store.repository, *who, "commit-tree", tree, "-p", "main", "-m", "zeros").decode().strip()
    git(store.repository, "update-ref", "refs/heads/main", commit)


def zeros(folder: Path, size: int) -> Path:
    file = folder / "zeros"
    with file.open("wb") as opened:
        opened.truncate(size)
    return file


def large(owner: str, size: int) -> Claim:
    """A claim of one file whose content is made when it is loaded."""
    content = owner.encode() + bytes(size)
    blob = blob_id(content)
    path = f"resources/{owner}/zeros.txt"

    async def load() -> Mapping[str, bytes]:
        return {path: owner.encode() + bytes(size)}

    return Claim(owner=owner, files={path: blob}, load=load, directory=f"resources/{owner}", size=size)


async def test_a_batch_goes_into_the_clone_file_by_file(store: GitStore) -> None:
    writer = store.writer(settings=GitSettings(pace=Pace(most_bytes=1 << 30)))
    await writer.check()
    tracemalloc.start()
    try:
        written = await asyncio.gather(*(writer.write(large(f"default/r{index}", 8 * MIB)) for index in range(60)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len({each.version for each in written}) <= 4
    assert peak < 240 * MIB, f"{peak / MIB:.0f} MiB for a batch of 480 MiB"
    assert git(store.repository, "cat-file", "-s", "main:resources/default/r59/zeros.txt").strip() == b"8388619"


async def test_a_record_that_is_huge_is_set_aside_without_being_read(store: GitStore, tmp_path: Path) -> None:
    claims = Claims("default")
    writer = store.writer()
    record = "none/.kratix/a.yaml"
    await writer.write(claims("default/a", {"none/a.yaml": "1"}, directory=None, state_file=record))
    await asyncio.to_thread(push, store, {record: zeros(tmp_path, 100 * MIB)})
    tracemalloc.start()
    try:
        await writer.write(claims("default/a", {"none/a.yaml": "2"}, directory=None, state_file=record))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 20 * MIB
    assert "larger than 4 MiB" in " ".join(writer.take_complaints())
    (clone,) = store.workspace.glob("*/repository")
    assert git(clone, "config", "core.bigFileThreshold").strip() == b"16m", "git loads what is smaller"


async def test_of_many_files_only_so_many_are_read_as_are_held(store: GitStore, tmp_path: Path) -> None:
    writer = store.writer()
    content = zeros(tmp_path, 10 * MIB)
    small = tmp_path / "small"
    small.write_text("small")
    await asyncio.to_thread(push, store, {"a": content, "b": small})
    await writer.check()
    blobs = [git(store.repository, "rev-parse", f"main:{name}").decode().strip() for name in "ab"]

    repository = writer._repository
    assert set(await repository.read(blobs)) == set(blobs)
    assert await repository.read(blobs, together=9 * MIB) == {blobs[1]: b"small"}
    assert await repository.read(blobs, largest=9 * MIB) == {blobs[1]: b"small"}


async def test_a_branch_of_too_many_files_is_told(store: GitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = Claims("default")
    writer = store.writer()
    await writer.write(claims("default/a", {f"resources/default/a/{index}.yaml": "1" for index in range(50)}))
    await writer.close()
    monkeypatch.setattr("troth.stores.git_repository.LARGEST_OUTPUT", 2000)

    with pytest.raises(StoreError, match="holds more files than are read") as told:
        await store.writer().check()
    assert told.value.reason == "TooLarge"
    assert "a branch of its own" in told.value.hint


async def test_a_difference_that_is_too_long_is_found_by_reading_the_tree(
    store: GitStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = Claims("default")
    writer = store.writer()
    await writer.write(claims("default/a", {"resources/default/a/x.yaml": "1"}))
    small = tmp_path / "small"
    small.write_text("small")
    await asyncio.to_thread(push, store, {f"{'d' * 20}{index}": small for index in range(60)})

    async def refuse(*_: object) -> None:
        return None

    monkeypatch.setattr(writer._repository, "difference", refuse)
    await writer.write(claims("default/a", {"resources/default/a/x.yaml": "2"}))
    assert len(store.files()) >= 61


async def test_a_program_that_says_too_much_is_ended(tmp_path: Path) -> None:
    def command(script: str) -> GitCommand:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return GitCommand(
            folder=tmp_path, environment={"PATH": "/bin:/usr/bin"}, scrub=Scrubber(()), program=str(program)
        )

    with pytest.raises(OutputTooLarge):
        await command("cat /dev/zero").run("ls-tree", timeout=20, most=1_000_000)
    said = await command("head -c 20000000 /dev/zero | tr '\\0' x >&2; echo end >&2").run("fetch", timeout=30)
    assert said.stderr.endswith("end\n")
    assert len(said.stderr) <= 4000
    greedy = await command("head -c 900000000 /dev/zero | tail -c 900000000").run("fetch", timeout=60)
    assert greedy.code != 0, "no program has more memory than there is for git"
