"""What a Promise may reach: groups that are not for it, and namespaces that its Works do not belong in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.platforms import promise
from troth.api import InvalidObject
from troth.api.objects import read_promise, read_promise_spec
from troth.engine.promises.offers import read_offer
from troth.engine.promises.reach import Reach, check_group, check_pipeline_namespace, read_namespaces

TAKEN = (
    "k8s.io",
    "x.k8s.io",
    "apiextensions.k8s.io",
    "gateway.networking.k8s.io",
    "rbac.authorization.k8s.io",
    "kubernetes.io",
    "metrics.kubernetes.io",
    "platform.kratix.io",
    "sub.platform.kratix.io",
    "troth.dev",
    "apps.troth.dev",
    "apps",
    "batch",
    "extensions",
    "policy",
    "K8S.IO",
    "k8s.io.",
    " k8s.io",
)
FREE = (
    "database.example.com",
    "marketplace.kratix.io",
    "kratix.io.example.com",
    "notk8s.io",
    "my-k8s.io",
    "mytroth.dev",
    "k8s.io.example.com",
    "platform.kratix.io.example.com",
)


def with_group(group: str) -> dict[str, Any]:
    made = promise("orders")
    api = made["spec"]["api"]
    api["spec"]["group"] = group
    api["metadata"]["name"] = f"{api['spec']['names']['plural']}.{group}"
    return made


@pytest.mark.parametrize("group", TAKEN)
def test_a_promise_offers_no_api_in_a_group_that_is_somebody_elses(group: str) -> None:
    with pytest.raises(InvalidObject, match=r"group") as caught:
        read_offer(read_promise(with_group(group)))
    assert caught.value.field == "spec.api.spec.group"
    assert "of your own" in caught.value.remedy


def test_an_annotation_that_the_api_server_believes_opens_no_group() -> None:
    made = with_group("x.k8s.io")
    made["spec"]["api"]["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, for a test"}
    with pytest.raises(InvalidObject, match="belongs to Kubernetes"):
        read_offer(read_promise(made))


@pytest.mark.parametrize("group", FREE)
def test_a_group_that_only_looks_like_one_is_free(group: str) -> None:
    check_group(group)
    assert read_offer(read_promise(with_group(group))).resource is not None


@pytest.mark.parametrize("plural", ["secrets", "pods", "promises", "namespaces"])
def test_a_name_that_kubernetes_has_too_is_free_in_a_group_of_ones_own(plural: str) -> None:
    made = promise("orders")
    api = made["spec"]["api"]
    api["spec"]["names"]["plural"] = plural
    api["metadata"]["name"] = f"{plural}.{api['spec']['group']}"
    assert read_offer(read_promise(made)).resource is not None


def spec_in(namespace: str) -> Any:
    return read_promise_spec({"workflows": {"config": {"pipelineNamespace": namespace}}})


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease", "kratix-platform-system"])
def test_works_are_not_kept_beside_the_clusters_own_objects(namespace: str) -> None:
    with pytest.raises(InvalidObject, match="namespace") as caught:
        check_pipeline_namespace(spec_in(namespace))
    assert caught.value.field == "spec.workflows.config.pipelineNamespace"
    check_pipeline_namespace(spec_in(namespace), Reach(allowed_namespaces=frozenset({namespace})))
    check_pipeline_namespace(spec_in(namespace), kept_in=[namespace])


@pytest.mark.parametrize("namespace", ["", "default", "pipelines", "kube-system-2", "my-kube-public"])
def test_any_other_namespace_may_keep_them(namespace: str) -> None:
    check_pipeline_namespace(spec_in(namespace))


def test_the_operators_own_namespace_is_the_one_that_it_runs_with() -> None:
    with pytest.raises(InvalidObject, match="operator's own"):
        check_pipeline_namespace(spec_in("troth"), Reach("troth"))
    check_pipeline_namespace(spec_in("kratix-platform-system"), Reach("troth"))


def test_a_list_of_namespaces_is_read_as_people_write_it() -> None:
    assert read_namespaces(" kube-system, a  b,,c ") == {"kube-system", "a", "b", "c"}
    assert read_namespaces("") == frozenset()
