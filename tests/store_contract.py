"""What every state store promises, as tests that the tests of each store inherit.

A test module has the fixture ``store``: a `Store` with a new, empty place to write to. The contents are ConfigMaps, so
that the same claims can be written to a repository, to a folder and to a cluster.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Protocol

import pytest

from troth.stores import Claim, Former, StateStoreWriter, StoreError
from troth.stores.content import blob_id


class Store(Protocol):
    """A place to write to, which can also be read without the writer."""

    namespace: str

    async def open(self) -> StateStoreWriter:
        """A new writer, as after a restart."""

    async def contents(self) -> dict[str, str]:
        """What is there: the value in the manifest of each claimed file, by path."""

    async def revision(self) -> object:
        """A value that changes whenever anything is written."""

    async def vandalise(self, path: str) -> None:
        """Remove a file or its object without the writer's knowledge."""

    async def close(self) -> None:
        """Close every writer that was opened."""


def object_name(path: str) -> str:
    return f"c-{hashlib.sha256(path.encode()).hexdigest()[:12]}"


def manifest(path: str, value: str, namespace: str) -> bytes:
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {object_name(path)}\n  namespace: {namespace}\n"
        f'data:\n  path: "{path}"\n  value: "{value}"\n'
    ).encode()


def values_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """The values by path, for stores that keep files."""
    found = {}
    for path, content in files.items():
        value = next((line for line in content.decode().splitlines() if line.startswith("  value: ")), None)
        if value is not None:
            found[path] = value.split('"')[1]
    return found


class Claims:
    """Makes claims, and counts how often their content is loaded."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.loads = 0

    def __call__(
        self,
        owner: str,
        files: Mapping[str, str],
        *,
        fails: bool = False,
        directory: str | None = "",
        state_file: str | None = None,
        obsolete: tuple[str, ...] = (),
        message: str = "",
        adopts: bool = False,
        by_name: bool = False,
    ) -> Claim:
        """A claim. ``files`` has values by path; the directory is ``resources/<owner>`` unless it is given."""
        content = {path: manifest(path, value, self.namespace) for path, value in files.items()}

        async def load() -> Mapping[str, bytes]:
            self.loads += 1
            await asyncio.sleep(0)
            if fails:
                raise RuntimeError("the content is gone")
            return content

        return Claim(
            owner=owner,
            files={path: blob_id(data) for path, data in content.items()},
            load=load,
            directory=f"resources/{owner}" if directory == "" else directory,
            state_file=state_file,
            obsolete=obsolete,
            message=message,
            adopts=adopts,
            by_name=by_name,
        )


@pytest.fixture
def claims(store: Store) -> Claims:
    return Claims(store.namespace)


class StoreContract:
    """The tests of the contract. Inherit from this class, and define the fixture ``store``."""

    async def test_what_is_claimed_is_there(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        await writer.check()
        written = await writer.write(claims("a", {"resources/a/x.yaml": "1", "resources/a/deep/er/y.yaml": "2"}))
        assert written.changed
        assert written.version
        assert await store.contents() == {"resources/a/x.yaml": "1", "resources/a/deep/er/y.yaml": "2"}

    async def test_claiming_again_writes_nothing_and_loads_nothing(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        claim = claims("a", {"resources/a/x.yaml": "1"})
        first = await writer.write(claim)
        before, claims.loads = await store.revision(), 0
        again = await writer.write(claim)
        assert (again.changed, again.version) == (False, first.version)
        assert await store.revision() == before
        assert claims.loads == 0

    async def test_after_a_restart_what_is_there_is_neither_written_nor_loaded(
        self, store: Store, claims: Claims
    ) -> None:
        owners = [f"o{number}" for number in range(5)]
        writer = await store.open()
        for owner in owners:
            await writer.write(claims(owner, {f"resources/{owner}/x.yaml": "1"}))
        await writer.close()
        before, claims.loads = await store.revision(), 0
        writer = await store.open()
        again = await asyncio.gather(
            *(writer.write(claims(owner, {f"resources/{owner}/x.yaml": "1"})) for owner in owners)
        )
        assert not any(written.changed for written in again)
        assert await store.revision() == before
        assert claims.loads == 0

    async def test_a_changed_file_replaces_the_old_one(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        first = await writer.write(claims("a", {"resources/a/x.yaml": "1", "resources/a/y.yaml": "1"}))
        second = await writer.write(claims("a", {"resources/a/x.yaml": "2", "resources/a/y.yaml": "1"}))
        assert second.changed
        assert second.version != first.version
        assert await store.contents() == {"resources/a/x.yaml": "2", "resources/a/y.yaml": "1"}

    async def test_what_is_no_longer_claimed_is_removed(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        await writer.write(claims("a", {"resources/a/x.yaml": "1", "resources/a/y.yaml": "1"}))
        await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
        assert await store.contents() == {"resources/a/x.yaml": "1"}

    async def test_what_a_former_process_wrote_is_removed_too(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        await writer.write(claims("a", {"resources/a/x.yaml": "1", "resources/a/y.yaml": "1"}))
        await writer.close()
        writer = await store.open()
        await writer.write(claims("a", {"resources/a/z.yaml": "1"}))
        assert await store.contents() == {"resources/a/z.yaml": "1"}

    async def test_an_owner_without_files_leaves_nothing_behind_and_the_others_alone(
        self, store: Store, claims: Claims
    ) -> None:
        writer = await store.open()
        await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
        await writer.write(claims("b", {"resources/b/x.yaml": "1"}))
        assert (await writer.write(claims("a", {}))).changed
        assert await store.contents() == {"resources/b/x.yaml": "1"}
        assert not (await writer.write(claims("a", {}))).changed
        assert not (await writer.write(claims("never-there", {}))).changed

    async def test_two_owners_of_one_path_are_told_of_each_other(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        await writer.write(claims("a", {"resources/shared.yaml": "1"}, directory=None))
        rival = claims("b", {"resources/shared.yaml": "2"}, directory=None)
        with pytest.raises(StoreError, match=r"\ba\b.*\bb\b") as caught:
            await writer.write(rival)
        assert caught.value.reason == "PathConflict"
        assert await store.contents() == {"resources/shared.yaml": "1"}
        await writer.write(claims("a", {}, directory=None))
        assert (await writer.write(rival)).changed
        assert await store.contents() == {"resources/shared.yaml": "2"}

    async def test_a_claim_that_cannot_be_carried_out_fails_alone(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        outcomes = await asyncio.gather(
            writer.write(claims("a", {"resources/a/x.yaml": "1"})),
            writer.write(claims("b", {"resources/b/x.yaml": "1"}, fails=True)),
            writer.write(claims("c", {"../../etc/passwd.yaml": "1"})),
            writer.write(claims("d", {"resources/a/x.yaml": "2"}, directory=None)),
            writer.write(claims("e", {"resources/e/x.yaml": "1"})),
            return_exceptions=True,
        )
        reasons = [outcome.reason if isinstance(outcome, StoreError) else "" for outcome in outcomes]
        assert reasons == ["", "ContentUnavailable", "InvalidPath", "PathConflict", ""]
        assert await store.contents() == {"resources/a/x.yaml": "1", "resources/e/x.yaml": "1"}

    @pytest.mark.parametrize(
        "path",
        ["/etc/x.yaml", "../x.yaml", "a/../../x.yaml", "a/.git/x.yaml", ".GIT/x.yaml", "", "a\nb.yaml", "a/"],
    )
    async def test_a_path_that_leaves_the_store_is_refused_for_good(
        self, store: Store, claims: Claims, path: str
    ) -> None:
        writer = await store.open()
        with pytest.raises(StoreError) as caught:
            await writer.write(claims("a", {path: "1"}, directory=None))
        assert caught.value.reason == "InvalidPath"
        assert not caught.value.retryable

    async def test_what_somebody_else_removed_comes_back(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        claim = claims("a", {"resources/a/x.yaml": "1", "resources/a/y.yaml": "1"})
        await writer.write(claim)
        assert not await writer.refresh()
        await store.vandalise("resources/a/x.yaml")
        assert await writer.refresh()
        assert (await writer.write(claim)).changed
        assert await store.contents() == {"resources/a/x.yaml": "1", "resources/a/y.yaml": "1"}
        assert not await writer.refresh()

    async def test_claims_of_many_owners_at_once_all_arrive(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        wanted = {f"resources/o{number}/x.yaml": str(number) for number in range(30)}
        await asyncio.gather(*(writer.write(claims(path.split("/")[1], {path: wanted[path]})) for path in wanted))
        assert await store.contents() == wanted

    async def test_of_two_claims_of_one_owner_the_newer_wins(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        await asyncio.gather(*(writer.write(claims("a", {"resources/a/x.yaml": str(n)})) for n in range(5)))
        assert await store.contents() == {"resources/a/x.yaml": "4"}

    async def test_after_a_restart_who_was_first_keeps_a_path_and_the_other_removes_nothing(
        self, store: Store, claims: Claims
    ) -> None:
        path = "resources/shared.yaml"
        writer = await store.open()
        await writer.write(claims("first", {path: "1"}, directory=None))
        await writer.close()
        for content in ("1", "2"):
            writer = await store.open()
            await writer.resume([Former("first", (path, "resources/never-there.yaml"))])
            await writer.check()
            with pytest.raises(StoreError, match=r"\bfirst\b.*\bsecond\b") as caught:
                await writer.write(claims("second", {path: content}, directory=None))
            assert caught.value.reason == "PathConflict"
            await writer.write(claims("second", {}, directory=None, obsolete=(path,)))
            assert await store.contents() == {path: "1"}
        assert not (await writer.write(claims("first", {path: "1"}, directory=None))).changed
        await writer.write(claims("first", {}, directory=None, obsolete=(path,)))
        assert (await writer.write(claims("second", {path: "2"}, directory=None))).changed
        assert await store.contents() == {path: "2"}

    async def test_after_a_restart_a_folder_is_still_its_owners(self, store: Store, claims: Claims) -> None:
        path = "resources/first/x.yaml"
        writer = await store.open()
        await writer.write(claims("first", {path: "1"}))
        await writer.close()
        writer = await store.open()
        await writer.resume([Former("first", directory="resources/first")])
        with pytest.raises(StoreError) as caught:
            await writer.write(claims("second", {path: "2"}, directory=None))
        assert caught.value.reason == "PathConflict"
        await writer.write(claims("first", {"resources/first/y.yaml": "1"}))
        assert await store.contents() == {"resources/first/y.yaml": "1"}

    async def test_a_released_owner_leaves_everything_as_it_is(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
        before = await store.revision()
        await writer.release("a")
        await writer.release("never-there")
        assert await store.revision() == before
        assert not (await writer.write(claims("a", {"resources/a/x.yaml": "1"}))).changed
        await writer.write(claims("a", {}))
        assert await store.contents() == {}

    async def test_a_closed_writer_refuses_and_can_be_closed_again(self, store: Store, claims: Claims) -> None:
        writer = await store.open()
        await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
        await writer.close()
        await writer.close()
        with pytest.raises(StoreError) as caught:
            await writer.write(claims("b", {"resources/b/x.yaml": "1"}))
        assert caught.value.reason == "WriterClosed"
        assert await store.contents() == {"resources/a/x.yaml": "1"}
