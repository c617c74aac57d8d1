"""Troth as people install it: the chart, by helm, in a namespace with the pod security standard `restricted`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.charts import CHART, SYSTEM_NAMESPACE, run_helm
from tests.node.node import Node
from troth.dev import CommandFailed

NAME = "troth"
_NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": SYSTEM_NAMESPACE,
        "labels": {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")},
    },
}


class Release:
    """The release ``troth`` in the namespace ``kratix-platform-system``.

    Args:
        node: where it is installed.
        helm: the program.
        image: the image that ships, which the node has.
    """

    def __init__(self, node: Node, helm: Path, image: str) -> None:
        self._node = node
        self._helm = helm
        repository, _, tag = image.rpartition(":")
        self._image = {"repository": repository, "tag": tag}
        self._values: Mapping[str, Any] | None = None

    @property
    def installed(self) -> bool:
        """Whether the last installation or upgrade went well, and it has not been uninstalled since then."""
        return self._values is not None

    def install(self, values: Mapping[str, Any] | None = None) -> None:
        """Install or upgrade it, and wait until its Pod is ready; nothing is done if it has these values already.

        Raises:
            AssertionError: helm has failed; the message is helm's, with the state and the log of the Pod.
        """
        wanted = values or {}
        if self._values == wanted:
            return
        self._values = None
        self._node.kubectl("apply", "-f", "-", stdin=json.dumps(_NAMESPACE))
        everything = {"image": self._image, **wanted}
        done = self._run(
            *("upgrade", "--install", NAME, CHART, "--wait", "--timeout", "100s", "--take-ownership"),
            *("--set-json", json.dumps(everything)),
        )
        if done.returncode != 0:
            raise AssertionError(f"{done.stderr}\n{self._described()}")
        self._values = wanted

    def uninstall(self) -> None:
        """Uninstall it, and wait until its Pod is gone.

        Raises:
            AssertionError: helm has failed; the message is helm's.
        """
        self._values = None
        done = self._run("uninstall", NAME, "--ignore-not-found", "--wait", "--timeout", "100s")
        assert done.returncode == 0, done.stderr
        self._node.kubectl(
            *("wait", "pods", "-n", SYSTEM_NAMESPACE, "-l", f"app.kubernetes.io/instance={NAME}"),
            *("--for=delete", "--timeout=60s"),
            timeout=70,
        )

    def pod(self) -> dict[str, Any]:
        """Its Pod.

        Raises:
            AssertionError: there is none, or more than one.
        """
        pods = self._node.kubectl(
            *("get", "pods", "-n", SYSTEM_NAMESPACE, "-l", f"app.kubernetes.io/instance={NAME}", "-o", "json")
        )
        (pod,) = json.loads(pods.stdout)["items"] or [None]
        assert pod is not None, "there is no Pod"
        found: dict[str, Any] = pod
        return found

    def run(self, script: str) -> str:
        """The output of a shell script inside of the operator's container.

        Raises:
            CommandFailed: it ended with another code than 0.
        """
        return self._node.kubectl(
            "exec", f"deployment/{NAME}", "-n", SYSTEM_NAMESPACE, "--", "/bin/sh", "-ec", script
        ).stdout

    def log(self) -> str:
        """What the operator has logged since its Pod began."""
        return self._node.kubectl("logs", f"deployment/{NAME}", "-n", SYSTEM_NAMESPACE, "--tail=-1").stdout

    def get(self, port: int, path: str) -> str:
        """The answer of a port of the Pod, asked through the API server.

        Raises:
            CommandFailed: there is none, or its status is not a good one.
        """
        name = self.pod()["metadata"]["name"]
        return self._node.kubectl(
            "get", "--raw", f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods/{name}:{port}/proxy{path}"
        ).stdout

    def metrics(self) -> str:
        """The text of ``/metrics``; empty while there is no answer."""
        try:
            return self.get(8080, "/metrics")
        except CommandFailed:
            return ""

    def _run(self, *arguments: str | Path) -> Any:
        where = ("--namespace", SYSTEM_NAMESPACE)
        return run_helm(self._helm, *arguments, *where, environment=self._node.environment())

    def _described(self) -> str:
        """What people would look at when a release does not become ready."""
        of_namespace = ("-n", SYSTEM_NAMESPACE)
        looks = (
            ("get", "pods,events", *of_namespace),
            ("logs", f"deployment/{NAME}", *of_namespace, "--tail=40"),
        )
        return "\n".join(self._node.kubectl(*look, check=False).stdout for look in looks)[-6000:]
