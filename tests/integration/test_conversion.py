"""Requests are read and written through two versions of their API, converted by the operator's own webhook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.operators import OperatorProcess
from tests.platforms import (
    Object,
    Platform,
    Repository,
    api_of,
    condition,
    destination,
    git_store,
    is_ready,
    promise,
)
from tests.versioned_api import WRITTEN
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, DESTINATION, GIT_STATE_STORE, PROMISE
from troth.dev import CommandFailed, CommandResult
from troth.kube import Client

Kubectl = Callable[..., Awaitable[CommandResult]]
FLAGS = ("--store-poll", "1", "--failing-store-poll", "0.5")
SERVING = ("--conversion-address", "127.0.0.1", "--conversion-port", "0")
COUNT = 50


def old(number: int) -> dict[str, Any]:
    """What somebody asks for in the old version."""
    return {
        "owner": f"team-{number}",
        "storageGB": number,
        "size": "large",
        "legacy": "x" * (number + 1),
        "replicas": number % 6,
        "users": [{"name": f"z{number}", "role": "admin"}, {"name": "a"}],
    }


def new(number: int) -> dict[str, Any]:
    """What somebody asks for in the new version."""
    return {
        "contact": {"team": f"team-{number}"},
        "storage": f"{number * 1024}Mi",
        "profile": "XL",
        "tls": False,
        "replicas": number % 6,
        "accounts": {"z": {"kind": "admin", "note": "n"}, "a": {"note": f"{number}"}},
    }


def versioned(name: str, *, stored: str) -> Object:
    """A Promise whose API has two versions."""
    made = promise(name, template="kind: Thing\nname: {{ name }}\n")
    api, spec = yaml.safe_load(WRITTEN), made["spec"]["api"]["spec"]
    made["spec"]["api"]["conversions"] = api["conversions"][:1]
    spec["versions"] = [{**each, "storage": each["name"] == stored} for each in api["spec"]["versions"][:2]]
    return made


@dataclass(slots=True)
class Site:
    """A Promise with two versions and an operator that converts between them."""

    platform: Platform
    kubectl: Kubectl
    name: str
    namespace: str
    begin: Callable[..., OperatorProcess]
    operator: OperatorProcess

    def asked(self, version: str, name: str, spec: Mapping[str, Any]) -> Object:
        return {
            "apiVersion": f"{self.name}.example.com/{version}",
            "kind": f"Kind{self.name}",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": dict(spec),
        }

    async def specs(self, version: str) -> dict[str, Any]:
        """The specs of all requests, read in one version."""
        kind = f"{self.name}s.{version}.{self.name}.example.com"
        answer = await self.kubectl("get", kind, "-n", self.namespace, "-o", "json")
        return {item["metadata"]["name"]: item["spec"] for item in json.loads(answer.stdout)["items"]}

    async def run(self, *arguments: str, objects: list[Object]) -> CommandResult:
        """Runs kubectl with some objects."""
        return await self.kubectl(*arguments, "-f", "-", input="\n---\n".join(map(json.dumps, objects)))


@pytest.fixture
async def site(
    client: Client,
    kubectl: Kubectl,
    operator: Callable[..., OperatorProcess],
    unique: str,
    namespace: str,
    tmp_path: Path,
) -> AsyncIterator[Site]:
    platform = Platform(client)
    repository = await asyncio.to_thread(Repository, tmp_path / "gitops.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))

    def begin(*flags: str) -> OperatorProcess:
        return operator(*FLAGS, *flags, "--local-stores", tmp_path, TMPDIR=str(tmp_path))

    running = await asyncio.to_thread(begin, *SERVING)
    yield Site(platform, kubectl, unique, namespace, begin, running)
    await platform.clean()


async def test_fifty_requests_keep_every_value_in_both_versions_also_when_the_other_is_stored(site: Site) -> None:
    await site.platform.publish(versioned(site.name, stored="v1"))
    written = {f"old{number}": old(number) for number in range(COUNT // 2)}
    fresh = {f"new{number}": new(number) for number in range(COUNT // 2)}
    await site.run("apply", objects=[site.asked("v1", name, spec) for name, spec in written.items()])
    await site.run("apply", objects=[site.asked("v2", name, spec) for name, spec in fresh.items()])
    await ready(site, "v1", [*written, *fresh])
    for stored in ("v1", "v2", "v1"):
        await site.platform.publish(versioned(site.name, stored=stored))
        in_old, in_new = await site.specs("v1"), await site.specs("v2")
        assert {name: in_old[name] for name in written} == written
        assert {name: in_new[name] for name in fresh} == fresh
        assert in_new["old3"] == {
            "contact": {"team": "team-3"},
            "storage": "3Gi",
            "profile": "L",
            "tls": True,
            "replicas": written["old3"]["replicas"],
            "accounts": {"z3": {"kind": "admin"}, "a": {}},
        }
        # What was read in one version is written in it again, with one change that both versions have.
        for version, specs in (("v1", in_old), ("v2", in_new)):
            changed = [site.asked(version, name, {**spec, "replicas": 1}) for name, spec in specs.items()]
            await site.run("apply", "--server-side", "--force-conflicts", "--field-manager=edits", objects=changed)
        for specs in (written, fresh):
            for spec in specs.values():
                spec["replicas"] = 1
        assert {name: spec for name, spec in (await site.specs("v1")).items() if name in written} == written
        assert {name: spec for name, spec in (await site.specs("v2")).items() if name in fresh} == fresh


async def test_what_a_gitops_tool_applies_in_the_old_version_shows_no_difference_afterwards(site: Site) -> None:
    await site.platform.publish(versioned(site.name, stored="v2"))
    asked = [site.asked("v1", f"r{number}", old(number)) for number in range(5)]
    await site.run("apply", "--server-side", "--field-manager=flux", objects=asked)
    await ready(site, "v2", [f"r{number}" for number in range(5)])
    other = site.asked("v2", "r1", {"tls": False})
    await site.run("apply", "--server-side", "--field-manager=portal", objects=[other])
    shown = await site.run("diff", "--server-side", "--field-manager=flux", objects=asked)
    assert shown.stdout == ""
    await site.run("apply", "--server-side", "--field-manager=flux", objects=asked)
    assert (await site.specs("v2"))["r1"]["tls"] is False
    assert (await site.specs("v1"))["r1"] == old(1)


async def test_a_value_that_the_stored_version_does_not_allow_is_refused_in_words(site: Site) -> None:
    await site.platform.publish(versioned(site.name, stored="v2"))
    asked = site.asked("v1", "many", {"replicas": 7})
    with pytest.raises(CommandFailed, match=r"v2, in which it is stored, does not allow it: spec\.replicas"):
        await site.run("apply", objects=[asked])


async def test_an_operator_without_a_webhook_refuses_the_promise_and_changes_nothing(site: Site) -> None:
    await site.platform.publish(versioned(site.name, stored="v2"))
    await site.run("apply", objects=[site.asked("v2", "r", new(1))])
    await ready(site, "v2", ["r"])
    await asyncio.to_thread(site.operator.kill)
    definition = api_of(site.name).name
    another = site.asked("v1", "another", old(2))
    with pytest.raises(CommandFailed, match="conversion webhook"):
        await site.run("apply", objects=[another])
    assert (await site.specs("v2"))["r"] == new(1)  # what is read as it is stored needs no webhook
    running = await asyncio.to_thread(site.begin)
    live = await site.platform.wait(
        PROMISE, site.name, lambda live: condition(live, "Ready").get("reason") == "InvalidPromise"
    )
    assert "this operator does not convert between versions" in condition(live, "Ready")["message"]
    found = await site.platform.client.get(CUSTOM_RESOURCE_DEFINITION, definition)
    assert found["spec"]["conversion"]["strategy"] == "Webhook"
    await asyncio.to_thread(running.terminate)
    await asyncio.to_thread(site.begin, *SERVING)
    await site.platform.publish(versioned(site.name, stored="v2"))

    async def answers() -> bool:
        try:
            await site.run("apply", objects=[another])
        except CommandFailed:  # the API server has to read the definition again
            return False
        return True

    await eventually(answers, "the webhook of the new process answers", within=20)
    assert (await site.specs("v1"))["another"] == old(2)


async def ready(site: Site, version: str, names: list[str]) -> None:
    resource = Resource(f"{site.name}.example.com", version, f"{site.name}s", f"Kind{site.name}")
    for name in names:
        await site.platform.wait(resource, name, is_ready, namespace=site.namespace)
