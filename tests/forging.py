"""A Promise of an honest user, and an attacker with rights on Works and WorkPlacements in the same namespace.

Everything that the attacker writes has a mark, which is looked for in every commit, even in commits that were
corrected at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.platforms import (
    Platform,
    Repository,
    api_of,
    condition,
    destination,
    events_of,
    git_store,
    promise,
)
from tests.waiting import eventually
from troth.api import Resource
from troth.api.naming import group_id, short_group_id
from troth.api.resources import DESTINATION, GIT_STATE_STORE, WORK, WORK_PLACEMENT
from troth.dev.git_server import git
from troth.engine.placement.work import encode_content, placement_name, work_name
from troth.kube import Client

Object = dict[str, Any]

MARK = "forged-by-somebody"
EVIL = f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {MARK}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: User, name: {MARK}, apiGroup: rbac.authorization.k8s.io}}]
"""
SYSTEM_NAMESPACE = "kratix-platform-system"
OURS = {
    WORK: ["kratix.io/work-cleanup"],
    WORK_PLACEMENT: [
        "finalizers.workplacement.kratix.io/repo-cleanup",
        "finalizers.workplacement.kratix.io/kratix-dot-files-cleanup",
    ],
}
ALL = group_id(".")


@dataclass
class Corner:
    """A Promise whose requests are written to one repository, and a namespace in which somebody forges objects."""

    platform: Platform
    repository: Repository
    name: str

    @property
    def client(self) -> Client:
        return self.platform.client

    async def ask(self, *names: str, **spec: Any) -> None:
        """Publishes the Promise, and waits until its requests are Ready."""
        await self.platform.publish(promise(self.name))
        for name in names:
            await self.platform.ask(self.name, name, self.name, **spec)
        for name in names:
            await self.platform.ready(self.name, name, self.name)

    async def request(self, name: str) -> Object:
        return await self.client.get(api_of(self.name), name, self.name)

    async def of(self, request: str, resource: Resource) -> Object:
        """The Work or the placement that the operator makes for a request."""
        promises = (self.name, f"{self.name}a", f"{self.name}x")
        genuine = {work_name(promise=name, pipeline="instance", resource=request) for name in promises}
        listed = (await self.client.list(resource, self.name)).items
        found = [item for item in listed if item["metadata"]["name"].partition(".")[0] in genuine]
        assert len(found) == 1, (request, resource.kind)
        return found[0]

    def work(self, name: str, *, groups: list[Object] | None = None, **metadata: Any) -> Object:
        """A Work that was made by hand."""
        group = {
            "id": ALL,
            "directory": ".",
            "destinationSelectors": [{"matchLabels": {"for": self.name}, "source": "promise"}],
            "workloads": [{"filepath": "object.yaml", "content": encode_content(EVIL.encode())}],
        }
        labels = {
            "kratix.io/promise-name": self.name,
            "kratix.io/resource-name": "orders",
            "kratix.io/work-type": "resource",
            "kratix.io/pipeline-name": "instance",
        }
        return {
            "apiVersion": WORK.api_version,
            "kind": WORK.kind,
            "metadata": {"name": name, "namespace": self.name, "labels": labels, "finalizers": OURS[WORK]}
            | metadata,
            "spec": {
                "promiseName": self.name,
                "resourceName": "orders",
                "workloadGroups": [group] if groups is None else groups,
            },
        }

    def placement(self, work: str, target: str, *, request: str = "orders", **metadata: Any) -> Object:
        """A WorkPlacement that was made by hand."""
        labels = {
            "kratix.io/work": work,
            "kratix.io/workload-group-id": ALL,
            "kratix.io/targetDestinationName": target,
            "kratix.io/pipeline-name": "instance",
        }
        name = placement_name(work, target, short_group_id(ALL))
        return {
            "apiVersion": WORK_PLACEMENT.api_version,
            "kind": WORK_PLACEMENT.kind,
            "metadata": {
                "name": name,
                "namespace": self.name,
                "labels": labels,
                "finalizers": OURS[WORK_PLACEMENT],
            }
            | metadata,
            "spec": {
                "targetDestinationName": target,
                "promiseName": self.name,
                "resourceName": request,
                "id": ALL,
                "workloads": [{"filepath": "object.yaml", "content": encode_content(EVIL.encode())}],
            },
        }

    async def forge(self, resource: Resource, obj: Object) -> Object:
        return await self.client.create(resource, obj, field_manager="somebody")

    async def edit(self, resource: Resource, name: str, patch: Object, *, subresource: str = "") -> None:
        await self.client.merge_patch(
            resource, name, patch, namespace=self.name, subresource=subresource, field_manager="somebody"
        )

    async def refused(self, resource: Resource, live: Object) -> Object:
        """Waits until a condition and an Event of a forged object say that it is refused."""
        found = await self.platform.wait(
            resource,
            live["metadata"]["name"],
            lambda live: condition(live, "Ready").get("reason") == "NotMadeByTroth",
            namespace=live["metadata"]["namespace"],
        )

        async def told() -> bool:
            return any(event["reason"] == "NotMadeByTroth" for event in await events_of(self.client, live))

        await eventually(told, "an Event says it, too")
        return found

    async def goes(self, resource: Resource, live: Object) -> None:
        """Deletes a forged object, and waits until it is gone: nothing may keep it."""
        name, where = live["metadata"]["name"], live["metadata"]["namespace"]
        await self.client.delete(resource, name, where)
        await self.platform.gone(resource, name, namespace=where)

    def nothing_was_written(self, repository: Repository | None = None) -> None:
        """Checks that no commit contains anything that was forged."""
        history = git((repository or self.repository).path, "log", "--all", "-p", "--format=%B").decode()
        assert MARK not in history

    async def place(self, name: str, **spec: Any) -> Repository:
        """Makes another Destination with its own store, which is not selected by anything."""
        repository = Repository(self.repository.path.with_name(f"{name}.git"))
        await self.platform.make(GIT_STATE_STORE, git_store(name, str(repository.path)))
        await self.platform.make(DESTINATION, destination(name, store=name, labels={"for": name}, **spec))
        await self.platform.wait(DESTINATION, name, is_well)
        return repository


def is_well(live: Mapping[str, Any]) -> bool:
    return condition(live, "Ready").get("status") == "True"
