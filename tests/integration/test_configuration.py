"""The ConfigMap ``kratix`` and the operator's own file apply without a restart, on a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.container_site import Site, containers
from tests.platforms import events_of
from tests.waiting import eventually
from troth.api.resources import CONFIG_MAP, NAMESPACE, POD
from troth.kube import Client

pytestmark = pytest.mark.integration

Object = dict[str, Any]
RESTRICTED = {"runAsNonRoot": True, "runAsUser": 1000}


class Configured:
    """A site whose operator has a system namespace of its own, with the ConfigMap in it."""

    def __init__(self, site: Site, client: Client, namespace: str) -> None:
        self.site = site
        self.namespace = namespace
        self._client = client

    def start(self, *more: str | Path) -> Any:
        return self.site.start("--system-namespace", self.namespace, *more)

    async def say(self, document: Any) -> Object:
        """Writes the ConfigMap."""
        text = document if isinstance(document, str) else yaml.safe_dump(document)
        return await self._client.apply(
            CONFIG_MAP,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "kratix", "namespace": self.namespace},
                "data": {"config": text},
            },
        )

    async def next_job(self, size: str) -> Object:
        """Asks for another run, and returns the spec of its Job."""
        before = set(self.site.player.ran)
        await self.site.change({"spec": {"size": size}})

        async def look() -> Object | None:
            found = [job for job in await self.site.player.jobs() if job["metadata"]["name"] not in before]
            return found[0]["spec"] if found else None

        return await eventually(look, "the Job of another run", within=20)


@pytest.fixture
async def configured(site: Site, client: Client, unique: str) -> AsyncIterator[Configured]:
    namespace = f"{unique}-system"
    await client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    yield Configured(site, client, namespace)
    await client.delete(NAMESPACE, namespace)


async def test_what_the_config_map_says_applies_from_the_start_and_a_change_applies_to_the_next_run(
    configured: Configured,
) -> None:
    await configured.say(
        {
            "workflows": {
                "defaultContainerSecurityContext": RESTRICTED,
                "defaultImagePullPolicy": "IfNotPresent",
                "defaultContainerResources": {"limits": {"memory": "64Mi"}},
                "jobOptions": {"defaultBackoffLimit": 2},
            }
        }
    )
    operator = configured.start()
    await configured.site.ask(containers("instance"))
    await configured.site.ready()
    (job,) = await configured.site.player.jobs()
    pod = job["spec"]["template"]["spec"]
    one = next(each for each in pod["initContainers"] if each["name"] == "one")
    assert job["spec"]["backoffLimit"] == 2
    assert one["securityContext"] == RESTRICTED
    assert one["imagePullPolicy"] == "IfNotPresent"
    assert {each["name"]: each["resources"] for each in (*pod["initContainers"], *pod["containers"])} == {
        each: {"limits": {"memory": "64Mi"}} for each in ("one", "status-writer")
    }

    await configured.say({"workflows": {"jobOptions": {"defaultBackoffLimit": 7}}})
    await eventually(_logged(operator, "backoff limit 7"), "the new configuration applies", within=20)
    assert (await configured.next_job("large"))["backoffLimit"] == 7
    await configured.site.ready()


async def test_a_configuration_that_cannot_be_used_is_said_and_what_applied_before_applies_on(
    configured: Configured, client: Client
) -> None:
    await configured.say({"workflows": {"jobOptions": {"defaultBackoffLimit": 2}}})
    operator = configured.start()
    await configured.site.ask(containers("instance"))
    await configured.site.ready()
    written = await configured.say({"workflows": {"jobOptions": {"defaultBackoffLimit": "many"}}})

    async def told() -> str:
        return "".join(event["note"] for event in await events_of(client, written))

    note = await eventually(told, "an Event on the ConfigMap", within=20)
    assert "workflows.jobOptions.defaultBackoffLimit" in note
    assert (await configured.next_job("large"))["backoffLimit"] == 2
    await configured.site.ready()
    await configured.say("workflows: {jobOptions: {podTTL: 3}}")
    await eventually(_logged(operator, "podTTL"), "the unknown key is named", within=20)


async def test_the_pods_of_jobs_that_have_ended_are_deleted_after_their_time_and_the_jobs_stay(
    configured: Configured, client: Client
) -> None:
    await configured.say({"workflows": {"jobOptions": {"podTTLSecondsAfterFinished": 60}}})
    configured.start()
    await configured.site.ask(containers("instance"))
    await configured.site.ready()
    assert len(configured.site.player.ran) == 1

    async def no_pods() -> bool:
        return not (await client.list(POD, configured.site.namespace)).items

    await eventually(no_pods, "the Pods are deleted", within=20)
    assert len(await configured.site.player.jobs()) == 1


async def test_as_many_jobs_of_a_pipeline_are_kept_as_the_configuration_says(configured: Configured) -> None:
    await configured.say({"numberOfJobsToKeep": 1})
    configured.start()
    await configured.site.ask(containers("instance"))
    await configured.site.ready()
    await configured.next_job("large")
    await configured.site.player.finished(2)

    async def one() -> bool:
        return len(await configured.site.player.jobs()) == 1

    await eventually(one, "one Job is left", within=20)


async def test_the_operators_own_file_is_read_again_and_says_what_needs_a_restart(
    configured: Configured, tmp_path: Path
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("storePoll: 2\n")
    operator = configured.start("--config", file)
    file.write_text("failingStorePoll: 1\nlogLevel: debug\nworkers: 3\n")
    await eventually(_logged(operator, "--workers"), "the setting that needs a restart is named", within=20)
    file.write_text("failingStorePol: 1\n")
    await eventually(_logged(operator, "failing_store_pol"), "the misspelt setting is named", within=20)


def _logged(operator: Any, words: str) -> Any:
    async def look() -> bool:
        return words in operator.text()

    return look
