"""Flux on the node: its two controllers that bring what is in a Git repository to the cluster.

Flux's own installer needs its images' registry and the network. What is installed here is the same: the definitions of
its kinds, an account for both controllers, which may do everything, and a Deployment for each.
"""

from __future__ import annotations

import json
from typing import Any

from tests.node.chain.images import KUSTOMIZE_CONTROLLER, SOURCE_CONTROLLER
from tests.node.chain.programs import ChainPrograms
from tests.node.node import Node

NAMESPACE = "flux-system"
_KINDS = (
    "gitrepositories.source.toolkit.fluxcd.io",
    "kustomizations.kustomize.toolkit.fluxcd.io",
)

Object = dict[str, Any]


def install_flux(node: Node, programs: ChainPrograms) -> None:
    """Install it, and wait until both controllers are available.

    Raises:
        CommandFailed: the API server refuses something, or a controller does not become available.
    """
    for file in programs.definitions:
        node.kubectl("apply", "--server-side", "-f", str(file))
    node.wait_established("crd", *_KINDS)
    apply(node, _namespace(), *_account(), _service())
    # The artifacts have to be fetched from an address, since the node has no DNS.
    address = node.kubectl(
        "get", "service", "source-controller", "-n", NAMESPACE, "-o", "jsonpath={.spec.clusterIP}"
    ).stdout
    apply(
        node,
        _controller(
            "source-controller", SOURCE_CONTROLLER, "--storage-path=/data", f"--storage-adv-addr={address}:80"
        ),
        _controller("kustomize-controller", KUSTOMIZE_CONTROLLER, "--requeue-dependency=2s"),
    )
    node.kubectl(
        *("wait", "deployment", "--all", "-n", NAMESPACE, "--for=condition=Available", "--timeout=180s"),
        timeout=190,
    )


def uninstall_flux(node: Node) -> None:
    """Remove it, with what it follows. What it has applied stays."""
    node.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    node.kubectl("delete", "clusterrolebinding", NAMESPACE, "--ignore-not-found")


def repository(name: str, url: str, secret: str) -> Object:
    """A GitRepository of the branch main; ``secret`` holds its login and its authority."""
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"interval": "2s", "url": url, "ref": {"branch": "main"}, "secretRef": {"name": secret}},
    }


def kustomization(name: str, source: str, path: str, **spec: Any) -> Object:
    """A Kustomization that applies the files below a path, removes what is gone, and waits until all is healthy."""
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "interval": "1h",
            "retryInterval": "3s",
            "timeout": "3m",
            "prune": True,
            "wait": True,
            "path": path,
            "sourceRef": {"kind": "GitRepository", "name": source},
            **spec,
        },
    }


def apply(node: Node, *objects: Object) -> None:
    """Apply objects as an administrator."""
    document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    node.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(document))


def _namespace() -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def _account() -> tuple[Object, ...]:
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "flux", "namespace": NAMESPACE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAMESPACE},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": NAMESPACE}],
        },
    )


def _service() -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "source-controller", "namespace": NAMESPACE},
        "spec": {"selector": {"app": "source-controller"}, "ports": [{"port": 80, "targetPort": 9090}]},
    }


def _controller(name: str, image: str, *arguments: str) -> Object:
    probe = {"httpGet": {"path": "/readyz", "port": 9440}, "periodSeconds": 2}
    container = {
        "name": "manager",
        "image": image,
        "args": ["--watch-all-namespaces", "--enable-leader-election=false", "--health-addr=:9440", *arguments],
        "env": [
            {"name": "RUNTIME_NAMESPACE", "value": NAMESPACE},
            {"name": "TUF_ROOT", "value": "/tmp/.sigstore"},
        ],
        "readinessProbe": probe,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "temp", "mountPath": "/tmp"}],
    }
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": "flux",
                    "securityContext": {"fsGroup": 1337},
                    "containers": [container],
                    "volumes": [{"name": "data", "emptyDir": {}}, {"name": "temp", "emptyDir": {}}],
                },
            },
        },
    }
