"""Sets up a benchmark: a control plane, a Git server over http, and the operator as a separate process.

The operator logs in as a different user, so that its writes can be distinguished from ours in the audit log.
Everything is in one temporary folder and is removed with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.commits import CommitWatch
from tests.bench.counting import difference, gauge, reconciles, without_polling, writes_of
from tests.bench.processes import Neighbours, cpu_seconds, own_cpu_seconds
from tests.bench.requests import FILES, NAMESPACE, PROMISE_NAME, RequestWatch, bench_promise
from tests.operators import OperatorProcess
from tests.platforms import Platform, destination, git_store
from troth.api.resources import DESTINATION, GIT_STATE_STORE
from troth.api.resources import NAMESPACE as NAMESPACES
from troth.dev import AuditEntry, AuditLog, ControlPlane
from troth.dev.git_server import GitServer
from troth.kube import Client, load_credentials
from troth.surroundings import python

USER = "troth-operator"
_QUIET = 3.0
_LOOK = 0.25
_PROFILED = Path(__file__).with_name("profiled.py")

Say = Callable[[str], None]


@dataclass(slots=True)
class Site:
    """Everything that a measurement needs.

    Attributes:
        operator: the running operator; None while it does not run.
        profiles: a folder for a profile of each operator process; None to run it without a profiler.
    """

    plane: ControlPlane
    client: Client
    git: GitServer
    repository: Path
    commits: CommitWatch
    folder: Path
    profiles: Path | None
    say: Say
    operator: OperatorProcess | None = None
    starts: int = 0

    async def start_operator(self) -> OperatorProcess:
        """Starts it and waits until it is ready."""
        await asyncio.to_thread(self._start_operator)
        assert self.operator is not None
        return self.operator

    def _start_operator(self) -> None:
        self.starts += 1
        kubeconfig = self.plane.kubeconfig_for(USER, ["system:masters"])
        interpreter: list[str | Path] = [*python()]
        if self.profiles is not None:
            interpreter += [_PROFILED, self.profiles.absolute() / f"operator-{self.starts}.prof"]
        self.operator = OperatorProcess(
            kubeconfig,
            [],
            log=self.folder / f"operator-{self.starts}.log",
            environment=self.plane.environment(kubeconfig),
            interpreter=interpreter,
        )
        self.operator.wait_ready(60)

    async def end_operator(self) -> None:
        """Ends the operator gracefully, as a rolling update does."""
        operator, self.operator = self.operator, None
        if operator is not None:
            await asyncio.to_thread(operator.terminate, 60)
            await asyncio.to_thread(operator.check)

    async def publish(self) -> None:
        """Applies the store, the destination and the Promise, and waits until its API is served."""
        platform = Platform(self.client)
        await platform.make(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        await platform.make(GIT_STATE_STORE, git_store("bench", self.git.url("state")))
        await platform.make(DESTINATION, destination("bench", store="bench", labels={"for": PROMISE_NAME}))
        await platform.publish(bench_promise(), within=60)

    def watch(self) -> RequestWatch:
        """A watch of the requests."""
        return RequestWatch(self.client)

    def span(self) -> Span:
        """Counts from now on what the operator does. If it has not been started yet, everything is counted."""
        return Span(self)

    def tail(self) -> str:
        """The end of the newest operator's log."""
        log = self.folder / f"operator-{self.starts}.log"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""


class Span:
    """What the operator has cost since a moment: API calls, commits, reconciles, CPU; and how busy others were."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._audit = AuditLog(site.plane.audit_log)
        self._head = site.commits.head
        running = site.operator
        self._counted = reconciles(running.metrics()) if running else {}
        self._cpu = cpu_seconds(running.pid) if running else 0.0
        self._own_cpu = own_cpu_seconds(running.pid) if running else 0.0
        self._neighbours, self._began = Neighbours(), time.monotonic()
        self.entries: list[AuditEntry] = []
        self.reconciles: dict[str, int] = {}
        self.settled = self._began

    @property
    def began(self) -> float:
        """The beginning, on the clock of `time.monotonic`."""
        return self._began

    @property
    def writes(self) -> list[AuditEntry]:
        """The operator's writes."""
        return writes_of(self.entries, USER)

    @property
    def _operator(self) -> OperatorProcess:
        assert self._site.operator is not None
        return self._site.operator

    def commits(self) -> int:
        """How many commits were made. This blocks."""
        return self._site.commits.count(self._head)

    def cpu(self) -> float | None:
        """The CPU seconds of the operator and its children."""
        used = cpu_seconds(self._operator.pid)
        return None if used is None or self._cpu is None else used - self._cpu

    def own_cpu(self) -> float | None:
        """The CPU seconds of the operator's own process."""
        used = own_cpu_seconds(self._operator.pid)
        return None if used is None or self._own_cpu is None else used - self._own_cpu

    def others(self) -> float | None:
        """How many cores other programs have kept busy on average."""
        return self._neighbours.cores()

    async def until_quiet(self, *, within: float = 180) -> float:
        """Waits until nothing was reconciled or written for 3 s. Returns the time of the last event."""
        self.settled = time.monotonic()
        async with asyncio.timeout(within):
            while time.monotonic() - self.settled < _QUIET:
                await asyncio.sleep(_LOOK)
                if await asyncio.to_thread(self._look):
                    self.settled = time.monotonic()
        return self.settled

    def _look(self) -> bool:
        fresh = self._audit.read()
        self.entries += fresh
        if writes_of(fresh, USER):
            return True  # reading its metrics costs the operator some milliseconds, so it is not done without need
        metrics = self._operator.metrics()
        if not metrics:
            raise RuntimeError(f"the operator does not answer; the end of its log:\n{self._site.tail()}")
        counted = difference(self._counted, reconciles(metrics))
        moved = without_polling(counted) != without_polling(self.reconciles)
        self.reconciles = counted
        return moved or gauge(metrics, "troth_queue_depth") > 0


@asynccontextmanager
async def open_site(say: Say, *, profiles: Path | None) -> AsyncIterator[Site]:
    """Starts everything, and always ends it."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="troth-bench-", ignore_cleanup_errors=True)))
        say("starting etcd, kube-apiserver and a Git server")
        plane = await stack.enter_async_context(ControlPlane())
        await asyncio.to_thread(plane.apply_crds)
        server = stack.enter_context(GitServer(folder / "git"))
        repository = await asyncio.to_thread(server.create_repository, "state")
        client = Client(await load_credentials(plane.kubeconfig, None), user_agent="troth-bench", deadline=120)
        stack.push_async_callback(client.close)
        commits = await stack.enter_async_context(CommitWatch(repository, files=FILES))
        site = Site(plane, client, server, repository, commits, folder, profiles, say)
        stack.push_async_callback(_end, site)
        await site.start_operator()
        await site.publish()
        yield site


async def _end(site: Site) -> None:
    operator, site.operator = site.operator, None
    if operator is not None:
        await asyncio.to_thread(operator.end)
