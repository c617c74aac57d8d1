"""Workflows beyond one pipeline: several, a Promise's own, dependencies, requirements, pauses and deletes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    available,
    condition,
    destination,
    git_store,
    promise,
)
from tests.waiting import eventually
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE

PAUSED = "kratix.io/paused"


def jinja(name: str, **spec: Any) -> dict[str, Any]:
    """A JinjaPipeline."""
    return {"apiVersion": "troth.dev/v1alpha1", "kind": "JinjaPipeline", "metadata": {"name": name}, "spec": spec}


def file(name: str, text: str) -> dict[str, str]:
    """A file of a pipeline."""
    return {"path": name, "template": text}


async def test_a_promises_dependencies_and_its_own_pipelines_go_to_every_matching_destination(
    platform: Platform, repository: Repository, unique: str
) -> None:
    await platform.make(DESTINATION, destination(f"{unique}-2", store=unique, labels={"for": unique}))
    made = promise(
        unique, dependencies=[{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "theirs"}}]
    )
    made["spec"]["workflows"]["promise"] = {
        "configure": [
            jinja("setup", files=[file("setup.yaml", "kind: Setup\nname: {{ promise.metadata.name }}\n")])
        ]
    }
    await platform.publish(made)

    async def everywhere() -> bool:
        files = await all_files(repository)
        return all(
            f"{place}/dependencies/{unique}/{path}" in files
            for place in (unique, f"{unique}-2")
            for path in (f"5058f/static/{unique}-dependencies.yaml", "setup/5058f/setup.yaml")
        )

    await eventually(everywhere, "both destinations have both files")
    files = await all_files(repository, f"{unique}/dependencies/{unique}/")
    assert yaml.safe_load(files[f"{unique}/dependencies/{unique}/setup/5058f/setup.yaml"])["name"] == unique
    del made["spec"]["dependencies"]
    del made["spec"]["workflows"]["promise"]
    await platform.client.merge_patch(
        PROMISE, unique, {"spec": {"dependencies": None, "workflows": {"promise": None}}}
    )

    async def nowhere() -> bool:
        return not any(f"/dependencies/{unique}/" in path for path in await all_files(repository))

    await eventually(nowhere, "what the Promise no longer brings is gone")


async def test_the_files_of_a_directory_go_where_its_labels_say_and_the_rest_where_the_promise_says(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await platform.make(DESTINATION, destination(f"{unique}-b", store=unique, labels={"role": f"{unique}-backup"}))
    await platform.publish(
        promise(
            unique,
            files=[file("main.yaml", "kind: Main\n"), file("backup/plan.yaml", "kind: Backup\n")],
            pipeline={"destinations": [{"directory": "backup", "matchLabels": {"role": f"{unique}-backup"}}]},
        )
    )
    await platform.ask(unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    own = [path for path in await all_files(repository) if "/orders/" in path]
    assert sorted(path.rpartition("/instance/")[0].split("/")[0] + ":" + Path(path).name for path in own) == [
        f"{unique}-b:plan.yaml",
        f"{unique}:main.yaml",
    ]


async def test_a_pipeline_that_is_taken_out_takes_its_files_along(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    made = promise(unique)
    made["spec"]["workflows"]["resource"]["configure"].append(jinja("second", files=[file("b.yaml", "kind: B\n")]))
    await platform.publish(made)
    await platform.ask(unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    assert any("/second/" in path for path in await all_files(repository))
    made["spec"]["workflows"]["resource"]["configure"].pop()
    await platform.publish(made)

    async def left() -> bool:
        own = [path for path in await all_files(repository) if "/orders/" in path]
        return len(own) == 1 and "/instance/" in own[0]

    await eventually(left, "the second pipeline's file is gone, the first's is there")


async def test_a_delete_pipeline_can_hold_a_request_back_in_its_own_words(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    made = promise(unique)
    refusal = "{{ fail('it is protected; set protected to false first') }}"
    guard = "{% if spec.protected | default(false) %}" + refusal + "{% endif %}"
    made["spec"]["workflows"]["resource"]["delete"] = [
        jinja("check", values={"sound": "yes"}),
        jinja("guard", values={"check": guard}),
        jinja("after", values={"sound": "yes"}),
    ]
    await platform.publish(made)
    await platform.ask(unique, "orders", namespace, protected=True)
    await platform.ready(unique, "orders", namespace)
    await platform.delete(api_of(unique), "orders", namespace=namespace)
    live = await platform.wait(
        api_of(unique),
        "orders",
        lambda live: condition(live, "DeleteWorkflowCompleted").get("reason") == "DeleteWorkflowFailed",
        namespace=namespace,
    )
    assert "it is protected" in condition(live, "Ready")["message"]
    workflows = live["status"]["kratix"]["workflows"]
    assert [(entry["name"], entry["phase"]) for entry in workflows["delete"]["pipelines"]] == [
        ("check", "Succeeded"),
        ("guard", "Failed"),
        ("after", "Pending"),
    ]
    assert workflows["pipelines"][0]["phase"] == "Succeeded", "what was made of it is still told"
    assert live["status"]["troth"]["failure"]["pipeline"] == "guard"
    assert any("/orders/" in path for path in await all_files(repository)), "nothing was removed"
    await platform.client.merge_patch(
        api_of(unique), "orders", {"spec": {"protected": False}}, namespace=namespace
    )
    await platform.gone(api_of(unique), "orders", namespace=namespace)
    assert not any("/orders/" in path for path in await all_files(repository))


async def test_a_suspended_deletion_says_so_and_goes_on_when_its_condition_is_met(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    suspended = "{{ annotations['released'] is not defined }}"
    made = promise(unique)
    made["spec"]["workflows"]["resource"]["delete"] = [
        jinja("guard", control={"suspend": suspended, "message": "waits for a release"})
    ]
    await platform.publish(made)
    await platform.ask(unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    await platform.delete(api_of(unique), "orders", namespace=namespace)
    live = await platform.wait(
        api_of(unique),
        "orders",
        lambda live: condition(live, "DeleteWorkflowCompleted").get("reason") == "DeleteWorkflowSuspended",
        namespace=namespace,
    )
    reconciled = condition(live, "Reconciled")
    assert (reconciled["status"], reconciled["reason"], reconciled["message"]) == (
        "Unknown",
        "WorkflowSuspended",
        "Suspended",
    )
    assert "waits for a release" in condition(live, "Ready")["message"]
    (entry,) = live["status"]["kratix"]["workflows"]["delete"]["pipelines"]
    assert (entry["phase"], entry["message"]) == ("Suspended", "waits for a release")
    assert any("/orders/" in path for path in await all_files(repository)), "nothing was removed"
    await platform.client.merge_patch(
        api_of(unique), "orders", {"metadata": {"annotations": {"released": "yes"}}}, namespace=namespace
    )
    await platform.gone(api_of(unique), "orders", namespace=namespace)


async def test_a_suspended_pipeline_says_so_and_goes_on_when_its_condition_is_met(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    suspended = "{{ annotations['approved'] is not defined }}"
    made = promise(unique, pipeline={"control": {"suspend": suspended, "message": "waits for an approval"}})
    made["spec"]["workflows"]["resource"]["configure"].append(jinja("second", files=[file("b.yaml", "kind: B\n")]))
    await platform.publish(made)
    await platform.ask(unique, "orders", namespace)
    live = await platform.wait(
        api_of(unique),
        "orders",
        lambda live: condition(live, "Reconciled").get("reason") == "WorkflowSuspended",
        namespace=namespace,
    )
    phases = [entry["phase"] for entry in live["status"]["kratix"]["workflows"]["pipelines"]]
    assert phases == ["Suspended", "Pending"]
    assert condition(live, "Ready")["message"] == "waits for an approval"
    assert not any("/orders/" in path for path in await all_files(repository))
    await platform.client.merge_patch(
        api_of(unique), "orders", {"metadata": {"annotations": {"approved": "yes"}}}, namespace=namespace
    )
    await platform.ready(unique, "orders", namespace)
    assert len([path for path in await all_files(repository) if "/orders/" in path]) == 2


async def test_the_status_records_for_what_a_pipeline_ran_and_another_request_for_the_same_has_the_same(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    def hashes(live: Any) -> list[str]:
        return [entry["hash"] for entry in live["status"]["kratix"]["workflows"]["pipelines"]]

    made = promise(unique)
    own = jinja("own", files=[file("a.yaml", "kind: A\n")])
    made["spec"]["workflows"]["promise"] = {"configure": [own]}
    await platform.publish(made)
    live = await platform.client.get(PROMISE, unique)
    assert [bool(each) for each in hashes(live)] == [True]
    for name in ("orders", "users"):
        await platform.ask(unique, name, namespace, size="small")
    orders, users = [await platform.ready(unique, name, namespace) for name in ("orders", "users")]
    assert hashes(orders) == hashes(users)
    await platform.client.merge_patch(api_of(unique), "orders", {"spec": {"size": "large"}}, namespace=namespace)
    changed = await platform.wait(
        api_of(unique), "orders", lambda live: hashes(live) != hashes(orders), namespace=namespace
    )
    assert [len(each) for each in hashes(changed)] == [32]


async def test_a_promise_waits_for_the_promises_that_it_requires_and_its_requests_wait_with_it(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    needed = f"{unique}n"
    made = promise(unique, requiredPromises=[{"name": needed}])
    await platform.make(PROMISE, made)
    live = await platform.wait(
        PROMISE, unique, lambda live: condition(live, "RequirementsFulfilled").get("status") == "False"
    )
    assert live["status"]["status"] == "Unavailable"
    assert live["status"]["requiredPromises"] == [
        {"name": needed, "version": "", "state": "Requirement not installed"}
    ]

    async def api_is_there() -> bool:
        return (
            await platform.client.find_resource(f"{unique}.example.com/v1", f"Kind{unique}", refresh=True)
            is not None
        )

    await eventually(api_is_there, "the API is served although requirements are missing")
    await platform.ask(unique, "orders", namespace)
    waiting = await platform.wait(
        api_of(unique),
        "orders",
        lambda live: condition(live, "PromiseAvailable").get("status") == "False",
        namespace=namespace,
    )
    assert f"Waiting for required Promises: {needed} (Requirement not installed)" in waiting["status"]["message"]
    await platform.publish(promise(needed))
    await platform.wait(PROMISE, unique, available)
    await platform.ready(unique, "orders", namespace)
    required = await platform.client.get(PROMISE, needed)
    assert [entry["promise"]["name"] for entry in required["status"]["requiredBy"]] == [unique]
    assert await all_files(repository)


async def test_a_paused_request_is_left_alone_until_the_label_goes(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace, size="small")
    await platform.ready(unique, "orders", namespace)
    before = repository.head()
    change = {"metadata": {"labels": {PAUSED: "true"}}, "spec": {"size": "large"}}
    await platform.client.merge_patch(api_of(unique), "orders", change, namespace=namespace)
    await platform.wait(
        api_of(unique),
        "orders",
        lambda live: condition(live, "Reconciled").get("message") == "Paused",
        namespace=namespace,
    )
    assert repository.head() == before
    await platform.client.merge_patch(
        api_of(unique), "orders", {"metadata": {"labels": {PAUSED: None}}}, namespace=namespace
    )

    async def large() -> bool:
        return any(
            "large" in content
            for content in (await all_files(repository, f"{unique}/resources/{namespace}")).values()
        )

    await eventually(large, "the change that came while it was paused")


async def test_two_promises_with_one_api_do_not_take_it_from_each_other(
    platform: Platform, repository: Repository, unique: str
) -> None:
    await platform.publish(promise(unique))
    other = promise(unique)
    other["metadata"]["name"] = f"{unique}-other"
    await platform.make(PROMISE, other)
    live = await platform.wait(
        PROMISE, f"{unique}-other", lambda live: condition(live, "Ready").get("reason") == "InvalidPromise"
    )
    assert f"is the API of the Promise {unique}" in condition(live, "Ready")["message"]
    assert available(await platform.client.get(PROMISE, unique))
    assert repository.head()


async def test_a_store_prefix_comes_before_the_destinations_path(
    platform: Platform, stores: Path, unique: str, namespace: str
) -> None:
    repository = Repository(stores / f"{unique}-prefix.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path), path="clusters/eu"))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}, path="one"))
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    assert f"clusters/eu/one/resources/{namespace}/{unique}/orders/instance/5058f/object.yaml" in await all_files(
        repository
    )
