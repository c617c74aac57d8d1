"""What is said of an object without a seal: that somebody edited it, or that it is from before there were seals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from troth.api.objects import Work, WorkPlacement
from troth.controllers.caches import Caches
from troth.controllers.standing import judge_placement, judge_work
from troth.engine.placement.work import read_work, read_work_placement

METADATA = {"name": "w", "namespace": "team", "uid": "u"}
WORK: Work = read_work({"metadata": METADATA, "spec": {}, "status": {}})
PLACEMENT: WorkPlacement = read_work_placement({"metadata": METADATA, "spec": {}, "status": {}})


@pytest.fixture
def caches() -> Caches:
    return Caches.__new__(Caches)  # nothing is looked up for what has no seal


def test_what_somebody_made_or_edited_is_told_from_what_is_older_than_the_key(caches: Caches) -> None:
    for edited in (
        judge_work(caches, WORK),
        judge_work(caches, replace(WORK, former=True, reported=True)),
        judge_placement(caches, PLACEMENT),
        judge_placement(caches, replace(PLACEMENT, former=True, recorded=3)),
    ):
        assert not edited.former
        assert "Somebody other than Troth" in edited.refusal
    for older in (
        judge_work(caches, replace(WORK, former=True)),
        judge_placement(caches, replace(PLACEMENT, former=True)),
    ):
        assert older.former
        assert not older.accepted
        assert "Somebody" not in older.refusal
        assert "sealed when its request or Promise is reconciled again" in older.refusal
