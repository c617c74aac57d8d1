"""No value makes a file into something that its author did not mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.pipelines import context, pipeline, render
from troth.api.files import file_kind, holds_manifests
from troth.authoring.output import printable
from troth.authoring.testing.matching import rendered_objects
from troth.engine.failure import Failure
from troth.engine.placement.layout import aggregate
from troth.engine.rendering.render import Rendered
from troth.engine.yaml.manifests import load_documents
from troth.stores.kubernetes_objects import read_manifests

INJECTION = "x\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: mine}\n"


def outcome(path: str, template: str = "a: {{ spec.value }}\n", **spec: Any) -> Rendered | Failure:
    return render(pipeline(template, path=path), context({"value": "x", **spec}))


SUFFIXES = [
    ".yaml",
    ".YAML",
    ".Yaml",
    ".yml",
    ".YML",
    ".json",
    ".JSON",
    ".jSoN",
    ".txt",
    "",
    ".yaml.txt",
    ".yaml ",
]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_value_is_a_value_in_every_file_that_somebody_reads_for_manifests(suffix: str) -> None:
    template = (
        '{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"v": {{ spec.value }}}}'
        if file_kind(f"a{suffix}") == "JSON"
        else "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {v: {{ spec.value }}}\n"
    )
    made = outcome("{{ spec.file }}", template, file=f"cm{suffix}", value=INJECTION)

    if isinstance(made, Failure):
        return
    files = {file.path: file.content for file in made.files}
    applied = read_manifests(files, lambda text: load_documents(text))
    assert {manifest.body["kind"] for manifest in applied} <= {"ConfigMap"}
    joined = aggregate({("p", "n"): files, ("q", "n"): {"b.yaml": b"a: b\n"}}) or b""
    documents = load_documents(joined.decode())
    assert {document.get("kind") for document in documents if document} <= {"ConfigMap", None}


def test_whoever_shows_or_expects_what_was_rendered_reads_the_same_files() -> None:
    files = {"a.YAML": b"kind: A\n", "b.yml": b"kind: B\n", "c.JSON": b'{"kind": "C"}\n', "d.txt": b"kind: D\n"}

    assert [obj["kind"] for obj in rendered_objects(files)] == ["A", "B", "C"]
    assert [line for line in printable({"here": files}).splitlines() if "kind" in line] == [
        "kind: A",
        "kind: B",
        '{"kind": "C"}',
        "# kind: D",
    ]


def test_text_is_never_joined_with_manifests() -> None:
    joined = aggregate({("p", "n"): {"NOTES.txt": b"a: b: c: [ {\n---\nkind: X\n", "a.yaml": b"a: 1\n"}})

    assert joined == b"a: 1\n"
    assert aggregate({("p", "n"): {"NOTES.txt": b"text"}}) is None


@given(st.sampled_from(["a.yaml", "b.YML", "c.json", "d.txt", "e"]), st.booleans())
def test_upper_and_lower_case_are_one_kind(path: str, upper: bool) -> None:
    other = path.upper() if upper else path.lower()

    assert file_kind(path) == file_kind(other)
    assert holds_manifests(path) == (file_kind(path) != "text")


MEANT = [
    "kustomization.yaml",
    "kustomization.yml",
    "Kustomization",
    "KUSTOMIZATION.YAML",
    "\uff4bustomization.yaml",
    ".sourceignore",
    ".argocd-source.yaml",
    ".argocd-source-app.yaml",
    ".argocd-allow-concurrency",
    ".gitattributes",
    ".gitmodules",
    ".GitModules",
    ".gitignore",
    ".github/workflows/ci.yaml",
    ".GitHub/workflows/ci.yaml",
    "a/.gitlab-ci.yml",
    "Chart.yaml",
    "CODEOWNERS",
    ".kratix/x.yaml",
    ".sops.yaml",
]


@pytest.mark.parametrize("name", MEANT)
def test_a_value_makes_no_name_that_tools_give_a_meaning(name: str) -> None:
    made = outcome("{{ spec.file }}", file=name)

    assert isinstance(made, Failure)
    assert made.reason == "InvalidPath"
    assert isinstance(outcome(name), Rendered), "who writes it into the template means it"


def test_a_request_that_is_called_like_a_file_of_a_tool_is_refused_and_others_are_not() -> None:
    for name, refused in (("kustomization", True), ("kustomizations", False), ("my-kustomization", False)):
        assert isinstance(outcome("{{ spec.name }}.yaml", name=name), Failure) == refused
    assert isinstance(outcome("{{ spec.folder }}/kustomization.yaml", folder="team-a"), Rendered)
    assert isinstance(outcome("{{ spec.folder }}/kustomization.yaml", folder=".github"), Failure)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.yaml", "A.yaml"),
        ("a.yaml", "a.YAML"),
        ("é.yaml", "e\u0301.yaml"),
        ("ﬁ.yaml", "fi.yaml"),
        ("ß.yaml", "SS.yaml"),
    ],
)
def test_two_spellings_of_one_path_are_refused(first: str, second: str) -> None:
    given = pipeline("a: 1\n", files=[{"path": "{{ item }}", "forEach": "{{ spec.files }}", "template": "a: 1\n"}])
    made = render(given, context({"files": [first, second]}))

    assert isinstance(made, Failure)
    assert made.reason == "DuplicatePath"
    assert "are the same file to some readers" in made.message
