"""What the pool sends to its workers arrives as it was sent."""

from __future__ import annotations

from dataclasses import fields

from troth.api.pipelines import DestinationRule, FileTemplate, JinjaPipeline, Move
from troth.engine.workers.wire import pack_pipelines, read_pipelines, unpack

PIPELINE = JinjaPipeline(
    name="instance",
    values={"size": "{{ spec.size }}", "table": {"small": 1}},
    files=(
        FileTemplate("a.yaml", "kind: A\n"),
        FileTemplate("{{ item }}.yaml", "kind: B\n", "true", "{{ spec.x }}"),
    ),
    partials={"labels": "a: b"},
    destinations=(DestinationRule("backup", {"role": "backup"}),),
    moved=(Move("ConfigMap", "old", "new"),),
    status={"message": "{{ name }}"},
    control={"suspend": "{{ spec.wait }}"},
)


def test_every_field_of_a_pipeline_reaches_a_worker() -> None:
    assert all(getattr(PIPELINE, field.name) for field in fields(PIPELINE)), "give the new field a value here"
    assert read_pipelines(unpack(pack_pipelines([PIPELINE]))) == (PIPELINE,)


def test_equal_pipelines_are_equal_bytes() -> None:
    assert pack_pipelines([PIPELINE]) == pack_pipelines(list(read_pipelines(unpack(pack_pipelines([PIPELINE])))))
