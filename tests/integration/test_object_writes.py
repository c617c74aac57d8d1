"""Writing objects as reconcilers do: what if the object is there already, or gone, or another one by now?

Only a real API server is an honest peer here: these functions exist because of what it answers in such cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.idle_platform import idle_platform
from troth.api import Key
from troth.api.objects import ObjectMeta, read_metadata
from troth.api.resources import CONFIG_MAP, PROMISE
from troth.controllers.object_writes import (
    create_or_patch,
    delete_object,
    object_reference,
    patch_object,
    take_finalizers_off,
)
from troth.kube import Client, Conflict, Informer, NotFound

pytestmark = pytest.mark.integration

OURS: Final = "troth.dev/test"
THEIRS: Final = "example.com/somebody"


@dataclass(frozen=True, slots=True)
class View:
    metadata: ObjectMeta
    data: Mapping[str, str]


class Writing:
    """A platform and an informer of ConfigMaps that knows only what it is told of."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self.platform = idle_platform(client)
        self.informer: Informer[View] = Informer(
            client=client,
            resource=CONFIG_MAP,
            decode=lambda obj: View(read_metadata(obj), obj.get("data") or {}),
            on_change=lambda _key, _old, _new: None,
        )

    def body(self, *finalizers: str, **data: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "a", "namespace": self.namespace, "finalizers": list(finalizers)},
            "data": data,
        }

    async def create(self, *finalizers: str, **data: str) -> ObjectMeta:
        """An object that somebody else has made: the informer does not know of it."""
        return read_metadata(await self.client.create(CONFIG_MAP, self.body(*finalizers, **data)))

    async def live(self) -> View:
        obj = await self.client.get(CONFIG_MAP, "a", self.namespace)
        return View(read_metadata(obj), obj.get("data") or {})

    def cached(self) -> View | None:
        return self.informer.get(self.namespace, "a")

    def key(self) -> Key:
        return Key(CONFIG_MAP.name, self.namespace, "a")


@pytest.fixture
async def writing(client: Client, namespace: str) -> Writing:
    return Writing(client, namespace)


def never_asked(existing: Mapping[str, Any]) -> None:
    pytest.fail(f"there was no such object: {existing}")


# creating ------------------------------------------------------------------------------------------------------


async def test_what_does_not_exist_is_created_and_known_at_once(writing: Writing) -> None:
    answer = await create_or_patch(
        writing.platform, writing.informer, CONFIG_MAP, writing.body(x="1"), never_asked
    )
    assert answer["data"] == {"x": "1"}
    assert writing.cached() == await writing.live()


async def test_what_exists_already_is_patched_as_the_caller_decides_by_what_it_finds(writing: Writing) -> None:
    made = await writing.create(x="somebody's", y="stays")

    def patch(existing: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"data": {"x": f"was {existing['data']['x']}"}}

    answer = await create_or_patch(writing.platform, writing.informer, CONFIG_MAP, writing.body(x="1"), patch)
    assert answer["data"] == {"x": "was somebody's", "y": "stays"}
    assert (await writing.live()).metadata.uid == made.uid
    assert writing.cached() == await writing.live()


async def test_what_exists_and_is_to_be_left_as_it_is_is_not_written_but_known_at_once(writing: Writing) -> None:
    made = await writing.create(x="somebody's")
    answer = await create_or_patch(
        writing.platform, writing.informer, CONFIG_MAP, writing.body(x="1"), lambda _: None
    )
    assert answer["data"] == {"x": "somebody's"}
    assert (await writing.live()).metadata == made
    assert writing.cached() == await writing.live()


async def test_what_exists_and_may_not_be_touched_is_not(writing: Writing) -> None:
    made = await writing.create(x="somebody's")

    def refuse(_: Mapping[str, Any]) -> None:
        raise PermissionError("it is somebody else's")

    with pytest.raises(PermissionError):
        await create_or_patch(writing.platform, writing.informer, CONFIG_MAP, writing.body(x="1"), refuse)
    assert (await writing.live()).metadata == made


# patching ------------------------------------------------------------------------------------------------------


async def test_a_patch_is_answered_with_the_object_as_it_is_now_which_is_known_at_once(writing: Writing) -> None:
    made = await writing.create(x="1", y="2")
    answer = await patch_object(writing.platform, writing.informer, CONFIG_MAP, made, {"data": {"x": None}})
    assert answer is not None
    assert answer["data"] == {"y": "2"}
    assert writing.cached() == await writing.live()


async def test_a_patch_of_an_object_that_is_gone_answers_nothing(writing: Writing) -> None:
    made = await writing.create(x="1")
    await writing.client.delete(CONFIG_MAP, "a", writing.namespace)
    assert await patch_object(writing.platform, writing.informer, CONFIG_MAP, made, {"data": {"x": "2"}}) is None
    assert writing.cached() is None


# deleting ------------------------------------------------------------------------------------------------------


async def test_a_deletion_that_a_finalizer_holds_up_is_known_at_once(writing: Writing) -> None:
    made = await writing.create(THEIRS)
    await delete_object(writing.platform, writing.informer, CONFIG_MAP, made)
    known = writing.cached()
    assert known == await writing.live()
    assert known is not None
    assert known.metadata.deleting


async def test_an_object_without_finalizers_is_gone_after_its_deletion(writing: Writing) -> None:
    made = await writing.create()
    await delete_object(writing.platform, writing.informer, CONFIG_MAP, made)
    with pytest.raises(NotFound):
        await writing.live()


async def test_the_deletion_of_an_object_that_is_gone_is_done(writing: Writing) -> None:
    made = await writing.create()
    await writing.client.delete(CONFIG_MAP, "a", writing.namespace)
    await delete_object(writing.platform, writing.informer, CONFIG_MAP, made)
    assert writing.cached() is None


async def test_the_deletion_of_an_object_that_is_another_one_by_now_is_a_conflict_and_leaves_it(
    writing: Writing,
) -> None:
    made = await writing.create(x="first")
    await writing.client.delete(CONFIG_MAP, "a", writing.namespace)
    again = await writing.create(x="second")
    with pytest.raises(Conflict):
        await delete_object(writing.platform, writing.informer, CONFIG_MAP, made)
    assert (await writing.live()).metadata == again


async def test_a_deletion_that_has_begun_is_not_asked_for_again(writing: Writing) -> None:
    await writing.create(THEIRS)
    await writing.client.delete(CONFIG_MAP, "a", writing.namespace)
    held = (await writing.live()).metadata
    await take_finalizers_off(writing.platform, writing.informer, CONFIG_MAP, writing.key(), held, {THEIRS})
    again = await writing.create(x="second")
    # Asking for it would be a conflict: the name is that of another object by now.
    await delete_object(writing.platform, writing.informer, CONFIG_MAP, held)
    assert (await writing.live()).metadata == again


# finalizers ----------------------------------------------------------------------------------------------------


async def test_finalizers_of_others_stay_when_ours_are_taken_off(writing: Writing) -> None:
    made = await writing.create(OURS, THEIRS)
    await take_finalizers_off(
        writing.platform, writing.informer, CONFIG_MAP, writing.key(), made, {OURS, "troth.dev/unused"}
    )
    assert (await writing.live()).metadata.finalizers == (THEIRS,)
    assert writing.cached() == await writing.live()


async def test_no_finalizer_is_taken_off_an_object_that_has_changed_meanwhile(writing: Writing) -> None:
    made = await writing.create(OURS, x="1")
    await writing.client.merge_patch(
        CONFIG_MAP, "a", {"metadata": {"finalizers": [OURS, THEIRS]}}, namespace=writing.namespace
    )
    with pytest.raises(Conflict):
        await take_finalizers_off(writing.platform, writing.informer, CONFIG_MAP, writing.key(), made, {OURS})
    assert set((await writing.live()).metadata.finalizers) == {OURS, THEIRS}


async def test_finalizers_of_an_object_that_is_gone_need_not_be_taken_off(writing: Writing) -> None:
    made = await writing.create()
    await writing.client.delete(CONFIG_MAP, "a", writing.namespace)
    await take_finalizers_off(writing.platform, writing.informer, CONFIG_MAP, writing.key(), made, {OURS})
    assert writing.cached() is None


# references ----------------------------------------------------------------------------------------------------


def test_a_reference_has_a_namespace_only_where_the_object_has_one() -> None:
    names = {"name": "a", "uid": "1"}
    assert object_reference(CONFIG_MAP, ObjectMeta("a", namespace="b", uid="1")) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "namespace": "b",
        **names,
    }
    assert object_reference(PROMISE, ObjectMeta("a", uid="1")) == {
        "apiVersion": PROMISE.api_version,
        "kind": "Promise",
        **names,
    }
