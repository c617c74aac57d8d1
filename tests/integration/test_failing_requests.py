"""How many requests fail stands on the Promise, and a burst of them costs it no burst of writes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.platforms import Platform, Repository, condition, promise
from troth.api.resources import PROMISE
from troth.dev import AuditLog, CommandResult

TEMPLATE = """\
{% if spec.size == "huge" %}{{ fail("There is no size huge") }}{% endif %}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ name }}, namespace: {{ namespace }}}
"""
FAILING = 30


async def test_a_promise_says_how_many_requests_fail_in_a_few_writes(
    platform: Platform,
    repository: Repository,
    audit: AuditLog,
    kubectl: Callable[..., Awaitable[CommandResult]],
    namespace: str,
    unique: str,
) -> None:
    await platform.publish(promise(unique, template=TEMPLATE))

    def says(message: str) -> Callable[[Mapping[str, Any]], bool]:
        return lambda live: condition(live, "RequestsReady").get("message", "").startswith(message)

    await platform.ask(unique, "well", namespace, size="small")
    await platform.ready(unique, "well", namespace)
    await platform.wait(PROMISE, unique, lambda live: condition(live, "Linted"))
    audit.read()
    await asyncio.gather(
        *(platform.ask(unique, f"bad-{number:02}", namespace, size="huge") for number in range(FAILING))
    )
    await platform.wait(
        PROMISE, unique, says(f"{FAILING} of {FAILING + 1} requests failing: {namespace}/bad-00"), within=40
    )
    wide = (await kubectl("get", "promise", unique, "-o", "wide")).stdout
    assert f"{FAILING} of {FAILING + 1} requests failing" in wide
    written = audit.writes(lambda entry: entry.resource == "promises" and entry.name == unique)
    assert 1 <= len(written) <= 4, written
    await asyncio.gather(
        *(platform.ask(unique, f"bad-{number:02}", namespace, size="small") for number in range(FAILING))
    )
    await platform.wait(PROMISE, unique, lambda live: not condition(live, "RequestsReady"), within=40)
