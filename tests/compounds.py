"""A compound Promise for tests: each of its requests renders two requests of another Promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.platforms import Object, Platform, api_of, condition, destination, is_ready, promise
from tests.waiting import SAFE
from troth.api.resources import DESTINATION, KUBERNETES_STATE_STORE

HELD = "tests.example.com/held"
LABELS = """\
    kratix.io/parent-promise-name: {{ promise.name }}
    kratix.io/parent-resource-name: {{ name }}
    kratix.io/parent-resource-namespace: {{ namespace }}
"""
PART = """\
apiVersion: PART.example.com/v1
kind: KindPART
metadata:
  name: {{ name }}-SUFFIX
  namespace: {{ namespace }}
  labels:
LABELSspec:
  size: {{ spec.size }}
"""
FAILING = """\
{% if spec.size == "huge" %}{{ fail("there is no size huge") }}{% endif %}
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ name }}", namespace: "{{ namespace }}"}
data: {size: "{{ spec.size }}"}
"""


@dataclass
class Compound:
    """A parent Promise whose requests have two components of another Promise, applied to this same cluster."""

    platform: Platform
    name: str
    namespace: str

    @property
    def part(self) -> str:
        return f"{self.name}part"

    @property
    def whole(self) -> str:
        return f"{self.name}whole"

    async def prepare(self) -> None:
        store = {
            "apiVersion": KUBERNETES_STATE_STORE.api_version,
            "kind": KUBERNETES_STATE_STORE.kind,
            "metadata": {"name": f"{self.name}-here"},
            "spec": {},
        }
        await self.platform.make(KUBERNETES_STATE_STORE, store)
        here = destination(f"{self.name}-here", store=f"{self.name}-here", labels={"for": f"{self.name}-here"})
        here["spec"]["stateStoreRef"]["kind"] = KUBERNETES_STATE_STORE.kind
        await self.platform.make(DESTINATION, here)

    def parts(self, **changes: Any) -> Object:
        return promise(self.part, template=FAILING, selectors={"for": self.name}, **changes)

    def wholes(self, suffixes: tuple[str, ...] = ("cache", "data"), **changes: Any) -> Object:
        template = PART.replace("PART", self.part).replace("LABELS", LABELS)
        return promise(
            self.whole,
            files=[
                {"path": f"{suffix}.yaml", "template": template.replace("SUFFIX", suffix)} for suffix in suffixes
            ],
            selectors={"for": f"{self.name}-here"},
            **changes,
        )

    async def ask(self, size: str = "small") -> None:
        await self.platform.ask(self.whole, "shop", self.namespace, size=size)

    async def shop(self, test: Callable[[Object], bool] = is_ready, *, within: float = SAFE) -> Object:
        return await self.platform.wait(api_of(self.whole), "shop", test, namespace=self.namespace, within=within)

    async def component(self, name: str) -> Object:
        return await self.platform.client.get(api_of(self.part), name, self.namespace)

    async def hold(self, name: str, finalizers: list[str]) -> None:
        """Sets the tests' own finalizers of a component. The operator's finalizers stay."""
        live = await self.component(name)
        kept = [item for item in live["metadata"].get("finalizers") or () if item != HELD]
        await self.platform.client.merge_patch(
            api_of(self.part),
            name,
            {"metadata": {"finalizers": kept + finalizers}},
            namespace=self.namespace,
            resource_version=live["metadata"]["resourceVersion"],
        )


def components(live: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ((live.get("status") or {}).get("troth") or {}).get("components") or []
    return found


def unready(reason: str, *words: str) -> Callable[[Object], bool]:
    def test(live: Object) -> bool:
        ready = condition(live, "Ready")
        return (
            ready.get("status") == "False"
            and ready.get("reason") == reason
            and all(word in ready.get("message", "") for word in words)
        )

    return test
