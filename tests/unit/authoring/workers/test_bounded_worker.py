"""What a worker says of the work that it did."""

from __future__ import annotations

from tests.unit.engine.pipelines import context, pipeline
from troth.authoring.workers.bounded_worker import BoundedWorker


def test_the_processor_time_of_every_job_is_counted_however_short_it_is() -> None:
    pipelines = [pipeline("a: b")]
    before = 0.0
    with BoundedWorker() as worker:
        for _ in range(50):
            worker.render_now(pipelines, context())
            assert worker.spent > before
            before = worker.spent
