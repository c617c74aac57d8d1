"""API versions of Kubernetes that are deprecated or removed, as of 1.36.

Source: the deprecation guide of Kubernetes' documentation. Groups of other projects are not listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KUBERNETES: Final = "1.36"

_NETWORKING: Final = "networking.k8s.io/v1"
_AUTOSCALING: Final = "autoscaling/v2"

REMOVED: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    **{
        ("apps/v1beta1", kind): ("1.16", "apps/v1") for kind in ("Deployment", "StatefulSet", "ControllerRevision")
    },
    **{
        ("apps/v1beta2", kind): ("1.16", "apps/v1")
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ControllerRevision")
    },
    **{("extensions/v1beta1", kind): ("1.16", "apps/v1") for kind in ("Deployment", "DaemonSet", "ReplicaSet")},
    ("extensions/v1beta1", "NetworkPolicy"): ("1.16", _NETWORKING),
    ("extensions/v1beta1", "Ingress"): ("1.22", _NETWORKING),
    ("networking.k8s.io/v1beta1", "Ingress"): ("1.22", _NETWORKING),
    ("networking.k8s.io/v1beta1", "IngressClass"): ("1.22", _NETWORKING),
    ("extensions/v1beta1", "PodSecurityPolicy"): ("1.16", ""),
    ("policy/v1beta1", "PodSecurityPolicy"): ("1.25", ""),
    ("policy/v1beta1", "PodDisruptionBudget"): ("1.25", "policy/v1"),
    ("batch/v1beta1", "CronJob"): ("1.25", "batch/v1"),
    ("batch/v2alpha1", "CronJob"): ("1.21", "batch/v1"),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"): ("1.25", _AUTOSCALING),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"): ("1.26", _AUTOSCALING),
    ("discovery.k8s.io/v1beta1", "EndpointSlice"): ("1.25", "discovery.k8s.io/v1"),
    ("events.k8s.io/v1beta1", "Event"): ("1.25", "events.k8s.io/v1"),
    ("node.k8s.io/v1beta1", "RuntimeClass"): ("1.25", "node.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", "PriorityClass"): ("1.22", "scheduling.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", "Lease"): ("1.22", "coordination.k8s.io/v1"),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): ("1.22", "apiextensions.k8s.io/v1"),
    ("apiregistration.k8s.io/v1beta1", "APIService"): ("1.22", "apiregistration.k8s.io/v1"),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest"): ("1.22", "certificates.k8s.io/v1"),
    **{
        ("rbac.authorization.k8s.io/v1beta1", kind): ("1.22", "rbac.authorization.k8s.io/v1")
        for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    },
    **{
        ("admissionregistration.k8s.io/v1beta1", kind): ("1.22", "admissionregistration.k8s.io/v1")
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
    },
    **{
        ("storage.k8s.io/v1beta1", kind): ("1.22", "storage.k8s.io/v1")
        for kind in ("StorageClass", "VolumeAttachment", "CSIDriver", "CSINode")
    },
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity"): ("1.27", "storage.k8s.io/v1"),
    **{
        (f"flowcontrol.apiserver.k8s.io/{version}", kind): (gone, "flowcontrol.apiserver.k8s.io/v1")
        for version, gone in (("v1beta1", "1.26"), ("v1beta2", "1.29"), ("v1beta3", "1.32"))
        for kind in ("FlowSchema", "PriorityLevelConfiguration")
    },
}
"""From apiVersion and kind to the release that removed it and what to write instead ("" if there is nothing)."""

DEPRECATED: Final[Mapping[tuple[str, str], str]] = {
    ("v1", "Endpoints"): "discovery.k8s.io/v1 EndpointSlice",
    ("v1", "ComponentStatus"): "the health checks of the components themselves",
}
"""From apiVersion and kind that still work to what to write instead."""
