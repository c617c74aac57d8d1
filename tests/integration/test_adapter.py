"""The programs in a pipeline's pod, as processes against a real API server, with no rights but a pipeline's own."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.accounts import in_cluster_folder, new_token
from tests.adapter_pod import (
    RBAC,
    WRITE,
    Corner,
    files_of,
    grant,
    made_corner,
    make_pod,
    wait_granted,
    works_in,
)
from tests.faults import Answer, FaultProxy, LoseAnswer, Refuse, conflict, too_many_requests
from tests.platforms import promise
from troth.api import Resource
from troth.api.resources import PROMISE, WORK
from troth.api.step_reports import StepReport, read_step_report, reported_status
from troth.dev import ControlPlane
from troth.engine.placement.seals import Seals
from troth.engine.placement.work import work_name
from troth.kube import Client, Conflict

pytestmark = pytest.mark.integration


@pytest.fixture
async def corner(
    control_plane: ControlPlane, client: Client, namespace: str, unique: str, tmp_path: Path
) -> AsyncIterator[Corner]:
    async with made_corner(control_plane, client, namespace, unique, tmp_path) as corner:
        yield corner


# ---- reader


async def test_the_reader_writes_the_object_as_it_is_stored_for_every_user(corner: Corner, client: Client) -> None:
    await client.merge_patch(
        corner.resource,
        "cache",
        {"status": {"size": "three", "no": "yes"}},
        namespace=corner.namespace,
        subresource="status",
    )
    await corner.pod.succeed("reader")
    path = corner.pod.folder / "object" / "object.yaml"
    assert yaml.safe_load(path.read_text()) == await corner.request(client)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in path.parent.iterdir()] == ["object.yaml"]


async def test_a_request_that_is_gone_is_said_in_one_line(corner: Corner, client: Client) -> None:
    await client.delete(corner.resource, "cache", corner.namespace)
    assert '"cache" not found' in await corner.pod.refuse("reader")


# ---- status-writer: the Work


async def test_the_output_is_in_a_work_that_the_operator_finds_and_does_not_believe(
    corner: Corner, client: Client
) -> None:
    deep = "/".join("abcdefghij" * 3) + "/file.bin"
    files = {"a.yaml": b"a: 1\n", "backup/b.yaml": b"b: 2\n", f"x/{deep}": bytes(range(256)) * 9, "empty": b""}
    for path, content in files.items():
        corner.pod.write(f"input/{path}", content)
    corner.pod.write("metadata/destination-selectors.yaml", "- {directory: backup, matchLabels: {for: backup}}\n")
    corner.pod.write("kratix-system/promise-scheduling", "- matchlabels: {environment: dev}\n  source: promise\n")
    await corner.pod.succeed("status-writer")
    (work,) = await works_in(client, corner.namespace)
    assert files_of(work) == files
    assert work["metadata"]["name"] == work_name(promise=corner.promise, pipeline="instance", resource="cache")
    assert work["metadata"]["labels"] == {
        "kratix.io/promise-name": corner.promise,
        "kratix.io/resource-name": "cache",
        "kratix.io/pipeline-name": "instance",
        "kratix.io/work-type": "resource",
    }
    assert {group["directory"]: group["destinationSelectors"] for group in work["spec"]["workloadGroups"]} == {
        ".": [{"matchLabels": {"environment": "dev"}, "source": "promise"}],
        "backup": [{"matchLabels": {"for": "backup"}, "source": "resource-workflow"}],
    }
    assert Seals().read_work(work).sealed_for == ""


async def test_a_second_run_writes_only_what_changed_and_to_the_same_work(corner: Corner, client: Client) -> None:
    corner.pod.write("input/a", b"a")
    await corner.pod.succeed("status-writer")
    (first,) = await works_in(client, corner.namespace)
    name = first["metadata"]["name"]
    assert (await corner.pod.succeed("status-writer")).stdout == (
        f"status-writer: the Work {corner.namespace}/{name} is up to date\n"
        f"status-writer: the status of {corner.resource.kind} cache is up to date\n"
    )
    assert await works_in(client, corner.namespace) == [first]
    corner.pod.write("input/b", b"b")
    (corner.pod.folder / "input" / "a").unlink()
    await corner.pod.succeed("status-writer")
    (second,) = await works_in(client, corner.namespace)
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert files_of(second) == {"b": b"b"}


async def test_a_work_that_kratix_named_is_found_by_its_labels(corner: Corner, client: Client) -> None:
    corner.pod.write("input/a", b"a")
    await corner.pod.succeed("status-writer")
    (work,) = await works_in(client, corner.namespace)
    await client.merge_patch(
        WORK, work["metadata"]["name"], {"metadata": {"finalizers": None}}, namespace=corner.namespace
    )
    await client.delete(WORK, work["metadata"]["name"], corner.namespace)
    named = {"name": "named-by-kratix", "namespace": corner.namespace, "labels": work["metadata"]["labels"]}
    await client.create(WORK, {**work, "metadata": named, "spec": {**work["spec"], "workloadGroups": []}})
    await corner.pod.succeed("status-writer")
    (found,) = await works_in(client, corner.namespace)
    assert (found["metadata"]["name"], files_of(found)) == ("named-by-kratix", {"a": b"a"})
    await client.create(WORK, {**work, "metadata": {**named, "name": "second"}})
    assert await corner.pod.refuse("status-writer") == (
        f"namespace {corner.namespace}: named-by-kratix and second are both Works of the pipeline instance; "
        "delete one of them"
    )


async def test_a_work_whose_labels_were_taken_off_gets_them_back_and_one_of_others_is_left_alone(
    corner: Corner, client: Client
) -> None:
    await corner.pod.succeed("status-writer")
    (work,) = await works_in(client, corner.namespace)
    name = work["metadata"]["name"]
    for label, value in {"kratix.io/promise-name": None, "kratix.io/pipeline-name": "other"}.items():
        await client.merge_patch(WORK, name, {"metadata": {"labels": {label: value}}}, namespace=corner.namespace)
        if value is None:
            await corner.pod.succeed("status-writer")
            assert (await client.get(WORK, name, corner.namespace))["metadata"]["labels"] == work["metadata"][
                "labels"
            ]
    assert f"the Work {name} belongs to something else" in await corner.pod.refuse("status-writer")


@pytest.mark.parametrize("wish", ["suspend: true", "retryAfter: 10m"])
async def test_a_pipeline_that_asks_to_stop_makes_no_work_and_leaves_one_as_it_is(
    wish: str, corner: Corner, client: Client
) -> None:
    corner.pod.write("metadata/workflow-control.yaml", wish)
    corner.pod.write("input/a", b"a")
    await corner.pod.succeed("status-writer")
    assert await works_in(client, corner.namespace) == []
    (corner.pod.folder / "metadata" / "workflow-control.yaml").unlink()
    await corner.pod.succeed("status-writer")
    before = await works_in(client, corner.namespace)
    corner.pod.write("metadata/workflow-control.yaml", wish)
    corner.pod.write("input/a", b"another")
    await corner.pod.succeed("status-writer")
    assert await works_in(client, corner.namespace) == before


def _many(output: Path) -> None:
    for number in range(20_000):
        (output / str(number)).touch()


def _large(output: Path) -> None:
    with (output / "large").open("wb") as file:
        file.truncate(200 << 20)


HOSTILE: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "token": (
        lambda output: (output / "token").symlink_to("/var/run/secrets/kubernetes.io/serviceaccount/token"),
        "/kratix/output/token: is a symbolic link; only files and directories are read",
    ),
    "pipe": (
        lambda output: os.mkfifo(output / "pipe"),
        "/kratix/output/pipe: is a named pipe; only files and directories are read",
    ),
    "many": (_many, "/kratix/output: holds more than 5000 files and directories"),
    "large": (_large, "/kratix/output/large: has 209715200 bytes, and 16777216 are allowed"),
    "noise": (
        lambda output: (output / "noise").write_bytes(random.Random(1).randbytes(3 << 20)),
        "/kratix/output: its files make a Work of more than 3 MiB",
    ),
    "etcd": (
        lambda output: (output / "noise").write_bytes(random.Random(1).randbytes(19 << 16)),
        "the API server answered ",
    ),
    "selectors": (
        lambda output: (output.parent / "metadata" / "destination-selectors.yaml").write_text("a: b: c"),
        "/kratix/metadata/destination-selectors.yaml: is not YAML as Kubernetes reads it: ",
    ),
    "control": (
        lambda output: (output.parent / "metadata" / "workflow-control.yaml").symlink_to("/etc/hostname"),
        "/kratix/metadata/workflow-control.yaml: is a symbolic link; only files and directories are read",
    ),
}


@pytest.mark.parametrize("what", sorted(HOSTILE))
async def test_what_cannot_be_a_work_is_refused_with_file_and_reason_and_none_is_made(
    what: str, corner: Corner, client: Client
) -> None:
    make, words = HOSTILE[what]
    corner.pod.write("input/fine", b"fine")
    await asyncio.to_thread(make, corner.pod.folder / "input")
    before = await corner.request(client)
    corner.pod.write("metadata/status.yaml", "fine: true")
    assert (await corner.pod.refuse("status-writer")).startswith(words)
    assert await works_in(client, corner.namespace) == []
    assert await corner.request(client) == before, "a status without its Work"


# ---- status-writer: the status


async def test_a_status_is_merged_deeply_beside_what_the_operator_wrote(corner: Corner, client: Client) -> None:
    pipelines = {"pipelines": [{"name": "instance", "phase": "Running"}]}
    old = {
        "endpoint": {"host": "a", "port": 1},
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "kratix": {"workflows": pipelines},
        "troth": {"phase": "Pending", "statusKeys": ["size"]},
    }
    await client.merge_patch(
        corner.resource, "cache", {"status": old}, namespace=corner.namespace, subresource="status"
    )
    said = {
        "message": "the cache is up",
        "endpoint": {"port": 2},
        "observedGeneration": 99,
        "conditions": [{"type": "Up", "status": "True", "reason": "Started", "message": "it answers"}],
    }
    corner.pod.write("metadata/status.yaml", yaml.safe_dump(said))
    done = await corner.pod.succeed("status-writer")
    assert done.stderr == (
        "status-writer: warning: /kratix/metadata/status.yaml: left out observedGeneration: this key is written by "
        "the operator\n"
    )
    status = (await corner.request(client))["status"]
    assert status["endpoint"] == {"host": "a", "port": 2}
    assert status["kratix"] == old["kratix"]
    assert "observedGeneration" not in status
    assert [condition["type"] for condition in status["conditions"]] == ["Ready", "Up"]
    report = read_step_report(status, "configure", "instance")
    assert report == StepReport(
        status_keys=("endpoint",), condition_types=("Up",), status_message="the cache is up"
    )
    assert reported_status(status, report)["message"] == "the cache is up"
    assert status["troth"]["statusKeys"] == ["size"]
    assert "is up to date" in (await corner.pod.succeed("status-writer")).stdout


async def test_a_pipeline_that_says_nothing_writes_nothing(corner: Corner, client: Client) -> None:
    before = await corner.request(client)
    await corner.pod.succeed("status-writer")
    assert await corner.request(client) == before


async def test_writers_of_one_status_at_the_same_time_lose_nothing(corner: Corner, client: Client) -> None:
    said = {"conditions": [{"type": "Up", "status": "True"}]}
    corner.pod.write("metadata/status.yaml", yaml.safe_dump(said))
    ended = asyncio.Event()

    async def meddle() -> int:
        count = 0
        while not ended.is_set():
            count += 1
            obj = await corner.request(client)
            conditions = [
                item for item in obj.get("status", {}).get("conditions", []) if item["type"] != "Meddled"
            ]
            obj["status"] = {
                **obj.get("status", {}),
                "conditions": [*conditions, {"type": "Meddled", "status": "True", "message": str(count)}],
            }
            try:
                await client.replace(corner.resource, obj, subresource="status")
            except Conflict:
                continue
        return count

    meddling = asyncio.create_task(meddle())
    names = [f"pipeline-{number}" for number in range(4)]
    try:
        await asyncio.gather(*(corner.pod.succeed("status-writer", KRATIX_PIPELINE_NAME=name) for name in names))
    finally:
        ended.set()
    assert await meddling > 0
    status = (await corner.request(client))["status"]
    assert {condition["type"] for condition in status["conditions"]} == {"Up", "Meddled"}
    assert status["troth"]["workflows"]["configure"] == {name: {"conditionTypes": ["Up"]} for name in names}


async def test_what_a_pipeline_asks_of_its_workflow_is_reported_and_the_object_labelled(
    corner: Corner, client: Client
) -> None:
    corner.pod.write("metadata/workflow-control.yaml", "suspend: true\nmessage: wait for Ann\nretryAfter: 10m\n")
    await corner.pod.succeed("status-writer")
    request = await corner.request(client)
    assert request["metadata"]["labels"]["kratix.io/workflow-suspended"] == "true"
    assert read_step_report(request["status"], "configure", "instance") == StepReport(
        suspend=True, message="wait for Ann", retry_after="10m"
    )
    assert "kratix" not in request["status"]
    (corner.pod.folder / "metadata" / "workflow-control.yaml").unlink()
    await corner.pod.succeed("status-writer")
    request = await corner.request(client)
    assert read_step_report(request["status"], "configure", "instance") == StepReport()
    assert request["metadata"]["labels"]["kratix.io/workflow-suspended"] == "true"  # the operator takes it off


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("status.yaml", "kratix: {}", "/kratix/metadata/status.yaml: kratix: this key is written by the platform"),
        ("status.yaml", "a: " + "x" * (5 << 20), "/kratix/metadata/status.yaml: has 5242883 bytes, and 524288"),
        ("status.yaml", "- a", "/kratix/metadata/status.yaml: is a list, not a map"),
        ("status.yaml", "a: &a [*a]", "/kratix/metadata/status.yaml: is not YAML as Kubernetes reads it: "),
        (
            "workflow-control.yaml",
            "retryAfter: soon",
            "/kratix/metadata/workflow-control.yaml: retryAfter: 'soon' is",
        ),
    ],
)
async def test_a_status_that_cannot_be_written_is_refused_and_nothing_of_it_is(
    name: str, content: str, words: str, corner: Corner, client: Client
) -> None:
    before = await corner.request(client)
    corner.pod.write("metadata/status.yaml", "fine: true")
    corner.pod.write(f"metadata/{name}", content)
    assert (await corner.pod.refuse("status-writer")).startswith(words)
    assert await corner.request(client) == before


async def test_a_pipeline_that_deletes_writes_what_it_says_and_no_work(corner: Corner, client: Client) -> None:
    corner.pod.write("input/a", b"a")
    corner.pod.write("metadata/status.yaml", "gone: half")
    done = await corner.pod.succeed("status-writer", KRATIX_WORKFLOW_ACTION="delete")
    assert done.stdout == f"status-writer: wrote the status of {corner.resource.kind} cache\n"
    assert (await corner.request(client))["status"]["gone"] == "half"
    assert await works_in(client, corner.namespace) == []


# ---- promise workflows, rights, and a bad day of the API server


async def test_answers_that_are_lost_and_a_server_that_is_busy_change_nothing(
    corner: Corner, control_plane: ControlPlane, client: Client, tmp_path: Path
) -> None:
    corner.pod.write("input/a", b"a")
    corner.pod.write("metadata/status.yaml", "{size: three, conditions: [{type: Up, status: 'True'}]}")
    (tmp_path / "proxy").mkdir()
    async with FaultProxy(control_plane.kubeconfig, tmp_path / "proxy", tls=True) as proxy:
        cluster = yaml.safe_load(proxy.kubeconfig.read_text())["clusters"][0]["cluster"]
        shutil.copy(cluster["certificate-authority"], corner.pod.folder / "account" / "ca.crt")
        address = urlsplit(cluster["server"])
        pod = replace(
            corner.pod,
            environ={
                **corner.pod.environ,
                "KUBERNETES_SERVICE_HOST": str(address.hostname),
                "KUBERNETES_SERVICE_PORT": str(address.port),
            },
        )
        rules = [
            proxy.add(Refuse(), method="GET", path="/works", times=1),
            proxy.add(LoseAnswer(), method="POST", path="/works", times=1),
            proxy.add(too_many_requests(), method="GET", path="/cache", times=1),
            proxy.add(conflict(), method="PATCH", path="/status", times=1),
            proxy.add(Answer(503), method="PATCH", path="/status", times=1),
            proxy.add(LoseAnswer(), method="PATCH", path="/status", times=1),
        ]
        for program in ("reader", "status-writer"):
            await pod.succeed(program)
        assert [rule.hits for rule in rules] == [1] * len(rules)
    (work,) = await works_in(client, corner.namespace)
    assert files_of(work) == {"a": b"a"}
    assert (await corner.request(client))["status"]["size"] == "three"


async def test_a_promise_workflow_writes_its_work_and_of_its_status_the_message(
    control_plane: ControlPlane, client: Client, namespace: str, unique: str, tmp_path: Path
) -> None:
    await client.create(PROMISE, {**promise(unique), "metadata": {"name": unique}})
    groups = [PROMISE.group]
    rules = [{"apiGroups": groups, "resources": ["promises", "promises/status", "works"], "verbs": WRITE}]
    await grant(client, "ClusterRole", unique, namespace, rules)
    environ = {
        "KRATIX_WORKFLOW_ACTION": "configure",
        "KRATIX_WORKFLOW_TYPE": "promise",
        "KRATIX_PROMISE_NAME": unique,
        "KRATIX_PIPELINE_NAME": "setup",
        "KRATIX_OBJECT_KIND": PROMISE.kind,
        "KRATIX_OBJECT_GROUP": PROMISE.group,
        "KRATIX_OBJECT_VERSION": PROMISE.version,
        "KRATIX_OBJECT_NAME": unique,
        "KRATIX_OBJECT_NAMESPACE": "",
        "KRATIX_CRD_PLURAL": PROMISE.plural,
        "KRATIX_CLUSTER_SCOPED": "true",
    }
    pod = await make_pod(control_plane, client, tmp_path, namespace, unique, environ)
    await wait_granted(control_plane, pod, WORK, namespace)
    try:
        await pod.succeed("reader")
        read = yaml.safe_load((pod.folder / "object" / "object.yaml").read_text())
        assert read == await client.get(PROMISE, unique)
        pod.write("input/a", b"a")
        pod.write("metadata/status.yaml", "message: set up\nsize: 3\n")
        done = await pod.succeed("status-writer")
        (work,) = await works_in(client, namespace)
        assert work["metadata"]["labels"]["kratix.io/work-type"] == "promise"
        assert work["spec"]["resourceName"] == ""
        assert "left out size: a promise workflow can only write message" in done.stderr
        status = (await client.get(PROMISE, unique))["status"]
        assert status["message"] == "set up"
        assert "size" not in status
        assert read_step_report(status, "configure", "setup") == StepReport(status_message="set up")
    finally:
        await client.delete(PROMISE, unique)
        for kind in ("ClusterRole", "ClusterRoleBinding"):
            await client.delete(Resource(RBAC, "v1", f"{kind.lower()}s", kind, namespaced=False), unique)


async def test_an_account_without_the_right_is_told_what_it_may_not_do(
    corner: Corner, control_plane: ControlPlane, client: Client
) -> None:
    account = corner.pod.folder / "account"
    in_cluster_folder(control_plane, account, await new_token(client, corner.namespace, "nobody"))
    for program, verb, action in (
        ("reader", "get", "configure"),
        ("status-writer", "list", "configure"),
        ("status-writer", "get", "delete"),
    ):
        said = await corner.pod.refuse(program, KRATIX_WORKFLOW_ACTION=action)
        assert f'"system:serviceaccount:{corner.namespace}:nobody" cannot {verb} resource' in said
        assert (account / "token").read_text().strip() not in said
