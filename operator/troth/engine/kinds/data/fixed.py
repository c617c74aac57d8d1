"""Constraints that Kubernetes' validation code enforces and its published schemas lack, as of 1.36.

Source: `pkg/apis/*/validation` of k8s.io/kubernetes and `pkg/util/validation` of k8s.io/apimachinery. Only constraints
that hold whatever the rest of the object says are listed; a field is named by its definition and its path in it.
"""

from __future__ import annotations

from typing import Any, Final

_CORE: Final = "io.k8s.api.core.v1"
_APPS: Final = "io.k8s.api.apps.v1"
_BATCH: Final = "io.k8s.api.batch.v1"
_AUTOSCALING: Final = "io.k8s.api.autoscaling.v2"
_NETWORKING: Final = "io.k8s.api.networking.v1"
_RBAC: Final = "io.k8s.api.rbac.v1"
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"

_PORT: Final = {"minimum": 1, "maximum": 65535}
_PORT_OR_NONE: Final = {"minimum": 0, "maximum": 65535}
_PORT_NAME: Final = {"pattern": "[a-z0-9]([-a-z0-9]*[a-z0-9])?", "maxLength": 15}
_NOT_NEGATIVE: Final = {"minimum": 0}
_LABEL: Final = {"pattern": "[a-z0-9]([-a-z0-9]*[a-z0-9])?", "maxLength": 63}
_LABEL_VALUE: Final = {"pattern": "([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?", "maxLength": 63}
_COUNT_OR_SHARE: Final = {"minimum": 0, "pattern": "[0-9]+%"}
_PORT_OR_NAME: Final = {**_PORT, **_PORT_NAME}

FIXED: Final[dict[str, dict[str, Any]]] = {
    f"{_META}.ObjectMeta/labels/*": _LABEL_VALUE,
    f"{_META}.LabelSelector/matchLabels/*": _LABEL_VALUE,
    f"{_META}.LabelSelectorRequirement/operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
    # core
    f"{_CORE}.Container/name": _LABEL,
    f"{_CORE}.ContainerPort/containerPort": _PORT,
    f"{_CORE}.ContainerPort/hostPort": _PORT_OR_NONE,
    f"{_CORE}.ContainerPort/name": _PORT_NAME,
    f"{_CORE}.EndpointPort/port": _PORT,
    f"{_CORE}.GRPCAction/port": _PORT,
    f"{_CORE}.HTTPGetAction/port": _PORT_OR_NAME,
    f"{_CORE}.LimitRangeItem/type": {"pattern": "Container|Pod|PersistentVolumeClaim|[a-z0-9.-]+/[A-Za-z0-9_.-]+"},
    f"{_CORE}.PodSpec/activeDeadlineSeconds": {"minimum": 1},
    f"{_CORE}.PodSpec/nodeSelector/*": _LABEL_VALUE,
    f"{_CORE}.Probe/failureThreshold": _NOT_NEGATIVE,
    f"{_CORE}.Probe/initialDelaySeconds": _NOT_NEGATIVE,
    f"{_CORE}.Probe/periodSeconds": _NOT_NEGATIVE,
    f"{_CORE}.Probe/successThreshold": _NOT_NEGATIVE,
    f"{_CORE}.Probe/timeoutSeconds": _NOT_NEGATIVE,
    f"{_CORE}.ReplicationControllerSpec/replicas": _NOT_NEGATIVE,
    f"{_CORE}.SecurityContext/runAsUser": _NOT_NEGATIVE,
    f"{_CORE}.SecurityContext/runAsGroup": _NOT_NEGATIVE,
    f"{_CORE}.PodSecurityContext/runAsUser": _NOT_NEGATIVE,
    f"{_CORE}.PodSecurityContext/runAsGroup": _NOT_NEGATIVE,
    f"{_CORE}.PodSecurityContext/fsGroup": _NOT_NEGATIVE,
    f"{_CORE}.ServicePort/name": _LABEL,
    f"{_CORE}.ServicePort/port": _PORT,
    f"{_CORE}.ServicePort/targetPort": {**_PORT_OR_NONE, **_PORT_NAME},
    f"{_CORE}.ServiceSpec/selector/*": _LABEL_VALUE,
    f"{_CORE}.TCPSocketAction/port": _PORT_OR_NAME,
    f"{_CORE}.TopologySpreadConstraint/maxSkew": {"minimum": 1},
    f"{_CORE}.Volume/name": _LABEL,
    # apps
    f"{_APPS}.DeploymentSpec/minReadySeconds": _NOT_NEGATIVE,
    f"{_APPS}.DeploymentSpec/progressDeadlineSeconds": _NOT_NEGATIVE,
    f"{_APPS}.DeploymentSpec/replicas": _NOT_NEGATIVE,
    f"{_APPS}.DeploymentSpec/revisionHistoryLimit": _NOT_NEGATIVE,
    f"{_APPS}.DaemonSetSpec/minReadySeconds": _NOT_NEGATIVE,
    f"{_APPS}.ReplicaSetSpec/replicas": _NOT_NEGATIVE,
    f"{_APPS}.RollingUpdateDeployment/maxSurge": _COUNT_OR_SHARE,
    f"{_APPS}.RollingUpdateDeployment/maxUnavailable": _COUNT_OR_SHARE,
    f"{_APPS}.StatefulSetSpec/minReadySeconds": _NOT_NEGATIVE,
    f"{_APPS}.StatefulSetSpec/replicas": _NOT_NEGATIVE,
    f"{_APPS}.StatefulSetPersistentVolumeClaimRetentionPolicy/whenDeleted": {"enum": ["Retain", "Delete"]},
    f"{_APPS}.StatefulSetPersistentVolumeClaimRetentionPolicy/whenScaled": {"enum": ["Retain", "Delete"]},
    # batch
    f"{_BATCH}.CronJobSpec/failedJobsHistoryLimit": _NOT_NEGATIVE,
    f"{_BATCH}.CronJobSpec/startingDeadlineSeconds": _NOT_NEGATIVE,
    f"{_BATCH}.CronJobSpec/successfulJobsHistoryLimit": _NOT_NEGATIVE,
    f"{_BATCH}.JobSpec/activeDeadlineSeconds": _NOT_NEGATIVE,
    f"{_BATCH}.JobSpec/backoffLimit": _NOT_NEGATIVE,
    f"{_BATCH}.JobSpec/completions": _NOT_NEGATIVE,
    f"{_BATCH}.JobSpec/parallelism": _NOT_NEGATIVE,
    f"{_BATCH}.JobSpec/ttlSecondsAfterFinished": _NOT_NEGATIVE,
    # autoscaling
    f"{_AUTOSCALING}.HorizontalPodAutoscalerSpec/maxReplicas": {"minimum": 1},
    f"{_AUTOSCALING}.HorizontalPodAutoscalerSpec/minReplicas": _NOT_NEGATIVE,
    f"{_AUTOSCALING}.MetricTarget/averageUtilization": {"minimum": 1},
    f"{_AUTOSCALING}.MetricTarget/type": {"enum": ["Utilization", "Value", "AverageValue"]},
    # networking, policy, rbac
    f"{_NETWORKING}.NetworkPolicyPort/endPort": _PORT,
    f"{_NETWORKING}.NetworkPolicyPort/port": _PORT_OR_NAME,
    f"{_NETWORKING}.ServiceBackendPort/number": _PORT,
    "io.k8s.api.policy.v1.PodDisruptionBudgetSpec/maxUnavailable": _COUNT_OR_SHARE,
    "io.k8s.api.policy.v1.PodDisruptionBudgetSpec/minAvailable": _COUNT_OR_SHARE,
    f"{_RBAC}.RoleRef/apiGroup": {"enum": ["rbac.authorization.k8s.io"]},
    f"{_RBAC}.RoleRef/kind": {"enum": ["Role", "ClusterRole"]},
    f"{_RBAC}.Subject/kind": {"enum": ["User", "Group", "ServiceAccount"]},
}
"""The constraints of a value: patterns must match the whole text, ranges are for numbers."""

REQUIRED: Final[dict[str, list[str]]] = {
    f"{_CORE}.Container": ["image"],
    f"{_CORE}.ConfigMapKeySelector": ["name"],
    f"{_CORE}.SecretKeySelector": ["name"],
    f"{_BATCH}.JobTemplateSpec": ["spec"],
    f"{_APPS}.Deployment": ["spec"],
    f"{_APPS}.StatefulSet": ["spec"],
    f"{_APPS}.DaemonSet": ["spec"],
    f"{_BATCH}.Job": ["spec"],
    f"{_BATCH}.CronJob": ["spec"],
    f"{_CORE}.Service": ["spec"],
    f"{_CORE}.Pod": ["spec"],
    f"{_CORE}.PersistentVolumeClaim": ["spec"],
    f"{_CORE}.PersistentVolumeClaimSpec": ["accessModes", "resources"],
    f"{_CORE}.PodTemplateSpec": ["spec"],
    f"{_CORE}.VolumeResourceRequirements": ["requests"],
    f"{_AUTOSCALING}.HorizontalPodAutoscaler": ["spec"],
}
"""Fields that are required although the schema calls them optional."""
