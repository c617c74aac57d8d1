"""Whoever asks for much memory gets a message, and the operator stays within the limit that the chart gives its pod.

The operator runs in a control group with that limit, its workers and its git programs with it. Whatever is tried, the
kernel kills nothing in it, the probe answers within a second, and somebody else's request becomes Ready.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.attackers.editors import BOMB, MIB
from tests.hostile.attackers.requesters import FILLS_MEMORY, pipeline, seven_megabytes
from tests.hostile.limited import Limited, running_limited
from tests.platforms import Platform, Repository, api_of, destination, failure, promise
from tests.waiting import SAFE
from troth.api.resources import DESTINATION, WORK
from troth.dev import ControlPlane

Object = dict[str, Any]
SLOWEST_PROBE = 2.0  # a second is promised on a machine of its own; others are at work here
REQUESTS = 60
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body")


@pytest.fixture(scope="module")
def limited(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
    """One operator under the chart's limit, for all tests of this file."""
    with running_limited(control_plane, tmp_path_factory.mktemp("stores")) as limited:
        yield limited


@pytest.fixture(scope="module")
def stores(limited: Limited) -> Path:
    """The folder of the local stores."""
    return limited.folder


@pytest.fixture
def watched(limited: Limited) -> Iterator[Limited]:
    """The operator, whose probe and memory are looked at throughout the test, by a thread: the loop is the test's."""
    slowest = 0.0
    ended = threading.Event()

    def look() -> None:
        nonlocal slowest
        while not ended.wait(0.02):
            began = time.monotonic()
            status, _ = limited.process.get("/healthz")
            slowest = max(slowest, time.monotonic() - began if status == 200 else 99.0)
            limited.limit.look()

    limited.limit.peak = 0
    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield limited
    finally:
        ended.set()
        looking.join()
    peak = f"(peak {limited.limit.peak >> 20} MiB, slowest probe {slowest:.2f} s)"
    print(peak)
    assert limited.limit.kills() == 0, f"the kernel has killed something {peak}"
    assert slowest < SLOWEST_PROBE, f"a probe took too long {peak}"


def with_pipelines(name: str, pipelines: list[Object]) -> Object:
    """A Promise with pipelines of its own."""
    return promise(name, workflows={"resource": {"configure": pipelines}})


async def require_honest(platform: Platform, repository: Repository, unique: str, within: float = SAFE) -> None:
    """Somebody else's request becomes Ready."""
    name = f"h{unique}"
    await platform.publish(promise(name, selectors={"for": unique}), within=within)
    await platform.ask(name, "honest", unique, size="small")
    await platform.ready(name, "honest", unique, within=within)


async def test_a_work_of_gzip_bombs(
    limited: Limited, platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    work = {
        "apiVersion": WORK.api_version,
        "kind": WORK.kind,
        "metadata": {"name": unique, "namespace": unique},
        "spec": {
            "promiseName": unique,
            "resourceName": unique,
            "workloadGroups": [
                {
                    "id": "5058f1af8388633f609cadb75a75dc9d",
                    "directory": ".",
                    "destinationSelectors": [{"matchLabels": {"for": unique}, "source": "promise"}],
                    "workloads": [{"filepath": f"bomb-{index}.yaml", "content": BOMB} for index in range(29)],
                }
            ],
        },
    }
    await platform.make(WORK, work)
    await require_honest(platform, repository, unique)
    await asyncio.to_thread(limited.restart)  # it is there before the operator is
    await platform.ask(f"h{unique}", "another", unique, size="small")
    await platform.ready(f"h{unique}", "another", unique, within=20)
    limited.limit.look()
    assert limited.limit.kills() == 0


async def test_many_requests_of_seven_megabytes(
    watched: Limited, platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    await platform.publish(promise(unique, selectors={"for": unique}, files=[seven_megabytes()]))
    await asyncio.gather(*(platform.ask(unique, f"r{index}", unique) for index in range(REQUESTS)))
    await require_honest(platform, repository, unique, within=60)
    for index in range(REQUESTS):
        await platform.ready(unique, f"r{index}", unique, within=90)


async def test_all_at_once(
    watched: Limited, platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    many, greedy, texts = (f"{unique}{letter}" for letter in "mgt")
    pipelines = [pipeline(f"p{index}", [seven_megabytes()]) for index in range(100)]
    await platform.publish(with_pipelines(many, pipelines))
    await platform.publish(promise(greedy, selectors={"for": unique}, template="a: " + FILLS_MEMORY))
    await platform.publish(promise(texts, selectors={"for": unique}, files=[seven_megabytes()]))
    asked = [(many, 5), (greedy, 20), (texts, 15)]
    await asyncio.gather(
        *(platform.ask(name, f"r{n}", unique, n=n) for name, count in asked for n in range(count))
    )
    await require_honest(platform, repository, unique)

    for name in (many, greedy):
        live = await platform.wait(api_of(name), "r0", failure, namespace=unique, within=60)
        assert failure(live)["reason"] in ("TemplateTooLarge", "TemplateTimeout"), failure(live)
    for index in range(15):
        await platform.ready(texts, f"r{index}", unique, within=60)


async def test_a_record_of_three_hundred_megabytes(
    watched: Limited, platform: Platform, repository: Repository, namespace: str, unique: str, tmp_path: Path
) -> None:
    await platform.make(
        DESTINATION,
        destination(
            f"{unique}-none", store=unique, labels={"none": unique}, filepath={"mode": "none"}, path="none"
        ),
    )
    files = [{"path": "{{ name }}.yaml", "template": "a: {{ spec.size }}\n"}]
    await platform.publish(promise(unique, selectors={"none": unique}, files=files))
    await platform.ask(unique, "first", unique, size="small")
    await platform.ready(unique, "first", unique)
    record = next(path for path in await asyncio.to_thread(repository.files) if ".kratix/" in path)
    zeros = tmp_path / "zeros"
    with zeros.open("wb") as file:
        file.truncate(300 * MIB)
    await asyncio.to_thread(_push, repository, record, zeros)
    await platform.ask(unique, "first", unique, size="large")
    await platform.ask(unique, "second", unique, size="large")
    await platform.ready(unique, "second", unique, within=60)
    await platform.ready(unique, "first", unique, within=60)
    await require_honest(platform, repository, unique)


def _push(repository: Repository, path: str, content: Path) -> None:
    blob = repository.git("hash-object", "-w", str(content)).strip()
    repository.git("read-tree", "main")
    repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    tree = repository.git("write-tree").strip()
    commit = repository.git(
        "-c", "user.name=stranger", "-c", "user.email=s@example.com",
        "commit-tree", tree, "-p", "main", "-m", "zeros",
    ).strip()  # fmt: skip
    repository.git("update-ref", "refs/heads/main", commit)
