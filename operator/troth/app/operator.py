"""Makes the parts of the operator, connects them, and starts and stops them. Nothing is decided here.

The order matters twice. Reconciling begins only when every kind has been listed, since a Work that is seen before the
Destinations would look unschedulable. And the parts are stopped in reverse order: first the reconciles, then the
writers, which finish what they are writing, then the rest.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from troth.api import InvalidObject, Key
from troth.api.container_pipelines import ContainerPipeline
from troth.api.objects import read_metadata
from troth.api.pipelines import JinjaPipeline
from troth.api.resources import DESTINATION, NAMESPACE, PROMISE, WORK, WORK_PLACEMENT
from troth.api.store_kinds import STORE_KINDS
from troth.app.configuration import Configuration, controller_settings
from troth.app.conversion import ConversionServer
from troth.app.heartbeat import Heartbeat
from troth.app.metering import MeteredRenderer, MeteredWriter
from troth.app.metrics import Metrics, Snapshot
from troth.app.seal_key import NoSealKey, load_seal_key
from troth.app.secret_kubeconfig import read_kubeconfig
from troth.app.serving_certificate import NoCertificate
from troth.app.settings import Settings
from troth.app.web import ProbeServer, listening_address
from troth.controllers.container_runner import ContainerRunner
from troth.controllers.contents import Contents
from troth.controllers.conversion import ConversionEndpoint
from troth.controllers.destination import DestinationReconciler
from troth.controllers.informers import Informers
from troth.controllers.placement import PlacementReconciler
from troth.controllers.platform import OpenWriter, Platform
from troth.controllers.pod_expiry import delete_expired_pods
from troth.controllers.promise import PromiseReconciler
from troth.controllers.request import RequestReconciler
from troth.controllers.runner import Runner
from troth.controllers.settling import Settling
from troth.controllers.slots import Slots
from troth.controllers.state_store import StateStoreReconciler
from troth.controllers.steps import JinjaRunner, Runners
from troth.controllers.stores import OpenStores
from troth.controllers.work import WorkReconciler
from troth.controllers.workflow import Workflows
from troth.controllers.workflow_works import Works
from troth.controllers.writes import Writes
from troth.engine.placement.seals import Seals
from troth.engine.rendering.limits import Limits
from troth.engine.workers.inspection import PromiseInspector
from troth.engine.workers.pool import RenderPool
from troth.engine.yaml.manifests import load_documents
from troth.kube import (
    PRIORITY_DEPENDENT,
    AlreadyExists,
    Client,
    Credentials,
    EventRecorder,
    Forbidden,
    KubeError,
    LastingRefusal,
    NotFound,
    ObjectReference,
    WorkQueue,
    from_kubeconfig_dict,
)
from troth.stores import StateStoreWriter, StoreEnvironment, open_writer, temporary_workspace

logger = logging.getLogger(__name__)

MIB = 1024 * 1024
_PREPARE_DELAY = 1.0
_PATIENCE = 3.0  # seconds in which a destination's cluster must answer; its store is checked again later


class Operator:
    """One operator, with `start` and `stop`. ``failed`` is called with a reason when a part of it ends by itself.

    ``reread`` reads the settings again, for those that may change while the operator runs.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        *,
        failed: Callable[[str], None],
        reread: Callable[[], Settings] | None = None,
    ) -> None:
        self._settings = settings
        self._reread = reread
        self._credentials = credentials
        self._failed = failed
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()
        self._reconciling = False
        self._stopping = False
        self._seals = Seals()
        self._lacking = ""
        self.metrics = Metrics()

    async def start(self) -> None:
        """Opens everything and begins to reconcile as soon as every kind has been listed."""
        settings = self._settings
        workspace = settings.workspace or self._stack.enter_context(
            temporary_workspace(Path(tempfile.gettempdir()))
        )
        self._client = Client(self._credentials, on_call=self.metrics.called)
        self._stack.push_async_callback(self._client.close)
        queue = WorkQueue(on_wait=self.metrics.waited)
        self._queue = queue
        events = EventRecorder(self._client, instance=socket.gethostname())
        informers = Informers(
            client=self._client,
            queue=queue,
            random=random.Random(),  # noqa: S311 - spreads delays, guards nothing
            relist_interval=settings.resync_interval,
            on_unreadable=partial(_tell_unreadable, events),
            refusal_limit=settings.refusal_limit,
            on_refusal=self._refused,
            seals=self._seals,
            system_namespace=settings.system_namespace,
            runs_containers=bool(settings.adapter_image),
        )
        self._informers = informers
        limits = Limits(seconds=settings.render_timeout, memory_bytes=settings.render_memory * MIB)
        pool = RenderPool(size=settings.render_workers, limits=limits)
        slots = Slots(size=settings.workers, bound=settings.waiting)
        controllers = controller_settings(settings)
        platform = Platform(
            client=self._client,
            caches=informers.caches,
            queue=queue,
            events=events,
            renderer=MeteredRenderer(pool, self.metrics, time.monotonic),
            inspector=PromiseInspector(limits),
            open_writer=self._writer_opener(Path(workspace)),
            open_stores=OpenStores(),
            writes=Writes(
                queue,
                stores={kind.kind: kind.resource.name for kind in STORE_KINDS.values()},
                longest_wait=controllers.write_retry_seconds,
            ),
            settling=Settling(queue),
            contents=Contents(limit=settings.contents_cache * MIB),
            slots=slots,
            settings=controllers,
            clock=time.time,
            conversion=ConversionEndpoint(
                service=settings.conversion_service,
                namespace=settings.system_namespace,
                address=settings.conversion_address,
            ),
        )
        self._heartbeat = Heartbeat(clock=time.monotonic, report=self.metrics.lagged)
        await self._open_ports()
        await pool.start()
        self._stack.push_async_callback(pool.close)
        self._own(events.run(), "events")
        self._own(self._heartbeat.run(), "heartbeat")
        self._configuration = Configuration(settings, self._reread, platform)
        self._conversion: ConversionServer | None = None
        if settings.conversion_service or settings.conversion_address:
            self._conversion = self._converting(platform)
        runner = self._runner(platform)
        self._stack.push_async_callback(self._stores.close)
        self._stack.push_async_callback(informers.stop)
        self._own(self._reconcile(runner), "reconciling")
        self._own(self._configuration.run(), "configuration")
        if self._conversion is not None:
            self._own(
                self._conversion.keep_certificate(partial(_queue_promises, platform)),
                "certificate of the conversion webhook",
            )
        self._own(delete_expired_pods(platform), "expiry of Pods")

    async def stop(self) -> None:
        """Ends everything within the grace period of the settings."""
        logger.info("shutting down: finishing what is being written")
        self._stopping = True
        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(self._settings.shutdown_grace):
                await self._stack.aclose()
        except TimeoutError:
            logger.warning("not everything was finished in time; the rest is done at the next start")

    # ---- parts

    def _runner(self, platform: Platform) -> Runner:
        settings, works = self._settings, Works(platform)
        runs_containers = bool(settings.adapter_image)
        runners: Runners = {
            JinjaPipeline: JinjaRunner(platform),
            ContainerPipeline: ContainerRunner(platform, works),
        }
        workflows = Workflows(platform, runners)
        requests = RequestReconciler(platform, workflows, works, runs_containers=runs_containers)
        promises = PromiseReconciler(platform, workflows, works, runs_containers=runs_containers)
        self._stack.push_async_callback(promises.close)
        self._stores = StateStoreReconciler(platform)
        reconcilers = {
            PROMISE.name: promises.reconcile,
            WORK.name: WorkReconciler(platform).reconcile,
            WORK_PLACEMENT.name: PlacementReconciler(platform).reconcile,
            DESTINATION.name: DestinationReconciler(platform).reconcile,
            **{kind.resource.name: self._stores.reconcile for kind in STORE_KINDS.values()},
        }
        return Runner(
            queue=platform.queue,
            slots=platform.slots,
            reconcilers=reconcilers,
            default=requests.reconcile,
            observer=self.metrics,
            clock=time.monotonic,
        )

    def _converting(self, platform: Platform) -> ConversionServer:
        server = ConversionServer(
            platform.conversion,
            platform.caches.definitions,
            self._client,
            self._settings.system_namespace,
            lambda: datetime.now(UTC),
        )
        self._stack.push_async_callback(server.close)
        return server

    async def _open_conversion(self) -> None:
        """Opens the port of the conversion webhook.

        It listens on all addresses behind a Service, and otherwise where the API server connects.
        """
        if self._conversion is not None:
            settings = self._settings
            host = None if settings.conversion_service else settings.conversion_address
            await self._conversion.start(host, settings.conversion_port)

    async def _reconcile(self, runner: Runner) -> None:
        await self._prepare()
        self._informers.start()
        await self._informers.wait_synced()
        # The listed objects will stay. If the garbage collector looked through them each time, it would block the loop
        # for 50 ms.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        logger.info("every kind has been listed; reconciling")
        self._reconciling = True
        await runner.run()

    def _writer_opener(self, workspace: Path) -> OpenWriter:
        settings = self._settings
        environment = StoreEnvironment(
            workspace=workspace,
            local_root=Path(settings.local_stores).resolve() if settings.local_stores else None,
            cluster=self._client,
            connect=self._connect,
            parse=load_documents,
            inventory_namespace=settings.system_namespace,
        )

        async def open_it(
            kind: str, name: str, spec: Mapping[str, Any], secret: Mapping[str, bytes] | None
        ) -> StateStoreWriter:
            writer = await open_writer(kind, name, spec, secret, environment)
            return MeteredWriter(writer, f"{kind}/{name}", self.metrics)

        return open_it

    async def _connect(self, kubeconfig: bytes) -> Client:
        """A client for a destination's cluster. The kubeconfig may not name files or programs on this machine."""
        document = await asyncio.to_thread(read_kubeconfig, kubeconfig)
        credentials = await from_kubeconfig_dict(document)
        return Client(credentials, on_call=self.metrics.called, patience=_PATIENCE)

    async def _prepare(self) -> None:
        """Makes the operator's namespace and its sealing key, and reads the configuration, before anything is done."""
        said = ""
        while True:
            try:
                await self._make_namespace()
                key, since = await load_seal_key(self._client, self._settings.system_namespace)
                self._seals.use(key, since=since)
                await self._open_conversion()
                await self._configuration.look()
            except (KubeError, NoSealKey, NoCertificate) as error:
                # The operator goes on while the API server has a problem; the probes report meanwhile that it is not
                # ready.
                self._lacking = str(error)
                if self._lacking != said:
                    said = self._lacking
                    logger.warning("cannot begin: %s; trying again", said)
                await asyncio.sleep(_PREPARE_DELAY)
            else:
                self._lacking = ""
                return

    async def _make_namespace(self) -> None:
        name = self._settings.system_namespace
        try:
            await self._client.get(NAMESPACE, name)
        except NotFound:
            try:
                await self._client.create(
                    NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                )
            except AlreadyExists:
                return
            except Forbidden:
                logger.warning("the namespace %s does not exist and may not be created; create it", name)
        except Forbidden:
            return  # the operator runs in this namespace, so it exists

    async def _open_ports(self) -> None:
        settings = self._settings
        server = ProbeServer(
            probes_host=listening_address(settings.probes_host, os.environ),
            metrics_host=listening_address(settings.metrics_host or settings.probes_host, os.environ),
            probes_port=settings.probes_port,
            metrics_port=settings.metrics_port,
            alive=self._alive,
            ready=self._ready,
            metrics=self.metrics,
        )
        self.metrics.read(self._snapshot)
        await server.start()
        self._stack.push_async_callback(server.close)
        if settings.ports_file:
            await asyncio.to_thread(server.write_ports, Path(settings.ports_file))

    def _alive(self) -> str:
        worst = self._heartbeat.worst()
        if worst > self._settings.stall_limit:
            return f"the event loop stood still for {worst:.1f} s"
        return ""

    def _ready(self) -> str:
        if self._stopping:
            return "stopping"
        if self._lacking:
            return self._lacking
        missing = [informer.resource.name for informer in self._informers.fixed() if not informer.synced.is_set()]
        if missing:
            return f"not listed yet: {', '.join(missing)}"
        return "" if self._reconciling else "not reconciling yet"

    def _snapshot(self) -> Snapshot:
        informers = self._informers.all()
        return Snapshot(
            queue_depth=len(self._queue),
            queue_delayed=self._queue.delayed,
            queue_processing=self._queue.processing,
            queue_oldest_seconds=self._queue.oldest_wait(),
            objects={informer.resource.name: len(informer) for informer in informers},
            ready=self._informers.readiness(),
            watch_restarts={informer.resource.name: informer.counters.watch_restarts for informer in informers},
            outages={informer.resource.name: informer.outage.seconds for informer in informers},
        )

    def _own(self, work: Awaitable[None], name: str) -> None:
        """Runs a part for as long as the operator runs. If the part ends by itself, the operator ends, too."""

        async def run() -> None:
            await work

        task = asyncio.create_task(run(), name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _refused(self, refusal: LastingRefusal) -> None:
        logger.critical("%s; the operator ends", refusal)
        self._failed(str(refusal))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._stopping:
            return
        error = task.exception()
        logger.critical("%s ended: %s", task.get_name(), error, exc_info=error)
        self._failed(f"{task.get_name()} ended: {error}")


def _queue_promises(platform: Platform) -> None:
    """Queues every Promise, whose definitions then get the authority of the conversion webhook."""
    for promise in platform.caches.promises.items():
        platform.queue.add(Key(PROMISE.name, "", promise.name), priority=PRIORITY_DEPENDENT)


def _tell_unreadable(events: EventRecorder, obj: Mapping[str, Any], error: InvalidObject) -> None:
    """Records an Event on an object that cannot be read: without a view of it, no conditions can be written."""
    meta = read_metadata(obj)
    reference = ObjectReference(
        str(obj.get("apiVersion") or ""), str(obj.get("kind") or ""), meta.name, meta.namespace, meta.uid
    )
    events.record(
        reference, type="Warning", reason="Unreadable", message=f"it is set aside: {error}", action="Reconcile"
    )
