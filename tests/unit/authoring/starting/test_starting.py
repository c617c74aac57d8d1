"""`troth init`: what it makes passes lint and its own tests, and manifests come back as they were.

Each Promise that is started is linted, built and tested, so `make test` draws only a few for each property, beside one
that has everything in it. `TROTH_STARTS=100` draws 100.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from troth.api.pipelines import JinjaPipeline, parse_pipeline
from troth.authoring.home import build, load_home
from troth.authoring.input_files import HomeError
from troth.authoring.lint import lint
from troth.authoring.starting import Began, begin, write
from troth.authoring.starting.definitions import plural_of
from troth.authoring.starting.errors import CannotStart
from troth.authoring.starting.escaping import escape
from troth.authoring.starting.fields import Field, parse_field, parse_fields
from troth.authoring.starting.parameters import parse_parameter
from troth.authoring.testing.running import Options
from troth.authoring.testing.selecting import choose
from troth.authoring.testing.session import collect, run
from troth.engine.linting.patterns import text_for
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import RenderContext, Rendered, render_pipeline
from troth.engine.yaml.emit import dump_document
from troth.engine.yaml.manifests import load_documents

EXAMPLES = 8
FEW = settings(
    max_examples=int(os.environ.get("TROTH_STARTS", "4")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.nested_given],
)
DEPLOYMENT: Mapping[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [{"name": "app", "image": "nginx:1.27"}, {"name": "log", "image": "nginx:1.27"}]
            },
        },
    },
}


def written(began: Began) -> Path:
    """The Promise on the disk, after it kept what it promises."""
    write(began)
    folder = began.folder
    found = [finding for finding in lint(folder) if finding.severity != "note"]
    assert found == []
    build(load_home(folder))
    collected = collect([folder], choose(""))
    assert collected.problems == ()
    assert collected.notes == ()
    session = run(collected, Options(coverage=True, examples=EXAMPLES), jobs=1)
    assert session.failed == []
    ((_, coverage),) = session.coverage
    assert coverage.percent == 100.0, coverage.as_text()
    return folder


def folder_of(path: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, "utf-8")
    return path


# ---- fields


@pytest.mark.parametrize(
    ("line", "schema", "required"),
    [
        ("a:string", {"type": "string"}, False),
        ("a:string:required", {"type": "string"}, True),
        (
            "size:string:enum=small,large:default=small",
            {"type": "string", "enum": ["small", "large"], "default": "small"},
            False,
        ),
        ("n:integer:min=1:max=5:default=2", {"type": "integer", "minimum": 1, "maximum": 5, "default": 2}, False),
        ("n:integer:enum=1,3", {"type": "integer", "enum": [1, 3]}, False),
        ("s:string:min=2:max=9", {"type": "string", "minLength": 2, "maxLength": 9}, False),
        ("b:boolean:default=true", {"type": "boolean", "default": True}, False),
        ("u:string:default=http\\://a,b", {"type": "string", "default": "http://a,b"}, False),
        ("p:string:pattern=^\\d+$", {"type": "string", "pattern": "^\\d+$"}, False),
        (
            "l:string[]:default=a,b\\,c:max=4",
            {"type": "array", "items": {"type": "string"}, "maxItems": 4, "default": ["a", "b,c"]},
            False,
        ),
        (
            "m:map:default=a=1,b=2",
            {"type": "object", "additionalProperties": {"type": "string"}, "default": {"a": "1", "b": "2"}},
            False,
        ),
        ("d:string:description=Who it is for", {"type": "string", "description": "Who it is for"}, False),
    ],
)
def test_a_line_describes_a_field(line: str, schema: Mapping[str, Any], required: bool) -> None:
    assert parse_field(line) == Field(line.partition(":")[0], schema, required)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "not a name"),
        ("Size:string", "begin with a lower-case letter"),
        ("size", "has no type"),
        ("size:strin", "did you mean string?"),
        ("size:string:defualt=small", "did you mean default? (a colon"),
        ("size:string:enum=a,b:default=c", "not in the enum"),
        ("size:string:required:default=c", "leave one of them out"),
        ("u:string:default=http://x", "a colon inside of a value is written \\:"),
        ("n:integer:default=x", "not a whole number"),
        ("n:integer:default=1e400", "not a whole number"),
        ("n:integer:default=99999999999999999999", "too large"),
        ("n:integer:min=3:default=1", "the default 1 is below min 3; change min or the default"),
        ("n:number:max=1.5:default=2", "the default 2 is above max 1.5; change max or the default"),
        ("s:string:min=3:default=a", "the default 'a' has 1 character, below min 3; change min or the default"),
        (
            "s:string:max=2:default=abc",
            "the default 'abc' has 3 characters, above max 2; change max or the default",
        ),
        ("n:boolean:min=3", "has no min"),
        ("n:integer:min=3:max=2", "min 3 is above max 2"),
        ("l:string[]:min=3:max=2", "min 3 is above max 2"),
        ("s:string:pattern=^a$:default=b", "does not match"),
        ("s:string:pattern=(:default=b", "the pattern cannot be used, but pattern is invalid: missing ): ("),
        ("s:string:required=yes", "is not an option"),
        ("m:map:default=a", "is not a map"),
        ("m:map[]", "is not a type"),
    ],
)
def test_a_line_that_describes_no_field_says_why(line: str, said: str) -> None:
    with pytest.raises(CannotStart, match="--field") as error:
        parse_field(line)
    assert said in str(error.value)


def test_a_field_cannot_be_there_twice() -> None:
    with pytest.raises(CannotStart, match="twice"):
        parse_fields(["a:string", "a:integer"])


OPTIONS: Mapping[str, st.SearchStrategy[str]] = {
    "string": st.sampled_from(
        [
            "",
            ":required",
            ":default=x",
            ":enum=a,b",
            ":enum=a,b:default=b",
            ":min=3:required",
            ":pattern=^[a-z]{3,9}$",
        ]
    ),
    "integer": st.sampled_from(["", ":required", ":default=3", ":min=-2:max=7", ":enum=1,2", ":min=1:required"]),
    "number": st.sampled_from(["", ":required", ":default=1.5", ":min=0.5:max=1.5"]),
    "boolean": st.sampled_from(["", ":required", ":default=false"]),
    "quantity": st.sampled_from(["", ":required", ":default=2Gi"]),
    "map": st.sampled_from(["", ":required", ":default=a=1"]),
    "string[]": st.sampled_from(["", ":required", ":default=a,b", ":min=1:required"]),
    "integer[]": st.sampled_from(["", ":required", ":default=1"]),
}
NAMES = ("size", "items", "keys", "values", "name", "spec", "owner", "not", "none", "ports", "aVeryLongFieldName")


@pytest.mark.slow
@FEW
@example(
    {
        "size": "string:enum=a,b:default=b",
        "items": "integer:min=-2:max=7",
        "keys": "number:min=0.5:max=1.5",
        "values": "map:required",
        "name": "string:pattern=^[a-z]{3,9}$",
        "spec": "boolean:required",
        "owner": "quantity:default=2Gi",
        "not": "string[]:min=1:required",
        "none": "integer[]:default=1",
        "ports": "integer:enum=1,2",
        "aVeryLongFieldName": "string:min=3:required",
    }
)
@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.sampled_from(sorted(OPTIONS)).flatmap(lambda kind: OPTIONS[kind].map(lambda rest: kind + rest)),
        max_size=5,
    )
)
def test_whatever_the_fields_are_the_promise_passes_its_tests_and_lint(fields: dict[str, str]) -> None:
    with TemporaryDirectory() as folder:
        lines = [f"{name}:{rest}" for name, rest in fields.items()]
        written(begin(Path(folder, "thing"), fields=parse_fields(lines)))


@pytest.mark.parametrize(
    ("kind", "plural"),
    [("Cache", "caches"), ("Proxy", "proxies"), ("Bus", "buses"), ("Key", "keys"), ("Mesh", "meshes")],
)
def test_a_kind_has_a_plural_that_people_expect(kind: str, plural: str) -> None:
    assert plural_of(kind) == plural


@pytest.mark.parametrize("pattern", ["^[a-z]{3}-\\d+$", "^(a|b)c?$", "^[^a-z]x.$", "^v\\d+\\.\\d+$", "abc"])
def test_a_pattern_gets_a_text_that_fits(pattern: str) -> None:
    import re

    text = text_for(pattern)
    assert text is not None
    assert re.search(pattern, text)


# ---- a CustomResourceDefinition


def definition_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {"spec": spec}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "queues.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Queue", "plural": "queues"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


@pytest.mark.slow
def test_a_definition_becomes_the_api_and_every_field_is_used(tmp_path: Path) -> None:
    spec: dict[str, Any] = {
        "type": "object",
        "required": ["engine", "code"],
        "properties": {
            "engine": {"type": "object", "required": ["v"], "properties": {"v": {"type": "string"}}},
            "code": {"type": "string", "pattern": "^[A-Z]{4}[0-9]{2}$"},
            "x-odd": {"type": "integer"},
            "any": {"x-kubernetes-preserve-unknown-fields": True},
            "port": {"x-kubernetes-int-or-string": True},
        },
    }
    version = {"name": "v1beta1", "served": True, "storage": True}
    status = {"type": "object", "properties": {"phase": {"type": "string"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}
    definition: dict[str, Any] = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "queues.example.com", "annotations": {"controller-gen.kubebuilder.io/version": "1"}},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Queue", "plural": "queues"},
            "scope": "Namespaced",
            "conversion": {"strategy": "Webhook"},
            "versions": [
                {
                    **version,
                    "schema": schema,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
                        {"name": "Code", "type": "string", "jsonPath": ".spec.code"},
                        {"name": "Why", "type": "string", "jsonPath": ".status.message"},
                    ],
                }
            ],
        },
    }
    file = folder_of(tmp_path, {"crd.yaml": yaml.safe_dump(definition)}) / "crd.yaml"
    began = begin(tmp_path / "queue", definition=file)
    folder = written(began)
    template = (folder / "templates" / "config.yaml.j2").read_text("utf-8")
    assert all(name in template for name in spec["properties"])
    assert any("conversion webhook" in sentence for sentence in began.said)
    assert "left out the column Phase of v1beta1: nothing writes status.phase" in began.said
    assert {finding.code for finding in began.findings} <= {"T112"}, "what the definition leaves undescribed"
    (kept,) = load_home(folder).promise["spec"]["api"]["spec"]["versions"]
    assert [column["name"] for column in kept["additionalPrinterColumns"]] == ["Code", "Why"]
    file.write_text(yaml.safe_dump({**definition, "spec": {**definition["spec"], "scope": "Cluster"}}), "utf-8")
    with pytest.raises(HomeError, match="must be Namespaced"):
        begin(tmp_path / "other", definition=file)
    file.write_text(yaml.safe_dump(DEPLOYMENT), "utf-8")
    with pytest.raises(HomeError, match="has no CustomResourceDefinition"):
        begin(tmp_path / "other", definition=file)


EXACTLY_ONE: dict[str, dict[str, Any]] = {
    "a rule": {"x-kubernetes-validations": [{"rule": "has(self.all) != has(self.some)"}]},
    "oneOf": {"oneOf": [{"required": ["all"]}, {"required": ["some"]}]},
}


@pytest.mark.parametrize("way", EXACTLY_ONE)
def test_an_api_that_lets_one_of_several_fields_in_gets_its_examples(tmp_path: Path, way: str) -> None:
    either = {"all": {"type": "boolean"}, "some": {"type": "array", "items": {"type": "string"}}}
    target = {"type": "object", "properties": either, **EXACTLY_ONE[way]}
    spec = {"type": "object", "required": ["target"], "properties": {"target": target, "note": {"type": "string"}}}
    file = tmp_path / "crd.yaml"
    file.write_text(yaml.safe_dump(definition_of(spec)), "utf-8")
    folder = written(begin(tmp_path / "queue", definition=file))
    (most,) = load_documents((folder / "examples" / "example.yaml").read_text("utf-8"))
    (least,) = load_documents((folder / "examples" / "smallest.yaml").read_text("utf-8"))
    assert len(most["spec"]["target"]) == 1
    assert "note" in most["spec"]
    assert len(least["spec"]["target"]) == 1
    assert "note" not in least["spec"]


def test_an_api_that_no_request_was_found_for_says_which_rule_stood_in_the_way(tmp_path: Path) -> None:
    path = {"type": "string", "x-kubernetes-validations": [{"rule": "self.startsWith('/')", "message": "no path"}]}
    spec = {"type": "object", "required": ["path"], "properties": {"path": path}}
    file = tmp_path / "crd.yaml"
    file.write_text(yaml.safe_dump(definition_of(spec)), "utf-8")
    with pytest.raises(CannotStart, match=r"allows \(spec.path: .*no path\); loosen its schema, or give"):
        begin(tmp_path / "queue", definition=file)


# ---- manifests


def test_manifests_become_templates_and_their_values_fields(tmp_path: Path) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "annotations": {"a.b/c": "{{ x }}"}},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    text = "# why\n" + yaml.safe_dump_all([DEPLOYMENT, service])
    source = folder_of(tmp_path / "in", {"a/web.yaml": text, "notes.txt": "x"})
    began = begin(
        tmp_path / "shop",
        manifests=source,
        parameters=[
            parse_parameter("replicas=Deployment/web:spec.replicas"),
            parse_parameter("image=Deployment.apps/*:spec.template.spec.containers[*].image"),
            parse_parameter("port=Service/web:spec.ports[0].port"),
            parse_parameter("metadata.name=*/web:metadata.name"),
        ],
    )
    folder = written(began)
    template = (folder / "templates" / "a" / "web.yaml.j2").read_text("utf-8")
    assert template.count("image: {{ spec.image }}\n") == 2
    assert template.count("  name: {{ name }}\n") == 2
    assert "replicas: {{ spec.replicas }}\n" in template
    (request,) = load_documents((folder / "examples" / "example.yaml").read_text("utf-8"))
    assert request["metadata"]["name"] == "web"
    api = load_home(folder).promise["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = api["properties"]["spec"]["properties"]
    assert fields["replicas"] == {
        "description": "Replaces Deployment/web:spec.replicas.",
        "type": "integer",
        "minimum": 0,
        "maximum": 2147483647,
        "default": 2,
    }
    assert not [finding for finding in began.findings if finding.code == "T112"]
    assert fields["port"]["default"] == 80
    assert fields["image"]["default"] == "nginx:1.27"
    assert "left out notes.txt: is not YAML" in began.said
    assert began.said[-1].startswith("proven: rendering examples/example.yaml gives all 2 manifests back")


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("replicas", "is not NAME=KIND/NAME:PATH"),
        ("a=Deployment/wep:spec.replicas", "did you mean Deployment/web?"),
        ("a=Deployment/web:spec.replica", "did you mean replicas?"),
        ("a=Deployment/web:spec.template.spec.containers[7].image", "has no item [7] there"),
        ("a=Deployment/web:spec..x", "is not a path"),
        ("a=Deployment/web:spec.template.spec.containers[*].name", "one field has one default"),
        ("B=Deployment/web:spec.replicas", "is not a valid name"),
    ],
)
def test_a_parameter_that_finds_nothing_says_why(tmp_path: Path, parameter: str, said: str) -> None:
    source = folder_of(tmp_path / "in", {"web.yaml": json.dumps(DEPLOYMENT)})
    with pytest.raises(CannotStart, match="--param") as error:
        begin(tmp_path / "shop", manifests=source, parameters=[parse_parameter(parameter)])
    assert said in str(error.value)


SERVICE: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"type": "ClusterIP", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
}
CONTAINER: Mapping[str, Any] = {
    "name": "app",
    "image": "nginx:1.27",
    "imagePullPolicy": "Always",
    "env": [{"name": "A", "value": "b"}],
    "ports": [{"containerPort": 80, "name": "http"}],
    "resources": {"limits": {"cpu": "500m"}, "requests": {"memory": "1Gi"}},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "places",
    [  # together where no place is a part of another
        (
            "Deployment/web:spec.strategy",
            "Deployment/web:spec.template.spec.containers[0].imagePullPolicy",
            "Deployment/web:spec.template.spec.containers[0].env",
            "Deployment/web:spec.template.spec.containers[0].ports",
            "Service/web:spec.type",
        ),
        (
            "Deployment/web:spec.template.spec.containers[0].ports[0].name",
            "Deployment/web:spec.template.spec.containers[name=app].resources",
            "Service/web:spec.ports[0].targetPort",
            "Service/web:metadata.name",
        ),
        ("Service/web:spec.ports",),
    ],
)
def test_a_field_lets_in_what_kubernetes_lets_in_at_its_place(tmp_path: Path, places: tuple[str, ...]) -> None:
    deployment = copy.deepcopy(dict(DEPLOYMENT))
    deployment["spec"]["strategy"] = {"type": "Recreate"}
    deployment["spec"]["template"]["spec"]["containers"] = [CONTAINER]
    source = folder_of(tmp_path / "in", {"web.yaml": json.dumps(deployment), "service.yaml": json.dumps(SERVICE)})
    parameters = [parse_parameter(f"chosen{number}={place}") for number, place in enumerate(places)]
    written(begin(tmp_path / "shop", manifests=source, parameters=parameters))


def test_two_parameters_cannot_share_a_place(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", {"web.yaml": json.dumps(DEPLOYMENT)})
    both = [parse_parameter(f"{name}=Deployment/web:spec.selector") for name in "ab"]
    with pytest.raises(CannotStart, match="is taken by"):
        begin(tmp_path / "shop", manifests=source, parameters=both)


def test_what_a_cluster_has_written_into_a_manifest_is_left_out_and_said(tmp_path: Path) -> None:
    live = {
        **DEPLOYMENT,
        "metadata": {
            **DEPLOYMENT["metadata"],
            "uid": "7c9e6679",
            "resourceVersion": "3",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "status": {"replicas": 2},
    }
    made = {**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], "name": "made", "creationTimestamp": None}}
    source = folder_of(tmp_path / "in", {"a.yaml": json.dumps(live), "b.yaml": json.dumps(made)})
    began = begin(tmp_path / "shop", manifests=source)
    (given,) = load_documents(began.files["templates/a.yaml.j2"])
    assert given == DEPLOYMENT
    said = next(sentence for sentence in began.said if sentence.startswith("left out"))
    assert said == (
        "left out metadata.creationTimestamp, metadata.resourceVersion, metadata.uid, the annotation "
        "kubectl.kubernetes.io/last-applied-configuration, status of Deployment/web: a cluster has written it"
    )
    assert "creationTimestamp" in began.files["templates/b.yaml.j2"]


def test_what_lint_warns_of_in_manifests_is_silenced_and_said(tmp_path: Path) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
    pod["spec"] = {"containers": [{"name": "a", "image": "nginx"}]}
    source = folder_of(tmp_path / "in", {"pod.yaml": json.dumps(pod)})
    began = begin(tmp_path / "pods", manifests=source)
    folder = written(began)
    assert "{# troth:ignore T205 it was so in the manifest #}" in (folder / "templates/pod.yaml.j2").read_text(
        "utf-8"
    )
    assert any("nginx has no fixed tag" in sentence for sentence in began.said)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.yaml": "kind: Secret\napiVersion: v1\nmetadata: {name: x}\ndata: {a: YQ==}\n"}, "in plain text"),
        ({"values.yaml": "replicas: 3\n"}, "apiVersion or kind is missing"),
        ({"a.yaml": "a: [\n"}, "a.yaml:"),
        ({"a.txt": "x"}, "has no manifests"),
        ({"k.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"}, "has no manifests"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, files: Mapping[str, str], said: str) -> None:
    source = folder_of(tmp_path / "in", files)
    with pytest.raises(HomeError) as error:
        begin(tmp_path / "shop", manifests=source)
    assert said in str(error.value)
    assert not (tmp_path / "shop").exists()


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(json.dumps(DEPLOYMENT), "utf-8")
    for name, target in (("a.yaml", secret), ("b", tmp_path)):
        source = tmp_path / name.partition(".")[0]
        source.mkdir()
        (source / name).symlink_to(target)
        with pytest.raises(HomeError, match="link"):
            begin(tmp_path / "shop", manifests=source)


SPICE = (
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{",
    "{{{",
    "{% raw %}",
    "{% endraw %}",
    "\n",
    "\n\n",
    " ",
    "x",
    "'",
    '"',
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.lists(st.sampled_from(SPICE), max_size=8).map("".join),
    st.sampled_from(
        ["yes", "1.0", "0x1", "null", "~", "", "- a", "a: b", "# x", "\t", "{{ spec.x }}", "\ue0001.0\ue001"]
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(-1e9, 1e9), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=12,
)


@pytest.mark.slow
@FEW
@example([({"{% raw %}": "yes", "": ["{{{", 1.0]}, {"}}": "{% endraw %}\n\n", "1.0": None})], "{# '")
@given(
    st.lists(st.tuples(st.dictionaries(TEXTS, VALUES, max_size=3), VALUES), min_size=1, max_size=3),
    st.one_of(TEXTS, st.integers(-(2**31), 2**31), st.booleans(), st.lists(TEXTS, min_size=1, max_size=3)),
)
def test_any_manifests_come_back_and_pass_lint(objects: list[tuple[dict[str, Any], Any]], value: Any) -> None:
    documents = [
        {
            "apiVersion": "example.com/v1",
            "kind": "Anything",
            "metadata": {"name": f"it-{index}"},
            "spec": spec,
            "more": [more, value],
        }
        for index, (spec, more) in enumerate(objects)
    ]
    with TemporaryDirectory() as folder:
        source = folder_of(Path(folder, "in"), {"all.yaml": "---\n".join(dump_document(one) for one in documents)})
        parameter = parse_parameter("chosen=Anything/*:more[1]")
        home = written(begin(Path(folder, "any"), manifests=source, parameters=[parameter]))
        template = (home / "templates" / "all.yaml.j2").read_text("utf-8")
        assert template.count("{{ spec.chosen }}") >= len(documents)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(SPICE), max_size=40).map("".join), st.text(max_size=20))
def test_escaped_text_comes_back_character_for_character(spicy: str, text: str) -> None:
    wanted = dump_document({"a": spicy, "b": [text, spicy + "\n"]})
    pipeline = parse_pipeline(
        {
            "apiVersion": "troth.dev/v1alpha1",
            "kind": "JinjaPipeline",
            "metadata": {"name": "one"},
            "spec": {"files": [{"path": "x.txt", "template": escape(wanted)}]},
        },
        "",
    )
    assert isinstance(pipeline, JinjaPipeline)
    context = RenderContext(promise={}, request={"metadata": {"name": "x"}, "spec": {}})
    outcome = render_pipeline(pipeline, context, limits=Limits(), nonce="0")
    assert isinstance(outcome, Rendered), outcome
    assert outcome.files[0].content.decode() == wanted


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    began = begin(tmp_path / "cache")
    (tmp_path / "cache" / "mine").write_text("precious")
    with pytest.raises(HomeError, match="not empty"):
        write(began)
    with pytest.raises(HomeError, match="not empty"):
        begin(tmp_path / "cache")
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    with pytest.raises(HomeError, match="is a link"):
        begin(tmp_path / "link")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mine"]


def test_what_could_not_be_written_in_full_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    began = begin(tmp_path / "new" / "cache", fields=parse_fields(["size:string"]))
    impossible = Began(began.folder, {**began.files, "examples/" + "n" * 300: ""}, began.said, began.findings)
    with pytest.raises(HomeError, match="cannot be written"):
        write(impossible)
    assert list(tmp_path.iterdir()) == []
    write(began)
    assert (began.folder / "promise.yaml").is_file()
