"""The platform that reconcilers share, with nothing in it that runs: for tests of single steps on a real API server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from random import Random
from typing import Any

from troth.controllers.contents import Contents
from troth.controllers.informers import Informers
from troth.controllers.platform import ControllerSettings, Platform
from troth.controllers.settling import Settling
from troth.controllers.slots import Slots
from troth.controllers.stores import OpenStores
from troth.controllers.writes import Writes
from troth.engine.placement.seals import Seals
from troth.engine.rendering.limits import Limits
from troth.engine.workers.inspection import PromiseInspector
from troth.engine.workers.pool import RenderPool
from troth.kube import Client, EventRecorder, WorkQueue
from troth.stores import Reason, StateStoreWriter, StoreError


def idle_platform(client: Client, *, runs_containers: bool = False) -> Platform:
    """What the operator starts with: no informer follows anything, so the caches know only what they are told."""

    async def open_writer(
        kind: str, name: str, spec: Mapping[str, Any], secret: Mapping[str, bytes] | None
    ) -> StateStoreWriter:
        del kind, name, spec, secret
        raise StoreError(Reason.CLOSED, "there is no store here")

    queue, limits = WorkQueue(), Limits()
    settings = ControllerSettings()
    informers = Informers(
        client=client,
        queue=queue,
        random=Random(0),
        relist_interval=3600,
        seals=Seals(),
        system_namespace=settings.system_namespace,
        runs_containers=runs_containers,
    )
    return Platform(
        client=client,
        caches=informers.caches,
        queue=queue,
        events=EventRecorder(client, instance="tests"),
        renderer=RenderPool(size=1, limits=limits),
        inspector=PromiseInspector(limits),
        open_writer=open_writer,
        open_stores=OpenStores(),
        writes=Writes(queue, stores={}, longest_wait=settings.write_retry_seconds),
        settling=Settling(queue),
        contents=Contents(),
        slots=Slots(size=1, bound=1),
        settings=settings,
        clock=time.time,
    )
