"""What breaks requests that exist is found; what only widens an API is not."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.authoring.lint.linted import SPEC, definition, promise
from troth.authoring.input_files import HomeError
from troth.authoring.lint import lint
from troth.authoring.lint.breaking import check_against


def codes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [remark.code for remark in check_against(definition(old), definition(new))]


def changed(path: str, value: Any) -> dict[str, Any]:
    """`SPEC` with another value at a path; None takes it away."""
    spec = copy.deepcopy(dict(SPEC))
    inner: Any = spec
    *parts, last = path.split("/")
    for part in parts:
        inner = inner[part]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return spec


BREAKING = [
    ("properties/owner", None, ["T301"]),
    ("properties/members/items/properties/role", None, ["T301"]),
    ("properties/size/enum", ["small", "large"], ["T302"]),
    ("properties/owner/enum", ["me"], ["T302"]),
    ("properties/owner/maxLength", 10, ["T302"]),
    ("properties/owner/minLength", 1, ["T302"]),
    ("properties/owner/pattern", "^a", ["T302"]),
    ("properties/replicas/minimum", 1, ["T302"]),
    ("properties/owner/x-kubernetes-validations", [{"rule": "self != 'a'"}], ["T302"]),
    ("properties/owner/anyOf", [{"pattern": "^a"}, {"pattern": "^b"}], ["T302"]),
    ("properties/backup/not", {"required": ["keep"]}, ["T302"]),
    ("properties/members/x-kubernetes-list-type", "set", ["T302"]),
    ("required", ["size", "owner"], ["T303"]),
    ("properties/members/items/required", ["name", "role"], ["T303"]),
    ("properties/replicas/default", 2, ["T304"]),
    ("properties/replicas/default", None, ["T304"]),
    ("properties/replicas/type", "string", ["T306"]),
    ("properties/tags/additionalProperties/type", "integer", ["T306"]),
]


@pytest.mark.parametrize(("path", "value", "expected"), BREAKING)
def test_a_change_that_breaks_requests_is_found(path: str, value: Any, expected: list[str]) -> None:
    assert codes(SPEC, changed(path, value)) == expected


@pytest.mark.parametrize(("path", "value", "expected"), BREAKING)
def test_a_finding_names_a_place_that_the_new_api_has(path: str, value: Any, expected: list[str]) -> None:
    [remark] = check_against(definition(SPEC), definition(changed(path, value)))
    assert remark.code in expected
    assert remark.field.startswith("spec.api.spec.versions[0].schema.openAPIV3Schema")


WIDENING = [
    ("properties/size/enum", ["small", "medium", "large", "huge"]),
    ("properties/size/enum", None),
    ("properties/new", {"type": "string"}),
    ("properties/replicas/type", "number"),
    ("properties/replicas/description", "how many"),
    ("properties/owner/nullable", True),
    ("properties/owner/default", "me"),
    ("required", []),
    ("required", ["size", "replicas"]),
]


@pytest.mark.parametrize(("path", "value"), WIDENING)
def test_a_change_that_only_widens_is_not_complained_about(path: str, value: Any) -> None:
    assert codes(SPEC, changed(path, value)) == []


def test_a_version_that_is_gone_or_un_served_and_another_name_are_found() -> None:
    old, new = definition(SPEC), definition(SPEC)
    new["spec"]["versions"][0]["name"] = "v2"
    assert [remark.code for remark in check_against(old, new)] == ["T305"]
    new = definition(SPEC)
    new["spec"]["versions"].append({**new["spec"]["versions"][0], "name": "v2"})
    assert list(check_against(old, new)) == []
    new["spec"]["versions"][0]["served"] = False
    assert [remark.code for remark in check_against(old, new)] == ["T305"]
    new = definition(SPEC)
    new["spec"]["names"]["kind"] = "Other"
    assert [remark.code for remark in check_against(old, new)] == ["T307"]


schemas = st.recursive(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer", "boolean"])}, optional={"nullable": st.booleans()}
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("abc"), inner)}
        ),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
    ),
    max_leaves=8,
)


@given(schemas)
def test_an_api_that_did_not_change_breaks_nothing(spec: dict[str, Any]) -> None:
    assert codes(spec, copy.deepcopy(spec)) == []


def write(folder: Path, spec: Mapping[str, Any]) -> None:
    template = "a: {{ spec }}\n"
    obj = promise({"files": [{"path": "x.txt", "template": template}]}, spec)
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def test_the_api_is_compared_with_a_revision_a_file_and_a_folder(tmp_path: Path) -> None:
    home, before = tmp_path / "repository" / "things", tmp_path / "before"
    home.mkdir(parents=True)
    before.mkdir()
    write(home, SPEC)
    write(before, SPEC)
    git(home.parent, "init", "-q")
    git(home.parent, "add", ".")
    git(home.parent, "commit", "-q", "-m", "one")
    write(home, changed("properties/owner", None))
    for against in ("HEAD", str(before), str(before / "promise.yaml")):
        [finding] = [finding for finding in lint(home, against=against) if finding.code.startswith("T3")]
        assert finding.code == "T301"
        assert (home / "promise.yaml").read_text().split("\n")[finding.line - 1].strip() == "properties:"
    with pytest.raises(HomeError, match="neither a file nor a revision"):
        lint(home, against="nowhere")
    with pytest.raises(HomeError, match="neither a file nor"):
        lint(home, against="--help")


def test_a_value_that_live_requests_lose_is_reported_with_their_number(tmp_path: Path) -> None:
    write(tmp_path, changed("properties/owner", None))
    body = {"apiVersion": "example.com/v1", "kind": "Thing"}
    live = [
        {**body, "metadata": {"name": name, "namespace": "team"}, "spec": {"size": "small", **spec}}
        for name, spec in (("a", {"owner": "me"}), ("b", {}), ("c", {"owner": "you"}))
    ]

    def findings(earlier: Mapping[str, Any]) -> list[str]:
        found = lint(tmp_path, against=lambda home: earlier, requests=lambda home: live)
        return [finding.message for finding in found if finding.code == "T309"]

    (message,) = findings(definition(SPEC))
    assert message == (
        "in the cluster, 2 of 3 requests use what the new API takes away: spec.owner (2); for example "
        "team/a (spec.owner is dropped), team/c (spec.owner is dropped)"
    )
    assert findings(definition(changed("properties/owner", None))) == []
    assert findings({"kind": "CustomResourceDefinition"}) == []
    unserved = definition(SPEC, served=False)
    assert findings(unserved) == []


def renamed(before: str, after: str) -> dict[str, Any]:
    """A Promise whose new stored version v2 has another name for a field of v1, which stays served."""
    obj = promise({"files": [{"path": "x.yaml", "template": "a: {{ spec.replicas }}\n"}]})
    versions = obj["spec"]["api"]["spec"]["versions"]
    older = {**copy.deepcopy(versions[0]), "storage": False}
    versions[0]["name"] = "v2"
    versions.append(older)
    spec = versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"][after] = spec["properties"].pop(before)
    spec["required"] = [after if name == before else name for name in spec["required"]]
    return obj


@pytest.mark.parametrize(
    ("field", "undeclared"), [("owner", {"T005", "T309"}), ("size", {"T005", "T308", "T309"})]
)
def test_a_field_that_a_declared_conversion_carries_is_neither_lost_nor_missing(
    tmp_path: Path, field: str, undeclared: set[str]
) -> None:
    obj = renamed(field, "other")
    metadata = {"name": "a", "namespace": "team"}
    spec = {"size": "small", "owner": "me"}
    live = [{"apiVersion": "example.com/v1", "kind": "Thing", "metadata": metadata, "spec": spec}]

    def found() -> dict[str, str]:
        (tmp_path / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False), "utf-8")
        against = lint(tmp_path, against=lambda home: definition(SPEC), requests=lambda home: live)
        return {finding.code: finding.message for finding in against if finding.code[:2] in ("T0", "T3")}

    assert found().keys() == undeclared
    pair = {"v2": "spec.other", "v1": f"spec.{field}"}
    obj["spec"]["api"]["conversions"] = [{"between": ["v2", "v1"], "fields": [pair]}]
    assert found() == {}
    spec["size"] = "enormous"
    assert list(found()) == ["T308"]
    assert "team/a (" in found()["T308"]


def test_a_field_that_an_api_with_conversions_no_longer_has_is_reported_as_lost(tmp_path: Path) -> None:
    obj = renamed("owner", "other")
    api = obj["spec"]["api"]
    api["conversions"] = [{"between": ["v2", "v1"], "fields": [{"v2": "spec.other", "v1": "spec.owner"}]}]
    earlier = copy.deepcopy(api)
    for version in api["spec"]["versions"]:
        del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["tags"]
    metadata = {"name": "a", "namespace": "team"}
    spec = {"size": "small", "other": "me", "tags": {"a": "b"}}
    live = [{"apiVersion": "example.com/v2", "kind": "Thing", "metadata": metadata, "spec": spec}]
    (tmp_path / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False), "utf-8")
    found = lint(tmp_path, against=lambda home: earlier, requests=lambda home: live)
    (message,) = [finding.message for finding in found if finding.code == "T309"]
    assert "spec.tags (1)" in message
    api["conversions"] = "none"
    (tmp_path / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False), "utf-8")
    found = lint(tmp_path, against=lambda home: earlier, requests=lambda home: live)
    assert "T001" in {finding.code for finding in found}


OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
FREE = {"type": "object", "additionalProperties": True}
HOLES: list[tuple[Mapping[str, Any], Mapping[str, Any], list[str]]] = [
    (FREE, {"type": "object", "additionalProperties": {"type": "integer"}}, ["T306"]),
    (OPEN, {**OPEN, "properties": {"count": {"type": "integer"}}}, ["T302"]),
    ({"type": "string"}, {"x-kubernetes-preserve-unknown-fields": True, "enum": ["a"]}, ["T302"]),
]


@pytest.mark.parametrize(("before", "after", "expected"), HOLES)
def test_a_field_of_any_name_or_type_that_is_narrowed_is_found(
    before: Mapping[str, Any], after: Mapping[str, Any], expected: list[str]
) -> None:
    old, new = ({"type": "object", "properties": {"field": schema}} for schema in (before, after))
    assert codes(old, new) == expected


def test_a_promise_that_did_not_exist_then_breaks_nothing(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "nothing")
    write(tmp_path, SPEC)
    assert [finding.code for finding in lint(tmp_path, against="HEAD")] == []
