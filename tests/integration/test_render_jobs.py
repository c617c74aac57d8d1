"""`troth render --jobs` prints the objects that the operator applies: applying them once more changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.container_site import IMAGE, MANUAL, Object, Site, containers, jinja
from tests.platforms import api_of
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
    Resource,
)
from troth.cli import main

pytestmark = pytest.mark.integration

KINDS: dict[str, Resource] = {
    resource.kind: resource
    for resource in (SERVICE_ACCOUNT, ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, JOB)
}


def shell() -> Object:
    """A pipeline with something in most of its fields."""
    found = containers(
        "shell",
        volumes=[{"name": "cache", "emptyDir": {}}],
        nodeSelector={"example.com/disk": "ssd"},
        jobOptions={"backoffLimit": 2},
        rbac={"permissions": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]},
    )
    found["metadata"] |= {"labels": {"team": "a"}, "annotations": {"troth.dev/active-deadline-seconds": "600"}}
    found["spec"]["containers"][0] |= {
        "env": [{"name": "REGION", "value": "eu"}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        "resources": {"limits": {"memory": "64Mi"}},
    }
    return found


def shown(folder: Path, promise: Object, request: Object | None, attempt: int = 1) -> Sequence[Object]:
    """The objects that `troth render --jobs` prints for a request, or for the Promise itself."""
    (folder / "caches.yaml").write_text(yaml.safe_dump(promise))
    (folder / "request.yaml").write_text(yaml.safe_dump(request))
    subject = ["--promise"] if request is None else ["-f", folder / "request.yaml"]
    arguments = ["render", folder / "caches.yaml", *subject, "--jobs"]
    options = ["--adapter-image", IMAGE, "--run", attempt]
    result = CliRunner().invoke(main, [str(argument) for argument in (*arguments, *options)])
    assert result.exit_code == 0, result.output
    return [document for document in yaml.safe_load_all(result.stdout) if document and document["kind"] in KINDS]


def seen_object(job: Object) -> str:
    """What the containers of a Job read as their object."""
    return str(job["spec"]["template"]["metadata"]["annotations"][names.OBJECT])


async def changes(site: Site, objects: Sequence[Object]) -> list[str]:
    """The kinds of those objects that are not on the cluster, or that another apply by the operator would change.

    A Job holds the object as it was when the Job was made, so that is compared by `seen_object`.
    """
    client = site.platform.client
    found: list[str] = []
    for obj in objects:
        resource, meta = KINDS[obj["kind"]], obj["metadata"]
        before = await client.get(resource, meta["name"], meta.get("namespace", ""))
        if resource is JOB:
            annotations = obj["spec"]["template"]["metadata"]["annotations"]
            mine, theirs = (yaml.safe_load(text) for text in (annotations[names.OBJECT], seen_object(before)))
            assert mine["spec"] == theirs["spec"]
            annotations[names.OBJECT] = seen_object(before)
        after = await client.apply(resource, obj)
        if after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
            found.append(obj["kind"])
    return found


async def test_the_objects_are_those_that_the_operator_applied_for_the_first_run_and_for_another(
    site: Site, tmp_path: Path
) -> None:
    site.start()
    site.player.hold()
    promise = site.promise(shell(), jinja("roll"))
    await site.ask(shell(), jinja("roll"))
    job = await site.player.waiting()
    request = await site.platform.client.get(api_of(site.name), "cache", site.namespace)
    first = shown(tmp_path, promise, request, 1)
    assert [obj["kind"] for obj in first] == [
        *("ServiceAccount", "Role", "RoleBinding", "Role", "RoleBinding", "ConfigMap", "Job"),
    ]
    assert first[-1]["metadata"]["name"] == job["metadata"]["name"]
    assert await changes(site, first) == []

    await site.label(MANUAL, "true")
    await site.platform.gone(JOB, job["metadata"]["name"], namespace=site.namespace)
    job = await site.player.waiting()
    second = shown(tmp_path, promise, request, 2)
    assert second[-1]["metadata"]["name"] == job["metadata"]["name"]
    assert await changes(site, second) == []

    second[-2]["metadata"]["labels"]["team"] = "b"
    assert await changes(site, second[-2:-1]) == ["ConfigMap"], "a difference would be seen"


@pytest.mark.parametrize("version", ["", "v1.2.0"])
async def test_the_objects_for_a_promise_itself_are_those_that_the_operator_applied(
    site: Site, tmp_path: Path, version: str
) -> None:
    site.start()
    site.player.hold()
    promise = site.promise(jinja("roll"))
    promise["spec"]["workflows"] |= {
        "promise": {"configure": [shell(), jinja("own")]},
        "config": {"pipelineNamespace": site.namespace},
    }
    promise["metadata"]["labels"] = {"kratix.io/promise-version": version} if version else {}
    live = await site.platform.make(PROMISE, promise)
    job = await site.player.waiting()
    promise["metadata"]["uid"] = live["metadata"]["uid"]
    objects = shown(tmp_path, promise, None)
    assert objects[-1]["metadata"]["name"] == job["metadata"]["name"]
    assert {"ClusterRole", "ClusterRoleBinding"} < {obj["kind"] for obj in objects}
    assert await changes(site, objects) == []
