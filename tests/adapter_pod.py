"""A pipeline's pod for tests of the programs in it: its folders, its account, and an API with a request of it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.accounts import in_cluster_environ, in_cluster_folder, new_token
from tests.platforms import promise
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, WORK
from troth.dev import CommandResult, ControlPlane
from troth.engine.placement.work import decode_contents
from troth.engine.promises.definitions import build_definition, request_resource
from troth.kube import Client, Forbidden, NotFound, from_kubeconfig_dict

RBAC = "rbac.authorization.k8s.io"
WRITE = ["get", "list", "update", "create", "patch"]  # what an account may do with the objects of its Promise


@dataclass(frozen=True, slots=True)
class Pod:
    """What a pipeline's pod has: folders, an account and variables; and its programs, run as processes.

    Attributes:
        folder: with ``input`` (the output of the containers), ``metadata``, ``kratix-system``, and ``account``.
        environ: the variables of every container.
        namespace: where it runs.
    """

    folder: Path
    environ: Mapping[str, str]
    namespace: str

    def write(self, path: str, content: bytes | str) -> None:
        """Leaves a file, as a container does."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    async def run(self, program: str, **variables: str) -> CommandResult:
        """Runs one of the programs to its end."""
        arguments = {
            "reader": ["--output-directory", str(self.folder / "object")],
            "status-writer": ["--input-directory", str(self.folder), "--namespace", self.namespace],
        }[program]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "troth", "adapter", program, *arguments),
            *("--account-directory", str(self.folder / "account")),
            env={"PATH": os.environ["PATH"], **self.environ, **variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(90):
            output, errors = await process.communicate()
        return CommandResult(process.returncode or 0, output.decode(), errors.decode())

    async def succeed(self, program: str, **variables: str) -> CommandResult:
        """Runs one of the programs, which must succeed."""
        done = await self.run(program, **variables)
        assert done.code == 0, done.stderr
        return done

    async def refuse(self, program: str, **variables: str) -> str:
        """Runs one of the programs, which must fail; the one line that says why."""
        done = await self.run(program, **variables)
        assert done.code == 1, done.stdout
        assert done.stderr.startswith(f"{program}: ")
        assert done.stderr.count("\n") == 1
        return done.stderr.removeprefix(f"{program}: ").rstrip("\n")


@dataclass(frozen=True, slots=True)
class Corner:
    """A test's own API, a request of it, and the pod of its pipeline ``instance``."""

    resource: Resource
    namespace: str
    promise: str
    pod: Pod

    async def request(self, client: Client) -> dict[str, Any]:
        """The request as it is now."""
        return await client.get(self.resource, "cache", self.namespace)


@asynccontextmanager
async def made_corner(
    control_plane: ControlPlane, client: Client, namespace: str, unique: str, folder: Path
) -> AsyncIterator[Corner]:
    """An API as the operator installs it, and an account that may do what Kratix gives it and no more."""
    api = build_definition(unique, promise(unique)["spec"]["api"])
    resource = request_resource(api)
    await client.apply(CUSTOM_RESOURCE_DEFINITION, api)
    cache = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": "cache", "namespace": namespace},
        "spec": {"size": 3},
    }

    async def make() -> dict[str, Any] | None:
        try:
            return await client.apply(resource, cache)
        except NotFound:
            return None

    await eventually(make, "the API to be served")
    rules = [
        {
            "apiGroups": [resource.group],
            "resources": [resource.plural, f"{resource.plural}/status"],
            "verbs": WRITE,
        },
        {"apiGroups": [WORK.group], "resources": [WORK.plural], "verbs": ["*"]},
    ]
    await grant(client, "Role", unique, namespace, rules)
    environ = {
        "KRATIX_WORKFLOW_ACTION": "configure",
        "KRATIX_WORKFLOW_TYPE": "resource",
        "KRATIX_PROMISE_NAME": unique,
        "KRATIX_PIPELINE_NAME": "instance",
        "KRATIX_OBJECT_KIND": resource.kind,
        "KRATIX_OBJECT_GROUP": resource.group,
        "KRATIX_OBJECT_VERSION": resource.version,
        "KRATIX_OBJECT_NAME": "cache",
        "KRATIX_OBJECT_NAMESPACE": namespace,
        "KRATIX_CRD_PLURAL": resource.plural,
        "KRATIX_CLUSTER_SCOPED": "false",
    }
    pod = await make_pod(control_plane, client, folder, namespace, unique, environ)
    await wait_granted(control_plane, pod, WORK, namespace)
    try:
        yield Corner(resource, namespace, unique, pod)
    finally:
        await client.delete(CUSTOM_RESOURCE_DEFINITION, api["metadata"]["name"])


async def grant(client: Client, kind: str, name: str, namespace: str, rules: list[dict[str, Any]]) -> None:
    """Gives the account of that name in the namespace these rights: there (Role), or everywhere (ClusterRole)."""
    namespaced = kind == "Role"
    where = {"name": name, **({"namespace": namespace} if namespaced else {})}
    role = Resource(RBAC, "v1", f"{kind.lower()}s", kind, namespaced=namespaced)
    binding = Resource(RBAC, "v1", f"{kind.lower()}bindings", f"{kind}Binding", namespaced=namespaced)
    await client.apply(
        role, {"apiVersion": role.api_version, "kind": role.kind, "metadata": where, "rules": rules}
    )
    await client.apply(
        binding,
        {
            "apiVersion": binding.api_version,
            "kind": binding.kind,
            "metadata": where,
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    )


async def make_pod(
    control_plane: ControlPlane,
    client: Client,
    folder: Path,
    namespace: str,
    account: str,
    environ: Mapping[str, str],
) -> Pod:
    """A pod that has nothing but its folders, the token of that account, and these variables."""
    for name in ("input", "metadata", "kratix-system", "object", "account"):
        (folder / name).mkdir()
    in_cluster_folder(control_plane, folder / "account", await new_token(client, namespace, account))
    return Pod(folder, {**environ, **in_cluster_environ(control_plane)}, namespace)


async def wait_granted(control_plane: ControlPlane, pod: Pod, resource: Resource, namespace: str) -> None:
    """Waits until the API server knows of the account's rights, of which its authorizer learns a moment later."""
    document = yaml.safe_load(control_plane.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": (pod.folder / "account" / "token").read_text().strip()}

    async def allowed() -> bool:
        async with Client(await from_kubeconfig_dict(document)) as client:
            try:
                await client.list(resource, namespace)
            except Forbidden:
                return False
        return True

    await eventually(allowed, "the account's rights")


async def works_in(client: Client, namespace: str) -> list[dict[str, Any]]:
    """The Works of a namespace."""
    return (await client.list(WORK, namespace)).items


def files_of(work: Mapping[str, Any]) -> dict[str, bytes]:
    """The contents of a Work's files, by path."""
    return {
        path: content
        for group in work["spec"]["workloadGroups"]
        for path, content in decode_contents(group["workloads"]).items()
    }
