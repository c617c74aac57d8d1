"""What a PromiseTest may say, what is made of it, and how a mistake in one is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.documents import ROOT, blocks, pages
from tests.platforms import destination, promise
from troth.authoring.home import load_home
from troth.authoring.input_files import HomeError
from troth.authoring.merge_patch import merged
from troth.authoring.testing import golden
from troth.authoring.testing.matching import differences
from troth.authoring.testing.reading import EXPECT, SuiteReader, read_suites
from troth.authoring.testing.running import CaseResult, Options, Runner, Subject
from troth.authoring.testing.schema import schema_text
from troth.authoring.testing.selecting import InvalidChoice, choose

FILES = [
    {
        "path": "config.yaml",
        "template": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ name }}\ndata: {size: {{ spec.size }}}\n",
    },
    {
        "path": "ports.yaml",
        "when": "{{ spec.ports | length > 0 }}",
        "template": "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ name }}\n  labels: {a: b}\n"
        "spec:\n  ports:\n  {% for port in spec.ports %}\n  - {port: {{ port }}}\n  {% endfor %}\n"
        "{% if spec.size == 'broken' %}{{ fail('broken on purpose') }}{% endif %}\n",
    },
]
SCHEMA = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "enum": ["small", "large", "broken"]},
        "ports": {"type": "array", "items": {"type": "integer"}, "default": [80]},
        "fixed": {
            "type": "string",
            "default": "a",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is fixed"}],
        },
    },
}

Write = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "things"
    (folder / "tests").mkdir(parents=True)
    made = promise("things", files=FILES, spec_schema=SCHEMA, pipeline={"status": {"size": "{{ spec.size }}"}})
    (folder / "promise.yaml").write_text(yaml.safe_dump(made), "utf-8")
    return folder


@pytest.fixture
def write(home: Path) -> Write:
    def put(*cases: Any, name: str = "cases.yaml", **spec: Any) -> Path:
        document = {
            "apiVersion": "troth.dev/v1alpha1",
            "kind": "PromiseTest",
            "metadata": {"name": "cases"},
            "spec": {"cases": list(cases), **spec},
        }
        file = home / "tests" / name
        file.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
        return file

    return put


@pytest.fixture
def outcome(home: Path, write: Write) -> Iterator[Callable[..., CaseResult]]:
    """Runs one case."""
    runners: list[Runner] = []

    def run(case: Mapping[str, Any], *, update: bool = False, **spec: Any) -> CaseResult:
        write(case, **spec)
        loaded = load_home(home)
        suites, problems = read_suites(loaded)
        assert problems == []
        runner = Runner([Subject(loaded, tuple(suites))], Options(update=update))
        runners.append(runner)
        return runner.run_case(0, suites[0], suites[0].cases[0])

    yield run
    for runner in runners:
        runner.close()


def one(expect: Any, **request: Any) -> dict[str, Any]:
    return {"name": "one", "request": {"spec": {"size": "small", **request}}, "expect": expect}


def sentences(result: CaseResult) -> list[str]:
    return [problem.sentence for problem in result.problems]


# ---- expectations: each holds when it is so, and says what is different when it is not

HOLDS: list[tuple[Any, Any]] = [
    ({"counts": {"ConfigMap": 1, "Service": 1, "Secret": 0}}, {"counts": {"Service": 2}}),
    ({"counts": {"Service.core": 0}}, {"counts": {"Service.apps": 1}}),
    (
        {"objects": [{"kind": "Service", "spec": {"ports": [{"port": 80}]}}]},
        {"objects": [{"kind": "Service", "spec": {"ports": [{"port": "80"}]}}]},
    ),
    (
        {"objects": [{"kind": "Service", "metadata": {"namespace": None}}]},
        {"objects": [{"kind": "Service", "metadata": {"labels": None}}]},
    ),
    ({"objects": [{"metadata": {"name": "test"}, "kind": "ConfigMap"}]}, {"objects": [{"kind": "Secret"}]}),
    ({"objects": [{"kind": "ConfigMap", "apiVersion": "v1"}]}, {"objects": [{"apiVersion": "v1"}]}),
    ({"absent": [{"kind": "Service", "metadata": {"name": "other"}}]}, {"absent": [{"kind": "Service"}]}),
    ({"files": ["ports.yaml", "config.yaml"]}, {"files": ["config.yaml"]}),
    ({"status": {"size": "small"}}, {"status": {"size": "large"}}),
    ({"destinations": {"anywhere": ["config.yaml", "ports.yaml"], "x": []}}, {"destinations": {"anywhere": []}}),
    ({"unscheduled": False}, {"unscheduled": True}),
]


@pytest.mark.parametrize(("right", "wrong"), HOLDS, ids=[str(right) for right, _ in HOLDS])
def test_an_expectation_holds_when_it_is_so_and_says_the_line_when_it_is_not(
    outcome: Callable[..., CaseResult], right: Any, wrong: Any
) -> None:
    assert sentences(outcome(one(right))) == []
    failed = outcome(one(wrong))
    assert len(failed.problems) == 1
    assert failed.problems[0].source.line > failed.source.line


def test_a_number_that_should_be_a_text_is_said_to_be_one(outcome: Callable[..., CaseResult]) -> None:
    failed = outcome(one({"objects": [{"kind": "Service", "spec": {"ports": [{"port": "80"}]}}]}))
    assert sentences(failed) == ['objects[0].spec.ports[0].port: expected "80", got 80 (not a text)']


def test_a_missing_object_is_told_with_those_that_are_there(outcome: Callable[..., CaseResult]) -> None:
    failed = outcome(one({"objects": [{"kind": "Secret"}]}))
    assert sentences(failed) == ["objects[0]: there is no Secret; available: ConfigMap/test, Service/test"]


def test_a_refusal_is_expected_by_field_and_words(outcome: Callable[..., CaseResult]) -> None:
    for refused in (True, {"field": "spec.size"}, {"message": "Unsupported value"}):
        assert sentences(outcome(one({"refused": refused}, size="huge"))) == []
    (told,) = sentences(outcome(one({"refused": {"field": "spec.ports"}}, size="huge")))
    assert "spec.size: Unsupported value" in told
    assert sentences(outcome(one({"refused": True}))) == [
        "refused: expected a refusal, but the API server accepts the request"
    ]


def test_a_refusal_that_nobody_expects_fails_the_case(outcome: Callable[..., CaseResult]) -> None:
    (told,) = sentences(outcome(one({"counts": {"Service": 1}}, size="huge")))
    assert told.startswith("the API server refuses the request: spec.size")


def test_a_failing_template_is_expected_by_reason_words_and_file(outcome: Callable[..., CaseResult]) -> None:
    right = {"reason": "Refused", "message": "on purpose", "file": "ports.yaml"}
    assert sentences(outcome(one({"failure": right}, size="broken"))) == []
    assert sentences(outcome(one({"failure": True}, size="broken"))) == []
    assert len(sentences(outcome(one({"failure": {"reason": "TemplateError"}}, size="broken")))) == 1
    (told,) = sentences(outcome(one({"counts": {"Service": 1}}, size="broken")))
    assert "it cannot be rendered" in told
    assert sentences(outcome(one({"failure": True}))) == [
        "failure: expected a failure, but everything is rendered"
    ]


def test_files_that_have_nowhere_to_go_fail_the_case_unless_that_is_expected(
    outcome: Callable[..., CaseResult], home: Path
) -> None:
    platform = destination("east", store="store", labels={"region": "east"})
    (home / "tests" / "platform.yaml").write_text(yaml.safe_dump(platform), "utf-8")
    made = promise("things", files=FILES, spec_schema=SCHEMA, selectors={"region": "west"})
    (home / "promise.yaml").write_text(yaml.safe_dump(made), "utf-8")
    where = {"from": "platform.yaml"}
    assert sentences(outcome(one({"unscheduled": True, "destinations": {"east": []}}), destinations=where)) == []
    (told,) = sentences(outcome(one({"counts": {"Service": 1}}), destinations=where))
    assert "region=west" in told


# ---- steps


def test_an_edit_is_judged_against_the_request_before(outcome: Callable[..., CaseResult]) -> None:
    steps = [
        {"request": {"spec": {"size": "small"}}},
        {"edit": {"spec": {"fixed": "b"}}, "expect": {"refused": {"field": "spec.fixed", "message": "is fixed"}}},
        {"edit": {"spec": {"fixed": None}}, "expect": {"changed": "nothing"}},
        {
            "edit": {"spec": {"size": "large", "ports": []}},
            "expect": {"changed": {"added": [], "removed": ["ports.yaml"], "changed": ["config.yaml"]}},
        },
        {"edit": {"spec": {"ports": None}}, "expect": {"changed": {"added": ["ports.yaml"]}}},
    ]
    assert sentences(outcome({"name": "steps", "steps": steps})) == []


def test_a_change_that_nobody_expects_is_shown_as_a_diff(outcome: Callable[..., CaseResult]) -> None:
    steps = [
        {"request": {"spec": {"size": "small"}}},
        {"edit": {"spec": {"size": "large"}}, "expect": {"changed": "nothing"}},
    ]
    (problem,) = outcome({"name": "steps", "steps": steps}).problems
    assert problem.sentence == "step 2: changed.changed: not expected: config.yaml"
    assert "+  size: large" in problem.diff


def test_a_merge_patch_adds_replaces_and_removes() -> None:
    before = {"a": 1, "b": {"c": 2, "d": 3}, "e": [1]}
    assert merged(before, {"a": None, "b": {"c": 4}, "e": []}) == {"b": {"c": 4, "d": 3}, "e": []}
    assert before == {"a": 1, "b": {"c": 2, "d": 3}, "e": [1]}


# ---- golden folders


def test_a_golden_folder_is_written_compared_and_brought_up_to_date(
    outcome: Callable[..., CaseResult], home: Path
) -> None:
    case = one({"golden": "small"})
    (missing,) = outcome(case).problems
    assert "write it with --update" in missing.message
    golden.update(outcome(case, update=True).goldens)
    assert outcome(case).problems == ()
    kept = {path.name: path for path in (home / "tests" / "golden" / "small").rglob("*.yaml")}
    assert kept.keys() == {"config.yaml", "ports.yaml"}
    kept["config.yaml"].write_text("other: text\n", "utf-8")
    (kept["ports.yaml"].parent / "old.yaml").write_text("old: text\n", "utf-8")
    changed, gone = outcome(case).problems
    assert "-other: text" in changed.diff
    assert "+kind: ConfigMap" in changed.diff
    assert gone.message.endswith("old.yaml is no longer rendered; if that is right, use --update")
    done = outcome(case, update=True)
    assert done.problems == ()
    lines = golden.plan(done.goldens)
    assert [line.split()[0] for line in lines] == ["change", "remove"]
    golden.update(done.goldens)
    assert outcome(case).problems == ()


def test_a_golden_folder_behind_a_link_is_not_written(
    outcome: Callable[..., CaseResult], home: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (home / "tests" / "golden").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HomeError, match="is behind a link"):
        golden.update(outcome(one({"golden": "small"}), update=True).goldens)
    assert list((tmp_path / "elsewhere").iterdir()) == []


# ---- reading

WRONG: list[tuple[Any, str]] = [
    ({"name": "one", "request": {}}, "expects nothing"),
    (one({}), "expects nothing"),
    (one({"count": {}}), "did you mean counts"),
    ({**one({"unscheduled": True}), "steps": []}, "stands beside steps"),
    ({"name": "one", "steps": []}, "is empty"),
    ({"name": "one", "expect": {"refused": True}}, "asks for nothing"),
    ({"name": "one", "steps": [{"edit": {}, "expect": {"refused": True}}]}, "has nothing to edit"),
    (
        {"name": "one", "steps": [{"request": {}, "edit": {}, "expect": {"refused": True}}]},
        "a request and an edit",
    ),
    (
        {"name": "one", "steps": [{"request": {}}, {"edit": {"kind": "X"}, "expect": {"refused": True}}]},
        "cannot be",
    ),
    (one({"changed": "nothing"}), "no step before"),
    (one({"counts": {"Service": -1}}), "is not a number of objects"),
    (one({"counts": {"Service": True}}), "is not a number of objects"),
    (one({"refused": False}), "neither true nor a map"),
    (one({"refused": {"fields": "spec"}}), "did you mean field"),
    (one({"failure": {"reason": "Refuse"}}), "did you mean Refused"),
    (one({"refused": True, "golden": "a"}), "stands beside refused"),
    (one({"golden": "../out"}), "is not a valid folder name"),
    (one({"files": ["a", "a"]}), "occurs twice"),
    (one({"files": ["../a"]}), "is not the path"),
    (one({"objects": [{}]}), "selects nothing"),
    (one({"unscheduled": "yes please"}), "neither true nor false"),
    ({**one({"unscheduled": True}), "name": 5}, "is not a text"),
    ({"name": "one", "request": {"from": "none.yaml"}, "expect": {"refused": True}}, "there is no file"),
    (
        {"name": "one", "request": {"from": "/etc/passwd"}, "expect": {"refused": True}},
        "leaves the Promise's folder",
    ),
    ("text", "is not a map"),
]


@pytest.mark.parametrize(("case", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_a_case_may_not_say_is_told_with_the_line_and_a_remedy(
    home: Path, write: Write, case: Any, words: str
) -> None:
    file = write(case)
    suites, problems = read_suites(load_home(home))
    assert suites == []
    (problem,) = problems
    assert words in str(problem)
    assert problem.remedy
    assert str(problem).startswith(f"{file}:{problem.line}: ")
    assert problem.line is not None
    assert problem.line >= 6


# What only the reader can know: what files there are, and rules between two places.
_BEYOND_A_SCHEMA = ("there is no file", "leaves the Promise's folder", "is not the path", "stands beside refused")
_ONLY_FIRST = ("has nothing to edit",)
_FOR_EDITORS = [(case, words) for case, words in WRONG if words not in _BEYOND_A_SCHEMA + _ONLY_FIRST]


def document(case: Any) -> dict[str, Any]:
    return {"apiVersion": "troth.dev/v1alpha1", "kind": "PromiseTest", "spec": {"cases": [case]}}


@pytest.mark.parametrize("case", [case for case, _ in _FOR_EDITORS], ids=[words for _, words in _FOR_EDITORS])
def test_the_schema_for_editors_refuses_what_the_reader_refuses(case: Any) -> None:
    validator = jsonschema.Draft7Validator(json.loads(schema_text()))
    assert not validator.is_valid(document(case))


@pytest.mark.parametrize("expect", [expect for pair in HOLDS for expect in pair], ids=str)
def test_the_schema_for_editors_takes_what_the_reader_takes(home: Path, write: Write, expect: Any) -> None:
    schema = json.loads(schema_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(document(one(expect)))
    write(one(expect))
    assert read_suites(load_home(home))[1] == []


def test_every_promise_test_in_the_documentation_is_one() -> None:
    validator = jsonschema.Draft7Validator(json.loads(schema_text()))
    found = [
        document
        for page in pages()
        for block in blocks(page)
        if block.language == "yaml" and "kind: PromiseTest" in block.text
        for document in yaml.safe_load_all(block.text)
        if document.get("kind") == "PromiseTest"
    ]
    assert len(found) >= 4
    for document in found:
        validator.validate(document)


def test_every_expectation_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "promise-test.md").read_text("utf-8")
    assert [word for word in EXPECT if f"| `{word}: " not in text] == []
    schema = json.loads(schema_text())["definitions"]["expect"]["properties"]
    assert set(schema) == set(EXPECT)


def test_two_cases_of_one_name_are_refused_with_both_lines(home: Path, write: Write) -> None:
    write(one({"unscheduled": False}), one({"unscheduled": False}))
    (problem,) = read_suites(load_home(home))[1]
    assert "is the name of the case in line 7, too" in str(problem)


def test_an_empty_file_that_is_gone_has_no_difference_in_its_lines() -> None:
    assert golden.unified("a", b"", b"") == ""
    assert golden.unified("a", b"x\n", b"x\r\n") == "only the end of lines is different"


def test_a_misspelled_kind_is_told_and_not_taken_for_data(home: Path, write: Write) -> None:
    file = write({"name": "a", "request": {"spec": {"size": "small"}}, "expect": {"counts": {"ConfigMap": 1}}})
    for kind in ("PromiseTests", "Promisetest", "PromisTest"):
        wrong = file.with_name("more.yaml")
        wrong.write_text(file.read_text("utf-8").replace("PromiseTest", kind), "utf-8")
        _, problems = read_suites(load_home(home))
        assert [str(problem) for problem in problems] == [f"{wrong}: kind: is '{kind}'; use PromiseTest"]


def test_other_yaml_in_the_tests_folder_is_data(home: Path, write: Write) -> None:
    write(one({"unscheduled": False}))
    (home / "tests" / "data.yaml").write_text("kind: Other\n", "utf-8")
    (home / "tests" / "broken.yaml").write_text("a: [\n", "utf-8")
    (home / "tests" / "golden").mkdir()
    (home / "tests" / "golden" / "case.yaml").write_text("kind: PromiseTest\n", "utf-8")
    suites, problems = read_suites(load_home(home))
    assert [suite.file.name for suite in suites] == ["cases.yaml"]
    assert problems == []


def test_a_file_of_cases_that_is_no_yaml_says_the_line(home: Path) -> None:
    (home / "tests" / "cases.yaml").write_text("kind: PromiseTest\nspec: [\n", "utf-8")
    (problem,) = read_suites(load_home(home))[1]
    assert problem.line is not None


def test_a_case_file_behind_a_link_out_of_the_folder_is_refused(home: Path, write: Write, tmp_path: Path) -> None:
    file = write(one({"unscheduled": False}))
    file.rename(tmp_path / "outside.yaml")
    file.symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(HomeError, match="is a link out of"):
        load_home(home)


def test_a_request_may_leave_out_what_is_known(home: Path) -> None:
    reader = SuiteReader(load_home(home))
    whole = reader.completed({"spec": {"size": "small"}, "metadata": {"labels": {"a": "b"}}})
    assert whole == {
        "apiVersion": "things.example.com/v1",
        "kind": "Kindthings",
        "metadata": {"name": "test", "namespace": "default", "labels": {"a": "b"}},
        "spec": {"size": "small"},
    }


def test_a_misspelled_field_of_a_request_is_no_request_for_something_else(
    outcome: Callable[..., CaseResult],
) -> None:
    case = one({"counts": {"ConfigMap": 1}}, szie="large")
    (sentence,) = sentences(outcome(case))
    assert sentence.startswith(
        "request: spec.szie is not a field of the API: the API server drops it, and kubectl refuses"
    )
    edited = {"edit": {"spec": {"prots": [1]}}, "expect": {"changed": "nothing"}}
    steps = [{"request": {"spec": {"size": "small"}}}, edited]
    (sentence,) = sentences(outcome({"name": "edited", "steps": steps}))
    assert sentence.startswith("step 2: edit: spec.prots is not a field of the API")
    assert sentence.endswith("; did you mean ports?")
    nothing = one({"counts": {"ConfigMap": 1}}, ports=None)
    assert sentences(outcome(nothing)) == []


# ---- matching and choosing


def test_maps_match_by_the_keys_given_and_lists_entry_by_entry() -> None:
    actual = {"a": {"b": 1, "c": [{"d": 1, "e": 2}]}, "n": None}
    assert differences({"a": {"c": [{"d": 1}]}, "n": None, "x": None}, actual) == []
    assert differences({"a": {"c": []}}, actual) == [("a.c", 'expected 0 entries, has 1: [{"d":1,"e":2}]')]
    assert differences({"a": {"b": True}}, actual) == [("a.b", "expected true, got 1")]
    assert differences({"a": {"bb": 1}}, actual) == [("a.bb", "expected 1, but it is missing; did you mean b?")]


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("", True),
        ("sizes", True),
        ("SIZES", True),
        ("not sizes", False),
        ("sizes and large", False),
        ("sizes or large", True),
        ("not (large or huge)", True),
        ("a medium database", True),
        ("'a medium' and sizes", True),
        ("nothing", False),
    ],
)
def test_cases_are_chosen_by_words(expression: str, chosen: bool) -> None:
    assert choose(expression)("postgresql::tests/sizes.yaml::A medium database") is chosen


@pytest.mark.parametrize("expression", ["(", "a and", "not", ")", "a ) b", "'a"])
def test_a_choice_that_cannot_be_read_says_how_to_write_one(expression: str) -> None:
    with pytest.raises(InvalidChoice, match="use words with and, or, not"):
        choose(expression)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a", "nothing", "ConfigMap", "../x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*EXPECT, "name", "request", "expect", "steps", "edit", "spec", "metadata", "kind", "from"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=JSON, edit=JSON, expect=JSON)
def test_whatever_stands_in_a_case_is_run_or_refused_with_its_line(
    outcome: Callable[..., CaseResult], write: Write, home: Path, request: Any, edit: Any, expect: Any
) -> None:
    case = {"name": "any", "steps": [{"request": request}, {"edit": edit, "expect": expect}]}
    write(case)
    _, problems = read_suites(load_home(home))
    if problems:
        assert problems[0].line is not None
    else:
        assert outcome(case).name == "any"
