"""Secrets in the clear are found wherever they stand, and nothing else is taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.placement.plain_secrets import (
    SecretScan,
    describe,
    exposed,
    find_plain_secrets,
    may_hold_secrets,
    plain_secrets_of,
    policy_of,
    withheld,
)
from troth.engine.yaml.manifests import dump_documents

PASSWORD = "hunter2-very-secret"
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "db", "namespace": "team"},
    "stringData": {"password": PASSWORD},
}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "secret"}, "data": {"kind": "Secret"}}


def with_(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**SECRET, **changes}.items() if value is not None}


IN_THE_CLEAR: dict[str, Any] = {
    "string data": SECRET,
    "data": with_(stringData=None, data={"password": "aHVudGVyMg=="}),
    "a generated name": with_(metadata={"generateName": "db-"}),
    "no metadata": with_(metadata=None),
    "metadata that is none": with_(metadata="x"),
    "a kind in small letters": with_(kind="secret"),
    "a kind with spaces": with_(kind=" Secret "),
    "a version in capitals": with_(apiVersion="V1"),
    "a list": {"apiVersion": "v1", "kind": "List", "items": [CONFIG_MAP, SECRET]},
    "a list in a list": {"apiVersion": "v1", "kind": "List", "items": [{"kind": "List", "items": [SECRET]}]},
    "a list of Secrets": {"apiVersion": "v1", "kind": "SecretList", "items": [with_(kind=None, apiVersion=None)]},
    "a template": {"kind": "Template", "objects": [SECRET]},
    "a manifest in a manifest": {"kind": "Object", "spec": {"forProvider": {"manifest": SECRET}}},
    "a block of SOPS with values in the clear": with_(sops={"mac": "ENC[x]"}),
    "one value of two that SOPS encrypted": with_(
        sops={"mac": "x"}, stringData={"a": "ENC[AES256_GCM,data:x]", "b": PASSWORD}
    ),
    "something that looks encrypted, without a block of SOPS": with_(stringData={"password": f"ENC[{PASSWORD}]"}),
    "data that is not a map": with_(stringData=PASSWORD),
    "immutable": with_(immutable=True, type="Opaque"),
}

HARMLESS: dict[str, Any] = {
    "no data": with_(stringData=None),
    "empty data": with_(stringData={}, data={}),
    "empty values": with_(stringData={"password": ""}, data={"x": None}),
    "a token that the cluster fills in": with_(stringData=None, type="kubernetes.io/service-account-token"),
    "SOPS": with_(sops={"mac": "x"}, stringData={"password": "ENC[AES256_GCM,data:x,type:str]"}),
    "a sealed one": {
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "spec": {"encryptedData": {"a": "b"}},
    },
    "an external one": {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "spec": {"target": {"template": {"data": {"a": "{{ .b }}"}}}},
    },
    "a store": {"apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "data": {"a": "b"}},
    "a kind of another group": with_(apiVersion="example.com/v1"),
    "a reference": {"kind": "Pod", "spec": {"volumes": [{"secret": {"secretName": "db"}}], "ref": {"kind": "Secret"}}},
    "a ConfigMap": CONFIG_MAP,
}  # fmt: skip


def as_yaml(document: Any) -> bytes:
    return dump_documents([document]).encode()


def as_json(document: Any) -> bytes:
    return json.dumps(document, indent=2).encode()


def as_flow(document: Any) -> bytes:
    return yaml.safe_dump(document, default_flow_style=True).encode()


@pytest.mark.parametrize("write", [as_yaml, as_json, as_flow])
@pytest.mark.parametrize("name", IN_THE_CLEAR)
def test_a_secret_in_the_clear_is_found(name: str, write: Any) -> None:
    content = write(IN_THE_CLEAR[name])
    assert may_hold_secrets(content)
    [found] = find_plain_secrets("a.yaml", content)
    assert found.startswith("Secret ")
    assert PASSWORD not in found


@pytest.mark.parametrize("write", [as_yaml, as_json, as_flow])
@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_secret_in_the_clear_is_not_taken_for_one(name: str, write: Any) -> None:
    assert find_plain_secrets("a.yaml", write(HARMLESS[name])) == ()


@pytest.mark.parametrize("path", ["a.yaml", "a.YAML", "dir/a.yml", "a.json", "a.Json"])
def test_it_is_found_in_every_file_that_holds_manifests(path: str) -> None:
    assert find_plain_secrets(path, as_json(SECRET)) == ("Secret team/db",)
    assert find_plain_secrets("notes.txt", as_json(SECRET)) == ()


def test_each_of_several_documents_is_looked_at() -> None:
    second = with_(metadata={"name": "second"})
    content = b"---\n".join(as_yaml(each) for each in (CONFIG_MAP, SECRET, CONFIG_MAP, second))
    assert find_plain_secrets("a.yaml", content) == ("Secret team/db", "Secret second")


def test_a_document_that_cannot_be_read_hides_no_other() -> None:
    content = b"kind: Secret\na: b: c\n---\n" + as_yaml(SECRET)
    assert find_plain_secrets("a.yaml", content) == ("Secret team/db",)


@pytest.mark.parametrize(
    "text", ["kind: 'Secret'", 'kind: "Secret" # x', "kind: !!str Secret", "? kind\n: Secret"]
)
def test_every_way_to_write_a_kind_is_seen(text: str) -> None:
    content = f"apiVersion: v1\n{text}\nstringData: {{a: b}}\n".encode()
    assert len(find_plain_secrets("a.yaml", content)) == 1


def test_messages_name_objects_and_stores_and_never_a_value() -> None:
    secrets = describe([("Secret a/b", "x.yaml"), *((f"Secret {n}", "y.yaml") for n in range(9))])
    assert secrets == "Secret a/b in x.yaml, Secret 0 in y.yaml, Secret 1 in y.yaml and 7 more"
    assert secrets in exposed(secrets, "GitStateStore default")
    assert "plainSecrets: refuse" in withheld(secrets, "GitStateStore default")


def test_a_store_warns_unless_it_says_otherwise_and_a_cluster_is_where_secrets_belong() -> None:
    assert policy_of("GitStateStore", {}) == "warn"
    assert policy_of("DirectoryStateStore", {"plainSecrets": "refuse"}) == "refuse"
    assert policy_of("GitStateStore", {"plainSecrets": "allow"}) == "allow"
    assert policy_of("GitStateStore", {"plainSecrets": "nonsense"}) == "warn"
    assert policy_of("KubernetesStateStore", {"plainSecrets": "refuse"}) == "allow"


@given(st.sampled_from(sorted(IN_THE_CLEAR)), st.integers(1, 40))
def test_a_content_in_pieces_is_judged_as_the_whole_is(name: str, step: int) -> None:
    scan = SecretScan()
    content = as_yaml(IN_THE_CLEAR[name])
    for start in range(0, len(content), step):
        scan.feed(content[start : start + step])
    assert scan.found


@given(
    st.recursive(
        st.sampled_from(["v1", "Secret", "SecretList", "List", "", None, 1]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kind", "apiVersion", "items", "data", "stringData", "metadata", "name", "sops"]),
                inner,
            )
        ),
        max_leaves=20,
    )
)
def test_anything_is_judged_and_the_quick_look_misses_nothing(document: Any) -> None:
    found = list(plain_secrets_of(document))
    content = as_json(document)
    assert not found or may_hold_secrets(content)
    if isinstance(document, dict):
        assert find_plain_secrets("a.json", content) == tuple(found)
