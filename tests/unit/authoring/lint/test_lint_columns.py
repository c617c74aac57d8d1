"""A column of kubectl get that stays empty is told, and one that does not is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.authoring.lint.linted import promise
from troth.api.objects import read_promise
from troth.engine.admission.serving import as_served
from troth.engine.linting.columns import check_columns
from troth.engine.promises.offers import Offer, read_offer

PIPELINE: dict[str, Any] = {
    "files": [{"path": "a.yaml", "template": "a: {{ spec.size }}"}],
    "status": {"address": "x", "endpoint": {"host": "a", "port": 1}, "made": "{{ spec }}"},
}


def problems(path: str, pipeline: dict[str, Any] = PIPELINE) -> list[str]:
    obj = promise(pipeline)
    version = obj["spec"]["api"]["spec"]["versions"][0]
    version["additionalPrinterColumns"] = [{"name": "It", "type": "string", "jsonPath": path}]
    offer = read_offer(read_promise(as_served(obj)))
    assert isinstance(offer, Offer)
    return [f"{remark.message}; {remark.fix}" for remark in check_columns(obj, offer)]


@pytest.mark.parametrize(
    "path",
    [
        ".spec.size",
        ".spec.backup.schedule",
        ".spec.tags.anything",
        ".spec.members[*].name",
        ".metadata.creationTimestamp",
        ".metadata.labels['app.kubernetes.io/name']",
        ".status.address",
        ".status.endpoint.host",
        ".status.made.anything",
        ".status.troth.placements[0].commit",
        '.status.conditions[?(@.type=="Ready")].status',
        ".status.message",
        ".kind",
        "",
    ],
)
def test_a_column_that_reads_what_is_there_is_left_alone(path: str) -> None:
    assert problems(path) == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (".spec.sise", "the API has no spec.sise; did you mean size?"),
        (".spec.backup.when", "the API has no spec.backup.when; name an existing field"),
        (".metadata.creationTime", "objects have no metadata.creationTime; did you mean creationTimestamp?"),
        (".status.adress", "no pipeline writes status.adress; did you mean address?"),
        (".status.endpoint.hots", "no pipeline writes status.endpoint.hots; did you mean host?"),
        (".state", "the API has no state;"),
    ],
)
def test_a_column_that_stays_empty_is_told_with_what_was_probably_meant(path: str, said: str) -> None:
    (problem,) = problems(path)
    assert problem.startswith("the column It stays empty: ")
    assert said in problem


def test_a_status_whose_keys_are_made_by_templates_is_not_guessed_at() -> None:
    pipeline = {**PIPELINE, "status": {"{{ spec.size }}": 1}}
    assert problems(".status.large", pipeline) == []
