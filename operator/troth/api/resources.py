"""Where each kind lives on the API server.

A `Resource` holds what discovery would say of a kind. The kinds that Troth itself needs are constants, so that nothing
has to be discovered before the first request can be served.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from troth.api.errors import InvalidObject

PLATFORM_GROUP = "platform.kratix.io"
TROTH_GROUP = "troth.dev"
PLATFORM_API_VERSION = f"{PLATFORM_GROUP}/v1alpha1"
TROTH_API_VERSION = f"{TROTH_GROUP}/v1alpha1"

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version.

    Attributes:
        group: API group, empty for the core group.
        version: served version, such as ``v1alpha1``.
        plural: lower-case plural, as in the URL.
        kind: CamelCase kind.
        namespaced: whether objects live in namespaces.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``group/version``, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """``plural.group``, the name of the CustomResourceDefinition; the kind part of a `Key`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, or of one object, or of its subresource.

        The namespace and the name are inserted as they are: a caller that has them from outside must quote them first.

        Raises:
            InvalidObject: the group, the version or the plural has characters that would make it the path of something
                else.
        """
        for field, text in (("group", self.group), ("version", self.version), ("plural", self.plural)):
            if not _SEGMENT.fullmatch(text) and (text or field != "group"):
                raise InvalidObject(
                    field, f"{text!r} cannot be part of a kind's path", "use letters, digits, '-' and '.'"
                )
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


PROMISE = Resource(PLATFORM_GROUP, "v1alpha1", "promises", "Promise", namespaced=False)
DESTINATION = Resource(PLATFORM_GROUP, "v1alpha1", "destinations", "Destination", namespaced=False)
PROMISE_REVISION = Resource(PLATFORM_GROUP, "v1alpha1", "promiserevisions", "PromiseRevision", namespaced=False)
RESOURCE_BINDING = Resource(PLATFORM_GROUP, "v1alpha1", "resourcebindings", "ResourceBinding")
WORK = Resource(PLATFORM_GROUP, "v1alpha1", "works", "Work")
WORK_PLACEMENT = Resource(PLATFORM_GROUP, "v1alpha1", "workplacements", "WorkPlacement")
GIT_STATE_STORE = Resource(PLATFORM_GROUP, "v1alpha1", "gitstatestores", "GitStateStore", namespaced=False)
KUBERNETES_STATE_STORE = Resource(
    TROTH_GROUP, "v1alpha1", "kubernetesstatestores", "KubernetesStateStore", namespaced=False
)
DIRECTORY_STATE_STORE = Resource(
    TROTH_GROUP, "v1alpha1", "directorystatestores", "DirectoryStateStore", namespaced=False
)

CUSTOM_RESOURCE_DEFINITION = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SECRET = Resource("", "v1", "secrets", "Secret")
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
JOB = Resource("batch", "v1", "jobs", "Job")
POD = Resource("", "v1", "pods", "Pod")
ROLE = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDING = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLE = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDING = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
EVENT = Resource("events.k8s.io", "v1", "events", "Event")
