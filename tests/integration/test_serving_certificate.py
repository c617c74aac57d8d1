"""The certificate of the conversion webhook in its Secret: replicas agree on it, and a new authority is noticed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.idle_platform import idle_platform
from troth.app.conversion import ConversionServer
from troth.app.serving_certificate import NoCertificate, load_certificate
from troth.controllers.conversion import ConversionEndpoint
from troth.kube import Client

pytestmark = pytest.mark.integration

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("127.0.0.1",)
REPLICAS = 4


async def test_replicas_that_make_or_renew_it_at_the_same_time_hold_the_same_certificate(
    client: Client, namespace: str
) -> None:
    async def load(now: datetime) -> list[object]:
        return await asyncio.gather(*(load_certificate(client, namespace, NAMES, now) for _ in range(REPLICAS)))

    first = await load(NOW)
    assert first == [first[0]] * REPLICAS
    assert await load(NOW + timedelta(days=100)) == first
    later = NOW + timedelta(days=300)
    second = await load(later)
    assert second == [second[0]] * REPLICAS
    assert second[0] != first[0]
    assert await load(later) == second


async def test_a_new_authority_is_noticed_and_a_new_certificate_of_the_same_one_is_not(
    client: Client, namespace: str
) -> None:
    times = [NOW]
    endpoint = ConversionEndpoint(address=NAMES[0])
    definitions = idle_platform(client).caches.definitions
    server = ConversionServer(endpoint, definitions, client, namespace, lambda: times[-1])
    assert not await server.renew()
    first = endpoint.authority
    times.append(NOW + timedelta(days=300))
    assert not await server.renew()
    assert endpoint.authority == first
    times.append(NOW + timedelta(days=3650 - 700))
    assert await server.renew()
    assert endpoint.authority != first
    assert not await server.renew()
    await server.close()


async def test_a_namespace_that_does_not_exist_is_named(client: Client, unique: str) -> None:
    with pytest.raises(NoCertificate, match=f"namespace {unique} cannot be made: the namespace does not exist"):
        await load_certificate(client, unique, NAMES, NOW)
