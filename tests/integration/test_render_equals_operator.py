"""What `troth render` says is what the operator does: the repository equals its output byte for byte."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.operators import OperatorProcess
from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    destination,
    failure,
    git_store,
    is_ready,
    promise,
    request,
)
from tests.waiting import eventually
from troth.api.objects import read_destination
from troth.api.resources import DESTINATION, GIT_STATE_STORE
from troth.authoring.bounded import BoundedWorker
from troth.authoring.home import load_home
from troth.authoring.rendering import Rendering, collect, read_destinations, render_request
from troth.engine.layout import destination_files
from troth.kube import Client, Invalid

PAIRS = 24
SEED = 20261123
STORE_PATH = "fleet/"
MODES = ("nestedByMetadata", "aggregatedYAML", "none")

TEMPLATES = (
    "kind: ConfigMap\nname: {{ name }}\nnamespace: {{ namespace }}\nlabels: {{ labels }}\ndata: {{ spec }}\n",
    "a: {{ spec.size }}\nb: '{{ spec.size }}'\nversion: {{ promise.version }}\nlabels: {{ promise.labels }}\n",
    "table: {{ table }}\nsum: {{ table.z + spec.count }}\ngeneration: {{ request.metadata.generation }}\n",
    "{% for zone in spec.zones %}---\nkind: Zone\nname: {{ zone.name }}\nweight: {{ zone.weight }}\n{% endfor %}",
    "{% include 'head' %}\nspec: {{ spec.zones }}\nmissing: {{ spec.none | default('no') }}\n",
    "kind: A\n{% if spec.size == 'large' %}{{ fail('nobody needs ' ~ spec.size) }}{% endif %}\nready: {{ spec.on }}\n",
    "# a comment goes\nratio: {{ spec.ratio }}\nhalf: {{ spec.ratio / 2 }}\nyes: 'yes'\nport: '8080'\n",
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "enum": ["small", "medium", "large"]},
        "count": {"type": "integer", "default": 3, "minimum": 1},
        "ratio": {"type": "number", "default": 1.5},
        "on": {"type": "boolean", "default": True},
        "zones": {
            "type": "array",
            "default": [{"name": "one"}],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "weight": {"type": "integer", "default": 7}},
            },
        },
    },
}


@dataclass(frozen=True)
class Pair:
    promise: dict[str, Any]
    request: dict[str, Any]

    @property
    def api(self) -> str:
        name: str = self.promise["metadata"]["name"]
        return name


def generated(number: int, unique: str, namespace: str) -> Pair:
    """A Promise and a request of it; the same number gives the same ones."""
    choose = random.Random(SEED + number)
    mode = MODES[number % len(MODES)]
    files: list[dict[str, Any]] = [
        {"path": f"{namespace}-{number}-{index}.yaml", "template": choose.choice(TEMPLATES)}
        for index in range(choose.randint(1, 3))
    ]
    if choose.random() < 0.5:
        files.append(
            {
                "path": f"zones-{number}/{{{{ item.name }}}}.json",
                "template": '{"weight": {{ item.weight }}, "index": {{ index }}}',
                "forEach": "{{ spec.zones }}",
            }
        )
    if choose.random() < 0.5:
        files.append({"path": f"on-{number}.txt", "template": "on since {{ name }}\n", "when": "{{ spec.on }}"})
    pipeline: dict[str, Any] = {
        "values": {"table": {"z": choose.choice([1, 2.0, 2.5]), "b": ["x", None, True], "a": {"y": 1, "x": "2"}}},
        "partials": {"head": "kind: Head\nname: {{ name }}\n"},
        "status": {"message": "{{ name }} is {{ spec.size }}", "count": "{{ spec.count }}"},
    }
    if choose.random() < 0.5:
        files.append({"path": f"far-{number}/x.yaml", "template": "far: {{ name }}\n"})
        pipeline["destinations"] = [
            {"directory": f"far-{number}", "matchLabels": {"region": f"{unique}-far"}},
        ]
    name = f"{unique}x{number}"
    made = promise(
        name, files=files, pipeline=pipeline, selectors={"for": f"{unique}-{mode.lower()}"}, spec_schema=SCHEMA
    )
    if choose.random() < 0.5:
        made["metadata"]["labels"] = {"kratix.io/promise-version": f"v1.{number}.0", "team": "platform"}
    spec: dict[str, Any] = {
        "size": choose.choice(["small", "medium", "large", "large", "huge"]),
        "unknown": "is pruned",
    }
    if choose.random() < 0.5:
        spec["count"] = choose.choice([1, 2, 5.0, 0])
    if choose.random() < 0.5:
        spec["ratio"] = choose.choice([2, 3.0, 0.1, -1.25e-7])
    if choose.random() < 0.5:
        spec["zones"] = [{"name": f"z{index}", **choose.choice([{}, {"weight": index}])} for index in range(3)]
    if choose.random() < 0.3:
        spec["on"] = False
    asked = request(name, f"orders-{number}", namespace, **spec)
    asked["metadata"]["labels"] = {"b": "two", "a": "1"}
    return Pair(made, asked)


@pytest.fixture
async def platform(
    client: Client, operator: Callable[..., OperatorProcess], tmp_path: Path
) -> AsyncIterator[Platform]:
    await asyncio.to_thread(
        operator, "--local-stores", tmp_path, "--store-poll", "1", "--failing-store-poll", "0.5"
    )
    platform = Platform(client)
    yield platform
    await platform.clean()


async def test_the_repository_equals_what_render_says_byte_for_byte(
    platform: Platform, unique: str, namespace: str, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "gitops.git")
    store = git_store(unique, str(repository.path), path=STORE_PATH)
    targets = [
        destination(
            f"{unique}-{mode.lower()}-{number}",
            store=unique,
            labels={"for": f"{unique}-{mode.lower()}"},
            filepath={"mode": mode},
        )
        for mode in MODES
        for number in range(2)
    ]
    targets.append(destination(f"{unique}-far", store=unique, labels={"region": f"{unique}-far"}))
    pairs = [generated(number, unique, namespace) for number in range(PAIRS)]
    renderings = await rendered(pairs, [store, *targets], tmp_path)
    assert sum(1 for rendering in renderings if rendering.placements) > PAIRS / 3
    assert any(rendering.failure for rendering in renderings)
    assert any(rendering.refusals for rendering in renderings)

    await platform.make(GIT_STATE_STORE, store)
    for target in targets:
        await platform.make(DESTINATION, target)
    for start in range(0, PAIRS, 6):  # establishing an API takes the API server a moment
        await asyncio.gather(*(platform.publish(pair.promise, within=60) for pair in pairs[start : start + 6]))
    await asyncio.gather(
        *(agree(platform, pair, rendering) for pair, rendering in zip(pairs, renderings, strict=True))
    )

    placed, quarrels = collect(renderings)
    assert quarrels == []
    wanted = {path: content.decode() for files in placed.values() for path, content in files.items()}
    for target in targets:
        own = destination_files(read_destination(target), store_path=STORE_PATH)
        wanted |= {path: content.decode() for path, content in own.files.items()}

    async def equal() -> bool:
        found = await all_files(repository, STORE_PATH)
        assert sorted(found) == sorted(wanted)
        assert found == wanted
        return True

    await eventually(equal, "the repository equals what render says", within=30, every=0.2)


async def rendered(pairs: list[Pair], platform: list[dict[str, Any]], folder: Path) -> list[Rendering]:
    """What `troth render` makes of each pair, from files as an author has them."""
    file = folder / "platform.yaml"
    file.write_text(yaml.safe_dump_all(platform, sort_keys=False), "utf-8")
    destinations = read_destinations(file)
    found: list[Rendering] = []
    with BoundedWorker() as pool:
        for pair in pairs:
            home = folder / pair.api / "promise.yaml"
            home.parent.mkdir()
            home.write_text(yaml.safe_dump(pair.promise, sort_keys=False), "utf-8")
            found.append(
                await render_request(load_home(home.parent), pair.request, destinations=destinations, pool=pool)
            )
    return found


async def agree(platform: Platform, pair: Pair, rendering: Rendering) -> None:
    """The request fares as its rendering says: refused, failed, or Ready with the same status."""
    resource, name = api_of(pair.api), pair.request["metadata"]["name"]
    namespace = pair.request["metadata"]["namespace"]
    if rendering.refusals:
        with pytest.raises(Invalid) as caught:
            await platform.client.create(resource, pair.request)
        for refusal in rendering.refusals:
            assert refusal.field in str(caught.value)
        return
    platform._made.append((resource, name, namespace))
    await platform.client.create(resource, pair.request)  # an apply would refuse the field that is to be pruned
    if rendering.failure is not None:
        live = await platform.wait(resource, name, failure, namespace=namespace, within=60)
        assert failure(live) == rendering.failure.as_status()
        return
    live = await platform.wait(resource, name, is_ready, namespace=namespace, within=60)
    assert orjson.dumps(live["spec"], option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        rendering.request["spec"], option=orjson.OPT_SORT_KEYS
    )
    assert said(live["status"]) == said(rendering.status)


def said(status: Mapping[str, Any]) -> dict[str, Any]:
    """A status without times and commits."""
    return {
        "message": status["message"],
        "count": status["count"],
        "version": status["promiseVersion"],
        "conditions": [
            {key: item[key] for key in ("type", "status", "reason", "message")} for item in status["conditions"]
        ],
        "places": [
            {key: item[key] for key in ("destination", "path", "files", "state")}
            for item in status["troth"]["placements"]
        ],
    }
