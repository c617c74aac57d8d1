"""How a workflow of containers goes on after others have meddled with its Jobs."""

from __future__ import annotations

import pytest

from tests.container_site import Site, containers, phases
from tests.waiting import eventually
from troth.api.resources import JOB

pytestmark = pytest.mark.integration


async def test_a_running_pipeline_whose_job_has_vanished_begins_again_and_the_earlier_ones_do_not(
    site: Site,
) -> None:
    site.start()
    await site.ask(containers("first"), containers("second", "true"))
    await site.player.finished(1)
    site.player.hold()
    await site.request(lambda live: phases(live) == {"first": "Succeeded", "second": "Running"}, within=60)
    vanished = await site.player.waiting()
    await site.platform.client.delete(JOB, vanished["metadata"]["name"], site.namespace)

    async def made_again() -> bool:
        names = {job["metadata"]["name"]: job["metadata"]["uid"] for job in await site.player.jobs()}
        return vanished["metadata"]["name"] in names and vanished["metadata"]["uid"] not in names.values()

    await eventually(made_again, "the Job of the same run is there again", within=20)
    site.player.release()
    await site.ready(within=60)
    assert len(site.player.ran) == 2
