"""The Helm chart: rendered by the real helm, taken by the real API server, and granting what it says.

What a test applies has names of its own, so the tests share a control plane. Only installing needs one without
Troth's definitions.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts import CHART, SYSTEM_NAMESPACE, render, rights, run_helm
from troth.api import resources
from troth.api.store_kinds import STORE_KINDS
from troth.app.metrics import Metrics, Snapshot
from troth.app.settings import fields, flag_of, load_settings, type_of
from troth.dev import ControlPlane, crds_folder

pytestmark = pytest.mark.integration

DEFINITIONS = {
    crd["metadata"]["name"]: crd for crd in (yaml.safe_load(path.read_text()) for path in crds_folder().iterdir())
}
EVERYTHING: dict[str, Any] = {
    "fullnameOverride": "platform",
    "image": {"repository": "registry.example.com/troth", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "rbac": {"requestApis": {"groups": ["acme.example.com"]}, "secrets": {"clusterWide": True}},
    "kubernetesStore": {
        "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}]
    },
    "containerPipelines": {"enabled": True},
    "conversion": {"enabled": True},
    "serviceAccount": {"name": "platform-operator", "annotations": {"example.com/role": "writer"}},
    "settings": {"logLevel": "debug"},
    "log": {"format": "plain"},
    "ports": {"probes": 9081, "metrics": 9080, "conversion": 9443},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
    "extraArgs": ["--verbose"],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    "workspace": {"sizeLimit": "10Gi"},
    "resources": {"requests": {"cpu": 1, "memory": "512Mi"}, "limits": {"cpu": "2"}},
    "podAnnotations": {"example.com/note": "a"},
    "podLabels": {"example.com/team": "platform"},
    "priorityClassName": "high",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "platform", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "troth"}},
        }
    ],
    "hostAliases": [{"ip": "10.0.0.7", "hostnames": ["git.example.com"]}],
    "dnsConfig": {
        "nameservers": ["10.0.0.10"],
        "searches": ["example.com"],
        "options": [{"name": "ndots", "value": "2"}],
    },
    "initContainers": [
        {
            "name": "wait",
            "image": "registry.example.com/wait:1.0",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
    "commonLabels": {"example.com/owner": "platform"},
    "extraObjects": [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "more"},
            "stringData": {"template": "{{ spec.size }}"},
        }
    ],
    "terminationGracePeriodSeconds": 60,
    "serviceMonitor": {"enabled": True, "interval": "1m", "labels": {"release": "prometheus"}},
    "prometheusRule": {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "alertLabels": {"severity": "warning"},
        "rules": [{"record": "troth:promises", "expr": 'sum(troth_objects{kind="promises.platform.kratix.io"})'}],
    },
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "egress": [{"ports": [{"protocol": "TCP", "port": 443}]}],
    },
}
LIBRARY = {"postgresqls.database.example.com", "environments.platform.example.com"}


def find(objects: list[dict[str, Any]], kind: str, name: str | None = None) -> dict[str, Any]:
    found = [entry for entry in objects if entry["kind"] == kind and name in {None, entry["metadata"]["name"]}]
    assert len(found) == 1, f"{len(found)} of {kind} {name or ''}"
    return found[0]


@pytest.fixture
def apply(control_plane: ControlPlane) -> Iterator[Callable[[list[Any]], None]]:
    """Applies objects and deletes them after the test; namespaces are not for it."""
    applied: list[str] = []

    def run(objects: list[Any]) -> None:
        applied.append(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        control_plane.kubectl("apply", "--server-side", "-f", "-", input=applied[-1])

    yield run
    for text in applied:
        control_plane.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", input=text)


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "every option"])
def test_the_chart_lints_without_a_complaint(helm: Path, values: Mapping[str, Any]) -> None:
    done = run_helm(helm, "lint", "--strict", CHART, "--set-json", json.dumps(values))
    assert done.returncode == 0, done.stdout
    assert "[ERROR]" not in done.stdout
    assert "[WARNING]" not in done.stdout


def test_jobs_need_no_right_unless_containers_are_switched_on_and_nothing_lets_the_operator_grant_more_than_it_has(
    helm: Path,
) -> None:
    def rules(**values: Any) -> list[dict[str, Any]]:
        objects = render(helm, {"containerPipelines": values})
        return [rule for entry in objects if entry["kind"] == "ClusterRole" for rule in entry.get("rules") or ()]

    def image(**values: Any) -> str | None:
        data = find(render(helm, {"containerPipelines": values}), "ConfigMap")["data"]
        found: str | None = yaml.safe_load(data["settings"]).get("adapterImage")
        return found

    assert not [rule for rule in rules() if {"jobs", "pods", "roles"} & set(rule["resources"])]
    assert image() is None
    running = rules(enabled=True)
    assert {"jobs", "pods", "roles", "serviceaccounts"} <= {name for rule in running for name in rule["resources"]}
    assert not [rule for rule in running if {"escalate", "bind", "impersonate"} & set(rule["verbs"])]
    deployment = find(render(helm, {"containerPipelines": {"enabled": True}}), "Deployment")
    assert image(enabled=True) == deployment["spec"]["template"]["spec"]["containers"][0]["image"]


def test_the_definitions_are_those_of_crds_and_stay_on_uninstall(helm: Path) -> None:
    for keep in (True, False):
        rendered = {
            entry["metadata"]["name"]: entry
            for entry in render(helm, {"crds": {"keep": keep}})
            if entry["kind"] == "CustomResourceDefinition"
        }
        for crd in rendered.values():
            annotations = crd["metadata"].pop("annotations", {})
            assert annotations == ({"helm.sh/resource-policy": "keep"} if keep else {})
        assert rendered == DEFINITIONS
    assert not [e for e in render(helm, {"crds": {"install": False}}) if e["kind"] == "CustomResourceDefinition"]


def test_the_definitions_come_from_crds_by_a_link_and_not_a_copy() -> None:
    assert (CHART / "files" / "crds").is_symlink()
    assert (CHART / "files" / "crds").resolve() == crds_folder().resolve()


def test_a_packaged_chart_has_the_definitions_inside(helm: Path, tmp_path: Path) -> None:
    done = run_helm(helm, "package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.glob("troth-*.tgz")
    assert render(helm, chart=package) == render(helm)


def test_a_copy_without_the_definitions_says_so(helm: Path, tmp_path: Path) -> None:
    """A tool that fetches from Git without following links must not install an operator without kinds."""
    copied = tmp_path / "troth"
    shutil.copytree(CHART, copied, ignore=shutil.ignore_patterns("files"))
    done = run_helm(helm, "template", "troth", copied)
    assert done.returncode != 0
    assert "this copy of the chart has no CustomResourceDefinitions" in done.stderr
    assert render(helm, {"crds": {"install": False}}, chart=copied)


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "every option"])
def test_the_api_server_takes_everything_that_is_rendered(
    helm: Path, control_plane: ControlPlane, namespace: str, values: Mapping[str, Any]
) -> None:
    objects = render(helm, values, release=namespace, namespace=namespace)
    known = [entry for entry in objects if not entry["apiVersion"].startswith("monitoring.coreos.com/")]
    applied = control_plane.kubectl(
        "apply",
        "--server-side",
        "--dry-run=server",
        "--force-conflicts",
        "--validate=strict",
        "-f",
        "-",
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": known}),
    )
    assert applied.stderr == ""
    assert len(applied.stdout.splitlines()) == len(known)


def test_helm_installs_upgrades_and_leaves_the_definitions(helm: Path, tmp_path: Path) -> None:
    with ControlPlane() as plane:

        def run(*arguments: str | Path) -> str:
            done = run_helm(helm, *arguments, "--namespace", SYSTEM_NAMESPACE, environment=plane.environment())
            assert done.returncode == 0, done.stderr
            return done.stdout

        def definitions() -> list[str]:
            return plane.kubectl("get", "crd", "-o", "name").stdout.split()

        notes = run("upgrade", "--install", "troth", CHART, "--create-namespace")
        assert "database.example.com, platform.example.com" in notes
        assert "WARNING" not in notes
        plane.wait_established("crd", "--all")
        assert len(definitions()) == len(DEFINITIONS)

        run("upgrade", "--install", "troth", CHART, "--set-json", json.dumps({"settings": {"renderTimeout": 5}}))
        config_map = json.loads(
            plane.kubectl("get", "configmap", "troth", "-n", SYSTEM_NAMESPACE, "-o", "json").stdout
        )
        assert yaml.safe_load(config_map["data"]["settings"])["renderTimeout"] == 5

        run("uninstall", "troth")
        assert len(definitions()) == len(DEFINITIONS), "and with them every Promise and request"
        assert plane.kubectl("get", "clusterrole", "troth-operator", check=False).code != 0


def review(plane: ControlPlane, user: str, verb: str, resource: str, **attributes: str) -> bool:
    plural, _, group = resource.partition(".")
    plural, _, subresource = plural.partition("/")
    asked = {"verb": verb, "resource": plural, "group": group, "subresource": subresource, **attributes}
    status, answer = plane.api.request(
        "POST",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": ["system:authenticated"], "resourceAttributes": asked},
        },
    )
    assert status == 201, answer
    allowed: bool = answer["status"]["allowed"]
    return allowed


def test_the_operator_may_do_what_its_controllers_do_and_no_more(
    helm: Path, control_plane: ControlPlane, namespace: str, apply: Callable[[list[Any]], None]
) -> None:
    apply(rights(render(helm, release=namespace, namespace=namespace)))
    user = f"system:serviceaccount:{namespace}:{namespace}"

    def may(verb: str, resource: str, **attributes: str) -> bool:
        return review(control_plane, user, verb, resource, **attributes)

    authored = [resources.PROMISE, resources.DESTINATION, *(kind.resource for kind in STORE_KINDS.values())]
    for resource in (kind.name for kind in authored):
        assert all(may(verb, resource) for verb in ("get", "list", "watch", "patch")), resource
        assert not any(may(verb, resource) for verb in ("create", "update", "delete")), resource
    for resource in (resources.WORK.name, resources.WORK_PLACEMENT.name):
        assert all(may(verb, resource) for verb in ("get", "list", "watch", "create", "patch", "delete")), resource
    for kind in (*authored, resources.WORK, resources.WORK_PLACEMENT):
        assert may("patch", f"{kind.plural}/status.{kind.group}"), kind
    for resource in LIBRARY:
        plural, _, group = resource.partition(".")
        assert all(may(verb, resource) for verb in ("get", "list", "watch", "patch", "delete"))
        assert may("patch", f"{plural}/status.{group}")
        assert not may("create", resource), "requests are people's"
    for verb in ("get", "list", "watch", "create", "patch", "delete"):
        assert may(verb, "customresourcedefinitions.apiextensions.k8s.io")
    assert all(may(verb, "events.events.k8s.io", namespace="default") for verb in ("create", "patch"))
    assert may("get", "namespaces", name=namespace)
    assert not may("get", "namespaces", name="default")

    for place in (namespace, "default"):
        assert may("get", "secrets", namespace=place, name="git-credentials")
        assert not any(
            may(verb, "secrets", namespace=place) for verb in ("list", "watch", "patch", "update", "delete")
        )
        assert may("create", "secrets", namespace=place) == (place == namespace), "the key of the operator's seals"
    assert not may("get", "secrets", namespace="kube-system", name="anything")
    for verb, resource in (
        ("list", "websites.web.example.com"),
        ("create", "clusterroles.rbac.authorization.k8s.io"),
        ("escalate", "clusterroles.rbac.authorization.k8s.io"),
        ("bind", "clusterroles.rbac.authorization.k8s.io"),
        ("impersonate", "users"),
        ("create", "pods"),
        ("create", "namespaces"),
        ("patch", "deployments.apps"),
        ("create", "serviceaccounts/token"),
        ("get", "configmaps"),
    ):
        assert not may(verb, resource, namespace=namespace), f"{verb} {resource}"


@pytest.mark.parametrize("aggregate", [True, False])
def test_people_may_make_requests_and_touch_nothing_of_the_operators(
    helm: Path, control_plane: ControlPlane, namespace: str, apply: Callable[[list[Any]], None], *, aggregate: bool
) -> None:
    """Aggregated: to whoever has `edit`. What gathers the parts of that is not running here, so they are bound."""
    people = {"people": {"aggregate": aggregate}}
    apply(rights(render(helm, {"rbac": people}, release=namespace, namespace=namespace)))
    roles = [f"{namespace}-requests-view", f"{namespace}-requests-edit"]
    if aggregate:
        selectors = [f"rbac.authorization.k8s.io/aggregate-to-{role}=true" for role in ("view", "edit")]
        listed = [
            control_plane.kubectl("get", "clusterroles", "-o", "name", "-l", one).stdout for one in selectors
        ]
        named = {line.rpartition("/")[2] for line in "".join(listed).splitlines()}
        assert {*roles, "system:aggregate-to-edit", "system:aggregate-to-view"} <= named
        roles = sorted(named - {"view", "edit"})
    user = f"{namespace}-editor"
    for number, role in enumerate(roles):
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"editor-{number}", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
        }
        apply([binding])

    def may(verb: str, resource: str, place: str = namespace) -> bool:
        return review(control_plane, user, verb, resource, namespace=place)

    everything = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
    for resource in LIBRARY:
        assert all(may(verb, resource) for verb in ("get", "list", "watch", "create", "update", "patch", "delete"))
        assert not any(may(verb, resource, "default") for verb in everything), "in another namespace"
    for kind in (
        resources.WORK,
        resources.WORK_PLACEMENT,
        resources.DESTINATION,
        *(kind.resource for kind in STORE_KINDS.values()),
    ):
        for resource in (
            kind.name,
            f"{kind.plural}/status.{kind.group}",
            f"{kind.plural}/finalizers.{kind.group}",
        ):
            assert not any(may(verb, resource) for verb in everything), resource
    promise = resources.PROMISE.name
    assert not any(may(verb, promise) for verb in ("create", "update", "patch", "delete"))
    assert not any(may(verb, "customresourcedefinitions.apiextensions.k8s.io") for verb in everything)
    assert not any(may(verb, "secrets", SYSTEM_NAMESPACE) for verb in everything)
    if not aggregate:
        assert not any(may(verb, "secrets") for verb in everything)


@pytest.mark.parametrize("group", ["*", "platform.kratix.io", "troth.dev", "rbac.authorization.k8s.io"])
def test_the_roles_for_people_leave_out_the_groups_of_others(helm: Path, group: str) -> None:
    objects = render(helm, {"rbac": {"requestApis": {"groups": [group, "web.example.com"]}}})
    for name in ("troth-requests-view", "troth-requests-edit"):
        rules = find(objects, "ClusterRole", name)["rules"]
        assert all(
            rule["apiGroups"] == ["web.example.com"]
            or (rule["apiGroups"] == ["platform.kratix.io"] and rule["resources"] == ["promises"])
            for rule in rules
        )


def test_no_rule_uses_a_wildcard_but_for_the_kinds_of_a_named_group(helm: Path) -> None:
    for entry in rights(render(helm)):
        for rule in entry.get("rules") or []:
            assert "*" not in rule["verbs"]
            assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])
            assert "*" not in rule["apiGroups"]
            assert "*" not in rule["resources"] or set(rule["apiGroups"]) == {
                "database.example.com",
                "platform.example.com",
            }


def test_other_groups_and_namespaces_are_one_value_away(
    helm: Path, control_plane: ControlPlane, namespace: str, apply: Callable[[list[Any]], None]
) -> None:
    values = {
        "rbac": {"requestApis": {"groups": ["web.example.com"]}, "secrets": {"clusterWide": True}},
        "kubernetesStore": {
            "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}]
        },
    }
    objects = rights(render(helm, values, release=namespace, namespace=namespace))
    apply(objects)
    user = f"system:serviceaccount:{namespace}:{namespace}"
    assert review(control_plane, user, "list", "websites.web.example.com")
    assert not review(control_plane, user, "list", "postgresqls.database.example.com")
    assert review(control_plane, user, "get", "secrets", namespace="kube-system", name="a")
    assert not review(control_plane, user, "list", "secrets", namespace="kube-system")
    assert review(control_plane, user, "patch", "deployments.apps", namespace="default")
    assert not review(control_plane, user, "delete", "deployments.apps", namespace="default")
    assert review(control_plane, user, "create", "configmaps", namespace=namespace)
    assert not review(control_plane, user, "patch", "namespaces", name="default")


def test_a_promise_can_bring_the_right_to_its_own_api(helm: Path) -> None:
    """Who fills an aggregated role is kube-controller-manager, which this control plane does not have."""
    objects = render(helm)
    assert find(objects, "ClusterRole", "troth-aggregated")["aggregationRule"] == {
        "clusterRoleSelectors": [{"matchLabels": {"troth.dev/aggregate-to-operator": "true"}}]
    }
    assert find(objects, "ClusterRoleBinding", "troth-aggregated")["subjects"] == [
        {"kind": "ServiceAccount", "name": "troth", "namespace": SYSTEM_NAMESPACE}
    ]
    without = render(helm, {"rbac": {"requestApis": {"aggregate": False}}})
    assert "troth-aggregated" not in {entry["metadata"]["name"] for entry in without}


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "every option"])
def test_the_pod_meets_the_restricted_standard(
    helm: Path, control_plane: ControlPlane, namespace: str, values: Mapping[str, Any]
) -> None:
    control_plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    template = find(render(helm, values, namespace=namespace), "Deployment")["spec"]["template"]
    template["spec"].pop("priorityClassName", None)  # a class that only this test's values name
    pod = {"apiVersion": "v1", "kind": "Pod", **copy.deepcopy(template)}
    pod["metadata"]["name"] = "operator"
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict"
    status, answer = control_plane.api.request("POST", path, pod)
    assert status == 201, answer

    (container,) = template["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["spec"]["automountServiceAccountToken"] is False
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/tmp", "/workspace"}


def test_never_two_operators_at_once_and_a_change_of_settings_is_noticed(helm: Path) -> None:
    def deployment(**settings: Any) -> Any:
        return find(render(helm, {"settings": settings}), "Deployment")["spec"]

    before, after = deployment(), deployment(logLevel="debug")
    assert before["replicas"] == 1
    assert before["strategy"] == {"type": "Recreate"}
    assert before["selector"] == after["selector"]
    assert before["template"]["metadata"] != after["template"]["metadata"]


def test_the_operator_understands_its_settings_and_arguments(helm: Path, tmp_path: Path) -> None:
    values = {**EVERYTHING, "settings": {"renderTimeout": 5, "workspace": "/elsewhere", "logLevel": "debug"}}
    for given, workspace in (({}, "/workspace"), (values, "/elsewhere")):
        objects = render(helm, given, namespace="somewhere")
        file = tmp_path / "settings.yaml"
        file.write_text(find(objects, "ConfigMap")["data"]["settings"])
        settings = load_settings({}, {}, file)
        assert settings.system_namespace == "somewhere"
        assert settings.workspace == workspace

        spec = find(objects, "Deployment")["spec"]["template"]["spec"]
        assert spec["terminationGracePeriodSeconds"] > settings.shutdown_grace
        (container,) = spec["containers"]
        command, *flags = container["args"]
        assert command == "operator"
        accepted = {flag_of(item.name) for item in fields()} | {"--config"} | set(given.get("extraArgs", []))
        assert {flag for flag in flags if flag.startswith("--")} <= accepted
        ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
        arguments = dict(itertools.pairwise(flags))
        names = ("probes", "metrics", *(("conversion",) if given else ()))
        assert ports == {name: arguments[f"--{name}-port"] for name in names}


def service_of(objects: list[dict[str, Any]], port: str) -> dict[str, Any]:
    """The Service with this port."""
    services = [entry for entry in objects if entry["kind"] == "Service"]
    return next(entry for entry in services if entry["spec"]["ports"][0]["name"] == port)


def test_the_api_server_reaches_the_conversion_webhook_where_it_is_switched_on(helm: Path) -> None:
    off, on = render(helm), render(helm, EVERYTHING)
    service, deployment = service_of(on, "conversion"), find(on, "Deployment")
    pod = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["spec"]["ports"] == [{"name": "conversion", "port": 443, "targetPort": "conversion"}]
    settings = yaml.safe_load(find(on, "ConfigMap")["data"]["settings"])
    assert settings["conversionService"] == service["metadata"]["name"]
    policy = find(on, "NetworkPolicy")
    assert {"protocol": "TCP", "port": "conversion"} in [rule["ports"][0] for rule in policy["spec"]["ingress"]]
    named = [rule for entry in on if entry["kind"] == "Role" for rule in entry["rules"]]
    assert [rule["verbs"] for rule in named if "troth-conversion" in rule.get("resourceNames", ())] == [
        ["get", "patch"]
    ]
    assert not [entry for entry in off if entry["kind"] == "Service"]
    assert "conversion" not in yaml.safe_dump(off)


def test_prometheus_finds_the_metrics(helm: Path) -> None:
    objects = render(helm, EVERYTHING)
    service, monitor = service_of(objects, "metrics"), find(objects, "ServiceMonitor")
    pod = find(objects, "Deployment")["spec"]["template"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"] == [{"port": "metrics", "path": "/metrics", "interval": "1m"}]
    assert service["spec"]["ports"] == [{"name": "metrics", "port": 9080, "targetPort": "metrics"}]


def test_the_schema_knows_the_settings_of_the_operator_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]
    assert schema["additionalProperties"] is False
    said_elsewhere = {
        "log_format": "log.format",
        "probes_port": "ports.probes",
        "metrics_port": "ports.metrics",
        "conversion_port": "ports.conversion",
    }
    types = {str: "string", int: "integer", float: "number", bool: "boolean"}
    wanted: dict[str, Any] = {}
    for item in fields():
        first, *more = item.name.split("_")
        name = first + "".join(part.capitalize() for part in more)
        if item.name in said_elsewhere:
            wanted[name] = {"description": f"Is said by {said_elsewhere[item.name]}.", "not": {}}
            continue
        wanted[name] = {"type": types[type_of(item)], "description": item.metadata["help"]}
        if type_of(item) in (int, float):
            wanted[name]["minimum"] = item.metadata["least"]
        if item.metadata["choices"]:
            wanted[name]["enum"] = list(item.metadata["choices"])
    assert schema["properties"] == wanted


def test_every_object_carries_the_common_labels_and_the_selector_stays(helm: Path) -> None:
    labels = {"example.com/owner": "platform", "example.com/team": "common"}
    values = {**EVERYTHING, "commonLabels": labels, "extraObjects": []}
    objects = render(helm, values)
    for entry in objects:
        assert labels.items() <= entry["metadata"]["labels"].items(), entry["kind"]
    deployment = find(objects, "Deployment")["spec"]
    assert deployment["selector"] == find(render(helm), "Deployment")["spec"]["selector"]
    pod = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"].items() <= pod.items()
    assert (pod["example.com/owner"], pod["example.com/team"]) == ("platform", "platform")


def test_the_pod_is_placed_finds_hosts_and_is_prepared_as_the_values_say(helm: Path) -> None:
    pod = find(render(helm, EVERYTHING), "Deployment")["spec"]["template"]["spec"]
    for name in ("topologySpreadConstraints", "hostAliases", "dnsConfig", "initContainers", "tolerations"):
        assert pod[name] == EVERYTHING[name]
        assert name not in find(render(helm), "Deployment")["spec"]["template"]["spec"]


def test_more_objects_come_with_the_chart_as_they_are(helm: Path) -> None:
    assert find(render(helm, EVERYTHING), "Secret", "more") == EVERYTHING["extraObjects"][0]


def test_alerts_are_made_on_demand_and_are_those_of_the_page(helm: Path) -> None:
    assert not [entry for entry in render(helm) if entry["kind"] == "PrometheusRule"]
    rule = find(render(helm, EVERYTHING), "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    (group,) = rule["spec"]["groups"]
    *alerts, more = group["rules"]
    assert more == EVERYTHING["prometheusRule"]["rules"][0]
    assert all(alert["labels"] == {"severity": "warning"} for alert in alerts)
    assert all(alert["annotations"]["summary"] for alert in alerts)

    page = (CHART.parents[1] / "docs" / "how-to" / "run-the-operator.md").read_text()
    (shown,) = re.findall(r"<!-- foreign: alerts -->\n```yaml\n(.*?)```", page, re.DOTALL)
    documented = {alert["alert"]: alert for alert in yaml.safe_load(shown)["groups"][0]["rules"]}
    assert [alert["alert"] for alert in alerts] == [f"Troth{name}" for name in documented]
    for alert, written in zip(alerts, documented.values(), strict=True):
        assert alert.get("for") == written.get("for")
        if written["alert"] != "RequestsFailing":  # the page names the API of one Promise
            assert alert["expr"] == written["expr"]
    metrics = Metrics()
    metrics.read(Snapshot)
    names = {family.name for family in metrics.registry.collect()}
    for alert in alerts:
        (metric,) = re.findall(r"\btroth_\w+", alert["expr"])
        assert metric in names


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"imagee": {}}, "imagee"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"log": {"format": "xml"}}, "/log/format"),
        ({"ports": {"probes": 80}}, "/ports/probes"),
        ({"ports": {"probes": "8081"}}, "/ports/probes"),
        ({"rbac": {"requestApis": {"groups": ["apps"]}}}, "/rbac/requestApis/groups/0"),
        ({"rbac": {"requestApis": {"groups": ["*.example.com"]}}}, "/rbac/requestApis/groups/0"),
        ({"rbac": {"secrets": {"namespaces": "default"}}}, "/rbac/secrets/namespaces"),
        (
            {"kubernetesStore": {"rules": [{"apiGroups": ["apps"], "resources": ["a"]}]}},
            "/kubernetesStore/rules/0",
        ),
        ({"resources": {"limits": {"memory": "lots"}}}, "/resources/limits/memory"),
        ({"workspace": {"sizeLimit": 5}}, "/workspace/sizeLimit"),
        ({"serviceMonitor": {"interval": "often"}}, "/serviceMonitor/interval"),
        ({"replicas": 2}, "replicas"),
        ({"settings": {"render-timeout": 5}}, "render-timeout"),
        ({"settings": {"renderTimeout": {"seconds": 5}}}, "/settings/renderTimeout"),
        ({"settings": {"rendrTimeout": 5}}, "rendrTimeout"),
        ({"settings": {"renderTimeout": "soon"}}, "/settings/renderTimeout"),
        ({"settings": {"renderTimeout": -1}}, "/settings/renderTimeout"),
        ({"settings": {"workers": 1.5}}, "/settings/workers"),
        ({"settings": {"logLevel": "loud"}}, "/settings/logLevel"),
        ({"settings": {"logFormat": "json"}}, "/settings/logFormat"),
        ({"settings": {"metricsPort": 9090}}, "/settings/metricsPort"),
        ({"commonLabels": {"app.kubernetes.io/name": "other"}}, "/commonLabels"),
        ({"podLabels": {"app.kubernetes.io/instance": "other"}}, "/podLabels"),
        ({"hostAliases": [{"ip": "10.0.0.7"}]}, "/hostAliases/0"),
        ({"dnsConfig": {"nameserver": []}}, "nameserver"),
        ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "/topologySpreadConstraints/0"),
        ({"initContainers": [{"name": "a"}]}, "/initContainers/0"),
        ({"extraObjects": [{"kind": "ConfigMap"}]}, "/extraObjects/0"),
        ({"prometheusRule": {"enable": True}}, "enable"),
        ({"prometheusRule": {"rules": [{"alert": "A"}]}}, "/prometheusRule/rules/0"),
    ],
    ids=str,
)
def test_a_typing_error_in_the_values_is_refused(helm: Path, values: Mapping[str, Any], place: str) -> None:
    done = run_helm(helm, "template", "troth", CHART, "--set-json", json.dumps(values))
    assert done.returncode != 0
    assert place in done.stderr


def test_every_value_is_in_the_schema_with_a_description_and_has_a_default() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(properties: Mapping[str, Any], defaults: Mapping[str, Any], path: str) -> None:
        if path in (".settings", ".dnsConfig"):
            assert not defaults, "what is left out is the operator's or Kubernetes' default"
        else:
            assert set(properties) - {"global"} == set(defaults), path
        for name, field in properties.items():
            if "properties" in field and name in defaults and path != ".resources":
                assert field["additionalProperties"] is False, f"{path}.{name}"
                if field["properties"].keys() != {"requests", "limits"}:
                    compare(field["properties"], defaults[name], f"{path}.{name}")
            else:
                assert field.get("description") or field.get("enum"), f"{path}.{name}"

    compare(schema["properties"], values, "")


def test_wide_open_rights_are_warned_about(helm: Path) -> None:
    def notes(values: Mapping[str, Any]) -> str:
        arguments = ("--dry-run=client", "--set-json", json.dumps(values))
        done = run_helm(helm, "install", "troth", CHART, *arguments, "--namespace", SYSTEM_NAMESPACE)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    assert "WARNING" not in notes({})
    assert "Secrets included" in notes({"rbac": {"requestApis": {"groups": ["*"]}}})
    assert "delete every Promise" in notes({"crds": {"keep": False}})
