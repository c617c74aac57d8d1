"""Parts of texts in manifests that become fields of a new Promise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.authoring.starting.test_starting import FEW, TEXTS, folder_of, written
from troth.authoring.home import load_home
from troth.authoring.starting import begin
from troth.authoring.starting.errors import CannotStart
from troth.authoring.starting.parameters import parse_parameter
from troth.authoring.starting.parts import Part, parse_part
from troth.engine.yaml.emit import dump_document

LABELS = {"app": "shop-web", "version": "1.27"}
DEPLOYMENT: Mapping[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop-web", "labels": LABELS},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "shop-web"}},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "image": "registry.example.com/nginx:1.27",
                        "imagePullPolicy": "IfNotPresent",
                        "args": ["--port=8080", "--url=https://shop.example.com:8080/shop?shop=1"],
                        "ports": [{"containerPort": 8080}],
                        "env": [{"name": "PORT", "value": "8080"}, {"name": "PATTERN", "value": "{{a}} {shop}"}],
                        "resources": {"limits": {"memory": "128Mi"}},
                    },
                    {"name": "exporter", "image": "registry.example.com/nginx-exporter:1.27"},
                ]
            },
        },
    },
}
CONTAINER = "Deployment/*:spec.template.spec.containers[0]"
IMAGE = f"{CONTAINER}.image"


def begun(folder: Path, *parameters: str) -> Path:
    """The home of a Promise; rendering it has given the manifests back, and lint has found no error."""
    source = folder_of(folder / "in", {"web.yaml": json.dumps(DEPLOYMENT)})
    return written(
        begin(folder / "shop", manifests=source, parameters=[parse_parameter(one) for one in parameters])
    )


def template_of(home: Path) -> str:
    return (home / "templates" / "web.yaml.j2").read_text("utf-8")


def fields_of(home: Path) -> Mapping[str, Any]:
    api = load_home(home).promise["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields: Mapping[str, Mapping[str, Any]] = api["properties"]["spec"]["properties"]
    assert all(field["description"].startswith("Replaces ") for field in fields.values())
    return {
        name: {key: said for key, said in field.items() if key != "description"} for name, field in fields.items()
    }


def test_a_part_becomes_a_field_and_the_text_around_it_stays(tmp_path: Path) -> None:
    home = begun(
        tmp_path,
        "tag=Deployment/*:spec.template.spec.containers[*].image=1.27",
        f"registry={IMAGE}=registry.example.com",
        f"host={CONTAINER}.args[1]=shop.example.com",
        f"memory={CONTAINER}.resources.limits.memory=128",
    )
    template = template_of(home)
    assert "image: {{ spec.registry }}/nginx:{{ spec.tag }}\n" in template
    assert "image: registry.example.com/nginx-exporter:{{ spec.tag }}\n" in template
    assert "--url=https://{{ spec.host }}:8080/shop?shop=1\n" in template
    assert "memory: {{ spec.memory }}Mi\n" in template
    fields = fields_of(home)
    assert fields["tag"] == {
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
        "default": "1.27",
    }
    assert fields["host"] == {"type": "string", "default": "shop.example.com"}
    assert fields["memory"] == {"type": "integer", "minimum": 0, "maximum": 2147483647, "default": 128}


def test_what_occurs_more_than_once_is_told_apart_by_the_text_around_it(tmp_path: Path) -> None:
    home = begun(
        tmp_path,
        f"path={CONTAINER}.args[1]=/{{shop}}?",
        f"query={CONTAINER}.args[1]={{shop}}=1",
        f"port={CONTAINER}.args[1]=:{{8080}}/",
    )
    assert "https://shop.example.com:{{ spec.port }}/{{ spec.path }}?{{ spec.query }}=1\n" in template_of(home)


@pytest.mark.slow
def test_a_number_in_a_text_and_the_number_itself_are_one_field(tmp_path: Path) -> None:
    for order in (1, -1):
        places = [f"{CONTAINER}.args[0]=8080", f"{CONTAINER}.args[1]=8080", f"{CONTAINER}.ports[0].containerPort"]
        home = begun(tmp_path / f"order{order}", *(f"port={place}" for place in places[::order]))
        assert fields_of(home)["port"] == {"type": "integer", "minimum": 1, "maximum": 65535, "default": 8080}
        assert template_of(home).count("{{ spec.port }}") == 3


def test_a_part_and_a_text_of_digits_are_a_text(tmp_path: Path) -> None:
    home = begun(tmp_path, f"port={CONTAINER}.args[0]=8080", f"port={CONTAINER}.env[name=PORT].value")
    field = fields_of(home)["port"]
    assert (field["type"], field["default"], field["pattern"]) == ("string", "8080", "^(0|[1-9][0-9]*)$")


def test_a_part_that_is_all_of_a_text_stays_a_text(tmp_path: Path) -> None:
    home = begun(tmp_path, f"port={CONTAINER}.env[name=PORT].value=8080")
    assert fields_of(home)["port"] == {"type": "string", "default": "8080"}


@pytest.mark.slow
def test_a_tag_that_is_a_label_too_lets_in_what_both_places_do(tmp_path: Path) -> None:
    version = ["metadata.labels.version", "spec.template.metadata.labels.version"]
    home = begun(tmp_path, f"tag={IMAGE}=1.27", *(f"tag=Deployment/*:{place}" for place in version))
    field = fields_of(home)["tag"]
    assert (field["minLength"], field["maxLength"]) == (1, 63)


def test_the_name_of_the_request_may_be_a_part_of_names_and_leaves_room_for_the_rest(tmp_path: Path) -> None:
    places = ["metadata.name", *(f"{path}.app" for path in ("metadata.labels", "spec.selector.matchLabels"))]
    places.append("spec.template.metadata.labels.app")
    home = begun(tmp_path, *(f"metadata.name=Deployment/*:{place}=shop" for place in places))
    assert template_of(home).count("{{ name | dns_label(59) }}-web\n") == 4
    assert "name: shop\n" in (home / "examples" / "example.yaml").read_text("utf-8")


def test_a_part_of_one_of_several_words_lets_in_the_words(tmp_path: Path) -> None:
    home = begun(tmp_path, f"pull={CONTAINER}.imagePullPolicy=IfNotPresent")
    assert sorted(fields_of(home)["pull"]["enum"]) == ["Always", "IfNotPresent", "Never"]


@pytest.mark.slow
def test_braces_and_templates_around_a_part_stay_what_they_are(tmp_path: Path) -> None:
    begun(tmp_path / "1", f"word={CONTAINER}.env[name=PATTERN].value=shop")
    begun(tmp_path / "2", rf"word={CONTAINER}.env[name=PATTERN].value=\{{{{a}}\}}\}}")
    begun(tmp_path / "3", rf"word={CONTAINER}.env[name=PATTERN].value=\{{\{{a\}}")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (f"{IMAGE}=1.28", "holds 'registry.example.com/nginx:1.27', without '1.28'"),
        (f"{IMAGE}=httpd:{{1.27}}", "without 'httpd:1.27'"),
        (
            f"{IMAGE}=e",
            "'e' is in Deployment/shop-web:spec.template.spec.containers[0].image more than once; write",
        ),
        (f"{CONTAINER}.args[1]={{s}}hop", "'shop' is in"),
        ("Deployment/*:spec.replicas=2", "holds 2, which is not text and has no parts"),
        (
            f"{IMAGE}=",
            "does not name a part; write =TEXT, or more of the text with the part in braces, such as =nginx:{1.27}",
        ),
        (f"{IMAGE}=nginx:{{}}", "does not name a part"),
        (f"{IMAGE}={{a}}{{b}}", "does not name a part"),
        (f"{IMAGE}=}}a{{", "does not name a part"),
        (f"{IMAGE}={{a", "does not name a part"),
    ],
)
def test_a_part_that_is_not_there_once_says_why(tmp_path: Path, part: str, said: str) -> None:
    with pytest.raises(CannotStart, match="--param") as error:
        begun(tmp_path, f"a={part}")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ((f"a={IMAGE}=nginx", f"b={IMAGE}=nginx:1"), "a part of it is taken by --param a="),
        ((f"a={IMAGE}=nginx", f"b={IMAGE}"), "a part of it is taken by --param a="),
        ((f"a={IMAGE}=nginx", f"a={IMAGE}=1.27"), "holds 'nginx', and '1.27' in"),
        ((f"a={CONTAINER}.args[0]=8080", "a=Deployment/*:spec.replicas"), "holds 8080, and Deployment"),
        ((f"metadata.name={IMAGE}=registry.example.com/nginx",), "is not a valid name for a request"),
    ],
)
def test_parts_that_do_not_go_together_say_why(tmp_path: Path, parameters: tuple[str, ...], said: str) -> None:
    with pytest.raises(CannotStart, match="--param") as error:
        begun(tmp_path, *parameters)
    assert said in str(error.value)


def escaped(text: str) -> str:
    return "".join(f"\\{one}" if one in "{}\\" else one for one in text)


@settings(max_examples=300, deadline=None)
@given(st.text(), st.text(min_size=1), st.text())
def test_what_is_written_of_a_part_is_what_is_read(before: str, text: str, behind: str) -> None:
    assert parse_part(f"{escaped(before)}{{{escaped(text)}}}{escaped(behind)}") == Part(before, text, behind)
    assert parse_part(escaped(text)) == Part("", text, "")


@settings(max_examples=300, deadline=None)
@given(
    st.text("ab{"), st.text("ab{", max_size=3), st.text("ab{", min_size=1, max_size=3), st.text("ab{", max_size=3)
)
def test_a_part_is_found_wherever_its_text_is(value: str, before: str, text: str, behind: str) -> None:
    part = Part(before, text, behind)
    wanted = [
        (at + len(before), at + len(before + text))
        for at in range(len(value))
        if value[at:].startswith(before + text + behind)
    ]
    assert list(part.spans(value)) == wanted


@pytest.mark.slow
@FEW
@example("{{ a }}", "{% raw %}", "}", "x")
@given(TEXTS, TEXTS.filter(bool), TEXTS, st.text(min_size=1, max_size=3))
def test_any_part_of_any_text_comes_back(before: str, text: str, behind: str, more: str) -> None:
    obj = {"apiVersion": "example.com/v1", "kind": "Anything", "metadata": {"name": "a"}}
    spec = {"text": before + text + behind, "twice": [more + text + more, text]}
    source_text = dump_document({**obj, "spec": spec})
    parts = [
        f"one=*/*:spec.text={escaped(before)}{{{escaped(text)}}}{escaped(behind)}",
        f"two=*/*:spec.twice[0]={escaped(more)}{{{escaped(text)}}}{escaped(more)}",
        f"two=*/*:spec.twice[1]={escaped(text)}",
    ]
    with TemporaryDirectory() as folder:
        source = folder_of(Path(folder, "in"), {"all.yaml": source_text})
        home = written(
            begin(Path(folder, "any"), manifests=source, parameters=[parse_parameter(one) for one in parts])
        )
        template = (home / "templates" / "all.yaml.j2").read_text("utf-8")
        assert template.count("{{ spec.two }}") >= 2
