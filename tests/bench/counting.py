"""Counts what was measured: percentiles, the API server's audit log, Prometheus' text. All functions are pure.

Writes are counted by the API server and not by the operator, whose own counters could only confirm what it believes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.parser import text_string_to_metric_families

from troth.api.store_kinds import STORE_KINDS
from troth.dev import AuditEntry

# A store is checked every few seconds for as long as the operator runs; these are not reconciles for a request.
POLLING = frozenset(kind.resource.name for kind in STORE_KINDS.values())


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of the values do not exceed (nearest rank). It is always one of the values.

    Raises ValueError when there are none.
    """
    if not values:
        raise ValueError("no values")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(0, rank - 1)]


def writes_of(entries: Iterable[AuditEntry], user: str) -> list[AuditEntry]:
    """The writes of one user, including refused ones, since they cost the same."""
    return [entry for entry in entries if entry.user == user and entry.is_write]


def reads_of(entries: Iterable[AuditEntry], user: str) -> list[AuditEntry]:
    """The gets and lists of one user, without watches."""
    return [entry for entry in entries if entry.user == user and entry.verb in ("get", "list")]


def breakdown(writes: Iterable[AuditEntry], requests: int) -> dict[str, float]:
    """The writes per request by what they did, such as ``patch works/status``; the most frequent first."""
    counted = Counter(_describe(entry) for entry in writes)
    return {what: round(count / requests, 2) for what, count in counted.most_common()}


def _describe(entry: AuditEntry) -> str:
    target = f"{entry.resource}/{entry.subresource}" if entry.subresource else entry.resource
    refused = f" → {entry.code}" if entry.code >= 400 else ""
    return f"{entry.verb} {target}{refused}"


def reconciles(metrics: str) -> dict[str, int]:
    """How often each kind was reconciled, from the text of ``/metrics``."""
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "troth_reconciles_total":
                found[sample.labels["kind"]] += int(sample.value)
    return dict(found)


def gauge(metrics: str, name: str) -> float:
    """The sum of a gauge's samples."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == name
    )


def difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What was added to each count. Counts that did not change are left out."""
    return {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}


def without_polling(counts: Mapping[str, int]) -> int:
    """The number of reconciles of all kinds, without the regular checks of stores."""
    return sum(count for kind, count in counts.items() if kind not in POLLING)
