"""Attackers who may edit one namespace: forged Works, placements and statuses, bombs in them, and broken Secrets."""

from __future__ import annotations

import base64
import gzip
from collections.abc import AsyncGenerator
from itertools import count

from tests.broken_secrets import broken
from tests.forging import EVIL, MARK, Corner
from tests.hostile.attackers import SETTING_UP, Attack, Ground, flood, tried
from tests.platforms import Object, Repository, api_of
from troth.api.naming import group_id
from troth.api.resources import SECRET, WORK, WORK_PLACEMENT
from troth.engine.placement.work import encode_content

MIB = 1 << 20
BOMB = base64.b64encode(gzip.compress(bytes(32 * MIB))).decode()
FORGED_STATUS: Object = {
    "conditions": [{"type": "Ready", "status": "True", "reason": MARK, "message": MARK}],
    "troth": {
        "alsoIn": [{"destination": "worker", "files": ["README.md", "clusters/flux-system/gotk-sync.yaml"]}]
    },
}


async def works_and_placements_made_by_hand(ground: Ground) -> AsyncGenerator[None, None]:
    """Forges Works and placements, and edits genuine ones, their statuses, and the status of the request."""
    corner = await ground.corner("forged")
    await flood(ground.client, corner.name, corner.name, [{"size": "small"}] * 3)
    for number in range(3):
        await ground.platform.ready(corner.name, f"r{number}", corner.name, within=SETTING_UP)
    genuine = [await corner.of(f"r{number}", WORK) for number in range(3)]
    placed = (await ground.client.list(WORK_PLACEMENT, corner.name)).items
    yield
    for number in count():
        with tried():
            if number < 30:
                await corner.forge(WORK, corner.work(f"by-hand-{number}"))
                await corner.forge(WORK_PLACEMENT, corner.placement(f"by-hand-{number}", corner.name))
            content = [{"filepath": "object.yaml", "content": encode_content(f"{EVIL}# {number}\n".encode())}]
            target, place = genuine[number % 3]["metadata"]["name"], placed[number % len(placed)]
            groups = corner.work("x")["spec"]["workloadGroups"]
            await corner.edit(WORK, target, {"spec": {"workloadGroups": groups}})
            await corner.edit(WORK_PLACEMENT, place["metadata"]["name"], {"spec": {"workloads": content}})
            for resource, name in (
                (WORK, target),
                (WORK_PLACEMENT, place["metadata"]["name"]),
                (api_of(corner.name), f"r{number % 3}"),
            ):
                await corner.edit(resource, name, {"status": FORGED_STATUS}, subresource="status")
        yield


async def works_that_hold_bombs(ground: Ground) -> AsyncGenerator[None, None]:
    """Creates Works with twenty-nine times 32 MiB of zeros, and with thousands of groups."""
    name = await ground.namespace("bombs")
    corner = Corner(ground.platform, Repository(ground.folder / f"{name}.git"), name)
    bombs = corner.work("bombs")["spec"]["workloadGroups"]
    bombs[0]["workloads"] = [{"filepath": f"bomb-{index}.yaml", "content": BOMB} for index in range(29)]
    groups = [
        {
            "id": group_id(f"d{number}"),
            "directory": f"d{number}",
            "destinationSelectors": [{"matchLabels": {"for": corner.name}}],
            "workloads": [{"filepath": f"d{number}/a.yaml", "content": ""}],
        }
        for number in range(1500)
    ]
    yield
    for number in count():
        with tried():
            if number < 4:
                await corner.forge(WORK, corner.work(f"bombs-{number}", groups=groups if number % 2 else bombs))
            else:
                labels = {"metadata": {"labels": {"edited": str(number)}}}
                await corner.edit(WORK, f"bombs-{number % 4}", labels)
        yield


async def secrets_that_are_broken(ground: Ground) -> AsyncGenerator[None, None]:
    """Creates twenty stores, whose Secrets change from one kind of rubbish to the next."""
    namespace = await ground.namespace("secrets")
    kinds = broken()

    async def put(number: int, secret: int) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in kinds[secret][2].items()}
        metadata = {"name": f"s{number}", "namespace": namespace}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        with tried():
            await ground.client.apply(SECRET, body, field_manager="somebody")

    for number, (resource, spec, _) in enumerate(kinds):
        await put(number, number)
        store = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": f"{namespace}{number}"},
            "spec": {**spec, "secretRef": {"name": f"s{number}", "namespace": namespace}},
        }
        await ground.platform.make(resource, store)
    yield
    for number in count():
        await put(number % len(kinds), (number * 7 + 1) % len(kinds))
        yield


ATTACKS: tuple[Attack, ...] = (
    works_and_placements_made_by_hand,
    works_that_hold_bombs,
    secrets_that_are_broken,
)
