"""Labels, annotations and finalizers, with Kratix's names (kratix-compatibility.md#names) and a few of our own."""

from __future__ import annotations

from typing import Final

PROMISE_NAME: Final = "kratix.io/promise-name"
PROMISE_VERSION: Final = "kratix.io/promise-version"
PROMISE_RELEASE_NAME: Final = "kratix.io/promise-release-name"
LATEST_REVISION: Final = "kratix.io/latest-revision"
SKIP_REQUEST_CLEANUP: Final = "kratix.io/skip-resource-request-cleanup-on-delete"
RESOURCE_NAME: Final = "kratix.io/resource-name"
RESOURCE_NAMESPACE: Final = "kratix.io/resource-namespace"
PIPELINE_NAME: Final = "kratix.io/pipeline-name"
PIPELINE_NAMESPACE: Final = "kratix.io/pipeline-namespace"
WORKFLOW_TYPE: Final = "kratix.io/workflow-type"
WORKFLOW_ACTION: Final = "kratix.io/workflow-action"
HASH: Final = "kratix.io/hash"
JOB_NAME: Final = "batch.kubernetes.io/job-name"  # on a Pod, by the Job controller
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY_KRATIX: Final = "Kratix"
ALL_NAMESPACES: Final = "kratix_all_namespaces"
JOB_RESOURCE_NAMESPACE: Final = "kratix.io/job-resource-namespace"
JOB_RESOURCE_NAME: Final = "kratix.io/job-resource-name"
JOB_RESOURCE_KIND: Final = "kratix.io/job-resource-kind"
JOB_RESOURCE_API_VERSION: Final = "kratix.io/job-resource-api-version"
TRACE_PARENT: Final = "kratix.io/trace-parent"
TRACE_STATE: Final = "kratix.io/trace-state"
WORK_TYPE: Final = "kratix.io/work-type"
WORK: Final = "kratix.io/work"
WORKLOAD_GROUP_ID: Final = "kratix.io/workload-group-id"
TARGET_DESTINATION: Final = "kratix.io/targetDestinationName"
MISPLACED: Final = "kratix.io/misplaced"
PAUSED: Final = "kratix.io/paused"
WORKFLOW_SUSPENDED: Final = "kratix.io/workflow-suspended"
MANUAL_RECONCILIATION: Final = "kratix.io/manual-reconciliation"
RUN_FROM_START: Final = "internal.workflows.kratix.io/run-from-start"
RECONCILIATION_INTERVAL: Final = "kratix.io/reconciliation-interval"
RETIRED: Final = "troth.dev/retired"
MOVED: Final = "troth.dev/moved"
RECONCILE_RESOURCES: Final = "kratix.io/reconcile-resources"
DRY_RUN: Final = "kratix.io/dry-run"
PARENT_PROMISE_NAME: Final = "kratix.io/parent-promise-name"
PARENT_RESOURCE_NAME: Final = "kratix.io/parent-resource-name"
PARENT_RESOURCE_NAMESPACE: Final = "kratix.io/parent-resource-namespace"

# The destination labels that the pipelines asked for when they made a placement's files. Kratix keeps no record of
# it.
ASKED_FOR: Final = "troth.dev/asked-for"
# Which run of its pipeline a Job is, counted from 1. Ours: Kratix goes by the time at which a Job was created.
ATTEMPT: Final = "troth.dev/attempt"
# An annotation of a Pod: the object for which it runs, as object.yaml has it (engine/jobs/inputs.py).
OBJECT: Final = "troth.dev/object"
# An annotation: the number of the last wish for a new run whose labels were removed (engine/workflow/wishes.py).
WISHES: Final = "troth.dev/wishes"
# An annotation of a ResourceBinding: which of its labels are those of its request. Kratix keeps no record of it.
MIRRORED_LABELS: Final = "troth.dev/mirrored-labels"
# The hash of the Destination's rules (spec.allow) by which a placement's files were judged.
ALLOWED: Final = "troth.dev/allowed"

# The operator's seal on an object that it wrote (engine/placement/seals.py).
SEAL: Final = "troth.dev/seal"

WORK_TYPE_PROMISE: Final = "promise"
WORK_TYPE_RESOURCE: Final = "resource"
WORK_TYPE_STATIC_DEPENDENCY: Final = "static-dependency"

RESOURCE_REQUEST_CLEANUP: Final = "kratix.io/resource-request-cleanup"
DYNAMIC_CONTROLLER_CLEANUP: Final = "kratix.io/dynamic-controller-dependant-resources-cleanup"
API_CRD_CLEANUP: Final = "kratix.io/api-crd-cleanup"
DEPENDENCIES_CLEANUP: Final = "kratix.io/dependencies-cleanup"
WORKFLOWS_CLEANUP: Final = "kratix.io/workflows-cleanup"
REVISION_CLEANUP: Final = "kratix.io/revision-cleanup"
DELETE_WORKFLOWS: Final = "kratix.io/delete-workflows"
RESOURCE_BINDING_CLEANUP: Final = "kratix.io/resource-binding-cleanup"
WORK_CLEANUP: Final = "kratix.io/work-cleanup"
REPO_CLEANUP: Final = "finalizers.workplacement.kratix.io/repo-cleanup"
DOT_FILES_CLEANUP: Final = "finalizers.workplacement.kratix.io/kratix-dot-files-cleanup"
DESTINATION_CLEANUP: Final = "kratix.io/destination-cleanup"

SYSTEM_NAMESPACE: Final = "kratix-platform-system"
FIELD_MANAGER: Final = "troth"
VERSION_NOT_SET: Final = "not-set"
VERSION_LATEST: Final = "latest"
