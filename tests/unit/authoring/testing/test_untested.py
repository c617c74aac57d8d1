"""Green means tested: requests are made as people ask, and where none is rendered that is said and fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documents import ROOT
from tests.unit.authoring.lint.linted import promise
from troth.api.objects import read_promise
from troth.authoring.home import load_home, offer_of
from troth.authoring.lint.linting import lint
from troth.authoring.lint.subject import subject_of
from troth.authoring.rendering.requests import Requests
from troth.authoring.testing.generated import check_generated
from troth.authoring.testing.kept import GeneratedFailure
from troth.authoring.testing.running import GENERATED_NAMES, Options, Runner, Subject, Task
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.admission.serving import as_served
from troth.engine.lint_report import LintReport
from troth.engine.linting.asking import Asking, Frame
from troth.engine.linting.errors import find_object_errors
from troth.engine.linting.objects import check_objects
from troth.engine.linting.report import lintable
from troth.engine.rendering.context import RenderContext
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Outcome, render_pipeline

SPEC: Mapping[str, Any] = {
    "type": "object",
    "required": ["count"],
    "properties": {"count": {"type": "integer", "minimum": 0, "maximum": 9}, "low": {"type": "integer"}},
}
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
BUG = MAP + 'data: {a: "{{ 10 // spec.count + (spec.low | default(0)) }}"}\n'
RIGHT = BUG.replace("10 // spec.count", "spec.count")
ASKED: Mapping[str, Any] = {
    "apiVersion": "example.com/v1",
    "kind": "Thing",
    "metadata": {"name": "orders"},
    "spec": {"count": 3},
}


def asked(spec: Mapping[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {**ASKED, "metadata": {**ASKED["metadata"], **metadata}, "spec": {**ASKED["spec"], **(spec or {})}}


LABEL = '{% if "team" not in labels %}{{ fail("say whose it is: add the label team") }}{% endif %}'
UNLESS = {
    "label": (LABEL, asked(labels={"team": "a"})),
    "value of a label": (
        '{% if labels.team | default("") != "payments" %}{{ fail("not yours") }}{% endif %}',
        asked(labels={"team": "payments"}),
    ),
    "annotation": (
        '{% if "example.com/cost" not in annotations %}{{ fail("say who pays") }}{% endif %}',
        asked(annotations={"example.com/cost": "7"}),
    ),
    "annotation, read from the whole request": (
        '{% if request.metadata.annotations is not defined %}{{ fail("say who pays") }}{% endif %}',
        asked(annotations={"example.com/cost": "7"}),
    ),
    "namespace": (
        '{% if not namespace.startswith("team-") %}{{ fail("only in namespaces of teams") }}{% endif %}',
        asked(namespace="team-a"),
    ),
    "name": (
        '{% if name is not match("^[a-z]+-prod$") %}{{ fail("a name ends with -prod") }}{% endif %}',
        asked(name="orders-prod"),
    ),
    "fields that fit together": (
        '{% if spec.low is not defined or spec.low != 4711 %}{{ fail("low must be 4711") }}{% endif %}',
        asked({"low": 4711}),
    ),
}


def written(
    folder: Path, template: str, *, examples: Sequence[Any] = (), cases: Sequence[Any] = (), spec: Any = SPEC
) -> Path:
    obj = promise({"files": [{"path": "x.yaml", "template": {"from": "x.j2"}}]}, spec)
    (folder / "x.j2").write_text(template, "utf-8")
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False), "utf-8")
    for number, example in enumerate(examples):
        (folder / "examples").mkdir(exist_ok=True)
        (folder / "examples" / f"{number}.yaml").write_text(yaml.safe_dump(example), "utf-8")
    if cases:
        (folder / "tests").mkdir()
        suite = {
            "apiVersion": "troth.dev/v1alpha1",
            "kind": "PromiseTest",
            "metadata": {"name": "t"},
            "spec": {"cases": list(cases)},
        }
        (folder / "tests" / "t.yaml").write_text(yaml.safe_dump(suite), "utf-8")
    return folder


def made(folder: Path) -> tuple[GeneratedFailure, ...]:
    home = load_home(folder)
    with BoundedWorker() as worker:
        return check_generated(home, Requests(home, destinations=None), worker, examples=10)


def told_by_the_operator(folder: Path) -> LintReport:
    built = read_promise(as_served(load_home(folder).promise))

    def render(pipelines: Sequence[Any], context: RenderContext) -> list[Outcome]:
        return [render_pipeline(pipeline, context, limits=Limits(), nonce="0") for pipeline in pipelines]

    return find_object_errors(lintable(built), render, lambda: 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("what", UNLESS)
def test_what_refuses_everything_is_said_to_be_unmade(tmp_path: Path, what: str) -> None:
    refusing, _ = UNLESS[what]
    folder = written(tmp_path, refusing + "\n" + BUG)
    (failure,) = made(folder)
    assert failure.name == "renders"
    tried, refused = failure.message.replace(",", "").split(" ")[0:3:2]
    assert tried == refused
    assert "refused: nothing was tested; the first refusal was" in failure.message
    assert "write an example or a case" in failure.message
    assert failure.request["kind"] == "Thing"
    findings = [finding for finding in lint(folder) if finding.code == "T211"]
    assert [finding.severity for finding in findings] == ["warning"]
    assert "nothing was tested" in findings[0].message
    report = told_by_the_operator(folder)
    assert "nothing was tested" in report.unfinished


@pytest.mark.slow
@pytest.mark.parametrize("what", UNLESS)
@pytest.mark.parametrize("where", ["example", "case", "edited case"])
def test_requests_are_made_as_people_ask_and_find_the_bug_behind_the_refusal(
    tmp_path: Path, what: str, where: str
) -> None:
    refusing, request = UNLESS[what]
    if where == "example":
        folder = written(tmp_path, refusing + "\n" + BUG, examples=[request])
    elif where == "case":
        folder = written(
            tmp_path, refusing + "\n" + BUG, cases=[{"name": "a", "request": request, "expect": {"counts": {}}}]
        )
    else:
        first = {**request, "spec": {**request["spec"], "count": 5}}
        steps = [{"request": first}, {"edit": {"spec": {"count": 3}}, "expect": {"counts": {}}}]
        folder = written(tmp_path, refusing + "\n" + BUG, cases=[{"name": "a", "steps": steps}])
    (failure,) = made(folder)
    assert (failure.name, failure.request["spec"]["count"]) == ("renders", 0)
    assert "zero" in failure.message
    assert [finding.code for finding in lint(folder) if finding.code in ("T208", "T211")] == ["T208"]


@pytest.mark.slow
@pytest.mark.parametrize("what", UNLESS)
def test_what_is_right_behind_the_refusal_passes_once_somebody_asks_rightly(tmp_path: Path, what: str) -> None:
    refusing, request = UNLESS[what]
    folder = written(tmp_path, refusing + "\n" + RIGHT, examples=[request])
    assert made(folder) == ()
    assert [finding.code for finding in lint(folder) if finding.code in ("T208", "T211")] == []


@pytest.mark.slow
def test_a_rule_of_the_api_that_no_drawn_request_meets_is_met_by_changing_what_people_wrote(
    tmp_path: Path,
) -> None:
    rule = {"rule": "has(self.low) && self.low == 4711", "message": "low must be 4711"}
    spec = {**SPEC, "x-kubernetes-validations": [rule]}
    (failure,) = made(written(tmp_path, BUG, spec=spec))
    assert "no request was found that the API's schema and rules allow" in failure.message
    assert "low must be 4711" in failure.message
    folder = written(tmp_path, BUG, spec=spec, examples=[asked({"low": 4711})])
    (failure,) = made(folder)
    assert failure.request["spec"] == {"count": 0, "low": 4711}
    assert "T208" in [finding.code for finding in lint(folder)]


@pytest.mark.parametrize("above", [True, False])
def test_who_means_it_says_so_in_a_comment(tmp_path: Path, above: bool) -> None:
    comment = "{# troth:ignore T211 only for the pilot, which asks in a namespace of its own #}"
    template = (comment + "\n" + LABEL if above else LABEL + comment) + "\n" + RIGHT
    folder = written(tmp_path, template)
    assert made(folder) == ()
    assert [finding.code for finding in lint(folder) if finding.code in ("T211", "T003")] == []
    assert told_by_the_operator(folder).unfinished == ""
    without = written(tmp_path, template.replace(" only for the pilot, which asks in a namespace of its own", ""))
    assert [failure.name for failure in made(without)] == ["renders"]
    assert told_by_the_operator(without).unfinished


@pytest.mark.slow
@pytest.mark.parametrize("last", ['{{ fail("never") }}', None])
def test_a_pipeline_that_is_never_reached_is_named(tmp_path: Path, last: str | None) -> None:
    folder = written(tmp_path, RIGHT)
    obj = load_home(folder).promise
    pipelines = obj["spec"]["workflows"]["resource"]["configure"]
    second = {**pipelines[0], "metadata": {"name": "two"}}
    if last is None:
        control = {"suspend": "{{ 'example.com/approved' not in annotations }}"}
        pipelines[0] = {**pipelines[0], "spec": {**pipelines[0]["spec"], "control": control}}
    second["spec"] = {"files": [{"path": "x.yaml", "template": (last or "") + BUG}]}
    pipelines.append(second)
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False), "utf-8")
    (failure,) = made(folder)
    assert "the pipeline two was never rendered" in failure.message
    assert ("suspended" if last is None else '"never"') in failure.message
    assert "T211" in [finding.code for finding in lint(folder)]
    assert "the pipeline two was never rendered" in told_by_the_operator(folder).unfinished
    if last is None:
        approved = asked(annotations={"example.com/approved": "yes"})
        (failure,) = made(with_example(folder, approved))
        assert "zero" in failure.message


def with_example(folder: Path, request: Mapping[str, Any]) -> Path:
    (folder / "examples").mkdir()
    (folder / "examples" / "a.yaml").write_text(yaml.safe_dump(request), "utf-8")
    return folder


def test_the_promises_own_workflow_that_refuses_is_no_success(tmp_path: Path) -> None:
    folder = written(tmp_path, RIGHT)
    obj = load_home(folder).promise
    own = {**obj["spec"]["workflows"]["resource"]["configure"][0], "metadata": {"name": "own"}}
    own["spec"] = {"files": [{"path": "o.yaml", "template": '{{ fail("label the Promise first") }}'}]}
    obj["spec"]["workflows"]["promise"] = {"configure": [own]}
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False), "utf-8")
    home = load_home(folder)
    runner = Runner([Subject(home, (), GENERATED_NAMES)], Options(examples=10))
    try:
        (renders, *_) = runner.run(Task(0)).results
    finally:
        runner.close()
    (problem,) = renders.problems
    assert "label the Promise first" in problem.message
    assert problem.diff == "in the Promise's own workflow"


@pytest.mark.parametrize("chosen", [GENERATED_NAMES, GENERATED_NAMES[1:], GENERATED_NAMES[2:]])
def test_none_of_the_generated_cases_passes_when_nothing_was_rendered(
    tmp_path: Path, chosen: tuple[str, ...]
) -> None:
    home = load_home(written(tmp_path, LABEL + "\n" + RIGHT))
    runner = Runner([Subject(home, (), chosen)], Options(examples=10))
    try:
        results = runner.run(Task(0)).results
    finally:
        runner.close()
    assert [(result.name, result.outcome) for result in results] == [(name, "failed") for name in chosen]
    assert "nothing was tested" in results[0].problems[0].message
    for result in results[1:]:
        assert result.problems[0].message.endswith(f"see {chosen[0]}")


def test_a_name_that_grows_too_long_is_found_behind_a_refusal(tmp_path: Path) -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: {{ name }}-web}\nspec: {ports: [{port: 80}]}\n"
    refusing = '{% if "team" not in labels or not name.startswith("orders") %}{{ fail("no") }}{% endif %}'
    folder = written(tmp_path, f"{refusing}\n{service}", examples=[asked(labels={"team": "a"})])
    assert "T203" in [finding.code for finding in lint(folder)]


@pytest.mark.slow
def test_which_requests_are_made_depends_on_the_seed_and_the_files_and_on_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [{"name": "a", "request": asked(labels={"team": "a"}), "expect": {"counts": {}}}]
    folder = written(tmp_path, LABEL + "\n" + RIGHT, examples=[asked({"low": 3}, labels={"x": "y"})], cases=cases)
    seen: list[Any] = []
    render = BoundedWorker.render_now

    def watching(self: BoundedWorker, pipelines: Any, context: RenderContext) -> Any:
        seen.append(context.request)
        return render(self, pipelines, context)

    monkeypatch.setattr(BoundedWorker, "render_now", watching)
    runs = []
    for _ in range(2):
        seen.clear()
        assert made(folder) == ()
        runs.append(list(seen))
    assert runs[0] == runs[1]
    assert {"team": "a", "kratix.io/promise-name": "things"} in [each["metadata"]["labels"] for each in runs[0]]


def test_a_bug_of_a_request_without_labels_is_found_beside_examples_that_have_them(tmp_path: Path) -> None:
    template = RIGHT + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {a: {{ labels.team }}}\n"
    (failure,) = made(written(tmp_path, template, examples=[asked(labels={"team": "a"})]))
    assert "team" in failure.message


def test_what_a_case_expects_to_fail_is_no_example_of_how_to_ask(tmp_path: Path) -> None:
    template = "{% if labels.bad is defined %}{{ spec.nothing }}{% endif %}\n" + RIGHT
    cases = [
        {
            "name": "a",
            "request": asked(labels={"bad": "1"}),
            "expect": {"failure": {"reason": "TemplateUndefined"}},
        },
        {"name": "b", "request": asked({"count": 77}), "expect": {"refused": True}},
    ]
    assert made(written(tmp_path, template, cases=cases)) == ()


def test_lint_tries_what_people_wrote(tmp_path: Path) -> None:
    template = "{% if labels.team is defined and labels.team | int < 1 %}{{ 1 // 0 }}{% endif %}\n" + RIGHT
    home = load_home(written(tmp_path, template, examples=[asked(labels={"team": "a"})]))
    with BoundedWorker() as worker:
        remarks = check_objects(subject_of(home, offer_of(home), worker), lengths=False)
    assert [remark.code for remark in remarks] == ["T208"]


def test_ways_to_ask_differ_in_more_than_names_and_are_few() -> None:
    many = [asked(name=f"n{number}", labels={"team": "a"}) for number in range(50)]
    asking = Asking("example.com/v1", "Thing", [*many, asked(labels={"team": "b"}), {**ASKED, "kind": "Other"}])
    assert asking.frames[:3] == (
        Frame("example"),
        Frame("n0", labels={"team": "a"}),
        Frame("orders", labels={"team": "b"}),
    )
    assert len(asking.frames) <= 5


def test_a_required_text_with_a_pattern_of_its_own_hides_nothing_from_lint_and_the_operator(
    tmp_path: Path,
) -> None:
    image = {"type": "string", "pattern": "^[a-z]+/[a-z]+:[0-9]{2,}$"}
    spec = {**SPEC, "required": ["count", "image"], "properties": {**SPEC["properties"], "image": image}}
    folder = written(tmp_path, BUG + "# {{ spec.image }}\n", spec=spec)
    assert "T208" in [finding.code for finding in lint(folder)]
    assert [error.code for error in told_by_the_operator(folder).errors] == ["T208"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.parent.name for path in (ROOT / "promises").glob("*/promise.yaml")))
def test_the_operator_looks_at_what_the_librarys_promises_render(name: str) -> None:
    assert told_by_the_operator(ROOT / "promises" / name) == LintReport()
