"""The objects that a Promise renders are looked at, for requests that nobody had to write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.authoring.lint.linted import SPEC, definition, promise
from troth.api.pipelines import JinjaPipeline
from troth.authoring.home import load_home, offer_of
from troth.authoring.lint import Finding, lint
from troth.authoring.lint.subject import subject_of
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.kinds.kubernetes import Kubernetes
from troth.engine.linting.objects import check_objects
from troth.engine.linting.remarks import Remark
from troth.engine.linting.requests import longest, specs
from troth.engine.rendering.render import Outcome, RenderContext

PLAIN = {"type": "object", "required": ["size"], "properties": {"size": SPEC["properties"]["size"]}}


def found(folder: Path, template: str, spec: Mapping[str, Any] = PLAIN, **more: Any) -> list[Finding]:
    obj = promise({"files": [{"path": "x.yaml", "template": template + "# {{ spec.size }}\n"}]}, spec)
    obj["spec"].update(more)
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))
    return lint(folder)


def codes(folder: Path, template: str, **more: Any) -> list[str]:
    return [finding.code for finding in found(folder, template, **more)]


SERVICE = """apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80
"""
POD = """apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: web
    image: IMAGE
"""


def test_an_object_as_it_should_be_is_not_complained_about(tmp_path: Path) -> None:
    assert found(tmp_path, SERVICE) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("port: 80", "port: http", "Service: spec.ports[0].port: is the text 'http', not a whole number"),
        ("port: 80", "prt: 80", "Service: spec.ports[0].port: is required"),
        ("spec:", "sepc:", "Service: sepc: is not a field of it: the API server drops it; did you mean spec?"),
        ("name: web", "name: [web]", "Service: metadata.name: is a list, not text"),
    ],
)
def test_an_object_that_kubernetes_does_not_know_like_this_is_found(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    messages = [finding.message for finding in found(tmp_path, SERVICE.replace(right, wrong))]
    assert said in messages


def test_what_only_one_size_renders_is_found_without_an_example(tmp_path: Path) -> None:
    template = SERVICE.replace("port: 80", "port: {{ 'x' if spec.size == 'large' else 80 }}")
    assert codes(tmp_path, template) == ["T202"]


def test_an_object_of_a_kind_that_nobody_knows_is_unchecked_and_never_fine(tmp_path: Path) -> None:
    template = "apiVersion: other.example.com/v1\nkind: Box\nmetadata: {name: a}\nspec: {a: 1}\n"
    [finding] = found(tmp_path, template)
    assert (finding.code, finding.severity) == ("T201", "note")
    assert "unchecked" in finding.message


def boxes() -> dict[str, Any]:
    box = definition({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}})
    box["metadata"]["name"] = "boxes.other.example.com"
    box["spec"].update(group="other.example.com", names={"kind": "Box", "plural": "boxes", "singular": "box"})
    return box


@pytest.mark.parametrize(
    ("spec", "expected"), [("{a: 1}", []), ("{a: b}", ["T202"]), ("{}", ["T202"]), ("{a: 1, b: 2}", ["T202"])]
)
def test_an_object_is_held_against_the_crd_of_a_dependency_or_of_schemas(
    tmp_path: Path, spec: str, expected: list[str]
) -> None:
    template = f"apiVersion: other.example.com/v1\nkind: Box\nmetadata: {{name: a}}\nspec: {spec}\n"
    assert codes(tmp_path, template, dependencies=[boxes()]) == expected
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "boxes.yaml").write_text(yaml.safe_dump(boxes()))
    assert codes(tmp_path, template) == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", ["T205"]),
        ("nginx:latest", ["T205"]),
        ("registry.example.com:5000/nginx", ["T205"]),
        ("registry.example.com:5000/nginx:1.29", []),
        ("nginx@sha256:" + "a" * 64, []),
    ],
)
def test_an_image_needs_a_tag_that_stays(tmp_path: Path, image: str, expected: list[str]) -> None:
    findings = found(tmp_path, POD.replace("IMAGE", image))
    assert [finding.code for finding in findings] == expected


def test_a_secret_in_plain_text_is_found_and_one_without_content_is_not(tmp_path: Path) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"
    assert codes(tmp_path, secret) == []
    assert codes(tmp_path, secret + "stringData: {password: hunter2}\n") == ["T204"]


def test_versions_that_are_gone_or_deprecated_are_found_in_templates_and_dependencies(tmp_path: Path) -> None:
    gone = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: a}\n"
    [finding] = found(tmp_path, gone)
    assert (finding.code, finding.fix) == ("T207", "use policy/v1")
    assert codes(tmp_path, "apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\n") == ["T206"]
    assert codes(tmp_path, SERVICE, dependencies=[yaml.safe_load(gone)]) == ["T207"]


def test_a_name_that_grows_past_its_limit_is_found_unless_the_template_sees_to_it(tmp_path: Path) -> None:
    [finding] = found(tmp_path, SERVICE.replace("web", "{{ name }}-web"))
    assert finding.code == "T203"
    assert "has 67 characters when the request's has 63, and at most 63" in finding.message
    assert codes(tmp_path, SERVICE.replace("web", "{{ (name ~ '-web') | dns_label(63) }}")) == []
    guard = "{% if name | length > 50 %}{{ fail('too long') }}{% endif %}\n"
    assert codes(tmp_path, guard + SERVICE.replace("web", "{{ name }}-web")) == []
    label = SERVICE.replace("name: web", "name: web\n  labels: {for: '{{ namespace }}-{{ name }}'}")
    assert codes(tmp_path, label) == ["T203"]


def test_a_request_that_the_api_allows_and_the_template_cannot_render_is_found(tmp_path: Path) -> None:
    template = SERVICE.replace("port: 80", "port: {{ 80 // (spec.size | length - 5) }}")
    assert "T208" in codes(tmp_path, template)


def test_a_finding_stands_on_its_line(tmp_path: Path) -> None:
    [finding] = found(tmp_path, SERVICE.replace("port: 80", "port: http"))
    lines = (tmp_path / "promise.yaml").read_text().split("\n")
    assert lines[finding.line - 1][finding.column - 1 :].startswith("port")


def test_the_requests_reach_each_enum_each_boundary_and_the_empty_list() -> None:
    schema = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "string", "enum": ["a", "b"]},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "on": {"type": "boolean"},
            "code": {"type": "string", "pattern": "^[0-9]+$"},
            "list": {"type": "array", "items": {"type": "string"}},
        },
    }
    values = specs(schema)
    assert {"size": "a"} in values
    assert {value["size"] for value in values} == {"a", "b"}
    assert {value.get("count") for value in values} == {None, 1, 9}
    assert {value.get("on") for value in values} == {None, True, False}
    assert {value.get("code") for value in values} == {None, "1"}
    assert [] in [value.get("list") for value in values]
    assert len(longest({"type": "string", "maxLength": 300})) == 63


def test_the_bundled_schemas_say_where_they_come_from() -> None:
    kubernetes = Kubernetes()
    assert kubernetes.problems(yaml.safe_load(SERVICE)) == []
    assert kubernetes.version == "v1.36.3"
    quantity = {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "many"}}}
    assert json.dumps(kubernetes.problems(quantity)).count("quantity") == 1


def test_the_objects_of_a_list_are_looked_at_one_by_one(tmp_path: Path) -> None:
    entries = [yaml.safe_load(SERVICE), {**yaml.safe_load(SERVICE), "spec": {"ports": [{"port": "http"}]}}]
    template = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": entries})
    (finding,) = found(tmp_path, template)
    assert (finding.code, "spec.ports[0].port" in finding.message) == ("T202", True)


def test_an_image_without_a_tag_is_found_where_it_is_written(tmp_path: Path) -> None:
    container = "  - name: other\n    image: "
    template = POD.replace("IMAGE", "{{ 'nginx:1.29' }}") + container + "busybox  # small\n"
    (finding,) = found(tmp_path, template)
    assert finding.code == "T205"
    shown = Path(finding.file).read_text().split("\n")[finding.line - 1]
    assert "busybox" in shown


class Slow(BoundedWorker):
    """Says that each rendering took a second of a processor."""

    @property
    def spent(self) -> float:
        return float(self.asked)

    asked = 0

    def render_now(self, pipelines: Sequence[JinjaPipeline], context: RenderContext) -> tuple[Outcome, ...]:
        self.asked += 1
        return super().render_now(pipelines, context)


def of_objects(folder: Path, worker: BoundedWorker) -> list[Remark]:
    home = load_home(folder)
    return check_objects(subject_of(home, offer_of(home), worker), lengths=True)


def test_slow_templates_are_given_up_by_the_work_they_make_and_that_is_said(tmp_path: Path) -> None:
    spec = {"type": "object", "properties": {"a": {"type": "string", "enum": [str(n) for n in range(40)]}}}
    obj = promise({"files": [{"path": "x.yaml", "template": SERVICE}]}, spec)
    (tmp_path / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))
    slow = Slow()
    with slow as worker:
        codes = [remark.code for remark in of_objects(tmp_path, worker)]
        assert "T004" in codes
        assert slow.asked == 6
    with BoundedWorker() as worker:
        codes = [remark.code for remark in of_objects(tmp_path, worker)]
        assert "T004" not in codes
        assert 0 < worker.spent < 5


def own_workflow(folder: Path, template: str, **more: Any) -> list[Finding]:
    """A Promise whose own workflow has that template."""
    obj = promise({"files": [{"path": "y.yaml", "template": SERVICE + "# {{ spec.size }}\n"}]}, PLAIN)
    pipeline = {
        "apiVersion": "troth.dev/v1alpha1",
        "kind": "JinjaPipeline",
        "metadata": {"name": "own"},
        "spec": {"files": [{"path": "x.yaml", "template": {"from": "own.j2"}}]},
    }
    obj["spec"]["workflows"]["promise"] = {"configure": [pipeline]}
    obj["spec"].update(more)
    (folder / "own.j2").write_text(template)
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))
    return lint(folder)


def test_what_the_promises_own_workflow_renders_is_looked_at(tmp_path: Path) -> None:
    assert own_workflow(tmp_path, SERVICE) == []
    [finding] = own_workflow(tmp_path, SERVICE.replace("port: 80", "port: {{ promise.metadata.name }}"))
    assert (finding.code, Path(finding.file).name, finding.line) == ("T202", "own.j2", 7)
    [finding] = own_workflow(tmp_path, POD.replace("IMAGE", "nginx"))
    assert finding.code == "T205"
    [finding] = own_workflow(tmp_path, "apiVersion: other.example.com/v1\nkind: Box\nmetadata: {name: a}\n")
    assert (finding.code, finding.severity) == ("T201", "note")


@pytest.mark.parametrize("template", ["a: {{ promise.metadata.annotations.b }}", "{{ fail('not like this') }}"])
def test_a_workflow_of_the_promise_that_cannot_be_rendered_is_an_error(tmp_path: Path, template: str) -> None:
    [finding] = own_workflow(tmp_path, f"\n{template}\n")
    assert (finding.code, finding.severity, finding.line) == ("T210", "error", 2)


def test_a_promise_without_an_api_is_looked_at_too(tmp_path: Path) -> None:
    own_workflow(tmp_path, SERVICE.replace("port: 80", "port: http"))
    obj = yaml.safe_load((tmp_path / "promise.yaml").read_text())
    del obj["spec"]["api"], obj["spec"]["workflows"]["resource"]
    (tmp_path / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))
    assert [finding.code for finding in lint(tmp_path)] == ["T202"]


def test_dependencies_are_held_against_their_schemas(tmp_path: Path) -> None:
    service = yaml.safe_load(SERVICE)
    box = {"apiVersion": "other.example.com/v1", "kind": "Box", "metadata": {"name": "a"}, "spec": {"a": 1}}
    assert codes(tmp_path, SERVICE, dependencies=[service]) == []
    assert codes(tmp_path, SERVICE, dependencies=[service, box]) == ["T201"]
    service["spec"]["ports"][0]["port"] = 70000
    [finding] = found(tmp_path, SERVICE, dependencies=[service])
    assert finding.code == "T202"
    assert "at most 65535" in finding.message


def test_every_place_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    box = "apiVersion: other.example.com/v1\nkind: Box\nmetadata: {name: a}\n"
    files = [
        {"path": "x.yaml", "template": box + "# {{ spec.size }}\n"},
        {"path": "y.yaml", "template": "\n" + box},
    ]
    obj = promise({"files": files}, PLAIN)
    (tmp_path / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))
    findings = lint(tmp_path)
    assert [finding.code for finding in findings] == ["T201", "T201"]
    assert len({finding.line for finding in findings}) == 2


def test_a_rule_that_cannot_be_evaluated_is_said_to_be_unchecked(tmp_path: Path) -> None:
    crd = boxes()
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["x-kubernetes-validations"] = [{"rule": "self.?spec.hasValue()"}]
    template = "apiVersion: other.example.com/v1\nkind: Box\nmetadata: {name: a}\nspec: {a: 1}\n"
    [finding] = found(tmp_path, template, dependencies=[crd])
    assert (finding.code, finding.severity) == ("T209", "note")
    assert "self.?spec.hasValue()" in finding.message
