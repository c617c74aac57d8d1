"""What a Destination's rules let through: judged on manifests, as kubectl and GitOps tools read them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from troth.api.objects import Allow, read_destination
from troth.engine.placement.allowing import fingerprint, judge_files
from troth.engine.rendering.sources import line_of_kind

RBAC = "rbac.authorization.k8s.io"
BINDING = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "b"}}
CERT = {"group": "cert-manager.io", "kind": "Certificate"}


def allow(**spec: Any) -> Allow:
    found = read_destination({"metadata": {"name": "d"}, "spec": {"allow": spec}}).allow
    assert found is not None
    return found


def obj(
    kind: str, namespace: Any = "team-a", api_version: str = "v1", name: Any = "x", **more: Any
) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace is not None else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def judge(rules: Allow, *documents: Any, path: str = "all.yaml") -> str:
    found = judge_files({path: yaml.safe_dump_all(documents).encode()}, rules)
    return found.sentence("worker-1") if found else ""


TEAMS: dict[str, Any] = {"namespaces": ["team-*"]}


@pytest.mark.parametrize(
    ("rules", "document"),
    [
        ({}, obj("ConfigMap")),
        ({}, obj("ConfigMap", None)),
        ({}, obj("Deployment", api_version="apps/v1")),
        (TEAMS, obj("ConfigMap")),
        (TEAMS, obj("ConfigMap", "team-1")),
        ({"namespaces": ["default"]}, obj("ConfigMap", None)),
        ({"namespaces": ["*"]}, obj("ConfigMap", "kube-system")),
        ({"namespaces": ["*-a-*x"]}, obj("ConfigMap", "team-a-1-x")),
        ({"kinds": [{"group": "", "kind": "ConfigMap"}]}, obj("ConfigMap")),
        ({"kinds": [{"group": "*", "kind": "*"}]}, obj("Job", api_version="batch/v1")),
        ({"kinds": [{"group": "", "kind": "*Map"}]}, obj("ConfigMap")),
        ({"kinds": [CERT]}, obj("Certificate", api_version="cert-manager.io/v1")),
        (
            {"kinds": [{"group": "*.io", "kind": "Certificate"}]},
            obj("Certificate", api_version="cert-manager.io/v1"),
        ),
        ({"clusterKinds": [{"group": RBAC, "kind": "*"}]}, BINDING),
        ({"clusterKinds": [{"group": "*", "kind": "*"}]}, obj("Foo", None, "example.com/v1")),
        (TEAMS | {"clusterKinds": [{"group": "", "kind": "Namespace"}]}, obj("Namespace", None, name="team-b")),
        ({}, {"apiVersion": "v1", "kind": "List", "items": [obj("ConfigMap"), obj("Secret")]}),
        ({}, {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "a"}}]}),
        ({}, {"apiVersion": "v1", "kind": "List", "items": []}),
    ],
)
def test_what_the_rules_name_may_be_placed(rules: dict[str, Any], document: Any) -> None:
    assert judge(allow(**rules), document) == ""


@pytest.mark.parametrize(
    ("rules", "document", "words"),
    [
        ({}, BINDING, "clusterKinds does not list its kind"),
        ({}, BINDING | {"metadata": {"name": "b", "namespace": "team-a"}}, "ClusterRoleBinding"),  # kubectl drops it
        ({"kinds": [{"group": RBAC, "kind": "ClusterRoleBinding"}]}, BINDING, "lives outside of namespaces"),
        ({"kinds": [{"group": "*", "kind": "*"}]}, BINDING, "lives outside of namespaces"),
        ({}, obj("Namespace", None), "clusterKinds"),
        (TEAMS | {"clusterKinds": [{"group": "", "kind": "Namespace"}]}, obj("Namespace", None, name="payments"),
         "(team-*) does not have the namespace payments"),
        (TEAMS | {"clusterKinds": [{"group": "", "kind": "Namespace"}]}, obj("Namespace", "team-a", name="payments"),
         "does not have the namespace payments"),
        (TEAMS | {"clusterKinds": [{"group": "", "kind": "Namespace"}]},
         {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "payments-"}}, "without a name"),
        (TEAMS, obj("ConfigMap", "payments"), "ConfigMap payments/x (in all.yaml) is not allowed on the Destination"),
        (TEAMS, obj("ConfigMap", None), "does not have the namespace default"),
        (TEAMS, obj("ConfigMap", ""), "does not have the namespace default"),
        (TEAMS, obj("ConfigMap", "Team-a"), "Team-a"),
        (TEAMS, obj("ConfigMap", "xteam-a"), "xteam-a"),
        (TEAMS, obj("ConfigMap", "team-"), "team-"),
        (TEAMS, obj("ConfigMap", "team-${X}"), "does not have the namespace team-${X}"),
        (TEAMS, obj("ConfigMap", "team-a/../b"), "team-a/../b"),
        (TEAMS, obj("ConfigMap", "team-a\n"), "team-a"),
        ({"namespaces": ["*"]}, obj("ConfigMap", "${X}"), "${X}"),
        (TEAMS | {"clusterKinds": [{"group": "", "kind": "Namespace"}]}, obj("Namespace", None, name="team-$(X)"),
         "team-$(X)"),
        ({"namespaces": []}, obj("ConfigMap"), "(none)"),
        ({"namespaces": ["team.a"]}, obj("ConfigMap", "team-a"), "team-a"),  # no regular expression
        ({"kinds": []}, obj("ConfigMap"), "spec.allow.kinds"),
        ({"kinds": [{"group": "apps", "kind": "*"}]}, obj("ConfigMap"), "spec.allow.kinds"),
        ({"kinds": [{"group": "", "kind": "ConfigMap"}]}, obj("Secret"), "Secret team-a/x"),
        ({"kinds": [{"group": "", "kind": "ConfigMap"}]}, obj("configmap"), "configmap"),
        ({"kinds": [{"group": "", "kind": "ConfigMap"}]}, obj("ConfigMap", api_version="V1/v1"), "V1"),
        ({}, obj("clusterrolebinding", api_version=f"{RBAC}/v1"), "clusterKinds"),
        ({}, obj("Certificate", api_version="cert-manager.io/v1"), "without a wildcard"),
        ({"kinds": [{"group": "cert-manager.io", "kind": "*"}]}, obj("ClusterIssuer", api_version="cert-manager.io/v1"),
         "without a wildcard"),
        ({"kinds": [CERT]}, obj("ClusterIssuer", api_version="cert-manager.io/v1"), "without a wildcard"),
        ({}, obj("CustomResourceDefinition", None, "apiextensions.k8s.io/v1"), "clusterKinds"),
        ({}, obj("CustomResourceDefinition", "team-a", "apiextensions.k8s.io/v1beta1"), "clusterKinds"),
        # lists, of every sort
        ({}, {"apiVersion": "v1", "kind": "List", "items": [obj("ConfigMap"), BINDING]}, "ClusterRoleBinding"),
        ({}, {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "List", "items": [BINDING]}]},
         "ClusterRoleBinding"),
        ({}, {"apiVersion": "v1", "kind": "ConfigMapList", "items": [BINDING]}, "ClusterRoleBinding"),
        ({}, obj("ConfigMap", items=[BINDING]), "ClusterRoleBinding"),
        ({}, {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBindingList", "items": [{"metadata": {"name": "b"}}]},
         "ClusterRoleBinding"),
        ({}, {"apiVersion": "v1", "kind": "NamespaceList", "items": [{"metadata": {"name": "b"}}]}, "Namespace"),
        ({}, obj("AllowList", None, "example.com/v1", items=[obj("ConfigMap")]), "AllowList"),
        ({}, {"apiVersion": "v1", "kind": "List", "items": ["text"]}, "not a Kubernetes object"),
        ({}, {"apiVersion": "v1", "kind": "List"}, "List"),
        # what is no object
        ({}, ["a"], "not a Kubernetes object"),
        ({}, "text", "not a Kubernetes object"),
        ({}, {"resources": ["https://example.com/evil"]}, "not a Kubernetes object"),
        ({}, {"kind": "ConfigMap"}, "not a Kubernetes object"),
        ({}, {"apiVersion": "v1", "kind": ["ConfigMap"]}, "not a Kubernetes object"),
        ({}, obj("ConfigMap", ["team-a"]), "not a Kubernetes object"),
        ({}, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": ["x"]}, "not a Kubernetes object"),
        ({}, obj("Kustomization", "flux-system", "kustomize.toolkit.fluxcd.io/v1"), "not one of Kubernetes' own"),
    ],
)  # fmt: skip
def test_what_the_rules_do_not_name_is_refused_with_the_rule(
    rules: dict[str, Any], document: Any, words: str
) -> None:
    assert words in judge(allow(**rules), document)
    if "kinds" not in rules and isinstance(document, dict):
        assert words in judge(allow(**rules), obj("ConfigMap", "team-a"), document)


@pytest.mark.parametrize("path", ["a.yaml", "a.YML", "a.Json", "b/c.YAML"])
def test_every_file_that_somebody_reads_as_manifests_is_judged(path: str) -> None:
    assert "ClusterRoleBinding" in judge(allow(), BINDING, path=path)


@pytest.mark.parametrize("path", ["README.md", "kustomization", ".sourceignore", "main.jsonnet", "a.yaml.txt"])
def test_a_file_without_manifests_needs_a_word(path: str) -> None:
    assert "spec.allow.files" in judge(allow(), BINDING, path=path)
    assert judge(allow(files=True), BINDING, path=path) == ""


@pytest.mark.parametrize(
    "path",
    ["Chart.yaml", "x/chart.YML", "fleet.yaml", "a/kustomization.yaml", ".github/workflows/a.yaml", ".sops.yaml"],
)
def test_a_file_whose_name_means_something_needs_a_word(path: str) -> None:
    assert "a meaning, and spec.allow.files is not true" in judge(allow(), obj("ConfigMap"), path=path)
    assert judge(allow(files=True), obj("ConfigMap"), path=path) == ""
    assert "ClusterRoleBinding" in judge(allow(files=True), BINDING, path=path)


@pytest.mark.parametrize("content", [b"a: [", b"\xff", b"{" * 5000, b"a: &a [*a]", b"a: 1\na: 2\n"])
def test_what_cannot_be_read_is_refused(content: bytes) -> None:
    found = judge_files({"a.yaml": content}, allow())
    assert found is not None
    assert "cannot be read" in found.rule


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["apiVersion", "kind", "metadata", "items", "name", "namespace", "spec"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(st.lists(JSON, max_size=3))
def test_whatever_a_file_holds_it_is_judged(documents: list[Any]) -> None:
    content = "---\n".join(json.dumps(document) + "\n" for document in documents)
    for rules in (allow(), allow(clusterKinds=[{"group": "*", "kind": "*"}], kinds=[{"group": "*", "kind": "*"}])):
        found = judge_files({"a.yaml": content.encode()}, rules)
        assert found is None or found.sentence("d")


@given(st.lists(st.sampled_from(["List", "ConfigMap", "ConfigMapList", "FooList", "Foo"]), max_size=6), JSON)
def test_nothing_hides_in_items(kinds: list[str], beside: Any) -> None:
    document: dict[str, Any] = BINDING
    for kind in kinds:
        version = "example.com/v1" if kind.startswith("Foo") else "v1"
        document = obj(kind, "team-a", version, items=[obj("ConfigMap"), document], beside=beside)
    rules = allow(kinds=[{"group": "*", "kind": kind} for kind in ("ConfigMap", "Foo", "FooList")])
    assert "ClusterRoleBinding" in judge(rules, document)


def test_a_long_name_is_cut_and_a_pattern_of_stars_takes_no_time() -> None:
    found = judge(allow(namespaces=["*a" * 31]), obj("ConfigMap", "a" * 50_000 + "b", name="n" * 50_000))
    assert len(found) < 500


def test_rules_have_a_name_that_changes_with_them() -> None:
    names = {
        fingerprint(allow()),
        fingerprint(allow(namespaces=[])),
        fingerprint(allow(namespaces=["a"])),
        fingerprint(allow(kinds=[CERT])),
        fingerprint(allow(clusterKinds=[CERT])),
        fingerprint(allow(files=True)),
    }
    assert len(names) == 6
    assert fingerprint(allow(kinds=[CERT])) == fingerprint(allow(kinds=[dict(CERT)]))


def test_without_rules_a_destination_has_none() -> None:
    assert read_destination({"metadata": {"name": "d"}, "spec": {}}).allow is None
    assert read_destination({"metadata": {"name": "d"}, "spec": {"allow": {}}}).allow == Allow()


TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
---
{% for each in spec.teams %}
apiVersion: v1
kind: "Namespace"  # of a team
---
{% endfor %}
  - kind: ConfigMap
{"kind": "ConfigMap",
kind: ConfigMapList
kind: {{ spec.kind }}
"""


@pytest.mark.parametrize(
    ("kind", "position", "line"),
    [("ConfigMap", 0, 2), ("ConfigMap", 1, 9), ("ConfigMap", 7, 9), ("Namespace", 3, 6), ("Secret", 0, None),
     ("ConfigMapList", 0, 11), ("Config.ap", 0, None)],
)  # fmt: skip
def test_the_line_of_an_object_is_that_of_its_kind(kind: str, position: int, line: int | None) -> None:
    assert line_of_kind(TEMPLATE, kind, position) == line
