"""The two layouts in which the progress of workflows is written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.container_site import Object, Site, containers, jinja
from tests.waiting import eventually
from troth.api.resources import PROMISE

pytestmark = pytest.mark.integration
_LONG = 60.0
FLAT = {"pipelines", "suspendedGeneration", "lastSuccessfulConfigureWorkflowTime"}


def workflows(live: Object) -> dict[str, Any]:
    """The record of the workflows of an object."""
    found: dict[str, Any] = live.get("status", {}).get("kratix", {}).get("workflows", {})
    return found


async def test_the_flat_layout_goes_with_the_next_write_after_it_was_turned_off_and_nothing_is_written_for_it(
    site: Site,
) -> None:
    process = site.start()
    made = site.promise(jinja("templates"), containers("shell"))
    made["spec"]["workflows"]["promise"] = {"configure": [jinja("own")]}
    await site.platform.publish(made, within=_LONG)
    await site.platform.ask(site.name, "cache", site.namespace, size="small")
    before = await site.ready(within=_LONG)
    assert workflows(before)["pipelines"] == workflows(before)["configure"]["pipelines"]
    of_promise = await site.platform.client.get(PROMISE, site.name)
    assert workflows(of_promise)["pipelines"] == workflows(of_promise)["configure"]["pipelines"]
    process.kill()

    site.start("--flat-workflow-status", "false")
    await site.platform.ask(site.name, "other", site.namespace, size="large")
    other = await site.ready("other", within=_LONG)
    assert workflows(other).keys() == {"configure"}
    unchanged = await site.request(lambda live: True)
    assert unchanged["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    await site.change({"spec": {"size": "large"}})

    async def written_anew() -> bool:
        live = await site.ready(within=_LONG)
        return workflows(live).keys() == {"configure"}

    await eventually(written_anew, "the flat fields are gone", within=_LONG)
