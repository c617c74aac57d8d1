"""What lint calls wrong in an object of Kubernetes, a real API server refuses: no range or enum is invented."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.documents import ROOT
from troth.api import Resource
from troth.engine.kinds.data.fixed import FIXED, REQUIRED
from troth.engine.kinds.kubernetes import Kubernetes
from troth.kube import ApiError, Client

pytestmark = pytest.mark.integration

Object = dict[str, Any]
Edit = Callable[[Object], None]

OBJECTS: list[Object] = list(yaml.safe_load_all((ROOT / "tests/data/kubernetes-objects.yaml").read_text("utf-8")))
UNREACHED = {"io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement/operator"}


def named(kind: str, name: str = "") -> Object:
    """A copy of one of the objects."""
    return copy.deepcopy(
        next(obj for obj in OBJECTS if obj["kind"] == kind and name in ("", obj["metadata"]["name"]))
    )


class Server:
    """Says whether an API server takes an object, without keeping it."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def refuses(self, obj: Object) -> str:
        resource: Resource | None = await self._client.find_resource(obj["apiVersion"], obj["kind"])
        assert resource is not None
        try:
            await self._client.create(
                resource, {**obj, "metadata": {**obj["metadata"], "namespace": self._namespace}}, dry_run=True
            )
        except ApiError as error:
            return error.message or str(error)
        return ""


@pytest.fixture
def server(client: Client, namespace: str) -> Server:
    return Server(client, namespace)


def wrong_values(schema: Mapping[str, Any], value: Any) -> Iterator[Any]:
    """Values of the right type that a schema does not allow."""
    if "enum" in schema:
        yield "Nonsense"
    if "minimum" in schema and not (isinstance(value, str) and "pattern" in schema):
        yield schema["minimum"] - 1
    if "maximum" in schema and not (isinstance(value, str) and "pattern" in schema):
        yield schema["maximum"] + 1
    if "pattern" in schema and isinstance(value, str):
        yield "-A_b/ c-"
    if "maxLength" in schema and isinstance(value, str):
        yield "a" * (schema["maxLength"] + 1)
    if schema.get("format") in ("int32", "int64"):
        yield 2 ** (31 if schema["format"] == "int32" else 63)
    if schema.get("format") == "byte":
        yield "not base64!"


class Faults:
    """Each value of an object that can be made wrong, made wrong."""

    def __init__(self) -> None:
        self.kubernetes = Kubernetes()
        self.kubernetes.problems(OBJECTS[0])
        self.reached: set[str] = set()

    def of(self, obj: Object) -> Iterator[tuple[str, Object]]:
        name = self.kubernetes._kinds[f"{obj['apiVersion']}/{obj['kind']}"]
        for path, value, schema in self._leaves(obj, {"$ref": name}, (), ""):
            for wrong in wrong_values(schema, value):
                other = copy.deepcopy(obj)
                inner: Any = other
                for step in path[:-1]:
                    inner = inner[step]
                inner[path[-1]] = wrong
                yield f"{obj['kind']} {'.'.join(map(str, path))} = {str(wrong)[:30]}", other

    def _leaves(self, value: Any, schema: Mapping[str, Any], path: tuple[Any, ...], place: str) -> Iterator[Any]:
        if "$ref" in schema:
            name = schema["$ref"]
            schema = {**self.kubernetes._definitions[name], **schema}
            if "properties" in schema:
                place = name
        if isinstance(value, dict):
            for key, child in value.items():
                properties = schema.get("properties") or {}
                inner = properties.get(key) or schema.get("additionalProperties") or {}
                yield from self._leaves(child, inner, (*path, key), f"{place}/{key if key in properties else '*'}")
        elif isinstance(value, list):
            for index, child in enumerate(value):
                yield from self._leaves(child, schema.get("items") or {}, (*path, index), f"{place}/*")
        else:
            self.reached.add(place)
            yield path, value, schema


async def test_the_objects_are_right_for_both(server: Server) -> None:
    for obj in OBJECTS:
        assert Kubernetes().problems(obj) == [], obj["kind"]
        assert await server.refuses(obj) == "", obj["kind"]


async def test_each_range_pattern_and_enum_is_the_servers_too(server: Server) -> None:
    faults = Faults()
    gate = asyncio.Semaphore(4)
    unfounded: list[str] = []
    missed: list[str] = []
    count = 0

    async def judge(what: str, obj: Object) -> None:
        if not faults.kubernetes.problems(obj):
            missed.append(what)
        async with gate:
            if not await server.refuses(obj):
                unfounded.append(what)

    async with asyncio.TaskGroup() as group:
        for obj in OBJECTS:
            for what, wrong in faults.of(obj):
                count += 1
                group.create_task(judge(what, wrong))
    assert (unfounded, missed) == ([], [])
    assert count > 150
    assert set(FIXED) - faults.reached <= UNREACHED


@pytest.mark.parametrize("definition", sorted(REQUIRED))
async def test_each_field_that_is_required_is_required_by_the_server_too(server: Server, definition: str) -> None:
    faults = Faults()
    found = 0
    for obj in OBJECTS:
        for path in places_of(faults.kubernetes, obj, definition):
            for name in REQUIRED[definition]:
                other = copy.deepcopy(obj)
                inner: Any = other
                for step in path:
                    inner = inner[step]
                if name in inner:
                    del inner[name]
                    found += 1
                    assert faults.kubernetes.problems(other), f"{obj['kind']} {path} {name}"
                    assert await server.refuses(other), f"{obj['kind']} {path} {name}"
    assert found or definition.endswith(".Pod")


def places_of(kubernetes: Kubernetes, obj: Object, definition: str) -> Iterator[tuple[Any, ...]]:
    """Where maps of that definition are in an object."""

    def walk(value: Any, schema: Mapping[str, Any], path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        name = schema.get("$ref", "")
        schema = {**kubernetes._definitions.get(name, {}), **schema}
        if isinstance(value, dict):
            if name == definition:
                yield path
            for key, child in value.items():
                inner = (schema.get("properties") or {}).get(key) or schema.get("additionalProperties") or {}
                yield from walk(child, inner, (*path, key))
        elif isinstance(value, list):
            for index, child in enumerate(value):
                yield from walk(child, schema.get("items") or {}, (*path, index))

    yield from walk(obj, {"$ref": kubernetes._kinds[f"{obj['apiVersion']}/{obj['kind']}"]}, ())


def container(obj: Object) -> Object:
    found: Object = obj["spec"]["template"]["spec"]["containers"][0]
    return found


RULES: list[tuple[str, Edit]] = [
    ("Deployment", lambda obj: obj["spec"]["template"]["metadata"]["labels"].update(app="other")),
    ("Deployment", lambda obj: obj["spec"]["template"]["metadata"].pop("labels")),
    ("Deployment", lambda obj: obj["spec"].update(selector={})),
    ("Deployment", lambda obj: obj["spec"]["template"]["spec"].update(restartPolicy="Never")),
    ("Deployment", lambda obj: obj["spec"]["template"]["spec"].update(containers=[])),
    ("Deployment", lambda obj: obj["spec"]["template"]["spec"]["containers"].append(container(obj))),
    ("Deployment", lambda obj: obj["spec"]["template"]["spec"]["volumes"].append({"name": "data"})),
    ("Deployment", lambda obj: container(obj)["volumeMounts"][0].update(name="other")),
    ("Deployment", lambda obj: container(obj)["volumeMounts"].append({"name": "host", "mountPath": "/data"})),
    ("StatefulSet", lambda obj: obj["spec"].pop("volumeClaimTemplates")),
    ("Job", lambda obj: obj["spec"]["template"]["spec"].pop("restartPolicy")),
    ("CronJob", lambda obj: obj["spec"]["jobTemplate"]["spec"]["template"]["spec"].update(restartPolicy="Always")),
    ("Service", lambda obj: obj["spec"]["ports"][1].pop("name")),
    ("Service", lambda obj: obj["spec"]["ports"][1].update(name="http")),
    ("Service", lambda obj: obj["spec"].pop("ports")),
    ("HorizontalPodAutoscaler", lambda obj: obj["spec"].update(minReplicas=5)),
]


@pytest.mark.parametrize(("kind", "edit"), RULES)
async def test_each_rule_of_several_fields_is_the_servers_too(server: Server, kind: str, edit: Edit) -> None:
    obj = named(kind)
    edit(obj)
    assert Kubernetes().problems(obj)
    assert await server.refuses(obj)


async def test_what_stands_empty_for_a_default_is_fine_for_both(server: Server) -> None:
    obj = named("Deployment")
    container(obj)["imagePullPolicy"] = ""
    container(obj)["ports"][0]["protocol"] = ""
    obj["spec"]["template"]["spec"]["restartPolicy"] = ""
    service = named("Service")
    service["spec"]["ports"][0].update(nodePort=0, targetPort=0)
    headless = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"clusterIP": "None"}}
    for given in (obj, service, headless):
        assert Kubernetes().problems(given) == []
        assert await server.refuses(given) == ""
