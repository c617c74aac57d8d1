"""The metrics of the operator for Prometheus.

Each operator makes a registry of its own and passes it to the parts that count. It is not global, so that the counts
of two operators in one process (in a test) are not added up. Names follow Prometheus' conventions: base units, and
``_total`` for counters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one operator."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = Counter(
            "troth_reconciles",
            "Reconciles by kind and outcome (done, after, retry, terminal, waits, error).",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self._reconcile_seconds = Histogram(
            "troth_reconcile_seconds",
            "Time of a reconcile, waiting for a store included.",
            ("kind",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._queue_wait = Histogram(
            "troth_queue_wait_seconds",
            "Time that a key stood ready before a worker took it.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._renders = Counter("troth_renders", "Renders by outcome.", ("outcome",), registry=self.registry)
        self._render_seconds = Histogram(
            "troth_render_seconds",
            "Time of a render, waiting for a worker process included.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._writes = Counter(
            "troth_store_writes",
            "Claims handed to a store's writer, by outcome (changed, unchanged, failed).",
            ("store", "outcome"),
            registry=self.registry,
        )
        self._commits = Counter(
            "troth_store_commits", "Versions made by a store's writer.", ("store",), registry=self.registry
        )
        self._files = Counter(
            "troth_store_files",
            "Files in the claims that a version was made for.",
            ("store",),
            registry=self.registry,
        )
        self._api_calls = Counter(
            "troth_api_calls",
            "Calls to API servers, by method and status (0: no answer).",
            ("method", "status"),
            registry=self.registry,
        )
        self._loop_lag = Gauge(
            "troth_loop_lag_seconds", "How late the event loop was when last measured.", registry=self.registry
        )

    def reconciled(self, kind: str, outcome: str, seconds: float) -> None:
        """Counts a reconcile that ended after some seconds."""
        self._reconciles.labels(kind, outcome).inc()
        self._reconcile_seconds.labels(kind).observe(seconds)

    def waited(self, seconds: float) -> None:
        """Notes for how many seconds a key was ready before it was taken from the queue."""
        self._queue_wait.observe(seconds)

    def rendered(self, outcome: str, seconds: float) -> None:
        """Counts a rendering of one object; ``outcome`` is ``rendered`` or the reason of a failure."""
        self._renders.labels(outcome).inc()
        self._render_seconds.observe(seconds)

    def wrote(self, store: str, outcome: str, *, files: int = 0) -> None:
        """Counts a claim that was passed to a store, and the files that it changed."""
        self._writes.labels(store, outcome).inc()
        if outcome == "changed":
            self._files.labels(store).inc(files)

    def called(self, method: str, path: str, status: int, seconds: float) -> None:
        """Counts a call to an API server that ended."""
        del path, seconds
        self._api_calls.labels(method, str(status)).inc()

    def committed(self, store: str) -> None:
        """Counts a new version of a store, such as a commit."""
        self._commits.labels(store).inc()

    def lagged(self, seconds: float) -> None:
        """Notes by how many seconds the event loop was late."""
        self._loop_lag.set(seconds)

    def read(self, source: Callable[[], Snapshot]) -> None:
        """Registers the source of the values that are not counted, but read when the metrics are requested."""
        self.registry.register(_SnapshotCollector(source))

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The values of the queue and the informers at the time of a request for metrics."""

    queue_depth: int = 0
    queue_delayed: int = 0
    queue_processing: int = 0
    queue_oldest_seconds: float = 0.0
    objects: dict[str, int] = field(default_factory=dict)
    ready: dict[tuple[str, str, str], int] = field(default_factory=dict)
    watch_restarts: dict[str, int] = field(default_factory=dict)
    outages: dict[str, float] = field(default_factory=dict)


class _SnapshotCollector(Collector):
    def __init__(self, source: Callable[[], Snapshot]) -> None:
        self._source = source

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        snapshot = self._source()
        yield GaugeMetricFamily("troth_queue_depth", "Keys that are ready.", value=snapshot.queue_depth)
        yield GaugeMetricFamily(
            "troth_queue_delayed", "Keys that wait for their time.", value=snapshot.queue_delayed
        )
        yield GaugeMetricFamily(
            "troth_queue_processing", "Keys that are being reconciled.", value=snapshot.queue_processing
        )
        yield GaugeMetricFamily(
            "troth_queue_oldest_seconds",
            "Age of the key that stands ready longest.",
            value=snapshot.queue_oldest_seconds,
        )
        yield _family(GaugeMetricFamily, "troth_objects", "Objects in the caches.", ("kind",), snapshot.objects)
        yield _family(
            GaugeMetricFamily,
            "troth_ready",
            "Objects by kind and by their condition Ready: its status (Unknown: it has none yet) and its reason.",
            ("kind", "ready", "reason"),
            snapshot.ready,
        )
        yield _family(
            CounterMetricFamily,
            "troth_watch_restarts",
            "Watches opened again.",
            ("kind",),
            snapshot.watch_restarts,
        )
        yield _family(
            GaugeMetricFamily,
            "troth_watch_outage_seconds",
            "For how long the changes of a kind have not been seen; 0 when they are.",
            ("kind",),
            snapshot.outages,
        )


def _family(cls: Any, name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    family = cls(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(list(key) if isinstance(key, tuple) else [key], value)
    metric: Metric = family
    return metric
