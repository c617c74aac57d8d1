"""What goes wrong in containers on a real node is said in words, soon, and nobody else notices."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.node.sites import Site, read_promise
from tests.platforms import failure, says
from tests.waiting import eventually, stretched
from troth.api.resources import POD

pytestmark = pytest.mark.timeout(900)

_UNWELCOME = {
    "name": (r"stolen.yaml", "the path"),
    "climb": ("/kratix/metadata/destination-selectors.yaml", "../../x"),
    "link": ("/kratix/output/link.yaml", "is a symbolic link"),
    "device": ("/kratix/output/device.yaml", "is a device"),
    "pipe": ("/kratix/output/pipe.yaml", "is a named pipe"),
    "private": ("/kratix/output/private.yaml", "cannot be read", "let every user read it"),
    "big": ("/kratix/output/big.yaml", "has 209715200 bytes"),
    "many": ("/kratix/output", "holds more than", "files and directories"),
    "owned": ("/kratix/metadata/status.yaml", "kratix"),
    "long": ("/kratix/metadata/status.yaml", "bytes, and"),
}


async def test_an_image_that_does_not_exist_is_named_and_a_corrected_one_runs_at_once(site: Site) -> None:
    await site.add_destination("dev", promise="absent")
    promise = read_promise("three-files", named="absent")
    container = promise["spec"]["workflows"]["resource"]["configure"][0]["spec"]["containers"][0]
    image, container["image"] = container["image"], "localhost/absent:1"
    bundles = await site.publish_object(promise)
    await site.ask(bundles, "cache", {"size": "small"})
    began = time.monotonic()
    await site.wait(bundles, "cache", says("Ready", "False", "localhost/absent:1", "'write'", "cannot be pulled"))
    assert time.monotonic() - began < stretched(10)
    (stuck,) = await site.jobs()
    container["image"] = image
    began = time.monotonic()
    await site.publish_object(promise)

    async def replaced() -> bool:
        names = [job["metadata"]["name"] for job in await site.jobs()]
        return bool(names) and stuck["metadata"]["name"] not in names

    await eventually(replaced, "the Job of the corrected image is there, and the one before is gone", within=60)
    assert time.monotonic() - began < stretched(10)
    await site.ready(bundles, "cache")
    assert len(await site.files("dev/resources")) == 3


async def test_a_container_that_fails_is_named_with_its_exit_code_and_its_log_within_seconds(site: Site) -> None:
    unwelcomes = await site.publish_object(read_promise("unwelcome", named="failing"))
    await site.ask(unwelcomes, "exits")
    live = await site.wait(
        unwelcomes, "exits", says("Ready", "False", "'write'", "exit code 3", reason="ConfigureWorkflowFailed")
    )
    seen = datetime.now(UTC)
    said = failure(live)
    assert (said["pipeline"], said["container"], said["exitCode"]) == ("instance", "write", 3)
    assert "no such zone: eu-9" in said["log"]
    (pod,) = (await site.client.list(POD, site.namespace)).items
    ended = datetime.fromisoformat(_end_of(pod, "write"))
    assert (seen - ended).total_seconds() < stretched(6)  # the kubelet rounds down to a second


async def test_twenty_outputs_that_are_not_allowed_are_refused_with_file_and_reason_and_nobody_else_notices(
    site: Site,
) -> None:
    await site.add_destination("dev", promise="unwelcome")
    unwelcomes = await site.publish("unwelcome")
    await site.ask(unwelcomes, "fine-before")
    before = await site.ready(unwelcomes, "fine-before")
    await asyncio.gather(
        *(site.ask(unwelcomes, f"{name}-{number}") for name in _UNWELCOME for number in ("one", "two")),
        site.ask(unwelcomes, "fine-beside"),
    )
    await site.ready(unwelcomes, "fine-beside")
    for name, words in _UNWELCOME.items():
        for number in ("one", "two"):
            live = await site.wait(
                unwelcomes, f"{name}-{number}", says("Ready", "False", reason="ConfigureWorkflowFailed")
            )
            log = failure(live)["log"]
            assert all(word in log for word in words), f"{name}-{number}: {log}"
            assert live["status"].get("message") != "ok"
    await site.ask(unwelcomes, "fine-after")
    await site.ready(unwelcomes, "fine-after")
    requests = [path.split("/unwelcome/")[1].split("/")[0] for path in await site.files()]
    assert sorted(requests) == ["fine-after", "fine-before", "fine-beside"], (
        "each has one file, and nobody else has"
    )
    after = await site.client.get(unwelcomes, "fine-before", site.namespace)
    assert after["status"]["conditions"] == before["status"]["conditions"]


def _end_of(pod: dict[str, Any], container: str) -> str:
    """When a container of a Pod ended, RFC 3339."""
    statuses = (*pod["status"]["initContainerStatuses"], *pod["status"]["containerStatuses"])
    (state,) = [status["state"] for status in statuses if status["name"] == container]
    ended: str = state["terminated"]["finishedAt"]
    return ended
