"""Generated requests: what they find, that they are what the API allows, and that the same ones come again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from tests.documents import ROOT
from troth.authoring.home import load_home
from troth.authoring.rendering.requests import Requests
from troth.authoring.testing.generated import check_generated
from troth.authoring.testing.kept import GeneratedFailure
from troth.authoring.testing.strategies import values
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.rendering.render import RenderContext


def promise(spec: Mapping[str, Any], template: str, *, values: Mapping[str, Any] | None = None) -> str:
    pipeline = {
        "apiVersion": "troth.dev/v1alpha1",
        "kind": "JinjaPipeline",
        "metadata": {"name": "main"},
        "spec": {"values": dict(values or {}), "files": [{"path": "a.yaml", "template": template}]},
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {"type": "object", "properties": {"spec": dict(spec)}, "required": ["spec"]}
        },
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
    return yaml.safe_dump(
        {
            "apiVersion": "platform.kratix.io/v1alpha1",
            "kind": "Promise",
            "metadata": {"name": "thing"},
            "spec": {"api": definition, "workflows": {"resource": {"configure": [pipeline]}}},
        },
        allow_unicode=True,
    )


def checked(folder: Path, text: str, *, examples: int = 60, seed: int = 0) -> tuple[GeneratedFailure, ...]:
    (folder / "promise.yaml").write_text(text, "utf-8")
    home = load_home(folder)
    with BoundedWorker() as worker:
        return check_generated(home, Requests(home, destinations=None), worker, examples=examples, seed=seed)


def spec(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ name }}}\ndata:\n  a: "


def test_an_optional_field_without_a_default_is_found_and_the_request_is_the_smallest(tmp_path: Path) -> None:
    fields = spec("size", size={"type": "string"}, team={"type": "string"}, count={"type": "integer"})
    (found,) = checked(tmp_path, promise(fields, CONFIG_MAP + '"{{ spec.team }}"\n'))
    assert found.name == "renders"
    assert found.request["metadata"] == {"name": "test", "namespace": "default"}
    assert set(found.request["spec"]) == {"size"}
    assert found.request["spec"]["size"] in ("", "a")
    assert "team" in found.message
    assert found.place.startswith("promise.yaml:")


def test_what_only_few_values_break_is_found_and_made_small(tmp_path: Path) -> None:
    fields = spec(
        "users", users={"type": "array", "items": spec("name", name={"type": "string"}, admin={"type": "boolean"})}
    )
    template = CONFIG_MAP + '"{{ (spec.users | selectattr("admin", "true") | list)[1].name }}"\n'
    text = promise(fields, "{% if spec.users | length > 2 %}" + template + "{% endif %}")
    (found,) = checked(tmp_path, text, examples=100)
    assert len(found.request["spec"]["users"]) == 3
    assert all(len(user["name"]) <= 1 for user in found.request["spec"]["users"])


def test_a_failure_on_purpose_is_no_failure(tmp_path: Path) -> None:
    fields = spec("count", count={"type": "integer"})
    template = '{% if spec.count > 10 %}{{ fail("at most 10") }}{% endif %}' + CONFIG_MAP + '"{{ spec.count }}"\n'
    assert checked(tmp_path, promise(fields, template)) == ()


def test_an_object_that_its_schema_does_not_allow_is_found(tmp_path: Path) -> None:
    fields = spec("on", on={"type": "boolean"})
    (found,) = checked(tmp_path, promise(fields, CONFIG_MAP + "{{ spec.on }}\n"))
    assert found.name == "valid-objects"
    assert "ConfigMap" in found.message
    assert "data.a" in found.message


def test_what_changes_from_one_rendering_to_the_next_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render, count = BoundedWorker.render_now, iter(range(10**6))

    def restless(self: BoundedWorker, pipelines: Any, context: RenderContext) -> Any:
        request = dict(context.request or {})
        request["metadata"] = {**request["metadata"], "labels": {"at": str(next(count))}}
        return render(self, pipelines, RenderContext(context.promise, request))

    monkeypatch.setattr(BoundedWorker, "render_now", restless)
    found = checked(tmp_path, promise(spec(), CONFIG_MAP + '"{{ labels.at }}"\n'))
    assert {failure.name for failure in found} == {"same-twice"}
    assert "a.yaml" in found[0].message


@pytest.mark.slow
def test_the_same_seed_finds_the_same(tmp_path: Path) -> None:
    fields = spec(
        "a", a={"type": "integer"}, b={"type": "string"}, c={"type": "array", "items": {"type": "string"}}
    )
    template = (
        "{% if (spec.c | default([]) | length) > 1 and spec.a > 3 %}{{ spec.d }}{% endif %}" + CONFIG_MAP + '"1"\n'
    )
    text = promise(fields, template)
    assert checked(tmp_path, text, seed=3) == checked(tmp_path, text, seed=3) != ()


def test_nothing_is_written_beside_the_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fields = spec("a", a={"type": "string", "pattern": r"^\w+$"}, b={"type": "string"})
    assert checked(tmp_path, promise(fields, CONFIG_MAP + '"{{ spec.a }}"\n'), examples=20) == ()
    assert [path.name for path in tmp_path.rglob("*")] == ["promise.yaml"]


def test_an_api_that_allows_nothing_is_said(tmp_path: Path) -> None:
    fields = {**spec(a={"type": "string"}), "x-kubernetes-validations": [{"rule": "1 == 2", "message": "never"}]}
    (found,) = checked(tmp_path, promise(fields, CONFIG_MAP + '"1"\n'), examples=10)
    assert "no request was found" in found.message


def test_no_examples_is_no_check(tmp_path: Path) -> None:
    assert checked(tmp_path, promise(spec("a", a={"type": "string"}), "a: {{ spec.b }}"), examples=0) == ()


@pytest.mark.slow
def test_the_cel_rules_of_the_api_choose_the_requests(tmp_path: Path) -> None:
    fields = {
        **spec("low", "high", low={"type": "integer", "minimum": 0}, high={"type": "integer", "maximum": 9}),
        "x-kubernetes-validations": [{"rule": "self.low <= self.high"}],
    }
    template = "{% if spec.low > spec.high %}{{ spec.nothing }}{% endif %}" + CONFIG_MAP + '"1"\n'
    assert checked(tmp_path, promise(fields, template)) == ()


RICH = {
    "type": "object",
    "required": ["name", "when"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 20},
        "code": {"type": "string", "pattern": "^[[:upper:]]{3}-[0-9]{2,4}$"},
        "odd": {"type": "string", "pattern": r"^\pL+$"},
        "when": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "address": {"type": "string", "format": "ipv6"},
        "data": {"type": "string", "format": "byte"},
        "wait": {"type": "string", "format": "duration"},
        "port": {"x-kubernetes-int-or-string": True},
        "count": {"type": "integer", "minimum": 2, "maximum": 9, "exclusiveMaximum": True, "multipleOf": 2},
        "ratio": {"type": "number", "minimum": 0, "maximum": 1},
        "size": {"type": "string", "enum": ["small", "large"], "default": "small"},
        "perhaps": {"type": "string", "nullable": True, "minLength": 2},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}, "maxItems": 8},
        "users": {
            "type": "array",
            "minItems": 1,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": spec("name", name={"type": "string", "maxLength": 5}, admin={"type": "boolean"}),
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 3},
    },
}


def definition(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.safe_load(promise(schema, "a: 1"))["spec"]["api"]
    return document


ADMISSION = Admission(definition(RICH))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values(RICH))
def test_nearly_all_that_is_drawn_is_what_the_api_server_would_take(drawn: Mapping[str, Any]) -> None:
    answer = ADMISSION.admit(
        {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": drawn}
    )
    assert isinstance(answer, Admitted), [str(refusal) for refusal in answer]


def test_each_member_and_each_boundary_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Mapping[str, Any]] = []
    render = BoundedWorker.render_now

    def watching(self: BoundedWorker, pipelines: Any, context: RenderContext) -> Any:
        seen.append((context.request or {})["spec"])
        return render(self, pipelines, context)

    monkeypatch.setattr(BoundedWorker, "render_now", watching)
    fields = spec(
        "image",
        image={"type": "string", "pattern": "^[a-z]+:[0-9]+$"},  # so that no chosen word fits
        size={"type": "string", "enum": ["s", "m", "l"]},
        count={"type": "integer", "minimum": 3, "maximum": 77},
        on={"type": "boolean"},
        name={"type": "string", "maxLength": 20},
    )
    assert checked(tmp_path, promise(fields, CONFIG_MAP + '"1"\n'), examples=5) == ()
    assert {found.get("size") for found in seen} == {"s", "m", "l", None}
    assert {3, 77, None} <= {found.get("count") for found in seen}
    assert {found.get("on") for found in seen} == {True, False, None}
    assert {0, 20} <= {len(found["name"]) for found in seen if "name" in found}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["environment", "postgresql"])
def test_the_librarys_promises_keep_theirs(name: str) -> None:
    home = load_home(ROOT / "promises" / name)
    with BoundedWorker() as worker:
        assert check_generated(home, Requests(home, destinations=None), worker, examples=60) == ()
