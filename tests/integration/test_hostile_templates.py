"""A template that is wrong, endless or greedy harms its own requests only, and says so at once.

Alone on a machine the operator says it within 0.1 s, and within 2.5 s where a template does not end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.operators import running_operator
from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    available,
    condition,
    destination,
    failure,
    git_store,
    is_ready,
    promise,
)
from tests.waiting import eventually, stretched
from troth.api import Resource
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE
from troth.dev import ControlPlane
from troth.kube import Client

SOON = 2.0
TIMED_OUT = 5.0
OTHERS = 50
OTHERS_TOGETHER = 20.0


@pytest.fixture(scope="module")
def stores(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the local stores of one operator, which runs for all tests of this file."""
    folder = tmp_path_factory.mktemp("stores")
    with running_operator(control_plane, folder, "--local-stores", folder):
        yield folder


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    platform = Platform(client)
    yield platform
    await platform.clean()


@pytest.fixture
async def repository(platform: Platform, stores: Path, unique: str) -> Repository:
    """A repository with a store and a destination for this test's Promises."""
    repository = Repository(stores / f"{unique}.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    return repository


@dataclass(frozen=True)
class Hostile:
    """A file of a pipeline, and what the failure must say of it."""

    template: str
    reason: str
    path: str = "object.yaml"
    file: str = "object.yaml"
    line: int | None = None
    expression: str = ""
    message: str = ""
    hint: str = ""
    within: float = SOON
    spec: Mapping[str, Any] = field(default_factory=dict)


LAUGHS = "a: &a [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"

IN_A_REQUEST = {
    "undefined path": Hostile(
        "kind: A\nname: {{ name }}\nvalue: {{ spec.sise }}\n",
        "TemplateUndefined",
        line=3,
        expression="spec.sise",
        message="spec has no 'sise'",
        hint="spec.size",
    ),
    "bad YAML": Hostile(
        "kind: A\n  name: {{ name }}\n",
        "InvalidYAML",
        line=2,
        expression="name",
        message="indented",
        hint="spaces",
    ),
    "a path that leaves its folder": Hostile(
        "kind: A\n",
        "InvalidPath",
        path="{{ spec.where }}/object.yaml",
        file="files[0].path",
        line=1,
        expression="spec.where",
        message="../../elsewhere/object.yaml",
        hint="without '..'",
        spec={"where": "../../elsewhere"},
    ),
    "an endless loop": Hostile(
        f"kind: A\nvalue: b{LOOP}\n",
        "TemplateTimeout",
        line=2,
        expression="for a in range(99999)",
        message="did not finish within 2 seconds",
        hint="loop",
        within=TIMED_OUT,
    ),
    "much memory": Hostile(
        "kind: A\nvalue: {{ 'a' * 10**10 }}\n",
        "TemplateTooLarge",
        line=2,
        expression="'a' * 10**10",
        message="characters",
        hint="less",
    ),
    "many documents": Hostile(
        "{% for i in range(10000) %}\n---\nkind: A\nname: a{{ i }}\n{% endfor %}\n",
        "TemplateTooLarge",
        message="more than 1000 documents",
        hint="less",
    ),
    "a billion laughs": Hostile(LAUGHS, "InvalidYAML", line=2, message="aliases", hint="write the values out"),
    "a refusal": Hostile(
        "kind: A\nvalue: {{ fail('size ' ~ spec.size ~ ' is sold out until May') }}\n",
        "Refused",
        line=2,
        expression="fail(",
        message="size small is sold out until May",
    ),
}
IN_A_PROMISE = {
    "a syntax error": Hostile(
        "kind: A\nname: {{ name\n",
        "TemplateSyntax",
        line=2,
        expression="{{ name",
        message="unexpected end",
        hint="}}",
    ),
    "an unknown filter": Hostile(
        "kind: A\nname: {{ name | uper }}\n", "TemplateSyntax", line=2, message="uper", hint="upper"
    ),
    "an unknown name": Hostile(
        "kind: A\nname: {{ nmae }}\n", "TemplateUndefined", line=2, message="nmae", hint="did you mean name?"
    ),
}


@pytest.mark.parametrize("case", IN_A_REQUEST)
async def test_the_request_says_at_once_what_is_wrong_and_fifty_others_do_not_wait(
    platform: Platform, repository: Repository, unique: str, namespace: str, case: str
) -> None:
    hostile = IN_A_REQUEST[case]
    others = f"{unique}others"
    await platform.publish(promise(unique))
    await platform.publish(promise(others, selectors={"for": unique}))
    await platform.ask(unique, "orders", namespace, size="small", **hostile.spec)
    before = await platform.ready(unique, "orders", namespace)
    kept = await all_files(repository, f"{unique}/resources")
    live, seconds = await edit_and_wait(platform, unique, hostile, api_of(unique), "orders", namespace)
    assert_says(failure(live), hostile)
    assert condition(live, "Ready")["status"] == "False"
    assert condition(live, "Ready")["reason"] == "ConfigureWorkflowFailed"
    assert live["status"]["troth"]["placements"] == before["status"]["troth"]["placements"]
    assert seconds < stretched(hostile.within)
    # once more, as a template that nobody has seen yet, with others that are asked for at the same moment
    await platform.make(PROMISE, promise(unique))
    await platform.ready(unique, "orders", namespace)
    again = replace(hostile, template=f"{hostile.template}# again\n")
    began = time.monotonic()
    (live, seconds), *_ = await asyncio.gather(
        edit_and_wait(platform, unique, again, api_of(unique), "orders", namespace),
        *(platform.ask(others, f"r{number}", namespace, size="small") for number in range(OTHERS)),
    )
    await all_ready(platform, others, namespace, within=60)
    together = time.monotonic() - began
    assert_says(failure(live), hostile)
    assert seconds < stretched(hostile.within)
    assert together < stretched(OTHERS_TOGETHER)
    files = await all_files(repository, f"{unique}/resources")
    assert {path: files.get(path) for path in kept} == kept


@pytest.mark.parametrize("case", IN_A_PROMISE)
async def test_the_promise_says_at_once_which_template_cannot_be_used(
    platform: Platform, repository: Repository, unique: str, namespace: str, case: str
) -> None:
    hostile = IN_A_PROMISE[case]
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace, size="small")
    await platform.ready(unique, "orders", namespace)
    head = repository.head()
    live, seconds = await edit_and_wait(platform, unique, hostile, PROMISE, unique)
    assert_says(failure(live), hostile)
    assert condition(live, "Ready")["reason"] == "InvalidPromise"
    assert hostile.message in condition(live, "Ready")["message"]
    assert seconds < stretched(hostile.within)
    assert is_ready(await platform.client.get(api_of(unique), "orders", namespace))
    assert repository.head() == head
    await platform.make(PROMISE, promise(unique))
    live = await platform.wait(PROMISE, unique, available)
    assert failure(live) == {}


async def test_an_edit_of_the_request_is_told_as_soon_as_one_of_the_promise(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    template = "kind: A\nname: {{ name }}\nsize: {{ {'small': 1, 'large': 2}[spec.size] }}\n"
    await platform.publish(promise(unique, template=template))
    await platform.ask(unique, "orders", namespace, size="small")
    await platform.ready(unique, "orders", namespace)
    await platform.ask(unique, "orders", namespace, size="huge")
    began = time.monotonic()
    live = await platform.wait(api_of(unique), "orders", failure, namespace=namespace)
    seconds = time.monotonic() - began
    assert failure(live)["line"] == 3
    assert failure(live)["input"] == "spec.size"
    assert failure(live)["value"] == "huge"
    assert live["status"]["observedGeneration"] == live["metadata"]["generation"]
    assert seconds < stretched(SOON)
    await platform.ask(unique, "orders", namespace, size="large")
    assert failure(await platform.ready(unique, "orders", namespace)) == {}


async def test_fifty_requests_of_an_endless_template_do_not_hold_up_another_promise(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    others = f"{unique}others"
    await platform.publish(promise(unique, template=f"kind: A\nvalue: b{LOOP}\n"))
    await platform.publish(promise(others, selectors={"for": unique}))
    began = time.monotonic()
    await asyncio.gather(
        *(platform.ask(unique, f"bad{number}", namespace) for number in range(OTHERS)),
        *(platform.ask(others, f"r{number}", namespace, size="small") for number in range(OTHERS)),
    )
    await all_ready(platform, others, namespace, within=60)
    assert time.monotonic() - began < stretched(2 * OTHERS_TOGETHER)

    async def all_told() -> bool:
        listing = await platform.client.list(api_of(unique), namespace)
        return all(failure(item).get("reason") == "TemplateTimeout" for item in listing.items)

    await eventually(all_told, "every request of the endless template says so", within=60, every=0.2)


async def edit_and_wait(
    platform: Platform, name: str, hostile: Hostile, resource: Resource, of: str, namespace: str = ""
) -> tuple[Mapping[str, Any], float]:
    """Puts the hostile file into a Promise; answers the object that says so, and how many seconds that took."""
    files = [{"path": hostile.path, "template": hostile.template}]
    await platform.make(PROMISE, promise(name, files=files))
    began = time.monotonic()
    live = await platform.wait(resource, of, failure, namespace=namespace, within=30)
    return live, time.monotonic() - began


async def all_ready(platform: Platform, promise_name: str, namespace: str, *, within: float) -> None:
    """Waits until all requests of a Promise are Ready."""

    async def look() -> bool:
        listing = await platform.client.list(api_of(promise_name), namespace)
        assert len(listing.items) == OTHERS
        waiting = [item["metadata"]["name"] for item in listing.items if not is_ready(item)]
        assert not waiting, f"{len(waiting)} are not Ready"
        return True

    await eventually(look, "the others are Ready", within=within, every=0.05)


def assert_says(told: Mapping[str, Any], hostile: Hostile) -> None:
    """The failure has everything that somebody needs to mend it."""
    assert told["reason"] == hostile.reason
    assert told["pipeline"] == "instance"
    assert told["file"] == hostile.file
    assert told.get("line") == hostile.line
    assert hostile.expression in told.get("expression", "")
    assert hostile.message in told["message"]
    if hostile.reason != "Refused":  # whose message is the author's own words, hint included
        assert hostile.hint in told["hint"]
