"""Promises of Kratix run on a real node as they are: their containers in Pods, with a real kubelet.

What the containers find is Kratix's contract (kratix-compatibility.md#container-pipelines).
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.node.sites import WITHIN, Site
from tests.node.tool_images import load_python_sdk, load_yq
from tests.platforms import condition, failure, is_ready, says
from troth.api import labels as names
from troth.api.resources import POD, PROMISE, WORK

pytestmark = pytest.mark.timeout(900)

MANUAL = "kratix.io/manual-reconciliation"
SUSPENDED = "kratix.io/workflow-suspended"
_KERNELS = ("/proc", "/sys", "/dev")  # where a container runtime mounts what belongs to the kernel
_OF_EVERY_POD = {"/", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}


def _pipelines(live: dict[str, Any]) -> dict[str, str]:
    """The phase of each pipeline."""
    return {entry["name"]: entry["phase"] for entry in live["status"]["kratix"]["workflows"]["pipelines"]}


async def _container_ends(site: Site, job: dict[str, Any]) -> list[str]:
    """When each container of a Job ended, in RFC 3339."""
    selector = f"{names.JOB_NAME}={job['metadata']['name']}"
    (pod,) = (await site.client.list(POD, site.namespace, label_selector=selector)).items
    status = pod["status"]
    return [
        each["state"]["terminated"]["finishedAt"]
        for each in (*status["initContainerStatuses"], *status["containerStatuses"])
    ]


def _by_name(files: dict[str, str]) -> dict[str, str]:
    return {Path(path).name: text for path, text in files.items()}


async def test_one_container_that_writes_three_files_has_them_committed(site: Site) -> None:
    await site.add_destination("dev", promise="bundle")
    bundles = await site.publish("three-files")
    await site.ask(bundles, "cache", {"size": "small"})
    live = await site.ready(bundles, "cache")
    files = await site.files(f"dev/resources/{site.namespace}/bundle/cache/instance")
    assert {path.partition("/5058f/")[2] for path in files} == {"first.yaml", "second.yaml", "deep/er/third.yaml"}
    assert 'data: {size: "small"}' in _by_name(files)["first.yaml"]
    assert _pipelines(live) == {"instance": "Succeeded"}
    (job,) = await site.jobs()
    assert job["metadata"]["name"].startswith("kratix-bundle-cache-instance-")
    pod = job["spec"]["template"]["spec"]
    names = [container["name"] for container in (*pod["initContainers"], *pod["containers"])]
    assert names == ["write", "status-writer"]


async def test_two_pipelines_run_in_order_and_their_directories_go_to_destinations_of_their_own(
    site: Site,
) -> None:
    await site.add_destination("dev", promise="stack")
    await site.add_destination("portal", stack="portal")
    await site.add_destination("metrics", stack="metrics")
    stacks = await site.publish("two-pipelines")
    await site.ask(stacks, "web")
    live = await site.ready(stacks, "web")
    files = await site.files()
    place = f"resources/{site.namespace}/stack/web"
    found = {
        (path.partition("/")[0], path.partition(f"{place}/")[2].split("/")[0], Path(path).name) for path in files
    }
    assert found == {
        ("dev", "database", "database.yaml"),
        ("portal", "database", "component.yaml"),
        ("metrics", "monitoring", "dashboard.yaml"),
        ("dev", "monitoring", "seen.txt"),
    }
    assert _by_name(files)["seen.txt"] == "metrics\nseen.txt\n", "nothing is shared between pipelines"
    assert _pipelines(live) == {"database": "Succeeded", "monitoring": "Succeeded"}
    first, second = await site.jobs()
    assert max(await _container_ends(site, first)) <= second["metadata"]["creationTimestamp"]


async def test_a_container_finds_kratix_s_contract_and_no_more_rights_and_credentials_than_its_own(
    site: Site,
) -> None:
    await site.add_destination("dev", promise="contract")
    contracts = await site.publish("contract")
    await site.ask(contracts, "cache", {"size": "small"})
    live = await site.ready(contracts, "cache")
    files = _by_name(await site.files("dev/"))

    variables = dict(line.split("=", 1) for line in files["environment.txt"].splitlines())
    services = {name for name in variables if name.startswith("KUBERNETES_")}
    assert {name: value for name, value in variables.items() if name not in services} == {
        "KRATIX_WORKFLOW_ACTION": "configure",
        "KRATIX_WORKFLOW_TYPE": "resource",
        "KRATIX_PROMISE_NAME": "contract",
        "KRATIX_PIPELINE_NAME": "look",
        "KRATIX_OBJECT_KIND": "Contract",
        "KRATIX_OBJECT_GROUP": "node.example.com",
        "KRATIX_OBJECT_VERSION": "v1",
        "KRATIX_OBJECT_NAME": "overridden",  # what the author writes wins
        "KRATIX_OBJECT_NAMESPACE": site.namespace,
        "KRATIX_CRD_PLURAL": "contracts",
        "KRATIX_CLUSTER_SCOPED": "false",
        "OWN": "mine",
        "HOME": "/",
        "HOSTNAME": variables["HOSTNAME"],
        "PATH": "/bin",
        "PWD": "/kratix/output",
        "SHLVL": variables["SHLVL"],
        **({"OLDPWD": variables["OLDPWD"]} if "OLDPWD" in variables else {}),
    }

    stored = yaml.safe_load(files["object.txt"])
    assert (stored["apiVersion"], stored["kind"]) == (contracts.api_version, contracts.kind)
    assert stored["spec"] == live["spec"]
    assert stored["metadata"]["uid"] == live["metadata"]["uid"]
    assert stored["metadata"]["labels"] == live["metadata"]["labels"]
    assert stored["status"]["conditions"], "with the status that it has"
    assert files["input.txt"].split() == [".", "..", "object.yaml"]
    assert files["file.txt"] == "regular file, 644\n", "no link, and for every user"
    assert files["note.txt"] == "begun\n", "the containers of a pipeline share /kratix/metadata"
    assert files["binary.dat"] == "a\0b"

    mounts = {line for line in files["mounts.txt"].splitlines() if not line.startswith(_KERNELS)}
    own = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert {mount.replace("/run/secrets", "/var/run/secrets").replace("/var/var", "/var") for mount in mounts} == {
        *_OF_EVERY_POD,
        *("/kratix/input", "/kratix/output", "/kratix/metadata"),
        own,
    }
    assert files["secrets.txt"].split() == [
        *("/var/run/secrets:", "kubernetes.io"),
        *("/var/run/secrets/kubernetes.io:", "serviceaccount"),
    ]

    assert files["account.txt"] == f"system:serviceaccount:{site.namespace}:contract-resource-configure-look"
    assert f"namespace/{site.namespace}" in files["namespaces.txt"].split()
    everybody = await _rights_of_everybody(site)
    assert _rights(files["elsewhere.txt"]) - everybody == {("namespaces", "list")}
    verbs = "get list update create patch"
    assert _rights(files["here.txt"]) - everybody == {
        ("namespaces", "list"),
        ("contracts.node.example.com", verbs),
        ("contracts.node.example.com/status", verbs),
        ("works.platform.kratix.io", "*"),
    }
    assert {line.rpartition(": ")[2] for line in files["cannot.txt"].splitlines()} == {"no"}

    (job,) = await site.jobs()
    labels = job["metadata"]["labels"]
    assert job["spec"]["template"]["metadata"]["labels"].items() >= labels.items()
    assert labels["team"] == "lookers"
    assert job["spec"]["template"]["metadata"]["annotations"]["example.com/note"] == "looked"
    assert {
        name.removeprefix("kratix.io/"): value for name, value in labels.items() if name.startswith("kratix.io/")
    }.items() >= {
        "promise-name": "contract",
        "workflow-type": "resource",
        "workflow-action": "configure",
        "pipeline-name": "look",
        "resource-name": "cache",
    }.items()
    about = {
        name.removeprefix("kratix.io/job-resource-"): value
        for name, value in job["metadata"]["annotations"].items()
        if name.startswith("kratix.io/job-resource-")
    }
    assert about == {
        "namespace": site.namespace,
        "name": "cache",
        "kind": "Contract",
        "api-version": "node.example.com/v1",
    }


async def test_what_pipelines_say_is_merged_deeply_into_the_status(site: Site) -> None:
    await site.add_destination("dev", promise="report")
    reports = await site.publish("report")
    await site.ask(reports, "db")
    status = (await site.ready(reports, "db"))["status"]
    assert status["connection"] == {
        "host": "db.example.com",
        "port": 5432,
        "users": ["three"],
        "tls": {"enabled": True},
    }
    assert status["message"] == "the port is there"
    assert condition({"status": status}, "HostFound")["message"] == "found it"
    assert condition({"status": status}, "ConfigureWorkflowCompleted")["status"] == "True"


async def test_a_pipeline_waits_for_an_approval_and_another_is_tried_again_after_its_time(site: Site) -> None:
    await site.add_destination("dev", promise="approval")
    approvals = await site.publish("approval")
    await site.ask(approvals, "db")
    live = await site.wait(
        approvals, "db", says("Ready", "False", "waits for an approval", reason="WorkflowSuspended")
    )
    assert live["metadata"]["labels"][SUSPENDED] == "true"
    assert _pipelines(live) == {"sign-off": "Suspended", "database": "Pending"}
    assert await site.files() == {}
    await site.change(
        approvals,
        "db",
        {"metadata": {"annotations": {"example.com/approved": "yes"}, "labels": {SUSPENDED: None}}},
    )
    live = await site.wait(approvals, "db", says("Ready", "False", "the database is not up"))
    assert _pipelines(live) == {"sign-off": "Succeeded", "database": "Suspended"}
    await site.change(approvals, "db", {"metadata": {"annotations": {"example.com/up": "yes"}}})
    live = await site.ready(approvals, "db")  # nobody takes the label off
    assert SUSPENDED not in live["metadata"]["labels"]
    assert set(_by_name(await site.files())) == {"approved.yaml", "after.yaml", "database.yaml"}


async def test_templates_and_containers_follow_each_other_in_both_orders(site: Site) -> None:
    await site.add_destination("dev", promise="mixed")
    mixeds = await site.publish("mixed")
    await site.ask(mixeds, "db")
    live = await site.ready(mixeds, "db")
    assert _pipelines(live) == {"before": "Succeeded", "between": "Succeeded", "after": "Succeeded"}
    assert (live["status"]["port"], live["status"]["url"]) == (5432, "db://db")
    files = {name: yaml.safe_load(text) for name, text in _by_name(await site.files()).items()}
    assert files == {
        "before.yaml": {"kind": "Before"},
        "between.yaml": {"kind": "Between", "name": "db"},
        "after.yaml": {"kind": "After", "url": "db://db"},
    }


async def test_a_script_with_yq_writes_a_helm_release(site: Site, tmp_path: Path) -> None:
    await asyncio.to_thread(load_yq, site.node, tmp_path)
    await site.add_destination("dev", promise="chart")
    charts = await site.publish("helm-release")
    await site.ask(charts, "cache", {"size": "large"})
    live = await site.ready(charts, "cache")
    assert live["status"]["message"] == "release cache is requested"
    release = yaml.safe_load(_by_name(await site.files())["release.yaml"])
    assert release["metadata"] == {"name": "cache", "namespace": site.namespace}
    assert release["spec"]["values"] == {"replica": {"replicaCount": 3}, "labels": {"owner": "chart"}}


async def test_a_container_with_kratix_s_python_sdk_runs_as_it_is(site: Site) -> None:
    await asyncio.to_thread(load_python_sdk, site.node)
    await site.add_destination("dev", promise="sdk")
    await site.add_destination("portal", sdk="portal")
    sdks = await site.publish("python-sdk")
    await site.ask(sdks, "db", {"size": "small"})
    live = await site.ready(sdks, "db")
    files = await site.files()
    facts = json.loads(_by_name(files)["facts.json"])
    assert facts == {
        "name": "db",
        "namespace": site.namespace,
        "kind": "Sdk",
        "size": "small",
        "absent": "none",
        "action": "configure",
        "type": "resource",
        "promise": "sdk",
        "pipeline": "instance",
        "configure": True,
        "resource": True,
    }
    assert [path.partition("/")[0] for path in files if path.endswith("entry.yaml")] == ["portal"]
    status = live["status"]
    assert status["connection"] == {"host": "db.example.com"}
    assert status["message"] == "made with the SDK"
    assert status["early"] == "published while the container runs"
    assert is_ready(live)


async def test_the_containers_of_a_promise_itself_run_before_it_is_available(site: Site) -> None:
    await site.add_destination("dev", promise="lodger")
    lodgers = await site.publish("own-workflow")
    await site.platform.wait(
        PROMISE,
        "lodger",
        lambda live: live["status"].get("message") == "installed by a container",
        within=WITHIN,
    )
    (text,) = (await site.files("dev/dependencies/lodger/operator")).values()
    assert yaml.safe_load(text) == {"kind": "Operator", "scoped": "promise true"}
    await site.ask(lodgers, "room")
    await site.ready(lodgers, "room")
    assert set(_by_name(await site.files("dev/resources"))) == {"instance.yaml"}


async def test_delete_pipelines_run_in_order_and_the_files_leave_only_when_all_have_ended(site: Site) -> None:
    await site.add_destination("dev", promise="farewell")
    farewells = await site.publish("farewell")
    await site.ask(farewells, "db")
    await site.ready(farewells, "db")
    await site.platform.delete(farewells, "db", namespace=site.namespace)
    live = await site.wait(
        farewells, "db", says("Ready", "False", "backup", "'look'", "exit code 4", reason="DeleteWorkflowFailed")
    )
    assert "there is no backup" in failure(live)["log"]
    assert live["status"]["announced"] is True
    assert set(_by_name(await site.files())) == {"instance.yaml"}
    await site.change(
        farewells,
        "db",
        {"metadata": {"annotations": {"example.com/backup": "yes"}, "labels": {MANUAL: "true"}}},
    )
    await site.platform.gone(farewells, "db", namespace=site.namespace, within=WITHIN)
    assert await site.files() == {}
    assert await site.jobs() == []
    assert (await site.client.list(WORK, site.namespace)).items == []


async def _rights_of_everybody(site: Site) -> set[tuple[str, str]]:
    """What every account may do: what a new one may."""
    await site.kubectl("create", "serviceaccount", "nobody", "-n", site.namespace)
    account = f"--as=system:serviceaccount:{site.namespace}:nobody"
    groups = (f"--as-group=system:serviceaccounts:{site.namespace}", "--as-group=system:authenticated")
    listed = await site.kubectl(
        *("auth", "can-i", "--list", "--no-headers", "-n", site.namespace, account),
        *("--as-group=system:serviceaccounts", *groups),
    )
    return _rights(listed)


def _rights(listed: str) -> set[tuple[str, str]]:
    """Resources (or URLs) and verbs, of the table that ``kubectl auth can-i --list`` prints."""
    found = set()
    for line in listed.splitlines():
        what, _, verbs = line.rpartition("[")
        found.add((what.replace("[]", "").strip().strip("[]"), verbs.strip().rstrip("]")))
    return found
