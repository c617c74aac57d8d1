"""Promises whose own configure workflow has container pipelines; `tests.job_player` stands in for the kubelet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.container_site import MANUAL, SUSPENDED, Object, Site, containers, jinja, phases
from tests.job_player import JobPlayer
from tests.platforms import all_files, available, condition, says
from tests.waiting import eventually
from troth.api import labels as names
from troth.api.resources import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    JOB,
    PROMISE,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    WORK,
    Resource,
)
from troth.dev import ControlPlane

pytestmark = pytest.mark.integration

WRITE = """\
kind=$(sed -n 's/^kind: //p' /kratix/input/object.yaml)
printf 'kind: Made\\nof: %s %s\\n' "$kind" "$KRATIX_OBJECT_NAME" > /kratix/output/made.yaml
"""
MADE = "made.yaml"


@dataclass
class Own:
    """A Promise with a workflow of its own.

    Attributes:
        site: its site.
        apart: whether its pipelines have a namespace of their own, whose Jobs the site plays.
    """

    site: Site
    apart: bool = True

    def promise(self, *pipelines: Object, version: str = "") -> Object:
        """The Promise with these pipelines of its own."""
        found = self.site.promise(jinja("instance"))
        if version:
            found["metadata"]["labels"] = {names.PROMISE_VERSION: version}
        found["spec"]["workflows"]["promise"] = {"configure": list(pipelines)}
        if self.apart:
            found["spec"]["workflows"]["config"] = {"pipelineNamespace": self.site.namespace}
        return found

    async def apply(self, *pipelines: Object, version: str = "") -> None:
        """Applies the Promise."""
        await self.site.platform.make(PROMISE, self.promise(*pipelines, version=version))

    async def wait(self, test: Any) -> Object:
        """Waits until the Promise passes a test."""
        return await self.site.platform.wait(PROMISE, self.site.name, test, within=20)

    async def ready(self) -> Object:
        """Waits until the Promise is Ready in its newest generation, so that its files are in the store."""
        return await self.wait(lambda live: available(live) and condition(live, "Ready").get("status") == "True")

    async def label(self, name: str, value: str | None) -> None:
        """Sets a label of the Promise, or takes it off."""
        patch = {"metadata": {"labels": {name: value}}}
        await self.site.platform.client.merge_patch(PROMISE, self.site.name, patch)

    async def have(self, resource: Resource, *also: str) -> list[str]:
        """The names of the objects of a kind that belong to the Promise, and have other labels as well."""
        selector = ",".join([f"{names.PROMISE_NAME}={self.site.name}", *also])
        found = await self.site.platform.client.list(resource, label_selector=selector)
        return [obj["metadata"]["name"] for obj in found.items]

    async def files(self) -> dict[str, Any]:
        """The manifests that its own pipelines wrote, by the names of their files."""
        found = await all_files(self.site.repository, f"{self.site.name}/dependencies/{self.site.name}/")
        return {Path(path).name: yaml.safe_load(text) for path, text in found.items()}


@pytest.fixture
def own(site: Site) -> Own:
    return Own(site)


async def test_a_promises_own_containers_run_in_the_system_namespace_before_it_is_available(
    site: Site, control_plane: ControlPlane, tmp_path: Path
) -> None:
    own = Own(site, apart=False)
    site.start()
    client = site.platform.client
    async with JobPlayer(control_plane, client, names.SYSTEM_NAMESPACE, tmp_path / "system") as player:
        player.hold()
        await own.apply(containers("install", WRITE))
        job = await player.waiting()
        running = await own.wait(lambda live: phases(live) == {"install": "Running"})
        assert running["status"]["status"] == "Unavailable"
        assert condition(running, "Available")["reason"] == "PromiseUnavailable"
        assert condition(running, "ConfigureWorkflowCompleted")["reason"] == "PipelinesInProgress"
        player.release()
        live = await own.ready()
        assert await own.files() == {MADE: {"kind": "Made", "of": f"Promise {site.name}"}}
        assert live["status"]["message"] == "Promise configured"
        entry = live["status"]["kratix"]["workflows"]["pipelines"][0]
        assert (entry["phase"], entry["hash"]) == ("Succeeded", job["metadata"]["labels"][names.HASH])
        (owner,) = job["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("Promise", live["metadata"]["uid"], True)
        assert job["metadata"]["labels"][names.WORKFLOW_TYPE] == "promise"
        role = await client.get(CLUSTER_ROLE, f"{site.name}-promise-configure-install")
        assert role["rules"][0]["resources"] == ["promises", "promises/status", "works"]
        selector = f"{names.PROMISE_NAME}={site.name},{names.WORK_TYPE}=promise"
        assert len((await client.list(WORK, names.SYSTEM_NAMESPACE, label_selector=selector)).items) == 1
        assert len(player.ran) == 1
        await site.platform.delete(PROMISE, site.name)
        await site.platform.gone(PROMISE, site.name)


@pytest.mark.parametrize("first", ["containers", "templates"])
async def test_a_promise_may_have_both_kinds_of_pipelines_of_its_own_in_either_order(own: Own, first: str) -> None:
    own.site.start()
    both = [containers("shell", WRITE), jinja("templates")]
    await own.apply(*(both if first == "containers" else reversed(both)))
    live = await own.ready()
    assert set(await own.files()) == {MADE, "rolled.yaml"}
    assert phases(live) == {"shell": "Succeeded", "templates": "Succeeded"}
    assert len(own.site.player.ran) == 1


async def test_of_what_the_containers_say_in_the_status_of_their_promise_only_the_message_stays(own: Own) -> None:
    own.site.start()
    say = "printf 'message: three zones are ready\\nzones: 3\\n' > /kratix/metadata/status.yaml"
    await own.apply(containers("install", say))
    live = await own.ready()
    assert live["status"]["message"] == "three zones are ready"
    assert "zones" not in live["status"]


async def test_a_promise_whose_container_fails_names_it_and_runs_it_again_when_asked(
    own: Own, tmp_path: Path
) -> None:
    own.site.start()
    mended = tmp_path / "mended"
    script = f"test -e {mended} || {{ echo 'no such zone: eu-9' >&2; exit 3; }}\n{WRITE}"
    await own.apply(containers("install", script))
    live = await own.wait(says("Ready", "False", "'one'", "exit code 3", reason="ConfigureWorkflowFailed"))
    assert condition(live, "Available")["status"] == "False"
    assert condition(live, "ConfigureWorkflowCompleted")["message"] == "A Configure Pipeline has failed: install"
    assert "no such zone: eu-9" in live["status"]["troth"]["failure"]["log"]
    mended.touch()
    await own.label(MANUAL, "true")
    live = await own.ready()
    assert MANUAL not in live["metadata"].get("labels", {})
    assert len(own.site.player.ran) == 2
    assert MADE in await own.files()


@pytest.mark.parametrize("asked", ["by an edit", "by the label"])
async def test_what_asks_for_another_run_replaces_the_job_of_a_promise_that_runs(own: Own, asked: str) -> None:
    site = own.site
    site.start()
    site.player.hold()
    await own.apply(containers("install", WRITE))
    outdated = await site.player.waiting()
    if asked == "by the label":
        await own.label(MANUAL, "true")
    else:
        await own.apply(containers("install", WRITE.replace("Made", "MadeAnew")))
    await site.platform.gone(JOB, outdated["metadata"]["name"], namespace=site.namespace)
    site.player.release()
    await own.ready()
    assert (await own.files())[MADE]["kind"] == ("Made" if asked == "by the label" else "MadeAnew")
    assert outdated["metadata"]["name"] not in site.player.ran


async def test_a_promise_that_suspends_itself_goes_on_when_somebody_takes_the_label_off(
    own: Own, tmp_path: Path
) -> None:
    own.site.start()
    approved = tmp_path / "approved"
    stop = "printf 'suspend: true\\nmessage: waits for an approval\\n' > /kratix/metadata/workflow-control.yaml"
    await own.apply(containers("guard", f"test -e {approved} || {stop}"), containers("install", WRITE))
    live = await own.wait(says("Ready", "False", "waits for an approval", reason="WorkflowSuspended"))
    assert phases(live) == {"guard": "Suspended", "install": "Pending"}
    assert condition(live, "Available")["reason"] == "WorkflowSuspended"
    assert live["metadata"]["labels"][SUSPENDED] == "true"
    approved.touch()
    await own.label(SUSPENDED, None)
    live = await own.ready()
    assert set(phases(live).values()) == {"Succeeded"}
    assert len(own.site.player.ran) == 3


async def test_an_operator_that_is_killed_and_the_deletion_of_all_jobs_run_nothing_of_a_promise_twice(
    own: Own,
) -> None:
    site = own.site
    process = site.start()
    site.player.hold()
    await own.apply(containers("first", WRITE), containers("second", "true"))
    await site.player.waiting()
    process.kill()
    site.player.release()
    await site.player.finished(1)
    process = site.start()
    done = await own.ready()
    assert len(site.player.ran) == 2
    process.kill()
    for job in await site.player.jobs():
        await site.platform.client.delete(JOB, job["metadata"]["name"], site.namespace)
    site.start()
    await site.platform.ask(site.name, "cache", site.namespace)
    await site.ready()
    live = await site.platform.client.get(PROMISE, site.name)
    assert live["metadata"]["resourceVersion"] == done["metadata"]["resourceVersion"]
    assert len(site.player.ran) == 2
    assert MADE in await own.files()


async def test_an_edit_that_is_refused_and_taken_back_runs_nothing_again(own: Own) -> None:
    own.site.start()
    await own.apply(containers("install", WRITE))
    await own.ready()
    await own.apply(containers("install", WRITE, bogus=True))
    await own.wait(says("Ready", "False", "bogus", reason="InvalidPromise"))
    await own.apply(containers("install", WRITE))
    await own.ready()
    assert len(own.site.player.ran) == 1


async def test_a_promises_work_that_somebody_edits_is_said_to_be_lost_and_comes_back_with_another_run(
    own: Own,
) -> None:
    own.site.start()
    await own.apply(containers("install", WRITE))
    await own.ready()
    await own.site.edit_work([])
    await own.wait(says("Ready", "False", "install", "edited", MANUAL, "on the Promise"))
    assert MADE in await own.files()
    await own.label(MANUAL, "true")
    await own.ready()
    assert len(own.site.player.ran) == 2


async def test_rights_that_a_pipeline_does_not_ask_for_any_more_are_taken_away_at_its_next_run(own: Own) -> None:
    own.site.start()
    asked = f"{names.PIPELINE_NAME}=install"
    here = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    everywhere = {**here, "resourceNamespace": "*"}
    await own.apply(containers("install", WRITE, rbac={"permissions": [here, everywhere]}))
    await own.ready()
    assert len(await own.have(ROLE, asked)) == len(await own.have(ROLE_BINDING, asked)) == 1
    assert len(await own.have(CLUSTER_ROLE, asked)) == len(await own.have(CLUSTER_ROLE_BINDING, asked)) == 1
    await own.apply(containers("install", WRITE, rbac={"permissions": [here]}))
    await own.ready()
    assert len(await own.have(ROLE, asked)) == len(await own.have(ROLE_BINDING, asked)) == 1
    assert await own.have(CLUSTER_ROLE, asked) == await own.have(CLUSTER_ROLE_BINDING, asked) == []


async def test_a_promise_that_drops_its_last_container_pipeline_stops_the_job_that_runs(own: Own) -> None:
    site = own.site
    site.start()
    site.player.hold()
    await own.apply(containers("install", WRITE))
    job = await site.player.waiting()
    await own.apply(jinja("templates"))
    await site.platform.gone(JOB, job["metadata"]["name"], namespace=site.namespace)
    await own.ready()
    assert set(await own.files()) == {"rolled.yaml"}
    assert site.player.ran == []


@pytest.mark.parametrize("still", ["it has been carried out", "its job still runs"])
async def test_a_deleted_promise_takes_along_what_the_pipelines_of_all_its_versions_had(
    own: Own, still: str
) -> None:
    site = own.site
    site.start()
    await own.apply(containers("install", WRITE), version="v1")
    await own.ready()
    if still == "its job still runs":
        site.player.hold()
    await own.apply(containers("install", WRITE.replace("Made", "MadeAnew")), version="v2")
    await (site.player.waiting() if still == "its job still runs" else own.ready())
    assert len(await own.have(SERVICE_ACCOUNT)) == len(await own.have(CONFIG_MAP)) == 2
    await site.platform.delete(PROMISE, site.name)
    await site.platform.gone(PROMISE, site.name)
    for resource in (
        CLUSTER_ROLE_BINDING,
        CLUSTER_ROLE,
        ROLE_BINDING,
        ROLE,
        SERVICE_ACCOUNT,
        CONFIG_MAP,
        JOB,
        WORK,
    ):
        assert await own.have(resource) == [], f"{resource.plural} of the Promise"
    assert await own.files() == {}


async def test_a_promise_whose_pipelines_move_to_another_namespace_has_its_files_from_there(
    site: Site, control_plane: ControlPlane, tmp_path: Path
) -> None:
    site.start()
    async with JobPlayer(control_plane, site.platform.client, names.SYSTEM_NAMESPACE, tmp_path / "system"):
        before = Own(site, apart=False)
        await before.apply(containers("install", WRITE))
        await before.ready()
        own = Own(site)
        await own.apply(containers("install", WRITE.replace("Made", "MadeAnew")))
        await own.ready()
        assert (await own.files())[MADE]["kind"] == "MadeAnew"

        async def only_one() -> bool:
            works = await site.platform.client.list(WORK, label_selector=f"{names.PROMISE_NAME}={site.name}")
            return [work["metadata"]["namespace"] for work in works.items] == [site.namespace]

        await eventually(only_one, "the Work in the former namespace is gone")
        assert (await own.files())[MADE]["kind"] == "MadeAnew"
        await site.platform.delete(PROMISE, site.name)
        await site.platform.gone(PROMISE, site.name)
