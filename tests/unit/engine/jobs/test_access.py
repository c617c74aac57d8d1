"""What the account of a pipeline may do: what Kratix gives it, what it asks for, and nothing of another version's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.engine.jobs.sample import (
    PROMISE_RUN,
    REDIS,
    RUN,
    SEPARATE_RUN,
    SETTINGS,
    asking,
    of_kind,
    problems_of,
    with_pipeline,
)
from troth.api.keys import Key, key_of
from troth.api.resources import ROLE
from troth.engine.jobs.access import find_surplus, may_write_account
from troth.engine.jobs.objects import make_objects
from troth.engine.jobs.runs import PipelineRun

ID = "redis-resource-configure-instance"
READ_AND_WRITE = ["get", "list", "update", "create", "patch"]
REQUESTS = {
    "apiGroups": ["marketplace.kratix.io"],
    "resources": ["redises", "redises/status"],
    "verbs": READ_AND_WRITE,
}
WORKS = {"apiGroups": ["platform.kratix.io"], "resources": ["works"], "verbs": ["*"]}


def only(found: dict[tuple[str, str], Any]) -> Any:
    ((_, obj),) = found.items()
    return obj


def subject_of(binding: Any) -> tuple[str, str]:
    (subject,) = binding["subjects"]
    return subject["namespace"], subject["name"]


def test_an_account_is_called_after_its_pipeline_and_belongs_to_its_promise() -> None:
    account = only(of_kind(RUN, "ServiceAccount"))
    assert account["metadata"] == {
        "name": ID,
        "namespace": "team-a",
        "labels": {"kratix.io/promise-name": "redis", "kratix.io/promise-version": "not-set"},
    }


def test_an_account_that_the_pipeline_names_is_used_by_pod_and_bindings() -> None:
    run = with_pipeline(RUN, service_account="runner")
    assert list(of_kind(run, "ServiceAccount")) == [("team-a", "runner")]
    assert subject_of(only(of_kind(run, "RoleBinding"))) == ("team-a", "runner")


def test_an_account_that_the_pipeline_names_is_of_no_version() -> None:
    run = with_pipeline(replace(RUN, version="v1"), service_account="runner")
    account = only(of_kind(run, "ServiceAccount"))
    assert account["metadata"]["labels"] == {"kratix.io/promise-name": "redis"}


@pytest.mark.parametrize(
    ("existing", "may"),
    [
        (None, True),
        ({"metadata": {"name": ID}}, False),
        ({"metadata": {"name": ID, "labels": {"team": "a"}}}, False),
        ({"metadata": {"name": ID, "labels": {"kratix.io/promise-name": "other"}}}, False),
        ({"metadata": {"name": ID, "labels": {"kratix.io/promise-name": "redis"}}}, True),
    ],
)
def test_an_account_without_the_label_of_the_promise_is_never_written(existing: Any, may: bool) -> None:
    assert may_write_account(RUN, existing) is may


def test_a_pipeline_of_requests_may_read_and_write_them_and_do_everything_with_works() -> None:
    role = only(of_kind(RUN, "Role"))
    assert (role["metadata"]["namespace"], role["metadata"]["name"]) == ("team-a", ID)
    assert role["rules"] == [REQUESTS, WORKS]
    binding = only(of_kind(RUN, "RoleBinding"))
    assert (binding["metadata"]["namespace"], binding["metadata"]["name"]) == ("team-a", ID)
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ID}
    assert subject_of(binding) == ("team-a", ID)


def test_a_pipeline_of_requests_may_do_nothing_outside_of_its_namespace() -> None:
    assert not of_kind(RUN, "ClusterRole")
    assert not of_kind(RUN, "ClusterRoleBinding")


def test_a_pipeline_in_another_namespace_may_reach_requests_by_a_cluster_role_of_their_namespace() -> None:
    assert list(of_kind(SEPARATE_RUN, "Role")) == [("pipelines", ID)]
    role = of_kind(SEPARATE_RUN, "ClusterRole")["", f"{ID}-team-a"]
    assert role["rules"] == [REQUESTS]
    binding = of_kind(SEPARATE_RUN, "ClusterRoleBinding")["", f"{ID}-team-a"]
    assert binding["roleRef"]["name"] == f"{ID}-team-a"
    assert subject_of(binding) == ("pipelines", ID)


def test_a_pipeline_namespace_that_is_the_requests_own_needs_no_cluster_role() -> None:
    assert not of_kind(replace(RUN, separate=True), "ClusterRole")


def test_a_pipeline_of_a_promise_may_read_and_write_promises_and_works() -> None:
    name = "redis-promise-configure-instance"
    assert not of_kind(PROMISE_RUN, "Role")
    role = of_kind(PROMISE_RUN, "ClusterRole")["", name]
    assert role["rules"] == [
        {
            "apiGroups": ["platform.kratix.io"],
            "resources": ["promises", "promises/status", "works"],
            "verbs": READ_AND_WRITE,
        }
    ]
    assert subject_of(of_kind(PROMISE_RUN, "ClusterRoleBinding")["", name]) == ("kratix-platform-system", name)


def test_a_permission_without_a_namespace_is_a_role_in_the_pipelines_own() -> None:
    run = asking(RUN, secrets="", pods="")
    place = ("team-a", f"{ID}-bd900")
    role = of_kind(run, "Role")[place]
    assert [rule["resources"] for rule in role["rules"]] == [["secrets"], ["pods"]]
    binding = of_kind(run, "RoleBinding")[place]
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", place[1])
    assert subject_of(binding) == ("team-a", ID)


def test_a_permission_with_a_namespace_is_a_cluster_role_that_is_bound_there() -> None:
    run = asking(RUN, secrets="elsewhere")
    (place,) = of_kind(run, "ClusterRole")
    assert place[1].startswith(f"{ID}-elsewhere-")
    ((where, binding),) = [each for each in of_kind(run, "RoleBinding").items() if each[0][0] == "elsewhere"]
    assert where[1].startswith(f"{ID}-team-a-")
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("ClusterRole", place[1])
    assert not of_kind(run, "ClusterRoleBinding")


def test_a_permission_for_all_namespaces_is_a_cluster_role_that_is_bound_everywhere() -> None:
    run = asking(RUN, namespaces="*")
    (place,) = of_kind(run, "ClusterRole")
    assert place[1].startswith(f"{ID}-kratix-all-namespaces-")
    binding = only(of_kind(run, "ClusterRoleBinding"))
    assert binding["roleRef"]["name"] == place[1]
    assert subject_of(binding) == ("team-a", ID)


@pytest.mark.parametrize(
    ("namespace", "label"), [("", None), ("elsewhere", "elsewhere"), ("*", "kratix_all_namespaces")]
)
def test_what_a_pipeline_asks_for_is_labelled_with_pipeline_and_namespaces(
    namespace: str, label: str | None
) -> None:
    run = asking(RUN, secrets=namespace)
    wanted = {
        "kratix.io/promise-name": "redis",
        "kratix.io/promise-version": "not-set",
        "kratix.io/workflow-type": "resource",
        "kratix.io/workflow-action": "configure",
        "kratix.io/pipeline-name": "instance",
        "kratix.io/pipeline-namespace": "team-a",
    }
    if label:
        wanted["kratix.io/resource-namespace"] = label
    asked = [
        obj["metadata"]["labels"]
        for _, obj in make_objects(run, SETTINGS).access
        if "kratix.io/pipeline-name" in obj["metadata"]["labels"]
    ]
    assert asked == [wanted, wanted]


def existing(run: PipelineRun) -> list[Key]:
    return [key_of(*placed) for placed in make_objects(run, SETTINGS).access]


def test_what_a_pipeline_no_longer_asks_for_is_found_and_nothing_else() -> None:
    before, now = asking(RUN, secrets="elsewhere", pods="", nodes="*"), asking(RUN, pods="")
    own = set(existing(RUN))
    surplus = find_surplus(now, [key for key in existing(before) if key not in own])
    assert {key.kind.partition(".")[0] for key in surplus} == {
        "clusterroles",
        "rolebindings",
        "clusterrolebindings",
    }
    assert set(surplus) == set(existing(before)) - set(existing(now))
    assert find_surplus(now, [key for key in existing(now) if key not in own]) == ()


def test_a_role_of_somebody_else_with_the_labels_is_surplus() -> None:
    stranger = Key(ROLE.name, "team-a", "stranger")
    assert find_surplus(RUN, [stranger]) == (stranger,)


def test_two_versions_share_no_name_and_each_says_which_one_it_is_of() -> None:
    runs = [
        asking(replace(base, version=version), secrets="elsewhere", pods="", nodes="*")
        for base in (RUN, SEPARATE_RUN, PROMISE_RUN)
        for version in ("", "v1.0.0", "v1.0.1")
    ]
    for first in runs:
        for second in runs:
            if first.version != second.version:
                assert not set(existing(first)) & set(existing(second))
    for run in runs:
        versions = {
            obj["metadata"]["labels"]["kratix.io/promise-version"] for _, obj in make_objects(run, SETTINGS).access
        }
        assert versions == {run.version or "not-set"}


def test_the_selectors_of_two_versions_are_two_config_maps() -> None:
    names = {place[1] for version in ("v1", "v2") for place in of_kind(replace(RUN, version=version), "ConfigMap")}
    assert len(names) == 2


def test_a_promise_that_is_labelled_as_one_without_a_version_has_the_names_of_one() -> None:
    assert existing(replace(RUN, version="not-set")) == existing(RUN)


def test_kubernetes_schemas_have_nothing_against_roles_and_bindings() -> None:
    for run in (RUN, SEPARATE_RUN, PROMISE_RUN):
        assert problems_of(asking(run, secrets="elsewhere", pods="", nodes="*")) == []


def test_a_run_may_reach_only_its_own_api() -> None:
    other = replace(RUN, resource=replace(REDIS, group="other.example.com", plural="others"))
    assert only(of_kind(other, "Role"))["rules"][0]["resources"] == ["others", "others/status"]
