"""Stands in for the Job controller, the kubelet and the garbage collector, where a test has an API server alone.

It does what they would do, one container after another: the operator's own programs run as processes with the token of
the Job's ServiceAccount, and the author's commands in a shell, both with the variables of their containers. Then it
writes a Pod with its containers' ends, and the status of the Job. No image is pulled, and instead of mounts the paths
below ``/kratix`` in a command are replaced by folders.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.accounts import Tokens, in_cluster_environ, in_cluster_folder
from tests.waiting import eventually
from troth.api import labels as names
from troth.api.container_pipelines import READER, STATUS_WRITER
from troth.api.resources import CONFIG_MAP, JOB, POD
from troth.dev import ControlPlane
from troth.kube import Client, NotFound

Object = dict[str, Any]
_EVERY = 0.05
_NOW = "2026-01-01T00:00:00Z"


class JobPlayer:
    """Plays the Jobs of one namespace, one at a time, while it is entered.

    Attributes:
        ran: the names of the Jobs whose containers have begun, in that order.
        before_end: is awaited with the Job when its containers have ended, before any status says so.
        before_complete: is awaited with the Job when the status of its Pod says so, and its own does not yet.
    """

    def __init__(self, control_plane: ControlPlane, client: Client, namespace: str, folder: Path) -> None:
        self.ran: list[str] = []
        self.before_end: Callable[[Object], Awaitable[None]] | None = None
        self.before_complete: Callable[[Object], Awaitable[None]] | None = None
        self._ended = 0
        self._control_plane = control_plane
        self._client = client
        self._namespace = namespace
        self._folder = folder
        self._released = asyncio.Event()
        self._released.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._play(), name="job player")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        ended = (await asyncio.gather(self._task, return_exceptions=True))[0]
        if isinstance(ended, Exception):
            raise ended

    def hold(self) -> None:
        """Lets no further Job begin."""
        self._released.clear()

    def release(self) -> None:
        """Lets Jobs begin again."""
        self._released.set()

    async def jobs(self) -> list[Object]:
        """The Jobs that there are."""
        return list((await self._client.list(JOB, self._namespace)).items)

    async def show_running(self, job: Object, container: str) -> None:
        """Writes a Pod of a Job in which that container, one of the init containers, runs."""
        await self._show(job, container, {"running": {"startedAt": _NOW}})

    async def show_waiting(self, job: Object, container: str) -> None:
        """Writes a Pod of a Job in which that container, one of the init containers, waits for its image."""
        await self._show(job, container, {"waiting": {"reason": "ImagePullBackOff"}})

    async def _show(self, job: Object, container: str, state: Object) -> None:
        pod = _make_pod(job, f"{job['metadata']['name'][:55]}-begun", self._namespace)
        del pod["spec"]["nodeName"]  # there is no kubelet that would let it go
        await self._client.create(POD, pod)
        shown = {"name": container, "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        status = {"phase": "Pending", "initContainerStatuses": [shown]}
        await self._client.merge_patch(
            POD, pod["metadata"]["name"], {"status": status}, namespace=self._namespace, subresource="status"
        )

    async def waiting(self) -> Object:
        """Waits for a Job that has not begun, and returns it."""

        async def look() -> Object | None:
            found = [job for job in await self.jobs() if _is_new(job)]
            return found[0] if found else None

        return await eventually(look, "a Job that has not begun", within=60)

    async def finished(self, count: int) -> None:
        """Waits until so many Jobs have ended."""

        async def look() -> bool:
            return self._ended >= count

        await eventually(look, f"{count} Jobs have ended", within=60)

    async def _play(self) -> None:
        while True:
            for job in await self.jobs():
                if job["metadata"].get("deletionTimestamp"):
                    await self._collect(job)
                elif _is_new(job) and self._released.is_set() and job["metadata"]["name"] not in self.ran:
                    await self._run(job)
            await asyncio.sleep(_EVERY)

    async def _collect(self, job: Object) -> None:
        """Takes off the finalizer of a deletion in the foreground, once nothing is left that the Job owns."""
        try:
            for pod in (await self._client.list(POD, self._namespace)).items:
                owners = pod["metadata"].get("ownerReferences", ())
                if any(owner["uid"] == job["metadata"]["uid"] for owner in owners):
                    await self._client.delete(POD, pod["metadata"]["name"], self._namespace)
            patch = {"metadata": {"finalizers": None}}
            await self._client.merge_patch(JOB, job["metadata"]["name"], patch, namespace=self._namespace)
        except NotFound:
            return

    async def _run(self, job: Object) -> None:
        name, spec = job["metadata"]["name"], job["spec"]["template"]["spec"]
        self.ran.append(name)
        folder = self._folder / name
        for each in ("object", "input", "metadata", "kratix-system", "account"):
            (folder / each).mkdir(parents=True)
        requests = Tokens("", "v1", "serviceaccounts", "TokenRequest", account=spec["serviceAccountName"])
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"namespace": self._namespace},
            "spec": {"expirationSeconds": 3600},
        }
        token = (await self._client.create(requests, request))["status"]["token"]
        in_cluster_folder(self._control_plane, folder / "account", token)
        _mount_object(job["spec"]["template"], folder)
        await self._mount_selectors(spec, folder)
        ends: dict[str, tuple[int, str]] = {}
        for container in (*spec["initContainers"], *spec["containers"]):
            ends[container["name"]] = code, _ = await self._run_container(container, folder)
            if code:
                break
        if self.before_end is not None:
            await self.before_end(job)
        await self._report(job, ends)
        self._ended += 1

    async def _mount_selectors(self, spec: Object, folder: Path) -> None:
        """Mounts the ConfigMap as the kubelet does: each file is a link into a folder that is a link, too."""
        for volume in spec["volumes"]:
            if "configMap" in volume:
                found = await self._client.get(CONFIG_MAP, volume["configMap"]["name"], self._namespace)
                mounted = folder / "kratix-system"
                (mounted / "..2026_01_01").mkdir()
                (mounted / "..data").symlink_to("..2026_01_01")
                for item in volume["configMap"]["items"]:
                    (mounted / "..data" / item["path"]).write_text(found["data"][item["key"]])
                    (mounted / item["path"]).symlink_to(f"..data/{item['path']}")

    async def _run_container(self, container: Object, folder: Path) -> tuple[int, str]:
        """Runs one container to its end. Returns its exit code and the end of its log."""
        paths = {
            READER: ["--output-directory", str(folder / "object")],
            STATUS_WRITER: ["--input-directory", str(folder)],
        }
        command = [*container.get("command", ()), *container.get("args", ())]
        if container["name"] in paths:
            command = [sys.executable, "-P", "-m", *command, *paths[container["name"]]]
            command += ["--account-directory", str(folder / "account")]
        else:
            command = [_mounted(part, folder) for part in command]
        variables = {entry["name"]: entry["value"] for entry in container.get("env", ()) if "value" in entry}
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"PATH": os.environ["PATH"], **in_cluster_environ(self._control_plane), **variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace")[-2048:]

    async def _report(self, job: Object, ends: dict[str, tuple[int, str]]) -> None:
        failed = any(code for code, _ in ends.values())
        try:
            await self._write_pod(job, ends, "Failed" if failed else "Succeeded")
            if self.before_complete is not None:
                await self.before_complete(job)
            first, last = ("FailureTarget", "Failed") if failed else ("SuccessCriteriaMet", "Complete")
            reason = "BackoffLimitExceeded" if failed else "CompletionsReached"
            conditions = [
                {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": _NOW}
                for kind in (first, last)
            ]
            status: Object = {"startTime": _NOW, "conditions": conditions, "failed" if failed else "succeeded": 1}
            if not failed:
                status["completionTime"] = _NOW
            await self._client.merge_patch(
                JOB, job["metadata"]["name"], {"status": status}, namespace=self._namespace, subresource="status"
            )
        except NotFound:
            return  # it was deleted meanwhile

    async def _write_pod(self, job: Object, ends: dict[str, tuple[int, str]], phase: str) -> None:
        template = job["spec"]["template"]
        name = f"{job['metadata']['name'][:57]}-pod"
        pod = _make_pod(job, name, self._namespace)
        await self._client.create(POD, pod)

        def states(containers: list[Object]) -> list[Object]:
            return [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": False,
                    "restartCount": 0,
                    "state": {
                        "terminated": {
                            "exitCode": ends[container["name"]][0],
                            "reason": "Error" if ends[container["name"]][0] else "Completed",
                            "message": ends[container["name"]][1],
                        }
                    },
                }
                for container in containers
                if container["name"] in ends
            ]

        status = {
            "phase": phase,
            "initContainerStatuses": states(template["spec"]["initContainers"]),
            "containerStatuses": states(template["spec"]["containers"]),
        }
        await self._client.merge_patch(
            POD, name, {"status": status}, namespace=self._namespace, subresource="status"
        )


def _make_pod(job: Object, name: str, namespace: str) -> Object:
    template, meta = job["spec"]["template"], job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**template["metadata"]["labels"], names.JOB_NAME: meta["name"]},
            "annotations": template["metadata"].get("annotations", {}),
            "ownerReferences": [owner],
        },
        "spec": {**template["spec"], "nodeName": "none"},
    }


def _mount_object(template: Object, folder: Path) -> None:
    """Writes the annotations that the Pod has as files into the folder of its object."""
    for volume in template["spec"]["volumes"]:
        for item in volume.get("downwardAPI", {}).get("items", ()):
            name = item["fieldRef"]["fieldPath"].removeprefix("metadata.annotations['").removesuffix("']")
            (folder / "object" / Path(item["path"]).name).write_text(template["metadata"]["annotations"][name])


def _is_new(job: Object) -> bool:
    """Whether a Job has not begun and is not being deleted."""
    return not job["metadata"].get("deletionTimestamp") and not job.get("status", {}).get("conditions")


def _mounted(part: str, folder: Path) -> str:
    """A part of a command with the folders in place of the paths at which they would be mounted."""
    for path, name in (("/kratix/input", "object"), ("/kratix/output", "input"), ("/kratix/metadata", "metadata")):
        part = part.replace(path, str(folder / name))
    return part
