"""Pipelines of containers are checked as far as that is possible without running them; what is not known is said."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.authoring.lint.linted import promise
from troth.api.objects import read_promise
from troth.authoring.lint import CODES, Finding, lint
from troth.engine.lint_report import LintReport
from troth.engine.linting.errors import find_object_errors
from troth.engine.linting.report import joined

Object = dict[str, Any]

WHOLE: Mapping[str, Any] = {
    "apiVersion": "platform.kratix.io/v1alpha1",
    "kind": "Pipeline",
    "metadata": {"name": "shell", "labels": {"team": "a"}, "annotations": {"example.com/note": "b"}},
    "spec": {
        "containers": [
            {
                "name": "one",
                "image": "registry.example.com/one:1",
                "env": [
                    {"name": "A", "value": "b"},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                "imagePullPolicy": "Always",
                "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
                "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "1Gi"}},
            },
            {"name": "two", "image": "two@sha256:" + "0" * 64},
        ],
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "imagePullSecrets": [{"name": "pull"}],
        "nodeSelector": {"example.com/disk": "ssd"},
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
        "restartPolicy": "Never",
        "jobOptions": {"backoffLimit": 0},
        "rbac": {
            "permissions": [
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNamespace": "*"},
                {"apiGroups": ["example.com"], "resources": ["*"], "verbs": ["*"]},
                {"nonResourceURLs": ["/healthz"], "verbs": ["get"], "resourceNamespace": "*"},
            ]
        },
    },
}
TEMPLATES = {
    "apiVersion": "troth.dev/v1alpha1",
    "kind": "JinjaPipeline",
    "metadata": {"name": "templates"},
    "spec": {"files": [{"path": "x.txt", "template": "{{ spec.size }}\n"}]},
}


MISTAKES: list[tuple[str, str, Any, str]] = [
    # what Kubernetes refuses in the Job
    (
        "T401",
        "spec/containers/0/imagePullPolicy",
        "Sometimes",
        "imagePullPolicy: is 'Sometimes', which is not",
    ),
    ("T401", "spec/containers/0/name", "One_", "containers[0].name: is 'One_'"),
    ("T401", "spec/containers/1/securityContext", {"capabilities": {"dorp": []}}, "did you mean drop?"),
    ("T401", "spec/containers/1/securityContext", {"runAsUser": "root"}, "not a whole number"),
    ("T401", "spec/containers/1/resources", {"limits": {"cpu": "one"}}, "not a quantity"),
    ("T401", "spec/containers/1/resources", {"limits": {"memroy": "1Gi"}}, "did you mean memory?"),
    ("T401", "spec/containers/1/resources", {"limits": {"cpu": "-1"}}, "which is negative"),
    (
        "T401",
        "spec/containers/0/resources/requests/cpu",
        "2",
        "spec.containers[0].resources.requests.cpu: is 2, which is more than the limit, 1",
    ),
    ("T401", "spec/containers/0/env/1/valueFrom", {"feildRef": {}}, "env[1].valueFrom.feildRef"),
    ("T401", "spec/containers/0/env/1/valueFrom", {}, "must name exactly one source"),
    ("T401", "spec/containers/0/env/1/value", "x", "B has both value and valueFrom"),
    ("T401", "spec/containers/0/volumeMounts/0/name", "cahce", "does not declare; did you mean cache?"),
    ("T401", "spec/containers/0/volumeMounts/0/mountPath", None, "volumeMounts[0].mountPath: is required"),
    ("T401", "spec/volumes", [{"name": "cache", "emptyDir": {}}] * 2, "two volumes are named 'cache'"),
    ("T401", "spec/volumes/0/emptyDir", {"sizeLimt": "1Gi"}, "spec.volumes[0].emptyDir.sizeLimt"),
    ("T401", "spec/volumes/0/hostPath", {"path": "/x"}, "is emptyDir and hostPath at once"),
    ("T401", "spec/tolerations/0/tolerationSeconds", "soon", "spec.tolerations[0].tolerationSeconds"),
    ("T401", "spec/nodeSelector", {"-x": "ssd"}, "spec.nodeSelector: Invalid value"),
    ("T401", "metadata/labels", {"a b": "c"}, "metadata.labels: Invalid value"),
    ("T401", "metadata/labels", {"team": "a b"}, "metadata.labels: Invalid value"),
    ("T401", "metadata/annotations", {"a b": "c"}, "metadata.annotations: Invalid value"),
    # rules
    ("T401", "spec/rbac/permissions/0/verbs", [], "the rule has no verbs"),
    ("T401", "spec/rbac/permissions/0/verbs", "get", "is the text 'get', not a list"),
    ("T401", "spec/rbac/permissions/0/resources", [], "the rule has no resources"),
    ("T401", "spec/rbac/permissions/0/apiGroups", None, "the rule has no apiGroups"),
    ("T401", "spec/rbac/permissions/2/resources", ["pods"], "cannot have both"),
    ("T401", "spec/rbac/permissions/2/resourceNamespace", "", "belong to no namespace"),
    ("T408", "spec/rbac/permissions/1/apiGroups", ["*"], "in its namespace, Secrets and Roles included"),
    (
        "T409",
        "spec/rbac/permissions/1",
        {"apiGroups": ["example.com"], "resources": ["things/status"], "verbs": ["get", "patch"]},
        "with things/status without asking",
    ),
    # what is written twice, or for nothing
    ("T403", "metadata/labels", {"kratix.io/hash": "x"}, "writes the label kratix.io/hash itself"),
    ("T403", "metadata/annotations", {"kratix.io/trace-parent": "x"}, "the annotation kratix.io/trace-parent"),
    ("T404", "spec/containers/0/env/1", {"name": "A", "value": "c"}, "only the last value counts"),
    (
        "T404",
        "spec/containers/0/env/1",
        {"name": "KRATIX_PROMISE_NAME", "value": "c"},
        "that every pipeline gets",
    ),
    ("T405", "spec/volumes", [*WHOLE["spec"]["volumes"], {"name": "spare", "emptyDir": {}}], "volume spare"),
    ("T406", "spec/containers/0/volumeMounts/0/mountPath", "/kratix/output", "are not sent to a Destination"),
    ("T406", "spec/containers/0/volumeMounts/0/mountPath", "/kratix//input/more/", "do not find their input"),
    ("T407", "metadata/name", "s" * 50, "Kratix refuses more than 60"),
    ("T205", "spec/containers/0/image", "registry.example.com:5000/one", "has no fixed tag"),
    ("T205", "spec/containers/0/image", "one:latest", "has no fixed tag"),
    # what the operator refuses
    ("T001", "spec/containers/0/commnad", ["sh"], "spec.containers[0].commnad: is not a known field"),
    ("T001", "spec/containers/1/name", "reader", "is the name of a container that every Pod"),
    ("T001", "spec/containers/1/name", "one", "two containers are named 'one'"),
    ("T001", "spec/restartPolicy", "Always", "is not possible in a Job"),
    ("T001", "spec/jobOptions", {"backofLimit": 1}, "jobOptions.backofLimit: is not a known field"),
]


def written(*pipelines: Mapping[str, Any]) -> Object:
    """A Promise whose requests are carried out by these pipelines."""
    obj = promise({})
    obj["spec"]["workflows"]["resource"]["configure"] = [copy.deepcopy(dict(pipeline)) for pipeline in pipelines]
    return obj


def found(folder: Path, *pipelines: Mapping[str, Any]) -> list[Finding]:
    (folder / "promise.yaml").write_text(yaml.safe_dump(written(*pipelines), sort_keys=False))
    return lint(folder)


def changed(path: str, value: Any) -> Object:
    """The whole pipeline, with another value at a path such as ``spec.containers.0.image``."""
    pipeline: Any = copy.deepcopy(WHOLE)
    *parents, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place = pipeline
    for step in parents:
        place = place[step]
    place[last] = value
    return dict(pipeline)


def line_of(folder: Path, words: str) -> int:
    lines = (folder / "promise.yaml").read_text().split("\n")
    return next(number for number, line in enumerate(lines, 1) if words in line)


def test_a_pipeline_as_it_should_be_gets_one_note_that_says_what_is_not_known(tmp_path: Path) -> None:
    [note] = found(tmp_path, WHOLE, {**WHOLE, "metadata": {"name": "second"}})
    assert (note.code, note.severity, note.line) == ("T402", "note", line_of(tmp_path, "kind: Pipeline") - 1)
    assert note.message == (
        "the pipelines resource.configure/shell, resource.configure/second run in containers: the files, the status "
        "and the destinations that they write are only known when they have run"
    )


@pytest.mark.parametrize(("code", "path", "value", "words"), MISTAKES)
def test_a_mistake_is_found_once_with_its_code_and_its_words(
    tmp_path: Path, code: str, path: str, value: Any, words: str
) -> None:
    findings = [finding for finding in found(tmp_path, changed(path, value)) if finding.code != "T402"]
    assert [finding.code for finding in findings] == [code], findings
    assert words in findings[0].message


def test_every_code_about_containers_has_a_mistake_that_shows_it() -> None:
    shown = {row[0] for row in MISTAKES} | {"T402"}
    assert {code for code in CODES if code.startswith("T4")} <= shown


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("spec/containers/0/imagePullPolicy", "Sometimes", "imagePullPolicy: Sometimes"),
        ("spec/containers/1/image", "two:latest", "image: two:latest"),
        ("spec/containers/0/volumeMounts/0/mountPath", "/kratix/output", "mountPath: /kratix/output"),
        ("spec/rbac/permissions/1/verbs", [], "verbs: []"),
        ("metadata/labels", {"kratix.io/hash": "x"}, "kratix.io/hash: x"),
    ],
)
def test_a_finding_is_on_the_line_of_the_mistake(tmp_path: Path, path: str, value: Any, line: str) -> None:
    [finding] = [each for each in found(tmp_path, TEMPLATES, changed(path, value)) if each.code != "T402"]
    wanted = line_of(tmp_path, line)
    assert finding.line == wanted


def test_templates_beside_containers_are_checked_as_they_are_without_them(tmp_path: Path) -> None:
    broken = copy.deepcopy(TEMPLATES)
    broken["spec"]["files"] = [  # type: ignore[index]
        {"path": "x.txt", "template": "{% if spec.size == 'large' %}{{ spec.sise }}{% endif %}"},
        {"path": "y.yaml", "template": "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {prts: []}\n"},
    ]
    findings = {finding.code: finding for finding in found(tmp_path, WHOLE, broken)}
    assert {"T101", "T202", "T402"} <= set(findings)
    assert findings["T101"].line == line_of(tmp_path, "spec.sise")


def test_containers_may_read_any_field_and_write_any_status_so_nothing_is_said_to_be_unused(
    tmp_path: Path,
) -> None:
    column = {"name": "Host", "type": "string", "jsonPath": ".status.host"}
    codes: dict[bool, set[str]] = {}
    for with_containers in (False, True):
        obj = written(TEMPLATES, *([WHOLE] if with_containers else []))
        obj["spec"]["api"]["spec"]["versions"][0]["additionalPrinterColumns"] = [column]
        (tmp_path / "promise.yaml").write_text(yaml.safe_dump(obj))
        codes[with_containers] = {finding.code for finding in lint(tmp_path)}
    assert codes == {False: {"T107", "T110"}, True: {"T402"}}


def test_a_comment_silences_a_finding_about_containers(tmp_path: Path) -> None:
    obj = yaml.safe_dump(written(changed("spec/containers/1/image", "two:latest")), sort_keys=False)
    silenced = obj.replace("image: two:latest", "image: two:latest  # troth:ignore T205 built in the test")
    (tmp_path / "promise.yaml").write_text(silenced)
    assert [finding.code for finding in lint(tmp_path)] == ["T402"]


def reported(obj: Object) -> LintReport:
    """What the process of the operator that checks Promises finds in an applied one."""
    obj["metadata"] |= {"uid": "u", "generation": 1}
    read_promise(obj)
    refuse: Callable[..., Any] = lambda pipelines, context: []  # noqa: E731
    return joined([find_object_errors(obj, refuse, lambda: 0.0)])


def test_the_operator_reports_errors_with_the_pipeline_and_the_field_and_what_is_not_known() -> None:
    report = reported(written(changed("spec/containers/0/imagePullPolicy", "Sometimes")))
    [error] = report.errors
    assert (error.code, error.place) == ("T401", "shell/containers[0].imagePullPolicy:1")
    assert "resource.configure/shell runs in containers" in report.unknown
    assert report.unfinished == ""
    report = reported(written(WHOLE))
    assert (report.errors, report.count) == ((), 0)
    assert report.unknown.endswith("are only known when it has run")
    assert reported(written(TEMPLATES)).unknown == ""
