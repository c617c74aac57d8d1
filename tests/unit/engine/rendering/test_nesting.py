"""What a template builds, and what a file holds, may nest as deep as everything else, and says so when it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.engine.pipelines import failure, pipeline, render, rendered
from troth.api.nesting import DEEPEST
from troth.engine.failure import Failure
from troth.engine.rendering.render import Rendered
from troth.engine.yaml.manifests import InvalidManifest, dump_document, load_documents

BUILD = "{%% set ns = namespace(x={}) %%}{%% for i in range(%d) %%}{%% set ns.x = %s %%}{%% endfor %%}"
MAPS, LISTS = "{'a': ns.x}", "[ns.x]"
USES = {
    "a document": "{{ ns.x }}",
    "a leaf": "a: {{ ns.x }}",
    "a text": "a: b{{ ns.x }}c",
    "a joined text": "a: {{ ns.x ~ 'b' }}",
    "to_yaml": "a:\n  {{ ns.x | to_yaml }}",
    "tojson": "a: {{ ns.x | tojson }}",
    "string": "a: {{ ns.x | string }}",
    "hash": "a: {{ ns.x | hash }}",
    "union": "a: {{ [ns.x] | union([ns.x]) }}",
    "b64encode": "a: {{ ns.x | b64encode }}",
    "fail": "a: {{ fail(ns.x) }}",
}


@pytest.mark.parametrize("form", [MAPS, LISTS])
@pytest.mark.parametrize("use", USES)
def test_a_value_that_a_template_builds_too_deep_is_a_failure_with_its_line(use: str, form: str) -> None:
    found = failure(BUILD % (5_000, form) + "\n" + USES[use])
    assert found.message.endswith(f"nests deeper than {DEEPEST} levels")
    assert (found.file, found.line) == ("file.yaml", 2 + USES[use].count("\n"))


@pytest.mark.parametrize("levels", [DEEPEST + 1, 260, 5_000])
@pytest.mark.parametrize("where", ["values", "status", "control", "when", "forEach", "path"])
def test_a_value_that_is_no_file_is_judged_alike(where: str, levels: int) -> None:
    text = BUILD % (levels, MAPS) + "{{ ns.x }}"
    specs: dict[str, dict[str, Any]] = {
        "values": {"values": {"v": text}, "files": [{"path": "a.txt", "template": "{{ v }}"}]},
        "status": {"status": {"a": text}},
        "control": {"control": {"suspend": "true", "message": text}},
        "when": {"files": [{"path": "a.txt", "template": "a", "when": text}]},
        "forEach": {
            "files": [
                {"path": "a{{ index }}.txt", "template": "a", "forEach": text.replace("ns.x }}", "[ns.x] }}")}
            ]
        },
        "path": {"files": [{"path": text, "template": "a"}]},
    }
    outcome = render(pipeline(**specs[where]))
    assert isinstance(outcome, Failure)
    assert f"nests deeper than {DEEPEST} levels" in outcome.message


def test_what_is_as_deep_as_it_may_be_passes() -> None:
    assert isinstance(rendered(BUILD % (DEEPEST - 2, MAPS) + "a: {{ ns.x }}"), Rendered)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1),
        "[" * 5_000 + "]" * 5_000,
        '{"a":' * 200_000,
        "- " * 5_000 + "a",
        "\n".join(" " * level + "a:" for level in range(300)),
        "a: &a\n  b: *a\n",
        "&a [*a]",
        "a: &a [1]\nb: &b [*a, *a]\n"
        + "".join(f"{chr(99 + n)}: &{chr(99 + n)} [{', '.join([f'*{chr(98 + n)}'] * 9)}]\n" for n in range(9)),
    ],
)
def test_a_file_that_nests_too_deep_or_holds_itself_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidManifest, match=r"nested more than|holds itself|aliases that add"):
        load_documents(text)


def test_what_may_be_read_may_be_written() -> None:
    deepest: Any = "end"
    for _ in range(DEEPEST):
        deepest = {"a": deepest}
    assert load_documents(dump_document(deepest)) == [deepest] == load_documents(json.dumps(deepest))
