"""The document of Kratix's ConfigMap: what it says applies, and what is wrong with it is named with its path."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from troth.api import InvalidObject
from troth.api.kratix_configuration import KratixConfiguration, read_kratix_configuration

WHOLE = """
workflows:
  defaultImagePullPolicy: IfNotPresent
  defaultContainerSecurityContext: {runAsNonRoot: true}
  defaultContainerResources: {requests: {cpu: 50m}, limits: {memory: 64Mi}}
  jobOptions: {defaultBackoffLimit: 2, podTTLSecondsAfterFinished: 600}
  reconcileAfterFailure: false
numberOfJobsToKeep: 3
reconciliationInterval: 4h
stateStoreReconciliationInterval: 10h
selectiveCache: true
controllerLeaderElection: {leaseDuration: 15s}
logging: {structured: true, level: info}
telemetry: {traces: {enabled: false}}
resourceBindingVersionStrategy: pinned
git: {minimumFetchInterval: 5s}
featureFlags: {dryRun: true}
"""


def test_all_keys_of_kratix_are_known_and_those_about_pods_apply() -> None:
    assert read_kratix_configuration(yaml.safe_load(WHOLE)) == KratixConfiguration(
        security_context={"runAsNonRoot": True},
        pull_policy="IfNotPresent",
        resources={"requests": {"cpu": "50m"}, "limits": {"memory": "64Mi"}},
        backoff_limit=2,
        pod_ttl=600,
        jobs_kept=3,
        reconciliation_interval="4h",
        reconcile_after_failure=False,
        pins_requests=True,
    )


@pytest.mark.parametrize("document", [None, {}, {"workflows": None}, {"workflows": {"jobOptions": {}}}])
def test_what_is_not_said_does_not_apply(document: Any) -> None:
    assert read_kratix_configuration(document) == KratixConfiguration()


def test_a_misspelt_key_is_named_with_what_was_probably_meant_and_the_rest_applies() -> None:
    found = read_kratix_configuration(
        {"numberOfJobToKeep": 2, "workflows": {"jobOptions": {"defaultBackofLimit": 1}}, "numberOfJobsToKeep": 4}
    )
    assert found.jobs_kept == 4
    assert found.unknown == (
        "numberOfJobToKeep (did you mean numberOfJobsToKeep?)",
        "workflows.jobOptions.defaultBackofLimit (did you mean defaultBackoffLimit?)",
    )


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "config"),
        ({"workflows": []}, "workflows"),
        ({"workflows": {"jobOptions": 3}}, "workflows.jobOptions"),
        ({"workflows": {"jobOptions": {"defaultBackoffLimit": "2"}}}, "workflows.jobOptions.defaultBackoffLimit"),
        (
            {"workflows": {"jobOptions": {"podTTLSecondsAfterFinished": -1}}},
            "workflows.jobOptions.podTTLSecondsAfterFinished",
        ),
        ({"workflows": {"reconcileAfterFailure": "no"}}, "workflows.reconcileAfterFailure"),
        ({"resourceBindingVersionStrategy": "latest"}, "resourceBindingVersionStrategy"),
        ({"reconciliationInterval": 10}, "reconciliationInterval"),
        ({"numberOfJobsToKeep": 0}, "numberOfJobsToKeep"),
        ({"numberOfJobsToKeep": True}, "numberOfJobsToKeep"),
        ({"numberOfJobsToKeep": 2**31}, "numberOfJobsToKeep"),
        ({"workflows": {"defaultImagePullPolicy": "Sometimes"}}, "workflows.defaultImagePullPolicy"),
        (
            {"workflows": {"defaultContainerSecurityContext": {"runAsNoRoot": True}}},
            "workflows.defaultContainerSecurityContext.runAsNoRoot",
        ),
        ({"workflows": {"defaultContainerResources": {"limit": {}}}}, "workflows.defaultContainerResources.limit"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_path(document: Any, field: str) -> None:
    with pytest.raises(InvalidObject) as caught:
        read_kratix_configuration(document)
    assert caught.value.field == field
