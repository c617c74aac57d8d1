"""When the Events about Jobs that wait are looked at."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from troth.api import Resource
from troth.api.objects import ObjectMeta
from troth.controllers.job_views import Job
from troth.controllers.job_warnings import JobWarnings
from troth.engine.jobs.observation import JobState, PodState, WarningEvent
from troth.kube import Forbidden, Listing

EVENT = {"type": "Warning", "reason": "FailedCreate", "note": "exceeded quota"}
RUNNING = PodState("p", phase="Running", started=True, uid="p")
WAITING = PodState("p", phase="Pending", uid="p")


@dataclass
class Server:
    """A clock, and an API server that answers at once, or refuses to."""

    now: float = 0.0
    forbids: bool = False
    looks: list[tuple[float, str]] = field(default_factory=list)

    async def list(self, resource: Resource, namespace: str = "", *, field_selector: str = "") -> Listing:
        self.looks.append((self.now, field_selector))
        if self.forbids:
            raise Forbidden(403, "Forbidden", "events is forbidden")
        return Listing([dict(EVENT)], "1")


def job(uid: str = "j") -> Job:
    return Job(ObjectMeta(name=uid, namespace="n", uid=uid), JobState(uid))


async def wait(server: Server, warnings: JobWarnings, until: float) -> None:
    """Comes again whenever it was said to."""
    while server.now < until:
        _, again = await warnings.look(job(), (), known=False)
        assert again is not None
        assert again > 0
        server.now += again


async def test_a_job_that_waits_is_looked_at_four_times_in_ten_seconds_and_then_once_a_minute() -> None:
    server = Server()
    warnings = JobWarnings(server, lambda: server.now)
    await wait(server, warnings, 3600)
    times = [time for time, _ in server.looks]
    assert len([time for time in times if time < 10]) >= 4
    assert 50 <= len(times) <= 75
    assert {selector for _, selector in server.looks} == {"type=Warning,regarding.kind=Job,regarding.uid=j"}


async def test_a_pod_that_starts_within_a_second_costs_no_look() -> None:
    server = Server()
    warnings = JobWarnings(server, lambda: server.now)
    await warnings.look(job(), (), known=False)
    server.now = 0.5
    await warnings.look(job(), (WAITING,), known=False)
    server.now = 1.2
    assert await warnings.look(job(), (RUNNING,), known=False) == ((), None)
    assert server.looks == []


async def test_what_was_reported_before_a_restart_is_looked_at_at_once() -> None:
    server = Server()
    found, _ = await JobWarnings(server, lambda: server.now).look(job(), (), known=True)
    assert found == (WarningEvent("FailedCreate", "exceeded quota"),)


async def test_what_was_found_is_remembered_until_the_next_look_and_belongs_to_one_object() -> None:
    server = Server()
    warnings = JobWarnings(server, lambda: server.now)
    await warnings.look(job(), (), known=True)
    assert (await warnings.look(job(), (), known=True))[0]
    assert (await warnings.look(job(), (WAITING,), known=True))[0] == ()
    assert (await warnings.look(job(), (replace(WAITING, uid="q", created="2"),), known=True))[0] == ()
    assert len(server.looks) == 1


@pytest.mark.parametrize("count", [15, 300])
async def test_jobs_that_wait_take_turns_and_none_is_forgotten(count: int) -> None:
    server = Server()
    warnings = JobWarnings(server, lambda: server.now)
    due = {str(number): 0.0 for number in range(count)}
    asked = 0
    while server.now < 60:
        asked += 1
        uid = min(due, key=lambda each: due[each])
        server.now = max(server.now, due[uid])
        _, again = await warnings.look(job(uid), (), known=False)
        assert again is not None
        due[uid] = server.now + again
    assert len(server.looks) <= 60 / 0.1 + 21
    assert asked <= 2 * len(server.looks) + 2 * count, "nobody comes again in vain"
    assert len({selector for _, selector in server.looks}) == count


async def test_an_operator_without_the_right_says_so_once_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(forbids=True)
    await wait(server, JobWarnings(server, lambda: server.now), 600)
    assert caplog.text.count("Events cannot be read") == 1
