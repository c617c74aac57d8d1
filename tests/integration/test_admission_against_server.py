"""`troth.engine.admission` and a real API server judge the same objects: alike, and to the same object."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from tests.admission_cases import CASES, UPDATES, definition, instance, library_definition
from tests.waiting import eventually
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.admission.refusals import Refusal
from troth.engine.promises.definitions import read_definition, request_resource
from troth.kube import ApiError, Client

pytestmark = pytest.mark.integration

Object = dict[str, Any]
Fields = dict[str, tuple[dict[str, Any], list[Any]]]


class Judges:
    """A definition on the server, and our reading of it."""

    def __init__(self, client: Client, crd: Mapping[str, Any], namespace: str) -> None:
        self.client = client
        self.crd = crd
        self.namespace = namespace
        self.resource = request_resource(crd)
        self.ours = Admission(crd)
        self.disagreements: list[str] = []
        self.unchecked: list[str] = []
        self.other_words: list[str] = []
        self.refused = 0
        self.judged = 0
        self.accepted = 0
        self._gate = asyncio.Semaphore(8)

    async def install(self) -> None:
        """Puts the definition into the cluster and waits until it is served."""
        await self.client.create(CUSTOM_RESOURCE_DEFINITION, self.crd)
        name = self.crd["metadata"]["name"]

        async def established() -> bool:
            return read_definition(await self.client.get(CUSTOM_RESOURCE_DEFINITION, name)).established

        await eventually(established, f"{name} is established", within=20)

        async def served() -> bool:
            try:
                await self.client.list(self.resource, self.namespace)
            except ApiError:
                return False
            return True

        await eventually(served, f"{name} is served", within=20)

    def object(self, spec: Any, name: str = "one") -> Object:
        return instance(self.crd, name, self.namespace, spec)

    async def compare(self, obj: Object, old: Object | None = None) -> None:
        """Asks both, and notes where they differ."""
        async with self._gate:
            theirs = await self._ask(obj, old)
        ours = self.ours.admit(obj, old)
        self.judged += 1
        shown = f"{obj.get('spec')!r}" if old is None else f"{old.get('spec')!r} -> {obj.get('spec')!r}"
        if isinstance(ours, Admitted):
            self.unchecked += [str(one) for one in ours.unchecked]
            if isinstance(theirs, ApiError):
                self.disagreements.append(f"{shown}: we admit, the server says {theirs.message}")
            else:
                self.accepted += 1
                if theirs.get("spec") != ours.object.get("spec"):
                    self.disagreements.append(
                        f"{shown}: we make {ours.object.get('spec')!r}, the server {theirs.get('spec')!r}"
                    )
        elif isinstance(theirs, ApiError):
            self.refused += 1
            self._compare_words(shown, ours, theirs)
        else:
            self.disagreements.append(f"{shown}: the server admits, we say {[str(one) for one in ours]}")

    def _compare_words(self, shown: str, ours: tuple[Refusal, ...], theirs: ApiError) -> None:
        """The first thing that the server says should be among what we say; it has no field for some."""
        causes = theirs.details.get("causes") or ()
        said = {str(cause["message"]) for cause in causes}
        known = {refusal.message for refusal in ours}
        fields = {cause.get("field") for cause in causes} | {
            refusal.field for refusal in ours if "<nil>" in str(causes)
        }
        if not said & known or not fields & {refusal.field for refusal in ours}:
            self.other_words.append(f"{shown}: we say {[str(one) for one in ours]}, the server {list(causes)}")

    async def compare_all(self, specs: Sequence[Any]) -> None:
        await asyncio.gather(*(self.compare(self.object(spec)) for spec in specs))

    async def _ask(self, obj: Object, old: Object | None) -> Object | ApiError:
        try:
            if old is None:
                return await self.client.create(self.resource, obj, dry_run=True)
            return await self.client.replace(self.resource, obj, dry_run=True)
        except ApiError as error:
            if error.status not in (400, 422):
                raise
            return error

    def assert_agreed(self) -> None:
        assert not self.disagreements, "\n".join(
            [f"{len(self.disagreements)} of {self.judged}:", *self.disagreements]
        )


@pytest.fixture
async def judges(client: Client, namespace: str, unique: str) -> AsyncIterator[Any]:
    """Installs a definition and answers its `Judges`; the definition goes away with the test."""
    installed: list[str] = []

    async def install(crd: dict[str, Any]) -> Judges:
        judge = Judges(client, crd, namespace)
        installed.append(crd["metadata"]["name"])
        await judge.install()
        return judge

    yield install
    for name in installed:
        await client.delete(CUSTOM_RESOURCE_DEFINITION, name)


@pytest.mark.parametrize("name", sorted(CASES))
async def test_objects_are_judged_and_refusals_worded_as_the_server_does(
    name: str, judges: Any, unique: str
) -> None:
    judge = await judges(definition(name, f"{unique}.example.com", CASES[name]))
    single = [{field: value} for field, (_, values) in CASES[name].items() for value in values]
    await judge.compare_all([*single, {}, None, [], "text", *mixtures(CASES[name], 15, name)])
    judge.assert_agreed()
    assert judge.accepted > 5
    assert not judge.unchecked
    assert len(judge.other_words) <= judge.refused // 20, "\n".join(judge.other_words)


async def test_updates_are_judged_as_the_server_judges_them(judges: Any, unique: str) -> None:
    judge: Judges = await judges(definition("updates", f"{unique}.example.com", UPDATES))
    for field, (_, values) in UPDATES.items():
        for number, value in enumerate(values):
            old = await judge.client.create(judge.resource, judge.object({field: value}, f"{field}-{number}"))
            for new in (*({field: other} for other in values), {}):
                changed = {**old, "spec": new}
                await judge.compare(changed, old)
    judge.assert_agreed()
    assert not judge.unchecked


async def test_what_was_wrong_before_an_update_and_stays_is_let_be_as_the_server_does(
    judges: Any, unique: str
) -> None:
    loose: Fields = {
        "size": ({"type": "string"}, []),
        "list": ({"type": "array", "items": {"type": "string"}}, []),
    }
    crd = definition("ratchets", f"{unique}.example.com", {**loose, "other": ({"type": "string"}, [])})
    judge: Judges = await judges(crd)
    old = await judge.client.create(judge.resource, judge.object({"size": "huge", "list": ["x", "x"]}, "old"))
    strict: Fields = {
        "size": (
            {"type": "string", "enum": ["small"], "x-kubernetes-validations": [{"rule": "self != 'huge'"}]},
            [],
        ),
        "list": ({"type": "array", "maxItems": 1, "items": {"type": "string", "maxLength": 3}}, []),
    }
    narrowed = definition("ratchets", f"{unique}.example.com", {**strict, "other": ({"type": "string"}, [])})
    await judge.client.merge_patch(CUSTOM_RESOURCE_DEFINITION, crd["metadata"]["name"], {"spec": narrowed["spec"]})

    async def narrow() -> bool:
        try:
            await judge.client.create(judge.resource, judge.object({"size": "huge"}), dry_run=True)
        except ApiError:
            return True
        return False

    await eventually(narrow, "the narrower schema is served", within=20)
    judge.ours = Admission(narrowed)
    for spec in (
        {"size": "huge", "list": ["x", "x"]},
        {"size": "huge", "list": ["x", "x"], "other": "a"},
        {"size": "large", "list": ["x", "x"]},
        {"size": "small", "list": ["x", "x", "x"]},
        {"size": "huge"},
        {"size": "small", "list": ["x"]},
    ):
        await judge.compare({**old, "spec": spec}, old)
    judge.assert_agreed()


async def test_names_labels_and_types_are_judged_as_the_server_judges_them(judges: Any, unique: str) -> None:
    judge: Judges = await judges(definition("names", f"{unique}.example.com", {"a": ({"type": "string"}, [])}))
    names = ["a", "A", "a.b", "a..b", "-a", "a" * 63, "a" * 64, "a" * 254, "a_b", "é"]
    for obj in [judge.object({}, name) for name in names]:
        await judge.compare(obj)
    metadata: list[dict[str, Any]] = [
        {"labels": {"a": "b"}},
        {"labels": {"a": "-b"}},
        {"labels": {"a/b/c": "d"}},
        {"labels": {"A.b/c_d": ""}},
        {"labels": {"a.b/c_d": "x" * 64}},
        {"labels": {"a": 1}},
        {"labels": {"a": None}},
        {"labels": {"": "a"}},
        {"labels": None},
        {"annotations": {"A.B/c": "d" * 1000}},
        {"annotations": {"a b": "c"}},
        {"annotations": {"a": "b" * 262144}},
        {"annotations": {"a": True}},
        {"annotations": []},
        {"finalizers": ["a.b/c"]},
        {"unknown": 1},
        {"generateName": "x-"},
    ]
    for part in metadata:
        obj = judge.object({})
        obj["metadata"] |= part
        await judge.compare(obj)
    for part in ({"kind": "Other"}, {"apiVersion": "v1"}, {"status": {"a": 1}}, {"other": 1}):
        await judge.compare(judge.object({}) | part)
    judge.assert_agreed()


@pytest.mark.parametrize("name", ["postgresql", "environment"])
async def test_the_apis_of_the_library_are_judged_as_the_server_judges_them(
    name: str, judges: Any, unique: str
) -> None:
    crd = library_definition(name)
    crd["spec"]["group"] = f"{unique}.example.com"
    crd["metadata"]["name"] = f"{crd['spec']['names']['plural']}.{unique}.example.com"
    judge: Judges = await judges(crd)
    people = [
        {"name": "a"},
        {"name": "b", "kind": "User"},
        {"name": "a", "role": "admin"},
        {"kind": "Robot", "name": "c"},
    ]
    fields: dict[str, tuple[dict[str, Any], list[Any]]] = {
        "size": ({}, ["small", "large", "huge", None, 1]),
        "version": ({}, ["16", 16, None, ""]),
        "team": ({}, ["payments", "p", "kube", "kube-x", "P", "a-", "x" * 30, "x" * 31, None]),
        "network": ({}, ["open", "closed"]),
        "members": ({}, [people[:2], [people[0], people[2]], [people[3]], [{}], [None], None, people[1:3], "a"]),
        "unknown": ({}, [1]),
    }
    specs = [{"team": "web", field: value} for field, (_, values) in fields.items() for value in values]
    await judge.compare_all([*specs, {}, None, *mixtures(fields, 25, name)])
    judge.assert_agreed()
    assert not judge.unchecked
    if name == "environment":
        old = await judge.client.create(judge.resource, judge.object({"team": "web"}))
        for team in ("web", "shop", None):
            await judge.compare({**old, "spec": {"team": team}}, old)
        judge.assert_agreed()


def mixtures(
    fields: Mapping[str, tuple[dict[str, Any], list[Any]]], count: int, seed: str
) -> list[dict[str, Any]]:
    """Specs that set some of the fields, each to one of its values; the same ones every time."""
    chance = random.Random(seed)
    specs = []
    for _ in range(count):
        chosen = chance.sample(sorted(fields), chance.randint(1, min(4, len(fields))))
        specs.append({field: chance.choice(fields[field][1]) for field in chosen})
    return specs
