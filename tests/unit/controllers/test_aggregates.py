"""Whose the one file of a Destination is: decided once, from what the Destination was and what stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.file_stores import DirectoryStore
from tests.platforms import destination
from troth.api.objects import read_destination
from troth.controllers.aggregates import OneFile, has_one_file, read_one_file, take_one_file, was_ready
from troth.stores import StoreError

READY = [{"type": "Ready", "status": "True"}]


def made(*, status: dict[str, Any] | None = None, mode: str = "aggregatedYAML", **spec: Any) -> Any:
    obj = destination(
        "one", store="s", labels={}, kind="DirectoryStateStore", path="a", filepath={"mode": mode}, **spec
    )
    return read_destination({**obj, "status": status or {}})


async def take(store: DirectoryStore, found: Any, *, settled: bool = False) -> OneFile | None:
    return await take_one_file(found, store.writer(), store_path="", address="here", settled=settled)


async def test_a_path_where_nothing_is_is_taken_and_that_is_remembered(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    one = await take(store, made())
    assert one == OneFile("a/aggregated.yaml", "here")
    (store.root / "a").mkdir()
    (store.root / "a/aggregated.yaml").write_text("kind: Ours\n")
    known = made(status={"troth": {"aggregate": one.as_status()}})
    assert read_one_file(known.status) == one
    assert await take(store, known) == one
    moved = made(status={"troth": {"aggregate": {"path": "a/aggregated.yaml", "address": "there"}}})
    with pytest.raises(StoreError, match="did not make it"):
        await take(store, moved, settled=True)
    await store.close()


async def test_a_strangers_file_is_refused_or_adopted_and_stays_adopted(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    (store.root / "a").mkdir()
    (store.root / "a/aggregated.yaml").write_text("kind: ByHand\n")
    with pytest.raises(StoreError, match=r"'a/aggregated.yaml', which Destination one wants") as caught:
        await take(store, made())
    assert caught.value.reason == "NotOurs"
    one = await take(store, made(existing="Adopt"))
    assert one == OneFile("a/aggregated.yaml", "here", adopted=True)
    assert await take(store, made(status={"troth": {"aggregate": one.as_status()}})) == one
    await store.close()


async def test_what_kratix_or_an_earlier_release_used_goes_on(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    (store.root / "a").mkdir()
    (store.root / "a/aggregated.yaml").write_text("kind: Theirs\n")
    before = made(status={"conditions": READY})
    assert was_ready(before)
    assert not was_ready(made())
    assert await take(store, before, settled=True) == OneFile("a/aggregated.yaml", "here")
    await store.close()


async def test_other_layouts_and_clusters_have_no_such_file(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert await take(store, made(mode="none")) is None
    on_cluster = destination(
        "one", store="s", labels={}, kind="KubernetesStateStore", path="a", filepath={"mode": "aggregatedYAML"}
    )
    assert not has_one_file(read_destination(on_cluster))
    await store.close()
