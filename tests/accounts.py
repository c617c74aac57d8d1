"""Service accounts as a pod has them: a token, the folder that Kubernetes mounts, and the variables beside it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from troth.api import Resource
from troth.dev import ControlPlane
from troth.kube import Client

SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")


@dataclass(frozen=True, slots=True)
class Tokens(Resource):
    """The tokens of one service account: a subresource in which something is created."""

    account: str = ""

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path to which a TokenRequest is sent."""
        return SERVICE_ACCOUNT.path(namespace, self.account, "token")


async def new_token(client: Client, namespace: str, account: str, seconds: int = 3600) -> str:
    """A token of a service account, by TokenRequest; makes the account if need be."""
    await client.apply(
        SERVICE_ACCOUNT,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}},
    )
    requests = Tokens("", "v1", "serviceaccounts", "TokenRequest", account=account)
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"namespace": namespace},
        "spec": {"expirationSeconds": seconds},
    }
    token: str = (await client.create(requests, request))["status"]["token"]
    return token


def in_cluster_folder(control_plane: ControlPlane, folder: Path, token: str) -> Path:
    """Makes a folder what Kubernetes mounts into a pod."""
    cluster = yaml.safe_load(control_plane.kubeconfig.read_text())["clusters"][0]["cluster"]
    (folder / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    (folder / "token").write_text(f"{token}\n")
    return folder


def in_cluster_environ(control_plane: ControlPlane) -> dict[str, str]:
    """The variables that say where the API server is."""
    url = urlsplit(control_plane.url)
    return {"KUBERNETES_SERVICE_HOST": str(url.hostname), "KUBERNETES_SERVICE_PORT": str(url.port)}
