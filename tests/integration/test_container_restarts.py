"""Finished requests with containers cost nothing: an operator that restarts neither writes nor runs anything."""

from __future__ import annotations

import asyncio

import pytest

from tests.container_site import Site, containers
from tests.idleness import idle
from tests.waiting import eventually
from troth.api.resources import JOB
from troth.dev import AuditLog

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

_FINISHED = 20  # each is played by three processes of Python, so this many take half a minute


async def test_a_restart_beside_finished_container_requests_writes_nothing_and_runs_no_job(
    site: Site, audit: AuditLog
) -> None:
    process = site.start()
    await site.platform.publish(site.promise(containers("instance")))
    names = [f"r{number}" for number in range(_FINISHED)]
    for name in names:
        await site.platform.ask(site.name, name, site.namespace, size="small")
    for name in names:
        await site.platform.ready(site.name, name, site.namespace, within=300)
    assert len(site.player.ran) == _FINISHED
    for job in (await site.player.jobs())[::2]:  # whether a Job is still there makes no difference
        await site.platform.client.delete(JOB, job["metadata"]["name"], site.namespace)

    async def deleted() -> bool:
        return len(await site.player.jobs()) == _FINISHED // 2

    await eventually(deleted, "half of the Jobs are gone", within=60)
    await idle(process, within=120)
    await asyncio.to_thread(process.terminate)
    head = site.repository.head()
    before = audit.writes(lambda entry: entry.user_agent == "troth")
    assert len(before) > _FINISHED, "this is how its writes are known"
    process = site.start()
    await idle(process, within=120)
    writes = audit.writes(lambda entry: entry.user_agent == "troth" and "dryRun=All" not in entry.uri)
    assert writes == []
    assert site.repository.head() == head
    assert len(site.player.ran) == _FINISHED
