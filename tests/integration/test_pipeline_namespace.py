"""A Promise whose pipelines have a namespace of their own: what is kept there, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.platforms import Platform, Repository, all_files, api_of, is_ready, placements, promise
from tests.waiting import eventually
from troth.api.resources import WORK
from troth.dev import ControlPlane
from troth.kube import Client

DEPENDENCY = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dependency"}}


@pytest.fixture
def namespaces(control_plane: ControlPlane, unique: str) -> Iterator[list[str]]:
    """Two namespaces for requests, and one for the pipelines."""
    made = [f"{unique}-{suffix}" for suffix in ("a", "b", "pipelines")]
    for name in made:
        control_plane.kubectl("create", "namespace", name)
    yield made
    for name in made:
        control_plane.finish_namespace(name, strip_finalizers=True)


def a_promise(name: str, pipelines: str, **spec: Any) -> dict[str, Any]:
    made = promise(name, **spec)
    made["spec"]["workflows"]["config"] = {"pipelineNamespace": pipelines}
    return made


async def test_requests_of_one_name_in_two_namespaces_are_both_served(
    platform: Platform, repository: Repository, unique: str, namespaces: list[str]
) -> None:
    first, second, pipelines = namespaces
    await platform.publish(a_promise(unique, pipelines))
    for namespace, size in ((first, "small"), (second, "large")):
        await platform.ask(unique, "orders", namespace, size=size)

    for namespace, size in ((first, "small"), (second, "large")):
        live = await platform.ready(unique, "orders", namespace)
        assert is_ready(live)
        [placement] = placements(live)
        folder = f"{unique}/resources/{namespace}/{unique}/orders/instance/"
        assert placement["path"].startswith(folder)
        assert size in (await all_files(repository, folder))[f"{placement['path']}/object.yaml"]

    await platform.delete(api_of(unique), "orders", namespace=first)
    await platform.gone(api_of(unique), "orders", namespace=first)
    files = await all_files(repository, f"{unique}/resources/")
    assert {path.split("/")[2] for path in files if path.endswith("object.yaml")} == {second}


async def test_dependencies_are_kept_where_the_operator_is(
    platform: Platform, repository: Repository, client: Client, unique: str, namespaces: list[str]
) -> None:
    await platform.publish(a_promise(unique, namespaces[2], dependencies=[DEPENDENCY]))

    async def written() -> bool:
        return any("dependency" in text for text in (await all_files(repository, unique)).values())

    await eventually(written, "the dependencies are in the repository")
    works = [
        work["metadata"]["namespace"]
        for work in (await client.list(WORK)).items
        if work["spec"]["promiseName"] == unique
    ]
    assert works == ["kratix-platform-system"]
