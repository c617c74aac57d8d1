"""Broken Secrets of stores, in a running operator: neither its log nor a condition nor an Event quotes them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.broken_secrets import broken, marker, shapes
from tests.operators import OperatorProcess
from tests.platforms import Platform, events_of
from tests.waiting import eventually
from troth.api.resources import SECRET
from troth.kube import Client


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    platform = Platform(client)
    yield platform
    await platform.clean()


async def test_no_broken_secret_of_a_store_is_quoted_in_the_log_a_condition_or_an_event(
    operator: Callable[..., OperatorProcess], platform: Platform, client: Client, namespace: str, tmp_path: Path
) -> None:
    stores = []
    for number, (resource, spec, secret) in enumerate(broken()):
        name = f"{namespace}-{number}"
        data = {key: base64.b64encode(value.encode()).decode() for key, value in secret.items()}
        metadata = {"name": name, "namespace": namespace}
        await client.apply(SECRET, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
        reference = {"secretRef": {"name": name, "namespace": namespace}}
        store = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name},
            "spec": {**spec, **reference},
        }
        stores.append((resource, await platform.make(resource, store)))
    running = await asyncio.to_thread(operator, "--local-stores", tmp_path, TMPDIR=str(tmp_path))
    said: list[str] = []

    async def told() -> bool:
        said.clear()
        for resource, store in stores:
            live = await client.get(resource, store["metadata"]["name"])
            events = await events_of(client, live)
            if (live.get("status") or {}).get("status") != "NotReady" or not events:
                return False
            said.extend([str(live["status"]), *(str(event) for event in events)])
        return True

    await eventually(told, "every store says what is wrong with it", within=60, every=0.5)
    text = "\n".join([*said, running.text()])
    assert not [shape for number in range(20) for shape in shapes(marker(number)) if shape in text]
