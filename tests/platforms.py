"""Puts stores, Destinations, Promises and requests into a cluster for the operator's tests, and reads them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.waiting import SAFE, eventually, stretched
from troth.api import Resource
from troth.api.labels import PROMISE_NAME
from troth.api.resources import (
    DESTINATION,
    EVENT,
    PROMISE,
    PROMISE_REVISION,
    RESOURCE_BINDING,
    SECRET,
    WORK,
    WORK_PLACEMENT,
)
from troth.api.store_kinds import STORE_KINDS
from troth.dev.git_server import create_repository, git
from troth.kube import Client, NotFound

Object = dict[str, Any]
_UNTOUCHED = 1.5  # seconds after which nobody works on a deletion


class Repository:
    """A bare Git repository on the disk, as an auditor sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            create_repository(path)

    def files(self, prefix: str = "") -> dict[str, str]:
        """The contents of everything on main below a prefix, by path."""
        listing = git(self.path, "ls-tree", "-r", "-z", "main").decode()
        entries = [entry.split("\t", 1) for entry in listing.split("\0") if entry]
        wanted = [(meta.split()[2], path) for meta, path in entries if path.startswith(prefix)]
        if not wanted:
            return {}
        output = git(self.path, "cat-file", "--batch", stdin="".join(f"{blob}\n" for blob, _ in wanted).encode())
        found: dict[str, str] = {}
        for _, path in wanted:
            header, _, output = output.partition(b"\n")
            size = int(header.split()[2])
            found[path] = output[:size].decode()
            output = output[size + 1 :]
        return found

    def head(self) -> str:
        """The newest commit on main."""
        try:
            return (self.path / "refs" / "heads" / "main").read_text().strip()
        except FileNotFoundError:  # the reference has been packed
            return git(self.path, "rev-parse", "main").decode().strip()

    def commits(self, since: str = "") -> list[str]:
        """The ids of the commits, the newest first."""
        span = f"{since}..main" if since else "main"
        return git(self.path, "rev-list", span).decode().split()

    def changed(self, commit: str) -> list[str]:
        """The paths that a commit changed."""
        return git(self.path, "diff-tree", "--no-commit-id", "-r", "--name-only", commit).decode().split()

    def git(self, *arguments: str) -> str:
        """Runs git in this repository. Returns its output."""
        return git(self.path, *arguments).decode()

    def holds(self, commit: str, path: str) -> bool:
        """Whether a path exists in a commit."""
        try:
            git(self.path, "cat-file", "-e", f"{commit}:{path}")
        except Exception:  # noqa: BLE001 - git says no by its exit code
            return False
        return True


def promise(
    name: str,
    *,
    template: str = "",
    files: Sequence[Mapping[str, Any]] | None = None,
    selectors: Mapping[str, str] | None = None,
    spec_schema: Mapping[str, Any] | None = None,
    pipeline: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Object:
    """A Promise with an API: kind ``Kind<name>``, group ``<name>.example.com``, plural ``<name>s``."""
    schema = spec_schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    rendered = files or [{"path": "object.yaml", "template": template or DEFAULT_TEMPLATE}]
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Promise",
        "metadata": {"name": name},
        "spec": {
            "api": {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": f"{name}s.{name}.example.com"},
                "spec": {
                    "group": f"{name}.example.com",
                    "names": {"kind": f"Kind{name}", "plural": f"{name}s"},
                    "scope": "Namespaced",
                    "versions": [
                        {
                            "name": "v1",
                            "served": True,
                            "storage": True,
                            "schema": {
                                "openAPIV3Schema": {"type": "object", "properties": {"spec": dict(schema)}}
                            },
                        }
                    ],
                },
            },
            "destinationSelectors": [{"matchLabels": dict(selectors or {"for": name})}],
            "workflows": {
                "resource": {
                    "configure": [
                        {
                            "apiVersion": "troth.dev/v1alpha1",
                            "kind": "JinjaPipeline",
                            "metadata": {"name": "instance"},
                            "spec": {"files": list(rendered), **(pipeline or {})},
                        }
                    ]
                }
            },
            **spec,
        },
    }


DEFAULT_TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ name }}
  namespace: {{ namespace }}
data:
  size: {{ spec.size | default("none") }}
"""


def api_of(name: str) -> Resource:
    """The resource of the requests of `promise`."""
    return Resource(f"{name}.example.com", "v1", f"{name}s", f"Kind{name}")


def request(promise_name: str, name: str, namespace: str, **spec: Any) -> Object:
    """A request of `promise`."""
    return {
        "apiVersion": f"{promise_name}.example.com/v1",
        "kind": f"Kind{promise_name}",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def git_store(name: str, url: str, **spec: Any) -> Object:
    """A GitStateStore."""
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "GitStateStore",
        "metadata": {"name": name},
        "spec": {"url": url, "branch": "main", **spec},
    }


def destination(
    name: str, *, store: str, labels: Mapping[str, str], kind: str = "GitStateStore", **spec: Any
) -> Object:
    """A Destination, whose path is its name unless the spec says something else."""
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Destination",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"path": name, "stateStoreRef": {"kind": kind, "name": store}, **spec},
    }


def condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition of an object, or an empty map."""
    found = (obj.get("status") or {}).get("conditions") or ()
    return next((item for item in found if item["type"] == kind), {})


def says(kind: str, status: str, *words: str, reason: str = "") -> Callable[[Mapping[str, Any]], bool]:
    """A test for objects: a condition has this status (and reason), and its message contains all of the words."""

    def test(live: Mapping[str, Any]) -> bool:
        found = condition(live, kind)
        return (
            found.get("status") == status
            and reason in ("", found.get("reason"))
            and all(word in found.get("message", "") for word in words)
        )

    return test


class Platform:
    """The objects of one test in the cluster. `clean` removes everything that it has made."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._made: list[tuple[Resource, str, str]] = []

    async def make(self, resource: Resource, obj: Object) -> Object:
        """Creates or updates an object with server-side apply."""
        metadata = obj["metadata"]
        self.note(resource, metadata["name"], metadata.get("namespace", ""))
        return await self.client.apply(resource, obj, field_manager="tests")

    def note(self, resource: Resource, name: str, namespace: str = "") -> None:
        """Notes an object that somebody else has made, so that `clean` removes it, too."""
        self._made.append((resource, name, namespace))

    async def publish(self, obj: Object, *, within: float = SAFE) -> Object:
        """Applies a Promise and waits until it is Available."""
        await self.make(PROMISE, obj)
        return await self.wait(PROMISE, obj["metadata"]["name"], lambda live: available(live), within=within)

    async def ask(self, promise_name: str, name: str, namespace: str, **spec: Any) -> Object:
        """Applies a request."""
        return await self.make(api_of(promise_name), request(promise_name, name, namespace, **spec))

    async def ready(self, promise_name: str, name: str, namespace: str, *, within: float = SAFE) -> Object:
        """Waits until a request is Ready in its newest generation."""
        return await self.wait(api_of(promise_name), name, is_ready, namespace=namespace, within=within)

    async def wait(
        self, resource: Resource, name: str, test: Any, *, namespace: str = "", within: float = SAFE
    ) -> Object:
        """Waits until an object exists and passes a test. Returns the object."""
        last: dict[str, Any] = {}

        async def look() -> Object | None:
            with contextlib.suppress(NotFound):
                live = await self.client.get(resource, name, namespace)
                last.clear()
                last.update(live)
                return live if test(live) else None
            return None

        try:
            return await eventually(look, f"{resource.kind} {name}", within=within)
        except AssertionError as error:
            status = yaml.safe_dump(last.get("status"), sort_keys=False)
            raise AssertionError(f"{error}\nits last status:\n{status}") from None

    async def gone(self, resource: Resource, name: str, *, namespace: str = "", within: float = SAFE) -> None:
        """Waits until an object is gone."""

        async def look() -> bool:
            try:
                await self.client.get(resource, name, namespace)
            except NotFound:
                return True
            return False

        await eventually(look, f"{resource.kind} {name} is gone", within=within)

    async def delete(self, resource: Resource, name: str, *, namespace: str = "") -> None:
        """Deletes an object if it exists."""
        with contextlib.suppress(NotFound):
            await self.client.delete(resource, name, namespace)

    def made(self, *resources: Resource) -> list[tuple[Resource, str, str]]:
        """The objects of some kinds, or of all, that were made: resource, name and namespace."""
        made = dict.fromkeys(self._made)
        return [entry for entry in made if not resources or entry[0] in resources]

    async def clean(self) -> None:
        """Removes everything, requests first, with the finalizers that would keep it."""
        made = self.made()
        rank = {
            PROMISE.name: 1,
            DESTINATION.name: 2,
            **{kind.resource.name: 3 for kind in STORE_KINDS.values()},
            SECRET.name: 4,
        }
        for resource, name, namespace in sorted(made, key=lambda entry: rank.get(entry[0].name, 0)):
            await self.delete(resource, name, namespace=namespace)
            if resource == PROMISE:
                await self._leave(name)
        promises = {name for resource, name, _ in made if resource == PROMISE}
        for resource in (PROMISE_REVISION, RESOURCE_BINDING):
            await self._forget_versions(resource, promises)
        for resource in (WORK_PLACEMENT, WORK, *dict.fromkeys(entry[0] for entry in made)):
            await self._strip(
                resource, {(name, namespace) for found, name, namespace in made if found == resource}
            )

    async def _leave(self, name: str) -> None:
        """Waits until a Promise has gone, for as long as somebody works on that: there may be no operator any more."""
        began = moved = time.monotonic()
        last: list[str] = []
        while (now := time.monotonic()) < min(began + 10, moved + stretched(_UNTOUCHED)):
            try:
                live = await self.client.get(PROMISE, name)
            except NotFound:
                return
            left = [live]
            for resource in (WORK, WORK_PLACEMENT):
                left += (await self.client.list(resource, label_selector=f"{PROMISE_NAME}={name}")).items
            seen = [each["metadata"]["resourceVersion"] for each in left]
            if seen != last:
                last, moved = seen, now
            await asyncio.sleep(0.05)

    async def _forget_versions(self, resource: Resource, promises: set[str]) -> None:
        """Removes what is left of the versions of Promises: no garbage collector runs beside the tests."""
        for each in (await self.client.list(resource)).items if promises else ():
            if each["spec"]["promiseRef"]["name"] in promises:
                name, namespace = each["metadata"]["name"], each["metadata"].get("namespace", "")
                await self._strip(resource, {(name, namespace)})
                await self.delete(resource, name, namespace=namespace)

    async def _strip(self, resource: Resource, names: set[tuple[str, str]]) -> None:
        for name, namespace in names:
            with contextlib.suppress(NotFound):
                await self.client.merge_patch(
                    resource, name, {"metadata": {"finalizers": None}}, namespace=namespace
                )


def available(live: Mapping[str, Any]) -> bool:
    """Whether a Promise is Available, in its newest generation."""
    status = live.get("status") or {}
    return (
        status.get("status") == "Available" and status.get("observedGeneration") == live["metadata"]["generation"]
    )


def is_ready(live: Mapping[str, Any]) -> bool:
    """Whether a request is Ready, in its newest generation."""
    status = live.get("status") or {}
    current = status.get("observedGeneration") == live["metadata"]["generation"]
    return current and condition(live, "Ready").get("status") == "True"


def placements(live: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """``status.troth.placements``."""
    found: list[Mapping[str, Any]] = ((live.get("status") or {}).get("troth") or {}).get("placements") or []
    return found


def failure(live: Mapping[str, Any]) -> Mapping[str, Any]:
    """``status.troth.failure``."""
    found: Mapping[str, Any] = ((live.get("status") or {}).get("troth") or {}).get("failure") or {}
    return found


async def exists(client: Client, resource: Resource, name: str, namespace: str = "") -> bool:
    """Whether an object is there and is not being deleted."""
    try:
        found = await client.get(resource, name, namespace)
    except NotFound:
        return False
    return "deletionTimestamp" not in found["metadata"]


async def events_of(client: Client, live: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The Events about an object."""
    metadata = live["metadata"]
    listing = await client.list(EVENT, metadata.get("namespace") or "default")
    return [event for event in listing.items if event["regarding"].get("uid") == metadata["uid"]]


async def all_files(repository: Repository, prefix: str = "") -> dict[str, str]:
    """`Repository.files` without blocking the event loop."""
    return await asyncio.to_thread(repository.files, prefix)
