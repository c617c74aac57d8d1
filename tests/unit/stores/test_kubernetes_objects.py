"""Which kinds a claim's own definitions are taken to define: only what an API server could be made to serve."""

from __future__ import annotations

from typing import Any

import pytest

from troth.stores import StoreError
from troth.stores.kubernetes_objects import Entry, Manifest, own_resources


def definition(name: str = "widgets.example.com", **spec: Any) -> Manifest:
    body = {
        "group": "example.com",
        "names": {"kind": "Widget", "plural": "widgets"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True}, {"name": "v2", "served": False}],
    }
    entry = Entry("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)
    return Manifest(entry, {"spec": body | spec}, "crd.yaml")


def names(plural: Any, kind: Any = "Widget") -> dict[str, Any]:
    return {"kind": kind, "plural": plural}


def version(name: Any) -> list[dict[str, Any]]:
    return [{"name": name, "served": True}]


def test_a_definition_defines_the_versions_that_it_serves() -> None:
    assert set(own_resources([definition()])) == {("example.com/v1", "Widget")}
    gateway = definition("widgets.gateway.networking.k8s.io", group="gateway.networking.k8s.io")
    assert set(own_resources([gateway])) == {("gateway.networking.k8s.io/v1", "Widget")}
    assert own_resources([Manifest(definition().entry, {}, "crd.yaml")]) == {}


@pytest.mark.parametrize(
    "lie",
    [
        definition("x.example.com"),
        definition("widgets", group=""),
        *(
            definition(f"widgets.{group}", group=group)
            for group in (
                "apps", "batch", "k8s.io", "rbac.authorization.k8s.io", "flowcontrol.apiserver.k8s.io",
                "networking.k8s.io", "kubernetes.io", "../api", "a/b.c", "A.example.com", "a..b", ".a", "a.b\n", 7,
            )
        ),
        *(
            definition(f"{plural}.example.com", names=names(plural))
            for plural in (
                "namespaces/victim/rolebindings", "..", ".", "", "widgets?", "widgets#", "a%2fb", "Widgets", "a.b",
                "-a", "a\n", "a b", "a" * 64, 3, None,
            )
        ),
        *(definition(versions=version(name)) for name in ("../v1", "v1/x", "..", "", "v1?", "v1\n", 1, None)),
        definition(names=names("widgets", None)),
        definition(names=None),
        definition(versions=None),
        definition(versions=[{"name": "v1", "served": "yes"}]),
    ],
    ids=lambda manifest: f"{manifest.entry.name[:40]!r} {str(manifest.body['spec']['versions'])[:30]}",
)  # fmt: skip
def test_a_definition_that_no_api_server_takes_defines_nothing(lie: Manifest) -> None:
    assert own_resources([lie]) == {}


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("spec.versions", {"versions": 5}),
        ("spec.versions", {"versions": {"a": 1}}),
        ("spec.versions", {"versions": "v1"}),
        ("spec.versions[]", {"versions": ["x"]}),
        ("spec.versions[]", {"versions": [None]}),
        ("spec.names", {"names": "x"}),
        ("spec.names", {"names": ["x"]}),
    ],
)
def test_a_malformed_definition_is_told(field: str, spec: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="holds the CustomResourceDefinition") as caught:
        own_resources([definition(**spec)])
    assert caught.value.reason == "InvalidManifest"
    assert f"{field} is not a" in caught.value.message
    entry = definition().entry
    with pytest.raises(StoreError, match="spec is not a map"):
        own_resources([Manifest(entry, {"spec": ["x"]}, "crd.yaml")])
