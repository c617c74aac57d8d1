"""The Job of a run: each promise of Kratix's about it, and what Troth adds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from tests.unit.engine.jobs.sample import (
    PROMISE_RUN,
    RUN,
    SEPARATE_RUN,
    SETTINGS,
    container_of,
    job_of,
    of_kind,
    pod_of,
    problems_of,
    with_pipeline,
)
from troth.api.container_pipelines import Container
from troth.api.pod_options import PodOptions
from troth.engine.jobs.objects import make_objects
from troth.engine.jobs.observation import read_job
from troth.engine.jobs.runs import PipelineRun

DELETE_RUN = replace(RUN, action="delete")


def test_a_job_is_called_after_its_promise_request_and_pipeline() -> None:
    assert job_of(RUN)["metadata"]["name"].startswith("kratix-redis-cache-instance-")
    assert job_of(PROMISE_RUN)["metadata"]["name"].startswith("kratix-redis-instance-")


def test_the_namespace_of_a_request_stands_in_the_name_only_with_a_pipeline_namespace() -> None:
    assert job_of(SEPARATE_RUN)["metadata"]["name"].startswith("kratix-redis-cache-team-a-instance-")


@pytest.mark.parametrize("run", [RUN, PROMISE_RUN, SEPARATE_RUN])
def test_a_job_is_in_the_namespace_of_its_run(run: PipelineRun) -> None:
    assert job_of(run)["metadata"]["namespace"] == run.namespace


def test_each_attempt_and_each_hash_is_a_job_of_its_own() -> None:
    runs = [RUN, replace(RUN, attempt=2), replace(RUN, hash="other"), replace(RUN, action="delete")]
    assert len({job_of(run)["metadata"]["name"] for run in runs}) == len(runs)


def test_job_and_pod_have_kratixs_labels() -> None:
    job = job_of(with_pipeline(RUN, labels={"team": "a"}))
    assert job["metadata"]["labels"] == {
        "kratix.io/promise-name": "redis",
        "kratix.io/promise-version": "not-set",
        "kratix.io/workflow-type": "resource",
        "kratix.io/workflow-action": "configure",
        "kratix.io/pipeline-name": "instance",
        "kratix.io/resource-name": "cache",
        "kratix.io/hash": "d41d8cd98f00b204e9800998ecf8427e",
        "app.kubernetes.io/managed-by": "Kratix",
        "team": "a",
    }
    assert job["spec"]["template"]["metadata"]["labels"] == job["metadata"]["labels"]


def test_the_namespace_of_a_request_is_a_label_only_with_a_pipeline_namespace() -> None:
    assert job_of(SEPARATE_RUN)["metadata"]["labels"]["kratix.io/resource-namespace"] == "team-a"


def test_a_job_of_a_promise_has_no_label_of_a_request() -> None:
    assert "kratix.io/resource-name" not in job_of(PROMISE_RUN)["metadata"]["labels"]


def test_a_label_of_a_pipeline_does_not_hide_its_job() -> None:
    labels = job_of(with_pipeline(RUN, labels={"kratix.io/hash": "x", "kratix.io/promise-name": "y"}))["metadata"]
    assert labels["labels"] == job_of(RUN)["metadata"]["labels"]


def test_a_job_says_which_object_it_is_for() -> None:
    assert job_of(RUN)["metadata"]["annotations"] == {
        "kratix.io/job-resource-namespace": "team-a",
        "kratix.io/job-resource-name": "cache",
        "kratix.io/job-resource-kind": "Redis",
        "kratix.io/job-resource-api-version": "marketplace.kratix.io/v1alpha1",
        "troth.dev/attempt": "1",
    }


def test_a_job_says_which_attempt_it_is() -> None:
    assert [read_job(job_of(replace(RUN, attempt=attempt))).attempt for attempt in (1, 12)] == [1, 12]


def test_annotations_of_a_pipeline_are_on_the_pod_only_and_those_of_a_trace_on_both() -> None:
    trace = {"kratix.io/trace-parent": "00-a-b-01"}
    job = job_of(with_pipeline(replace(RUN, trace=trace), annotations={"note": "b"}))
    assert job["spec"]["template"]["metadata"]["annotations"] == {"note": "b", **trace}
    assert "note" not in job["metadata"]["annotations"]
    assert job["metadata"]["annotations"]["kratix.io/trace-parent"] == "00-a-b-01"


def test_a_request_owns_its_job_without_controlling_it() -> None:
    assert job_of(RUN)["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "marketplace.kratix.io/v1alpha1",
            "kind": "Redis",
            "name": "cache",
            "uid": RUN.uid,
        }
    ]


def test_a_request_in_another_namespace_owns_no_job() -> None:
    assert "ownerReferences" not in job_of(SEPARATE_RUN)["metadata"]


def test_the_job_of_a_delete_pipeline_has_no_owner_that_would_take_it_along() -> None:
    for run in (RUN, PROMISE_RUN):
        assert "ownerReferences" not in job_of(replace(run, action="delete"))["metadata"]


def test_a_promise_controls_its_job() -> None:
    (owner,) = job_of(PROMISE_RUN)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Promise", "redis", True)


def test_a_pod_starts_again_on_failure_unless_the_pipeline_says_otherwise() -> None:
    assert pod_of(RUN)["restartPolicy"] == "OnFailure"
    assert pod_of(with_pipeline(RUN, restart_policy="Never"))["restartPolicy"] == "Never"


def test_a_pod_runs_as_the_account_of_its_pipeline() -> None:
    assert pod_of(RUN)["serviceAccountName"] == "redis-resource-configure-instance"
    assert pod_of(with_pipeline(RUN, service_account="runner"))["serviceAccountName"] == "runner"


def test_secrets_to_pull_images_are_the_operators_and_then_the_pipelines() -> None:
    run = with_pipeline(RUN, image_pull_secrets=("a", "own", "b"))
    pod = pod_of(run, replace(SETTINGS, pull_secret="own"))
    assert pod["imagePullSecrets"] == [{"name": "own"}, {"name": "a"}, {"name": "b"}]
    assert "imagePullSecrets" not in pod_of(RUN)


def test_node_selector_and_tolerations_are_copied_to_the_pod() -> None:
    toleration = {"key": "k", "operator": "Exists"}
    pod = pod_of(with_pipeline(RUN, node_selector={"disk": "ssd"}, tolerations=(toleration,)))
    assert (pod["nodeSelector"], pod["tolerations"]) == ({"disk": "ssd"}, [toleration])


def test_a_pod_has_no_security_context_and_a_job_no_limit_of_time_unless_a_pipeline_asks() -> None:
    job = job_of(RUN)
    assert set(job["spec"]) == {"template"}
    assert set(pod_of(RUN)) == {
        "restartPolicy",
        "serviceAccountName",
        "initContainers",
        "containers",
        "volumes",
    }


def test_what_a_pipeline_asks_for_beyond_kratix_is_on_its_pod_and_job() -> None:
    options = PodOptions(
        security_context={"fsGroup": 1},
        affinity={"nodeAffinity": {}},
        priority_class="high",
        runtime_class="gvisor",
        active_deadline=600,
    )
    run = with_pipeline(RUN, options=options)
    pod = pod_of(run)
    assert pod["securityContext"] == {"fsGroup": 1}
    assert pod["affinity"] == {"nodeAffinity": {}}
    assert (pod["priorityClassName"], pod["runtimeClassName"]) == ("high", "gvisor")
    assert job_of(run)["spec"]["activeDeadlineSeconds"] == 600
    assert problems_of(run) == []


def test_a_backoff_limit_is_the_pipelines_then_the_settings_then_kubernetes() -> None:
    settings = replace(SETTINGS, backoff_limit=4)
    assert job_of(with_pipeline(RUN, backoff_limit=0), settings)["spec"]["backoffLimit"] == 0
    assert job_of(RUN, settings)["spec"]["backoffLimit"] == 4
    assert "backoffLimit" not in job_of(RUN)["spec"]


def names_in_order(run: PipelineRun) -> tuple[list[str], list[str]]:
    pod = pod_of(run)
    return [each["name"] for each in pod["initContainers"]], [each["name"] for each in pod["containers"]]


@pytest.mark.parametrize("run", [RUN, PROMISE_RUN, SEPARATE_RUN])
def test_the_authors_containers_run_in_their_order_between_reader_and_status_writer(
    run: PipelineRun,
) -> None:
    assert names_in_order(run) == (["reader", "first", "second"], ["status-writer"])


def test_a_run_that_deletes_writes_a_status_and_no_work() -> None:
    assert names_in_order(DELETE_RUN) == (["reader", "first", "second"], ["status-writer"])
    assert make_objects(DELETE_RUN, SETTINGS).selectors is None
    assert "promise-scheduling" not in {volume["name"] for volume in pod_of(DELETE_RUN)["volumes"]}


@pytest.mark.parametrize("name", ["reader", "status-writer"])
def test_the_operators_containers_are_its_own_commands_in_its_own_image(name: str) -> None:
    container = container_of(RUN, name)
    assert container["image"] == "registry.example.com/troth:1"
    assert container["command"] == ["troth", "adapter", name]


@pytest.mark.parametrize("run", [RUN, PROMISE_RUN, SEPARATE_RUN])
def test_status_writer_is_told_in_which_namespace_the_work_is(run: PipelineRun) -> None:
    assert container_of(run, "status-writer")["args"] == ["--namespace", run.namespace]


@pytest.mark.parametrize("name", ["reader", "status-writer"])
def test_the_operators_containers_have_no_privileges(name: str) -> None:
    settings = replace(SETTINGS, security_context={"privileged": True})
    assert container_of(RUN, name, settings)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


KRATIXS_RESOURCES = {
    "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "128Mi"},
    "limits": {"cpu": "200m", "memory": "256Mi", "ephemeral-storage": "256Mi"},
}


@pytest.mark.parametrize("name", ["first", "second"])
def test_an_authors_container_has_kratixs_resources_by_default(name: str) -> None:
    assert container_of(RUN, name)["resources"] == KRATIXS_RESOURCES


@pytest.mark.parametrize("name", ["reader", "status-writer"])
def test_the_operators_containers_may_use_a_whole_cpu_while_they_start_and_have_every_limit_of_a_quota(
    name: str,
) -> None:
    limits = {**KRATIXS_RESOURCES["limits"], "cpu": "1"}
    assert container_of(RUN, name)["resources"] == {**KRATIXS_RESOURCES, "limits": limits}


def test_resources_of_a_container_replace_those_of_the_settings_as_a_whole() -> None:
    own = Container(name="first", image="a", resources={"limits": {"cpu": "1"}})
    none = Container(name="second", image="b", resources={})
    settings = replace(SETTINGS, resources={"requests": {"cpu": "5m"}}, own_resources={"limits": {"cpu": "2"}})
    run = with_pipeline(RUN, containers=(own, none))
    assert container_of(run, "first", settings)["resources"] == {"limits": {"cpu": "1"}}
    assert "resources" not in container_of(run, "second", settings)
    assert container_of(RUN, "second", settings)["resources"] == {"requests": {"cpu": "5m"}}
    assert container_of(run, "status-writer", settings)["resources"] == {"limits": {"cpu": "2"}}


def test_only_a_container_without_a_security_context_gets_that_of_the_settings() -> None:
    own = Container(name="first", image="a", security_context={"runAsUser": 1})
    run = with_pipeline(RUN, containers=(own, Container(name="second", image="b")))
    settings = replace(SETTINGS, security_context={"runAsNonRoot": True})
    assert container_of(run, "first", settings)["securityContext"] == {"runAsUser": 1}
    assert container_of(run, "second", settings)["securityContext"] == {"runAsNonRoot": True}
    assert "securityContext" not in container_of(run, "second")


def test_a_pull_policy_is_the_containers_then_the_settings_then_kubernetes() -> None:
    own = Container(name="first", image="a", image_pull_policy="Never")
    run = with_pipeline(RUN, containers=(own, Container(name="second", image="b")))
    settings = replace(SETTINGS, pull_policy="Always")
    found = [container_of(run, name, settings)["imagePullPolicy"] for name in ("reader", "first", "second")]
    assert found == ["Always", "Never", "Always"]
    assert "imagePullPolicy" not in container_of(run, "second")


def test_what_an_author_says_of_a_container_is_passed_on() -> None:
    container = Container(
        name="first",
        image="a",
        command=("sh", "-c"),
        args=("true",),
        env_from=({"secretRef": {"name": "s"}},),
    )
    found = container_of(with_pipeline(RUN, containers=(container,)), "first")
    assert (found["command"], found["args"]) == (["sh", "-c"], ["true"])
    assert found["envFrom"] == [{"secretRef": {"name": "s"}}]


def test_volumes_are_kratixs_and_then_the_authors() -> None:
    volumes = pod_of(with_pipeline(RUN, volumes=({"name": "mine", "emptyDir": {}},)))["volumes"]
    assert volumes == [
        {
            "name": "promise-scheduling",
            "configMap": {
                "name": "destination-selectors-redis",
                "items": [{"key": "destinationSelectors", "path": "promise-scheduling"}],
            },
        },
        {"name": "shared-input", "emptyDir": {}},
        {"name": "shared-output", "emptyDir": {}},
        {"name": "shared-metadata", "emptyDir": {}},
        {"name": "mine", "emptyDir": {}},
    ]


def test_an_author_finds_kratixs_folders_before_their_own() -> None:
    mount = {"name": "mine", "mountPath": "/mine"}
    run = with_pipeline(RUN, containers=(Container(name="first", image="a", volume_mounts=(mount,)),))
    assert container_of(run, "first")["volumeMounts"] == [
        {"name": "shared-input", "mountPath": "/kratix/input", "readOnly": True},
        {"name": "shared-output", "mountPath": "/kratix/output"},
        {"name": "shared-metadata", "mountPath": "/kratix/metadata"},
        mount,
    ]


def test_the_operators_containers_find_the_folders_that_they_read_and_write() -> None:
    mounts = {
        name: {mount["mountPath"]: mount["name"] for mount in container_of(RUN, name)["volumeMounts"]}
        for name in ("reader", "status-writer")
    }
    assert mounts == {
        "reader": {"/kratix/input": "shared-input", "/kratix/output": "shared-output"},
        "status-writer": {
            "/work-creator-files/input": "shared-output",
            "/work-creator-files/metadata": "shared-metadata",
            "/work-creator-files/kratix-system": "promise-scheduling",
        },
    }


def test_status_writer_of_a_run_that_deletes_finds_only_what_its_containers_say() -> None:
    mounts = container_of(DELETE_RUN, "status-writer")["volumeMounts"]
    assert mounts == [{"name": "shared-metadata", "mountPath": "/work-creator-files/metadata"}]


def test_destination_selectors_are_a_list_with_keys_in_lower_case() -> None:
    ((place, found),) = of_kind(RUN, "ConfigMap").items()
    assert place == ("team-a", "destination-selectors-redis")
    text = found["data"]["destinationSelectors"]
    assert yaml.safe_load(text) == [{"matchlabels": {"environment": "dev"}, "source": "promise"}]


def test_a_promise_without_selectors_has_an_empty_list_of_them() -> None:
    ((_, found),) = of_kind(replace(RUN, selectors=()), "ConfigMap").items()
    assert yaml.safe_load(found["data"]["destinationSelectors"]) == []


def test_the_end_of_a_failed_containers_log_becomes_its_message() -> None:
    pod = pod_of(RUN)
    policies = {each["terminationMessagePolicy"] for each in [*pod["initContainers"], *pod["containers"]]}
    assert policies == {"FallbackToLogsOnError"}


def test_the_job_comes_last_and_an_account_before_what_refers_to_it() -> None:
    kinds = [resource.kind for resource, _ in make_objects(RUN, SETTINGS).in_order]
    assert kinds == ["ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Job"]


@pytest.mark.parametrize("run", [RUN, PROMISE_RUN, SEPARATE_RUN, DELETE_RUN])
def test_kubernetes_schemas_have_nothing_against_the_objects(run: PipelineRun) -> None:
    assert problems_of(run) == []
