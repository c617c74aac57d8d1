"""What one tenant asks for never comes out of another's request, whatever hangs, crashes or is killed in between."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.unit.engine.pipelines import context, pipeline
from tests.unit.engine.workers.test_pool import kill_workers
from troth.engine.failure import Failure
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Outcome, Rendered
from troth.engine.workers.pool import RenderPool

pytestmark = pytest.mark.slow

TEMPLATE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ name }}}\ndata: {password: {{ spec.password }}}\n"
MATCHES = "a: {{ spec.note | regex_search('^(a+)+$') }}\n"
HANGS = "a" * 60 + "!"
CALM = "a"
TENANTS = 6
ROUNDS = 60


def marker(tenant: int, number: int) -> str:
    return f"<{tenant}-{number}-secret>"


async def test_no_byte_of_one_request_is_ever_in_the_outcome_of_another() -> None:
    chance = random.Random(20261129)
    pipelines = [
        pipeline(TEMPLATE, name="config"),
        pipeline(MATCHES, name="match"),
        pipeline(TEMPLATE, name="last"),
    ]
    pool = RenderPool(size=2, limits=Limits(seconds=0.3), quarantine_seconds=1.0)
    await pool.start()
    answers: list[tuple[int, int, str, tuple[Outcome, ...]]] = []

    async def ask(number: int) -> None:
        tenant = chance.randrange(TENANTS)
        note = HANGS if tenant in (0, 1, 2) and chance.random() < 0.6 else CALM
        spec = {"password": marker(tenant, number), "note": note}
        given = context(spec, name=f"request-{number}", namespace=f"tenant-{tenant}")
        outcomes = await pool.render(pipelines, given)
        answers.append((tenant, number, note, outcomes))

    try:
        for _ in range(ROUNDS // 10):
            tasks = [asyncio.create_task(ask(len(answers) + number)) for number in range(20)]
            await asyncio.sleep(0)
            if chance.random() < 0.3:
                kill_workers()
            await asyncio.gather(*tasks)
    finally:
        await pool.close()

    markers = {marker(tenant, number) for tenant, number, _, _ in answers}
    assert len(markers) == len(answers)
    rendered = 0
    for tenant, number, _, outcomes in answers:
        text = repr(outcomes)
        assert {found for found in markers if found in text} <= {marker(tenant, number)}
        rendered += all(isinstance(outcome, Rendered) for outcome in outcomes)
    assert rendered > len(answers) / 4, "some requests were rendered"
    assert any(isinstance(outcomes[-1], Failure) for *_, outcomes in answers), "some hung"


async def test_a_harmless_request_beside_hanging_ones_is_rendered_from_its_own_inputs() -> None:
    pipelines = [pipeline(TEMPLATE, name="config"), pipeline(MATCHES, name="match")]
    pool = RenderPool(size=2, limits=Limits(seconds=0.3))
    await pool.start()
    try:
        for number in range(3):
            spec = {"password": "of-tenant-a", "note": HANGS + str(number)}
            hung = await pool.render(pipelines, context(spec, namespace="tenant-a"))
            assert isinstance(hung[-1], Failure)
        spec = {"password": "of-tenant-a-too", "note": CALM}
        first, second = await pool.render(pipelines, context(spec, name="harmless", namespace="tenant-a"))
        assert isinstance(first, Rendered)
        assert b"of-tenant-a-too" in first.files[0].content
        assert isinstance(second, Failure)
        assert "in this namespace" in second.message

        spec = {"password": "of-tenant-b", "note": CALM}
        own = await pool.render(pipelines, context(spec, namespace="tenant-b"))
        assert all(isinstance(outcome, Rendered) for outcome in own)
        assert b"of-tenant-b" in own[0].files[0].content  # type: ignore[union-attr]
    finally:
        await pool.close()
