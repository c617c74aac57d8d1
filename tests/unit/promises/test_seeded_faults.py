"""Sixty mistakes that people make, put into the library's Promises one at a time: lint or their own tests find each.

What is right is in the table as it stands in the files, so that an edit of the library which touches a row is noticed
here. A row that is known to be missed says so, is in docs/limits.md, and fails once it is found.
"""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.documents import ROOT
from troth.authoring.lint import lint
from troth.authoring.testing.running import Options
from troth.authoring.testing.selecting import choose
from troth.authoring.testing.session import collect, run

LIBRARY = ROOT / "promises"
WANTED = 60
MOST_MISSED = 3


class Fault(NamedTuple):
    """What stands in a file of a Promise, and what a tired person writes."""

    promise: str
    file: str
    right: str
    wrong: str
    missed: str = ""
    """Why nothing finds it."""


API = "promise.yaml"
ENVIRONMENT = [
    Fault("environment", API, "sizes[spec.size]", "sizes[spec.sise]"),
    Fault("environment", "templates/member.yaml.j2", "  name: {{ item.name }}", "  name: {{ item.user }}"),
    Fault("environment", API, '"{{ spec.team }}-{{ name }}"', '"{{ name }}-{{ spec.team }}"'),
    Fault("environment", API, 'large: {cpu: "32", memory: 64Gi', 'large: {cpu: "8", memory: 16Gi'),
    Fault("environment", API, 'forEach: "{{ spec.members }}"', 'forEach: "{{ spec.members[:1] }}"'),
    Fault("environment", API, "spec.network != 'open'", "spec.network == 'open'"),
    Fault("environment", "templates/limits.yaml.j2", "kind: LimitRange", "kind: LimitRanges"),
    Fault("environment", "templates/network.yaml.j2", "  podSelector: {}\n  policyTypes", "  policyTypes"),
    Fault("environment", "templates/quota.yaml.j2", "{{ size.pods }}", "{{ size.volumes }}"),
    Fault("environment", API, "default: guarded", "default: open"),
]
POSTGRESQL = [
    Fault("postgresql", "templates/cluster.yaml.j2", "{{ size.storage }}", "{{ size.disk }}"),
    Fault("postgresql", API, "medium: {instances: 2,", "medium: {instances: 1,"),
    Fault("postgresql", API, "memory: 8Gi, storage: 250Gi", "memory: 250Gi, storage: 8Gi"),
    Fault("postgresql", "templates/cluster.yaml.j2", "size.instances > 2", "size.instances > 3"),
    Fault("postgresql", "templates/cluster.yaml.j2", "kind: Cluster", "kind: PostgresCluster"),
    Fault("postgresql", "templates/pooler.yaml.j2", "  cluster:\n    name: {{ name }}\n", ""),
    Fault("postgresql", "templates/cluster.yaml.j2", "{{ size.instances }}", "{{ size.instances | string }}"),
    Fault("postgresql", API, "spec.size | default('small')", "spec.size | default('large')"),
    Fault("postgresql", API, "size() <= 50", "size() <= 60"),
    Fault("postgresql", API, '"{{ name }}-app"', '"{{ name }}-superuser"'),
]
WEB_APP = [
    Fault("web-app", API, 'when: "{{ spec.host is defined }}"', 'when: "{{ spec.hosts is defined }}"'),
    Fault("web-app", "templates/deployment.yaml.j2", "{% if not scales %}", "{% if scales %}"),
    Fault("web-app", "templates/network.yaml.j2", "{% for caller in spec.callers %}", "{% for caller in [] %}"),
    Fault(
        "web-app",
        "templates/autoscaler.yaml.j2",
        "minReplicas: {{ spec.replicas.min",
        "minReplicas: {{ spec.replicas.max",
    ),
    Fault("web-app", "templates/service.yaml.j2", "targetPort: http", "targetPorts: http"),
    Fault("web-app", API, "default: 8080", "default: 8000"),
    Fault("web-app", API, "self.replicas.max >= self.replicas.min", "self.replicas.max <= self.replicas.min"),
]
WORKER = [
    Fault("worker", "templates/queue.yaml.j2", "{{ spec.queue.messagesPerReplica }}", "{{ spec.queue.messages }}"),
    Fault("worker", "templates/queue.yaml.j2", "[1, spec.replicas.max // 2] | max", "spec.replicas.max // 2"),
    Fault("worker", API, "spec.queue is not defined and spec.replicas.max", "spec.replicas.max"),
    Fault(
        "worker",
        "templates/deployment.yaml.j2",
        "{% if spec.command %}\n        command: {{ spec.command }}\n        {% endif %}\n",
        "",
    ),
    Fault("worker", "templates/deployment.yaml.j2", "{% if spec.healthCommand is defined %}", "{% if true %}"),
    Fault("worker", "templates/queue.yaml.j2", "kind: ScaledObject", "kind: ScaledJob"),
    Fault("worker", API, "medium: {cpu: 500m, memory: 1Gi}", "medium: {cpu: 500m, memory: 1G i}"),
]
SERVICE = [
    Fault("service", "templates/database.yaml.j2", "size: {{ spec.database }}", "size: {{ spec.size }}"),
    Fault("service", API, "when: \"{{ spec.cache != 'none' }}\"", 'when: "{{ spec.cache }}"'),
    Fault(
        "service",
        "templates/web-app.yaml.j2",
        "  {% for variable in spec.env %}\n  - {{ variable }}\n  {% endfor %}\n",
        "",
    ),
    Fault("service", API, '"{{ cache }}-redis"', '"{{ cache }}"'),
    Fault("service", "templates/cache.yaml.j2", "purpose: cache", "purpose: caching"),
    Fault("service", API, "      environment: platform\n", "      environment: dev\n"),
]
REDIS = [
    Fault("redis", "templates/statefulset.yaml.j2", "{{ size.replicas }}", "{{ sizes.replicas }}"),
    Fault("redis", "templates/configuration.yaml.j2", "{% if keeps %}", "{% if not keeps %}"),
    Fault("redis", "templates/services.yaml.j2", "size.replicas > 1", "size.replicas > 2"),
    Fault("redis", "templates/certificate.yaml.j2", "issuerRef: {{ issuer }}", "issuerRef: {{ issuer.name }}"),
    Fault("redis", API, 'forEach: "{{ range(size.replicas) }}"', 'forEach: "{{ range(1) }}"'),
    Fault(
        "redis",
        API,
        "medium: {replicas: 2, cpu: 500m, maxMemory: 2gb",
        "medium: {replicas: 2, cpu: 500m, maxMemory: 8gb",
    ),
    Fault("redis", "templates/password.yaml.j2", "refreshPolicy: CreatedOnce", "refreshPolicy: Once"),
]
MESSAGE_QUEUE = [
    Fault("message-queue", "templates/queue.yaml.j2", "{% if item.keepDead %}", "{% if item.deadLetter %}"),
    Fault("message-queue", "templates/queue.yaml.j2", "{{ item.deliveries }}", "{{ item.maxLength }}"),
    Fault("message-queue", API, "default: 20", "default: 2"),
    Fault("message-queue", "templates/cluster.yaml.j2", "  replicas: {{ size.replicas }}\n", ""),
    Fault("message-queue", "templates/user.yaml.j2", "kind: Permission", "kind: Permissions"),
    Fault("message-queue", API, "map(attribute='name')", "map(attribute='names')"),
    Fault("message-queue", API, 'medium: {replicas: 3, cpu: "1"', 'medium: {replicas: 2, cpu: "1"'),
]
BUCKET = [
    Fault("bucket", "templates/ack.yaml.j2", '"retain", "delete"', '"delete", "retain"'),
    Fault("bucket", API, "archive: 30, delete: 365", "archive: 365, delete: 30"),
]
CRON_JOB = [
    Fault("cron-job", "templates/cronjob.yaml.j2", "spec.timeoutMinutes * 60", "spec.timeoutMinutes"),
    Fault("cron-job", "templates/cronjob.yaml.j2", "{{ variable.secret }}", "{{ variable.secret.name }}"),
]
UNSEEN = [
    Fault("environment", API, "jsonPath: .status.namespace", "jsonPath: .status.ns"),
    Fault(
        "worker",
        API,
        "maximum: 3600",
        "maximum: 36000",
        missed="nobody but its author knows how much an API should allow",
    ),
]
FAULTS = [
    *ENVIRONMENT,
    *POSTGRESQL,
    *WEB_APP,
    *WORKER,
    *SERVICE,
    *REDIS,
    *MESSAGE_QUEUE,
    *BUCKET,
    *CRON_JOB,
    *UNSEEN,
]


def findings(home: Path) -> set[str]:
    """What lint says."""
    return {f"{finding.code} {finding.message}" for finding in lint(home)}


@cache
def findings_of_what_is_right(promise: str) -> frozenset[str]:
    """What lint says before anything is wrong."""
    return frozenset(findings(LIBRARY / promise))


def failures(home: Path, *, generated: bool) -> list[str]:
    """What the Promise's own cases say, and what is said of generated inputs if they are tried."""
    collected = collect([home], choose(""), generated=generated)
    if collected.problems:
        return [str(problem) for problem in collected.problems]
    session = run(collected, Options(examples=20), jobs=1)
    return [f"{result.name}: {problem}" for result in session.failed for problem in result.problems]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.promise} {fault.right.strip()[:30]}")
def test_a_mistake_in_the_library_is_found(tmp_path: Path, fault: Fault) -> None:
    home = tmp_path / fault.promise
    shutil.copytree(LIBRARY / fault.promise, home)
    file = home / fault.file
    text = file.read_text("utf-8")
    assert fault.right in text, "the library has changed: write this row anew"
    file.write_text(text.replace(fault.right, fault.wrong, 1), "utf-8")
    found = (  # what takes least time comes first
        failures(home, generated=False)
        or findings(home) - findings_of_what_is_right(fault.promise)
        or failures(home, generated=True)
    )
    assert bool(found) != bool(fault.missed), found or "neither lint nor the Promise's tests find this"


def test_at_most_three_of_sixty_are_missed_and_each_is_in_the_docs() -> None:
    missed = [fault for fault in FAULTS if fault.missed]
    assert len(set(FAULTS)) == WANTED
    assert len(missed) <= MOST_MISSED
    limits = " ".join((ROOT / "docs" / "limits.md").read_text("utf-8").split())
    assert [fault.missed for fault in missed if fault.missed not in limits] == []
