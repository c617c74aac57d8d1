"""From a request to manifests in Git, on a real API server, with the operator as a process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    available,
    condition,
    destination,
    failure,
    git_store,
    is_ready,
    placements,
    promise,
)
from tests.waiting import eventually
from troth.api.naming import group_id
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE
from troth.dev import CommandResult
from troth.kube import Invalid

SEED = Path(__file__).parents[1] / "data" / "seed-promise.yaml"
ROOT_GROUP = group_id(".")[:5]


async def test_the_seed_promise_becomes_available_and_its_requests_ready(
    platform: Platform, namespace: str
) -> None:
    seed: dict[str, Any] = yaml.safe_load(SEED.read_text(encoding="utf-8"))
    await platform.publish(seed)
    resource = api_of("x").__class__("database.example.com", "v1", "postgresqls", "PostgreSQL")
    orders = {
        "apiVersion": "database.example.com/v1",
        "kind": "PostgreSQL",
        "metadata": {"name": "orders", "namespace": namespace},
        "spec": {"size": "small"},
    }
    await platform.make(resource, orders)
    live = await platform.wait(resource, "orders", is_ready, namespace=namespace)
    assert live["spec"]["version"] == "16"
    assert live["status"]["message"] == "Resource requested"
    with pytest.raises(Invalid, match="huge"):
        await platform.client.apply(
            resource, {**orders, "metadata": {"name": "big", "namespace": namespace}, "spec": {"size": "huge"}}
        )


async def test_files_stand_at_kratixs_path_and_the_status_names_the_commit_that_holds_them(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace, size="small")
    live = await platform.ready(unique, "orders", namespace)
    path = f"{unique}/resources/{namespace}/{unique}/orders/instance/{ROOT_GROUP}"
    files = await all_files(repository, path)
    assert list(files) == [f"{path}/object.yaml"]
    assert yaml.safe_load(files[f"{path}/object.yaml"])["data"] == {"size": "small"}
    [placement] = placements(live)
    assert placement["destination"] == unique
    assert placement["path"] == path
    assert placement["state"] == "Written"
    assert repository.holds(str(placement["version"]), f"{path}/object.yaml")
    assert live["status"]["troth"]["phase"] == "Committed"


async def test_a_request_gives_the_same_files_however_it_was_applied(
    platform: Platform,
    repository: Repository,
    kubectl: Callable[..., Awaitable[CommandResult]],
    unique: str,
    namespace: str,
) -> None:
    template = (
        "kind: Noted\nwhat: {{ annotations }}\nlabels: {{ labels }}\nagain: {{ request.metadata.annotations }}\n"
    )
    await platform.publish(promise(unique, files=[{"path": "noted.yaml", "template": template}]))
    resource = api_of(unique)
    request = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": "orders", "namespace": namespace, "annotations": {"example.com/note": "hello"}},
        "spec": {"size": "small"},
    }
    await kubectl("apply", "-f", "-", input=yaml.safe_dump(request))
    live = await platform.ready(unique, "orders", namespace)
    assert "kubectl.kubernetes.io/last-applied-configuration" in live["metadata"]["annotations"]
    path = f"{unique}/resources/{namespace}/{unique}/orders/instance/{ROOT_GROUP}"
    files = await all_files(repository, path)
    assert yaml.safe_load(files[f"{path}/noted.yaml"]) == {
        "kind": "Noted",
        "what": {"example.com/note": "hello"},
        "labels": {"kratix.io/promise-name": unique},
        "again": {"example.com/note": "hello"},
    }


async def test_an_edit_changes_only_the_file_that_differs_and_no_change_makes_no_commit(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    files = [
        {"path": "size.yaml", "template": "kind: Size\nsize: {{ spec.size }}\n"},
        {"path": "fixed.yaml", "template": "kind: Fixed\nname: {{ name }}\n"},
    ]
    await platform.publish(promise(unique, files=files))
    await platform.ask(unique, "orders", namespace, size="small")
    first = await platform.ready(unique, "orders", namespace)
    before = repository.head()
    await platform.ask(unique, "orders", namespace, size="large")
    await platform.wait(
        api_of(unique),
        "orders",
        lambda live: is_ready(live) and placements(live)[0]["version"] != placements(first)[0]["version"],
        namespace=namespace,
    )
    [commit] = repository.commits(before)
    assert [Path(path).name for path in repository.changed(commit)] == ["size.yaml"]
    await platform.ask(unique, "orders", namespace, size="large", unused="changes no file")
    live = await platform.ready(unique, "orders", namespace)
    assert repository.head() == commit
    assert placements(live)[0]["version"] == commit


async def test_a_deleted_request_takes_its_files_along_and_then_its_finalizer(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    await platform.delete(api_of(unique), "orders", namespace=namespace)
    await platform.gone(api_of(unique), "orders", namespace=namespace)
    assert await all_files(repository, f"{unique}/resources/{namespace}") == {}
    assert await all_files(repository, f"{unique}/"), "the destination's folder must not vanish"


async def test_a_change_of_the_promise_renders_every_request_anew_and_the_last_change_wins(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await platform.publish(promise(unique, template="kind: V\nversion: one\nname: {{ name }}\n"))
    for number in range(5):
        await platform.ask(unique, f"r{number}", namespace)
    for number in range(5):
        await platform.ready(unique, f"r{number}", namespace)
    for version in ("two", "three"):
        await platform.make(
            PROMISE, promise(unique, template=f"kind: V\nversion: {version}\nname: {{{{ name }}}}\n")
        )

    async def all_three() -> bool:
        found = await all_files(repository, f"{unique}/resources/{namespace}")
        return len(found) == 5 and all("three" in content for content in found.values())

    await eventually(all_three, "all five requests show the last version")


async def test_without_a_destination_the_request_says_which_labels_it_waits_for(
    platform: Platform, unique: str, namespace: str, stores: Path
) -> None:
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    live = await platform.wait(
        api_of(unique),
        "orders",
        lambda live: f"for={unique}" in condition(live, "Ready").get("message", ""),
        namespace=namespace,
    )
    assert condition(live, "Ready")["status"] == "False"
    repository = Repository(stores / f"{unique}-late.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    await platform.ready(unique, "orders", namespace)
    assert await all_files(repository, f"{unique}/resources/{namespace}")


async def test_a_failing_template_is_located_and_others_do_not_wait(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    template = "kind: A\n{% if spec.bad is defined %}\nvalue: {{ spec.sise }}\n{% endif %}\nname: {{ name }}\n"
    await platform.publish(promise(unique, template=template))
    await platform.ask(unique, "bad", namespace, bad=True, size="small")
    await platform.ask(unique, "good", namespace)
    await platform.ready(unique, "good", namespace)
    live = await platform.wait(api_of(unique), "bad", failure, namespace=namespace)
    assert failure(live)["file"] == "object.yaml"
    assert failure(live)["line"] == 3
    assert "spec.sise" in failure(live)["expression"]
    assert "spec.size" in failure(live)["hint"]
    assert condition(live, "Ready")["status"] == "False"
    await platform.ask(unique, "bad", namespace, size="mended")
    await platform.ready(unique, "bad", namespace)


async def test_a_promise_that_is_deleted_takes_its_requests_files_and_api_along(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    await platform.delete(PROMISE, unique)
    await platform.gone(PROMISE, unique)
    assert await all_files(repository, f"{unique}/resources/{namespace}") == {}
    assert await platform.client.find_resource(f"{unique}.example.com/v1", f"Kind{unique}", refresh=True) is None


async def test_a_promise_with_a_slip_says_so_and_its_requests_keep_what_they_have(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    before = repository.head()
    await platform.make(PROMISE, promise(unique, template="a: {{ spec.size | nosuchfilter }}\n"))
    live = await platform.wait(
        PROMISE, unique, lambda live: condition(live, "Ready").get("reason") == "InvalidPromise"
    )
    assert "nosuchfilter" in condition(live, "Ready")["message"]
    assert failure(live)["line"] == 1
    assert (await platform.ready(unique, "orders", namespace))["status"]["troth"]["phase"] == "Committed"
    assert repository.head() == before
    await platform.make(PROMISE, promise(unique, template="a: {{ spec.size | default('mended') }}\n"))
    await platform.wait(PROMISE, unique, available)

    async def mended() -> bool:
        return any(
            "mended" in content
            for content in (await all_files(repository, f"{unique}/resources/{namespace}")).values()
        )

    await eventually(mended, "the mended template was rendered")
