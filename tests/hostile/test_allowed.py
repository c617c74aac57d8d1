"""A Destination bounds what may be placed there: whatever a request or a Promise renders, and whatever the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    condition,
    destination,
    events_of,
    promise,
    says,
)
from troth.api.objects import Allow, read_destination
from troth.api.resources import DESTINATION, PROMISE, WORK, WORK_PLACEMENT
from troth.dev import CommandResult
from troth.engine.placement.allowing import NAMESPACED, fingerprint, judge_files
from troth.kube import Client, Invalid

RULES = {
    "namespaces": ["team-*"],
    "kinds": [{"group": "", "kind": "ConfigMap"}],
    "clusterKinds": [{"group": "", "kind": "Namespace"}],
}
TEMPLATE = """\
apiVersion: {{ spec.version | default("v1") }}
kind: {{ spec.kind | default("ConfigMap") }}
metadata:
  name: {{ name }}
  namespace: {{ spec.team }}
data:
  size: {{ spec.size | default("1") }}
"""


async def restrict(platform: Platform, unique: str, **spec: Any) -> None:
    """The Destination of a test, with rules."""
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}, **spec))


def rules_of(spec: Mapping[str, Any]) -> Allow:
    """The rules of a Destination that has them."""
    allow = read_destination({"metadata": {"name": "d"}, "spec": {"allow": spec}}).allow
    assert allow is not None
    return allow


async def objects(repository: Repository) -> dict[str, str]:
    """What requests have in the repository, by the name of the request."""
    found = await all_files(repository)
    return {path.split("/")[-4]: content for path, content in found.items() if path.endswith("object.yaml")}


async def test_what_a_destination_does_not_allow_is_not_written_and_what_was_written_stays(
    platform: Platform, repository: Repository, client: Client, unique: str, namespace: str
) -> None:
    await restrict(platform, unique, allow=RULES)
    await platform.publish(promise(unique, template=TEMPLATE))
    attacks: Mapping[str, tuple[Mapping[str, str], str]] = {
        "namespace": ({"team": "kube-system"}, "(team-*) does not have the namespace kube-system"),
        "kind": ({"team": "team-a", "kind": "Secret"}, "spec.allow.kinds does not list its kind"),
        "cluster": (
            {"team": "team-a", "kind": "ClusterRoleBinding", "version": "rbac.authorization.k8s.io/v1"},
            "lives outside of namespaces",
        ),
        "unknown": (
            {"team": "team-a", "kind": "Kustomization", "version": "kustomize.toolkit.fluxcd.io/v1"},
            "not one",
        ),
        "list": ({"team": "team-a", "kind": "List"}, "clusterKinds"),
        "other-group": ({"team": "team-a", "kind": "ConfigMap", "version": "example.com/v1"}, "not one"),
    }
    for name, (spec, _) in attacks.items():
        await platform.ask(unique, name, namespace, **spec)
    await platform.ask(unique, "honest", namespace, team="team-a")
    await platform.ready(unique, "honest", namespace)
    for name, (_, words) in attacks.items():
        refused = await platform.wait(
            api_of(unique),
            name,
            says("Ready", "False", f"not allowed on the Destination {unique}: ", words, "object.yaml"),
            namespace=namespace,
        )
        assert condition(refused, "Ready")["reason"] == "WorksFailing"
    assert set(await objects(repository)) == {"honest"}
    (placement,) = (await client.list(WORK_PLACEMENT, namespace)).items
    assert placement["metadata"]["annotations"]["troth.dev/allowed"] == fingerprint(rules_of(RULES))
    # an edit that is not allowed leaves what is there; nothing is removed
    before = await objects(repository)
    await platform.ask(unique, "honest", namespace, team="payments", size="2")
    await platform.wait(
        api_of(unique), "honest", says("Ready", "False", "payments", "stays as it was"), namespace=namespace
    )
    assert await objects(repository) == before
    (work,) = (
        item for item in (await client.list(WORK, namespace)).items if item["spec"]["resourceName"] == "honest"
    )
    assert condition(work, "Ready")["reason"] == "NotAllowed"
    assert [event for event in await events_of(client, work) if event["reason"] == "NotAllowed"]
    await platform.ask(unique, "honest", namespace, team="team-b", size="2")
    await platform.ready(unique, "honest", namespace)
    assert "team-b" in (await objects(repository))["honest"]


async def test_rules_that_change_are_told_and_write_and_delete_nothing(
    platform: Platform, repository: Repository, client: Client, unique: str, namespace: str
) -> None:
    await platform.publish(promise(unique, template=TEMPLATE))
    await platform.ask(unique, "orders", namespace, team="payments")
    await platform.ready(unique, "orders", namespace)
    head = repository.head()
    await restrict(platform, unique, allow=RULES)
    await platform.wait(
        api_of(unique), "orders", says("Ready", "False", "payments", "allowed"), namespace=namespace
    )
    assert repository.head() == head
    for rules in ({"allow": RULES | {"namespaces": ["*"]}}, {}):
        await restrict(platform, unique, **rules)
        await platform.ready(unique, "orders", namespace)
    assert repository.head() == head
    await restrict(platform, unique, allow=RULES)
    await platform.wait(
        api_of(unique), "orders", says("Ready", "False", "payments", "allowed"), namespace=namespace
    )
    await platform.delete(api_of(unique), "orders", namespace=namespace)
    await platform.gone(api_of(unique), "orders", namespace=namespace)
    assert await objects(repository) == {}


async def test_in_a_file_that_all_share_one_that_is_not_allowed_holds_up_nobody(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    shared = f"{unique}-shared"
    await platform.make(
        DESTINATION,
        destination(
            shared, store=unique, labels={"for": shared}, allow=RULES, filepath={"mode": "aggregatedYAML"}
        ),
    )
    await platform.publish(promise(unique, template=TEMPLATE, selectors={"for": shared}))
    await platform.ask(unique, "first", namespace, team="team-a")
    await platform.ready(unique, "first", namespace)
    await platform.ask(unique, "first", namespace, team="payments")
    await platform.wait(api_of(unique), "first", says("Ready", "False", "payments"), namespace=namespace)
    await platform.ask(unique, "second", namespace, team="team-b")
    await platform.ready(unique, "second", namespace)
    content = (await all_files(repository))[f"{shared}/aggregated.yaml"]
    assert "team-a" in content
    assert "team-b" in content
    assert "payments" not in content


async def test_a_promise_is_bound_by_the_rules_too_and_its_files_without_manifests(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await restrict(platform, unique, allow=RULES)
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": unique}}
    files = [{"path": "object.yaml", "template": TEMPLATE}, {"path": "main.jsonnet", "template": "{}"}]
    await platform.make(PROMISE, promise(unique, files=files, dependencies=[role]))
    await platform.wait(PROMISE, unique, lambda live: "clusterKinds does not list" in str(live.get("status")))
    assert not [path for path in await all_files(repository) if "dependencies" in path and "canary" not in path]
    await platform.make(PROMISE, promise(unique, files=files))
    await platform.ask(unique, "orders", namespace, team="team-a")
    await platform.wait(
        api_of(unique), "orders", says("Ready", "False", "main.jsonnet", "spec.allow.files"), namespace=namespace
    )
    await restrict(platform, unique, allow=RULES | {"files": True})
    await platform.ready(unique, "orders", namespace)


@pytest.mark.parametrize(
    "rules",
    [
        {"namespaces": "team-*"},
        {"namespaces": ["Team"]},
        {"namespaces": [""]},
        {"kinds": [{"kind": "Secret"}]},
        {"kinds": [{"group": "apps"}]},
        {"kinds": [{"group": "apps/v1", "kind": "Deployment"}]},
        {"clusterKinds": [{"group": "", "kind": ""}]},
        {"files": "yes"},
    ],
)
async def test_rules_that_mean_nothing_are_refused_by_the_api_server(
    client: Client, unique: str, rules: Mapping[str, Any]
) -> None:
    with pytest.raises(Invalid, match=r"spec\.allow"):
        await client.create(DESTINATION, destination(unique, store=unique, labels={}, allow=rules), dry_run=True)


async def test_what_kubectl_finds_in_an_object_with_items_is_judged(
    kubectl: Callable[..., Awaitable[CommandResult]], tmp_path: Path
) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "hidden"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    }
    inner = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "team-a"}}
    wrapped = {
        "a List": {"apiVersion": "v1", "kind": "List", "items": [binding]},
        "a ConfigMap": inner | {"items": [binding]},
        "a typed list": {"apiVersion": "v1", "kind": "ConfigMapList", "items": [binding]},
        "lists in lists": {"apiVersion": "v1", "kind": "List", "items": [inner | {"items": [binding]}]},
        "a list of its kind": {
            "apiVersion": binding["apiVersion"],
            "kind": "ClusterRoleBindingList",
            "items": [{key: value for key, value in binding.items() if key not in ("apiVersion", "kind")}],
        },
    }
    found = {}
    for name, document in wrapped.items():
        file = tmp_path / "file.yaml"
        file.write_text(yaml.safe_dump(document))
        told = await kubectl("create", "--dry-run=client", "-o", "name", "-f", file, check=False)
        found[name] = "clusterrolebinding" in told.stdout
        violation = judge_files({"file.yaml": file.read_bytes()}, rules_of(RULES))
        assert violation is not None, name
        assert violation.kind == "ClusterRoleBinding", name
    assert found["a List"]
    assert found["a ConfigMap"]


async def test_the_rules_are_explained(kubectl: Callable[..., Awaitable[CommandResult]]) -> None:
    told = (await kubectl("explain", "destination.spec.allow")).stdout
    for field in ("namespaces", "kinds", "clusterKinds", "files"):
        assert f"  {field}\t<" in told


async def test_the_kinds_that_live_in_namespaces_are_those_of_an_api_server(
    kubectl: Callable[..., Awaitable[CommandResult]],
) -> None:
    rows = (await kubectl("api-resources", "--no-headers", "-o", "wide")).stdout.splitlines()
    found = set()
    for row in rows:
        columns = row.split()
        at = next(number for number, column in enumerate(columns) if column in ("true", "false"))
        group = columns[at - 1].rpartition("/")[0]
        if group in NAMESPACED:
            found.add((group, columns[at + 1], columns[at] == "true"))
    assert len(found) > 40
    wrong = {each for each in found if (each[1] in NAMESPACED[each[0]]) != each[2]}
    assert not wrong
