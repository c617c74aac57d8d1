"""Pipelines that ask to be run again: how often they are, and when."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.container_site import MANUAL, SUSPENDED, WRITE, Object, Site, containers, jinja, phases
from tests.platforms import says

pytestmark = pytest.mark.integration
_LONG = 60.0  # several Jobs, one after the other


def asks(mended: Path, after: str, more: str = "") -> str:
    """A script that asks to be run again until the file is there."""
    control = f"retryAfter: {after}\\nmessage: there is no volume yet\\n{more}"
    return f"""if test ! -e {mended}; then
printf '{control}' > /kratix/metadata/workflow-control.yaml; else
{WRITE}
fi"""


def entry(live: Object, number: int = 0) -> dict[str, Any]:
    """What is recorded of a pipeline."""
    workflows = live.get("status", {}).get("kratix", {}).get("workflows", {})
    entries = workflows.get("configure", {}).get("pipelines") or [{}]
    assert entries == (workflows.get("pipelines") or [{}])
    found: dict[str, Any] = entries[number]
    return found


async def test_the_attempts_of_a_container_are_counted_until_it_succeeds(site: Site, tmp_path: Path) -> None:
    site.start()
    mended = tmp_path / "mended"
    await site.ask(containers("wait", asks(mended, "1s")), jinja("templates"))
    live = await site.request(lambda live: entry(live).get("attempts") == 2, within=_LONG)
    assert phases(live)["templates"] == "Pending"
    await site.request(
        lambda live: entry(live).get("attempts") == 2 and entry(live)["phase"] == "Running", within=_LONG
    )
    mended.touch()
    live = await site.ready(within=_LONG)
    assert not {"attempts", "nextRetryAt", "message"} & set(entry(live))
    assert SUSPENDED not in live["metadata"]["labels"]


async def test_a_retry_that_is_due_in_the_future_is_not_put_off_by_a_restart_of_the_operator(
    site: Site, tmp_path: Path
) -> None:
    process = site.start()
    mended = tmp_path / "mended"
    await site.ask(containers("wait", asks(mended, "15s")))
    live = await site.request(lambda live: entry(live).get("phase") == "Suspended", within=_LONG)
    due = datetime.fromisoformat(entry(live)["nextRetryAt"])
    process.kill()
    mended.touch()
    site.start()
    await site.ready(within=_LONG)
    first, second = sorted(
        datetime.fromisoformat(job["metadata"]["creationTimestamp"]) for job in await site.player.jobs()
    )
    assert first < due <= second


@pytest.mark.parametrize("where", ["file", "annotation"])
async def test_a_container_that_still_asks_after_its_last_attempt_has_failed_and_says_so(
    site: Site, tmp_path: Path, where: str
) -> None:
    site.start()
    mended = tmp_path / "mended"
    pipeline = containers("wait", asks(mended, "1s", "maxAttempts: 2\\n" if where == "file" else ""))
    if where == "annotation":
        pipeline["metadata"]["annotations"] = {"troth.dev/max-attempts": "2"}
    await site.ask(pipeline)
    words = ("2 attempts", "maxAttempts", "there is no volume yet")
    await site.request(says("Ready", "False", *words, reason="ConfigureWorkflowFailed"), within=_LONG)
    live = await site.request(lambda live: SUSPENDED not in live["metadata"].get("labels", {}), within=_LONG)
    assert (entry(live)["phase"], entry(live)["attempts"]) == ("Failed", 2)
    assert live["status"]["troth"]["failure"]["reason"] == "AttemptsExhausted"
    assert len(site.player.ran) == 2
    await site.label(MANUAL, "true")
    await site.request(lambda live: entry(live).get("attempts") == 1, within=_LONG)
    mended.touch()
    await site.ready(within=_LONG)


async def test_an_edit_begins_the_count_anew(site: Site, tmp_path: Path) -> None:
    site.start()
    mended = tmp_path / "mended"
    await site.ask(containers("wait", asks(mended, "1s")))
    await site.request(lambda live: entry(live).get("attempts") == 2, within=_LONG)
    await site.change({"spec": {"size": "large"}})
    await site.request(lambda live: entry(live).get("attempts") == 1, within=_LONG)
    mended.touch()
    await site.ready(within=_LONG)


async def test_templates_that_still_ask_after_their_last_attempt_have_failed_and_an_annotation_lets_them_go_on(
    site: Site,
) -> None:
    site.start()
    pipeline = jinja("wait")
    asked = "{{ '' if 'example.com/approved' in annotations else '1s' }}"
    pipeline["spec"]["control"] = {"retryAfter": asked, "maxAttempts": 2, "message": "waits for an approval"}
    await site.ask(pipeline)
    await site.request(says("Ready", "False", "2 attempts", "waits for an approval"), within=_LONG)
    live = await site.request(lambda live: entry(live).get("phase") == "Failed", within=_LONG)
    assert entry(live)["attempts"] == 2
    await site.change({"metadata": {"annotations": {"example.com/approved": "yes"}}})
    await site.ready(within=_LONG)
