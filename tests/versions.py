"""A Promise that has several versions, with requests of it: for tests of revisions and bindings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.platforms import Object, Platform, Repository, api_of, available, condition, promise, request
from tests.waiting import eventually
from troth.api.resources import PROMISE, PROMISE_REVISION, RESOURCE_BINDING
from troth.engine.promises.bindings import binding_name

TEMPLATE = "kind: Thing\nname: {{ name }}\nsize: {{ spec.size }}\nmade: MADE\npromise: {{ promise.version }}\n"
LATEST = "kratix.io/latest-revision"
VERSION = "kratix.io/promise-version"


@dataclass
class Site:
    """A Promise on one destination, and one request of it called ``orders``."""

    platform: Platform
    repository: Repository
    name: str
    namespace: str

    @property
    def binding_name(self) -> str:
        return binding_name(self.name, "orders")

    def promise(self, version: str = "", *, made: str = "", template: str = "", **options: Any) -> Object:
        """The Promise at a version; its files say which one made them."""
        obj = promise(self.name, template=template or TEMPLATE.replace("MADE", made or version), **options)
        if version:
            obj["metadata"]["labels"] = {VERSION: version}
        return obj

    async def apply(self, version: str = "", **options: Any) -> None:
        await self.platform.make(PROMISE, self.promise(version, **options))

    async def install(self, version: str = "", **options: Any) -> Object:
        """Applies a version, and waits until it is available."""
        await self.apply(version, **options)

        def is_installed(live: Object) -> bool:
            return available(live) and live["status"].get("version", "") == version

        return await self.platform.wait(PROMISE, self.name, is_installed, within=20)

    async def ask(self, size: str = "small", name: str = "orders", **metadata: Any) -> Object:
        obj = request(self.name, name, self.namespace, size=size)
        obj["metadata"] |= metadata
        return await self.platform.make(api_of(self.name), obj)

    async def revisions(self) -> dict[str, Object]:
        """The revisions by their version."""
        found = await self.platform.client.list(
            PROMISE_REVISION, label_selector=f"kratix.io/promise-name={self.name}"
        )
        return {each["spec"]["version"]: each for each in found.items}

    async def latest(self, version: str) -> dict[str, Object]:
        """Waits until exactly one version is the latest, with its status, and returns the revisions."""

        async def look() -> dict[str, Object] | None:
            found = await self.revisions()
            labelled = [each for each, obj in found.items() if LATEST in obj["metadata"]["labels"]]
            told = [each for each, obj in found.items() if (obj.get("status") or {}).get("latest")]
            return found if labelled == told == [version] else None

        return await eventually(look, f"{version} is the latest version", within=15)

    async def binding(self, test: Callable[[Object], bool] = lambda _: True, name: str = "") -> Object:
        return await self.platform.wait(
            RESOURCE_BINDING, name or self.binding_name, test, namespace=self.namespace
        )

    async def bind(self, version: str) -> None:
        """Edits the binding."""
        await self.platform.client.merge_patch(
            RESOURCE_BINDING, self.binding_name, {"spec": {"version": version}}, namespace=self.namespace
        )

    async def pin(self, version: str) -> None:
        """Binds the request to the version that it has, and waits until it says so."""
        await self.binding(applied(version))
        await self.bind(version)
        await self.request(at(version, asked=version))

    async def request(self, test: Callable[[Object], bool], name: str = "orders") -> Object:
        return await self.platform.wait(api_of(self.name), name, test, namespace=self.namespace)

    async def written(self, *words: str, name: str = "orders") -> None:
        """Waits until the file of a request contains some words."""

        async def look() -> bool:
            files = [text for path, text in self.repository.files().items() if f"/{name}/" in path]
            return bool(files) and all(word in files[0] for word in words)

        await eventually(look, f"{words} in Git", within=20)


def at(version: str, *, asked: str = "") -> Callable[[Object], bool]:
    """Whether a request is Ready at a version."""

    def test(live: Object) -> bool:
        status = live.get("status") or {}
        return (
            condition(live, "Ready").get("status") == "True"
            and status.get("observedGeneration") == live["metadata"]["generation"]
            and status.get("promiseVersion") == version
            and asked in ("", status.get("resourceBindingVersion"))
        )

    return test


def applied(version: str, reason: str = "") -> Callable[[Object], bool]:
    """Whether a binding says that a version was applied last, and why."""

    def test(live: Object) -> bool:
        told = condition(live, "UpgradeSucceeded").get("reason", "")
        return (live.get("status") or {}).get("lastAppliedVersion") == version and reason in ("", told)

    return test
