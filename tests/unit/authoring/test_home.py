"""A Promise's folder becomes one document, and every mistake is told where it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.platforms import promise
from troth.authoring.home import HomeError, RefusedPromise, build, load_home, locate, offer_of
from troth.authoring.input_files import LARGEST_FILE, read_documents
from troth.engine.yaml.manifests import load_document

LIBRARY = Path(__file__).parents[3] / "promises"


def home_of(folder: Path, built: dict[str, Any], files: dict[str, str] | None = None) -> Path:
    """A folder with that promise.yaml and those files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "promise.yaml").write_text(yaml.safe_dump(built, sort_keys=False), encoding="utf-8")
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def build_changed(folder: Path, change: Any) -> None:
    """Builds a Promise after a change of its spec."""
    written = promise("things")
    change(written["spec"])
    build(load_home(home_of(folder, written)))


def with_template(template: Any, **pipeline: Any) -> dict[str, Any]:
    return promise("things", files=[{"path": "object.yaml", "template": template}], pipeline=pipeline)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.parent.name for path in LIBRARY.glob("*/promise.yaml")))
def test_building_a_promise_changes_nothing_that_the_operator_sees(name: str) -> None:
    home = load_home(LIBRARY / name)
    text = build(home)
    assert load_document(text) == home.promise
    assert build(load_home(LIBRARY / name)) == text


def test_files_are_put_in_where_they_are_named(tmp_path: Path) -> None:
    written = with_template(
        {"from": "templates/object.yaml.j2"},
        partials={"head": {"from": "templates/head.j2"}},
        values={"sizes": {"from": "values/sizes.yaml"}, "motd": {"from": "values/motd.txt"}},
    )
    written["spec"]["dependencies"] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "first"}},
        {"from": "dependencies/two.yaml"},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "last"}},
    ]
    two = "".join(f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n{n}}}\n" for n in range(2))
    files = {
        "templates/object.yaml.j2": 'kind: A\n{% include "head" %}\n',
        "templates/head.j2": "name: {{ name }}\n",
        "values/sizes.yaml": "small: {cpu: 1}\n",
        "values/motd.txt": "hello\n",
        "dependencies/two.yaml": two,
    }
    home = load_home(home_of(tmp_path, written, files))
    spec = home.promise["spec"]["workflows"]["resource"]["configure"][0]["spec"]
    assert spec["files"][0]["template"] == files["templates/object.yaml.j2"]
    assert spec["partials"] == {"head": "name: {{ name }}\n"}
    assert spec["values"] == {"sizes": {"small": {"cpu": 1}}, "motd": "hello\n"}
    assert [entry["metadata"]["name"] for entry in home.promise["spec"]["dependencies"]] == [
        "first", "n0", "n1", "last",
    ]  # fmt: skip
    build(home)
    base = "spec.workflows.resource.configure[0].spec"
    assert str(locate(home, f"{base}.files[0].template")) == f"{tmp_path}/templates/object.yaml.j2:1"
    assert locate(home, "spec.dependencies[2].kind").path.name == "two.yaml"
    last = locate(home, "spec.dependencies[3].metadata.name")
    lines = (tmp_path / "promise.yaml").read_text(encoding="utf-8").splitlines()
    assert "last" in lines[last.line - 1]


def test_a_template_that_does_not_compile_is_told_with_its_own_file_and_line(tmp_path: Path) -> None:
    folder = home_of(
        tmp_path, with_template({"from": "templates/a.j2"}), {"templates/a.j2": "kind: A\nname: {{ nam }}\n"}
    )
    with pytest.raises(RefusedPromise, match=r"templates/a\.j2:2: .*there is no 'nam' here; did you mean name"):
        build(load_home(folder))


@pytest.mark.slow
def test_an_inline_template_is_told_with_its_line_in_the_promise(tmp_path: Path) -> None:
    text = build(load_home(LIBRARY / "postgresql"))
    line = next(number for number, found in enumerate(text.splitlines(), 1) if "kind: Cluster" in found)
    broken = text.replace("kind: Cluster", "kind: {{ Cluster }}", 1)
    (tmp_path / "promise.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(RefusedPromise, match=rf"promise\.yaml:{line}: "):
        build(load_home(tmp_path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spec: spec["api"]["spec"].update(scope="Cluster"), r"promise\.yaml:\d+: spec\.api\.spec\.scope"),
        (lambda spec: spec["api"].update(metadata={"name": "x"}), r"promise\.yaml:\d+: spec\.api\.metadata\.name"),
        (
            lambda spec: spec.update(workflows="text"),
            r"promise\.yaml:\d+: spec.workflows: .*must be of type object",
        ),
        (
            lambda spec: spec["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"].update(
                properties={"spec": {"properties": {}}}
            ),
            r"promise\.yaml:\d+: spec\.api\.spec\.versions\[0\].*\.properties\.spec\.type: Required value",
        ),
        (lambda spec: spec.update(dependencies=[{"kind": "A"}]), r"spec\.dependencies\[0\]\.apiVersion"),
        (
            lambda spec: spec.update(workflow=spec.pop("workflows")),
            r"promise\.yaml:\d+: spec\.workflow: is not a field of a Promise: .*; did you mean workflows\?",
        ),
        (
            lambda spec: spec["workflows"]["resource"].update(configur=[]),
            r"spec\.workflows\.resource\.configur: .*; did you mean configure\?",
        ),
        (
            lambda spec: spec["destinationSelectors"][0].update(labels={"a": "b"}),
            r"spec\.destinationSelectors\[0\]\.labels: .*; did you mean matchLabels\?",
        ),
        (
            lambda spec: spec.update(zzz=1),
            r"spec\.zzz: .*; known fields: .*api.*workflows",
        ),
        (
            lambda spec: spec["workflows"]["resource"]["configure"][0]["spec"].update(fils=[]),
            r"promise\.yaml:\d+: .*fils: is not a known field; did you mean files",
        ),
    ],
)
def test_what_the_operator_refuses_is_refused_with_the_line_and_the_remedy(
    tmp_path: Path, change: Any, said: str
) -> None:
    with pytest.raises(RefusedPromise, match=said):
        build_changed(tmp_path, change)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("../secret", "leaves the Promise's folder"),
        ("/etc/passwd", "leaves the Promise's folder"),
        ("templates/link", "a link out of the Promise's folder"),
        ("templates/loop", "there is no file"),
        ("templates/absent", "there is no file"),
        ("templates", "is not a file|cannot be read"),
        ("", "is not a path"),
    ],
)
def test_a_template_is_never_read_from_outside_of_the_folder(tmp_path: Path, reference: str, said: str) -> None:
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    folder = home_of(tmp_path / "home", with_template({"from": reference}), {"templates/x": ""})
    (folder / "templates" / "link").symlink_to(tmp_path / "secret")
    (folder / "templates" / "loop").symlink_to("loop")
    with pytest.raises(HomeError, match=said) as caught:
        load_home(folder)
    assert "secret" not in str(caught.value).replace("../secret", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00broken", "is not UTF-8"),
        (b"a: [", "promise.yaml:"),
        (b"", "0 documents"),
        (b"kind: Promise\n---\nkind: Promise\n", "2 documents"),
        (b"[1, 2]", "is not a Promise"),
        (b"kind: ConfigMap", "not a Promise"),
        (b"[" * 100_000, "nested more than"),
        (b"a: &a [1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n" + b"c: [" + b"*b," * 3000 + b"]", "aliases"),
        (b"x" * (LARGEST_FILE + 1), "is larger than"),
    ],
)
def test_a_hostile_file_is_told_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "promise.yaml").write_bytes(content)
    with pytest.raises(HomeError, match=said) as caught:
        load_home(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "apiVersion: web.example.com/v1\nkind: Website\n",
            "promise.yaml:2: is a Website of web.example.com/v1, not a Promise; a Promise has kind: Promise",
        ),
        (
            "apiVersion: troth.dev/v1alpha1\nkind: PromiseTest\n",
            "promise.yaml:2: is a PromiseTest of troth.dev/v1alpha1, not a Promise; a Promise has kind: Promise",
        ),
        ("{kind: Environment}", "promise.yaml:1: is an Environment, not a Promise; a Promise has kind: Promise"),
        (
            "apiVersion: platform.kratix.io/v1alpha1\nmetadata: {name: a}\nkind: Promis\n",
            "promise.yaml:3: kind: is 'Promis'; did you mean Promise?",
        ),
        (
            "apiVersion: platform.kratix.io/v1alpha1\nkind: PromiseRelease\n",
            (
                "promise.yaml:2: is a PromiseRelease of platform.kratix.io/v1alpha1, not a Promise; "
                "a Promise has kind: Promise"
            ),
        ),
        (
            "spec: {}\n",
            "promise.yaml: is not a Promise; a Promise has apiVersion: platform.kratix.io/v1alpha1 and kind: Promise",
        ),
        (
            "kind: Promise\napiVersion: platform.kratix.io/v1\n",
            "promise.yaml:2: the apiVersion is 'platform.kratix.io/v1'; use platform.kratix.io/v1alpha1",
        ),
        ("kind: Promise\n", "promise.yaml: the apiVersion is missing; use platform.kratix.io/v1alpha1"),
    ],
)
def test_a_file_that_is_no_promise_is_told_what_it_is(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "promise.yaml").write_text(text, "utf-8")
    with pytest.raises(HomeError) as caught:
        load_home(tmp_path)
    assert str(caught.value) == f"{tmp_path}/{said}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda spec: pipeline_of(spec)["files"][0].update(template={"form": "templates/x.j2"}),
            r":\d+: .*\.files\[0\]\.template: is a map, not text; did you mean from\?",
        ),
        (
            lambda spec: pipeline_of(spec).update(partials={"head.j2": {"frm": "templates/x.j2"}}),
            r"\.partials\.head\.j2: is a map, not text; did you mean from\?",
        ),
        (
            lambda spec: pipeline_of(spec)["files"][0].update(template={"path": "templates/x.j2"}),
            r"is a map, not text; write from: FILE to name a file of the Promise's folder",
        ),
        (
            lambda spec: spec.update(dependencies=[{"form": "deps.yaml"}]),
            (
                r"dependencies\[0\]\.apiVersion: is missing; a dependency is a whole manifest, or names a file; "
                r"did you mean from\?"
            ),
        ),
        (
            lambda spec: spec.update(dependencies=["deps.yaml"]),
            r"dependencies\[0\]: .*; a dependency is a whole manifest, or names a file; write from: FILE",
        ),
        (lambda spec: spec.update(dependencies=[{"kind": "A"}]), r"is missing; a dependency is a whole manifest$"),
    ],
)
def test_a_misspelled_reference_to_a_file_is_told_how_it_is_written(
    tmp_path: Path, change: Any, said: str
) -> None:
    with pytest.raises(RefusedPromise, match=said):
        build_changed(tmp_path, change)


def pipeline_of(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = spec["workflows"]["resource"]["configure"][0]["spec"]
    return found


def test_a_device_that_never_ends_is_no_promise() -> None:
    with pytest.raises(HomeError, match="is not a file"):
        load_home(Path("/dev/zero"))


def test_a_single_file_is_taken_as_it_is(tmp_path: Path) -> None:
    value = {"from": "nowhere"}
    written = with_template("kind: A\n", values={"text": value})
    file = home_of(tmp_path, written) / "promise.yaml"
    built = load_home(file).promise
    assert built["spec"]["workflows"]["resource"]["configure"][0]["spec"]["values"] == {"text": value}


def test_a_folders_promise_that_is_taken_as_a_whole_one_is_refused_with_how_to_build_it() -> None:
    for name in ("postgresql", "environment"):
        with pytest.raises(
            RefusedPromise, match=r"template: names the file .*; build the Promise first: troth build"
        ):
            offer_of(load_home(LIBRARY / name / "promise.yaml"))


def test_a_dependency_that_stands_in_a_file_is_refused_where_there_is_no_folder(tmp_path: Path) -> None:
    folder = home_of(tmp_path, {**promise("things")})
    built = yaml.safe_load((folder / "promise.yaml").read_text("utf-8"))
    built["spec"]["dependencies"] = [{"from": "dependencies/operator.yaml"}]
    (folder / "promise.yaml").write_text(yaml.safe_dump(built), "utf-8")
    with pytest.raises(RefusedPromise, match=r"dependencies\[0\]: names the file .*; build the Promise first"):
        offer_of(load_home(folder / "promise.yaml"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{- if .Values.crds }}\nkind: A\n{{- end }}\n", "render it first"),
        ("kind: A\nmetadata:\n  name: {{ .Release.Name }}\n", "render it first"),
        ("metadata:\n  labels:\n    {{- include 'x' . | nindent 4 }}\n", "render it first"),
        ("{% if a %}\nkind: A\n{% endif %}\n", "render it first"),
        ("<!DOCTYPE html>\n<html><title>404: gone</title></html>\n", "download the raw file"),
        ('<?xml version="1.0"?>\n<a b="c: d"/>: x\n', "download the raw file"),
    ],
)
def test_what_is_often_taken_for_a_manifest_is_told_with_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "crd.yaml").write_text(text)
    with pytest.raises(HomeError, match=says) as caught:
        read_documents(tmp_path / "crd.yaml")
    assert caught.value.line is not None
    assert "did not find" not in str(caught.value)


def test_yaml_with_a_mistake_is_no_template(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: '{{ b }}'\na: 1\n")
    with pytest.raises(HomeError) as caught:
        read_documents(tmp_path / "a.yaml")
    assert caught.value.remedy == ""
