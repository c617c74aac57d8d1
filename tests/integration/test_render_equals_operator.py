"""What `troth render` says is what the operator does: the repository equals its output byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.generated_pairs import MODES, Family, generate
from tests.operators import OperatorProcess
from tests.platforms import (
    Object,
    Platform,
    Repository,
    all_files,
    api_of,
    available,
    condition,
    destination,
    failure,
    git_store,
    promise,
)
from tests.waiting import eventually
from troth.api.conditions import LINTED, REQUESTS_FIT, REQUESTS_READY
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE
from troth.authoring.home import RefusedPromise, build, load_home
from troth.authoring.rendering.destinations import Destinations, read_destinations
from troth.authoring.rendering.placement import own_files
from troth.authoring.rendering.promise import render_promise
from troth.authoring.rendering.requests import Rendering, Requests, collect
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.dev.controlplane import ControlPlane
from troth.engine.admission.serving import as_served
from troth.engine.yaml.emit import dump_document
from troth.kube import ApiError, Client, Invalid

FAMILIES = 25
REQUESTS = 12
STORE_PATH = "fleet/"
CONCURRENT = 8


@pytest.fixture
async def platform(
    client: Client, operator: Callable[..., OperatorProcess], tmp_path: Path
) -> AsyncIterator[Platform]:
    await asyncio.to_thread(
        operator, "--local-stores", tmp_path, "--store-poll", "1", "--failing-store-poll", "0.5"
    )
    platform = Platform(client)
    yield platform
    mine = [name for resource, name, _ in platform._made if resource == PROMISE]
    for name in mine:
        await platform.delete(PROMISE, name)
    await asyncio.gather(*(platform.gone(PROMISE, name, within=60) for name in mine))
    await platform.clean()


@pytest.fixture
def namespaces(control_plane: ControlPlane, namespace: str) -> Iterator[tuple[str, str]]:
    """Two namespaces."""
    other = f"{namespace}-b"
    control_plane.kubectl("create", "namespace", other)
    yield namespace, other
    control_plane.finish_namespace(other, strip_finalizers=True)


async def test_the_repository_equals_what_render_says_byte_for_byte(
    platform: Platform, unique: str, namespaces: tuple[str, str], tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "gitops.git")
    store = git_store(unique, str(repository.path), path=STORE_PATH)
    targets = [
        destination(
            f"{unique}-{mode.lower()}-{number}",
            store=unique,
            labels={"for": f"{unique}-{mode.lower()}", "number": str(number)},
            filepath={"mode": mode},
        )
        for mode in MODES
        for number in range(2)
    ]
    targets.append(destination(f"{unique}-far", store=unique, labels={"region": f"{unique}-far"}))
    file = tmp_path / "platform.yaml"
    file.write_text(yaml.safe_dump_all([store, *targets], sort_keys=False), "utf-8")
    destinations = read_destinations(file)

    families = [generate(number, unique, namespaces, requests=REQUESTS) for number in range(FAMILIES)]
    expected = await asyncio.to_thread(render_all, families, destinations, tmp_path)
    renderings = [rendering for _, its in expected for rendering in its]
    assert len(renderings) == 300
    assert sum(1 for rendering in renderings if rendering.placements) > 100
    for outcome in ("refusals", "failure", "waiting"):
        assert sum(1 for rendering in renderings if getattr(rendering, outcome)) >= 5, outcome
    assert not any(rendering.unchecked for rendering in renderings)

    await platform.make(GIT_STATE_STORE, store)
    for target in targets:
        await platform.make(DESTINATION, target)
    gate = asyncio.Semaphore(CONCURRENT)  # establishing an API takes the API server a moment

    async def play(family: Family, own: Rendering, its: list[Rendering]) -> None:
        async with gate:
            await platform.publish(family.promise, within=90)
            await asyncio.gather(*(ask(platform, *pair) for pair in zip(family.requests, its, strict=True)))
            await agree(platform, family, own, its)

    await asyncio.gather(*(play(family, *said) for family, said in zip(families, expected, strict=True)))

    placed, quarrels = collect([one for own, its in expected for one in (own, *its)])
    assert quarrels == []
    wanted = {path: content.decode() for files in placed.values() for path, content in files.items()}
    for files in own_files(destinations).values():
        wanted |= {path: content.decode() for path, content in files.items()}

    async def equal() -> bool:
        found = await all_files(repository, STORE_PATH)
        assert sorted(found) == sorted(wanted)
        assert found == wanted
        return True

    await eventually(equal, "the repository equals what render says", within=60, every=0.3)


def render_all(
    families: list[Family], destinations: Destinations, folder: Path
) -> list[tuple[Rendering, list[Rendering]]]:
    """What `troth render` makes of each Promise and of its requests, from files as an author has them."""
    found: list[tuple[Rendering, list[Rendering]]] = []
    with BoundedWorker() as worker:
        for family in families:
            home = load_home(write(folder, family.promise))
            own = render_promise(home, destinations=destinations, render=worker.render_now)
            requests = Requests(home, destinations=destinations)
            found.append((own, [requests.render_with(worker.render_now, asked) for asked in family.requests]))
    return found


def write(folder: Path, obj: Object) -> Path:
    """The Promise as a folder of an author."""
    home = folder / str(obj["metadata"]["name"])
    home.mkdir()
    (home / "promise.yaml").write_text(dump_document(obj), "utf-8")
    return home


async def ask(platform: Platform, asked: Object, rendering: Rendering) -> None:
    """Makes the request; the API server refuses it exactly when render does, for the same fields."""
    group, _, _ = asked["apiVersion"].partition(".")
    answer = ""
    try:
        # Created, for an apply would refuse a field that is to be pruned; with 5 for 5.0, as kubectl sends it.
        await platform.client.create(api_of(group), as_served(asked))
    except Invalid as error:
        answer = str(error)
    assert bool(answer) == bool(rendering.refusals), (asked, answer, rendering.refusals)
    for refusal in rendering.refusals:
        assert refusal.field in answer, (asked, refusal, answer)


async def agree(platform: Platform, family: Family, own: Rendering, its: list[Rendering]) -> None:
    """The Promise and its requests come to say what their renderings say."""
    wanted = {
        (asked["metadata"]["namespace"], asked["metadata"]["name"]): rendering
        for asked, rendering in zip(family.requests, its, strict=True)
        if not rendering.refusals
    }

    async def settled() -> bool:
        listing = await platform.client.list(api_of(family.name))
        found = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in listing.items}
        assert sorted(found) == sorted(wanted)
        for key, rendering in wanted.items():
            live = found[key]
            if rendering.failure is not None:
                assert failure(live) == rendering.failure.as_status(), key
            else:
                assert said(live.get("status") or {}) == said(rendering.status), key
            assert ordered(live["spec"]) == ordered(rendering.request["spec"]), key
        return True

    await eventually(settled, f"the requests of {family.name}", within=90, every=0.5)

    async def itself() -> bool:
        live = await platform.client.get(PROMISE, family.name)
        assert said(live["status"]) == said(own.status)
        return True

    await eventually(itself, f"the Promise {family.name}", within=90, every=0.5)


def ordered(value: Any) -> bytes:
    """A value without the order of its keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def said(status: Mapping[str, Any]) -> dict[str, Any]:
    """A status without times and commits."""
    return {
        **{key: status.get(key) for key in ("message", "count", "twice", "promiseVersion", "status")},
        "conditions": [
            {key: item[key] for key in ("type", "status", "reason", "message")}
            for item in status.get("conditions") or ()
            # What `troth lint` says, and what only a cluster knows: how its requests fare.
            if item["type"] not in (LINTED, REQUESTS_READY, REQUESTS_FIT)
        ],
        "places": [
            {key: item.get(key) for key in ("destination", "path", "files", "state")}
            for item in (status.get("troth") or {}).get("placements") or ()
        ],
    }


def unknown_field(made: Object) -> None:
    made["spec"]["workflows"]["resource"]["configure"][0]["spec"]["fils"] = []


def bad_interval(made: Object) -> None:
    made["spec"]["workflows"]["config"] = {"reconciliationInterval": "soon"}


def no_workflows(made: Object) -> None:
    made["spec"]["workflows"] = "none"


def wrong_name(made: Object) -> None:
    made["spec"]["api"]["metadata"]["name"] = "others.example.com"


def bad_template(made: Object) -> None:
    made["spec"]["workflows"]["resource"]["configure"][0]["spec"]["files"][0]["template"] = "{{ spec. }}"


def bad_name(made: Object) -> None:
    made["metadata"]["name"] = "No_Name"


def bare_dependency(made: Object) -> None:
    made["spec"]["dependencies"] = [{"kind": "ConfigMap", "metadata": {"name": "x"}}]


@pytest.mark.parametrize(
    "spoil", [unknown_field, bad_interval, no_workflows, wrong_name, bad_template, bad_name, bare_dependency]
)
async def test_a_promise_is_refused_by_render_exactly_when_it_is_refused_in_the_cluster(
    spoil: Callable[[Object], None], platform: Platform, unique: str, tmp_path: Path
) -> None:
    made = promise(f"{unique}p")
    spoil(made)
    home = load_home(write(tmp_path, made))
    with pytest.raises(RefusedPromise) as refusal:
        build(home)
    assert refusal.value.line is not None
    answer = ""
    try:
        await platform.make(PROMISE, made)
    except ApiError as error:
        answer = str(error)
    if answer:
        assert refusal.value.field in answer
        return
    name = made["metadata"]["name"]
    live = await platform.wait(PROMISE, name, lambda live: condition(live, "Ready").get("reason"), within=30)
    assert not available(live)
    assert refusal.value.problem in live["status"]["message"]
