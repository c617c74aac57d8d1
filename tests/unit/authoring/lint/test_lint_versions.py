"""Fields that are lost between two versions of an API are an error, and versions that keep everything are none."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.authoring.lint.linted import promise
from troth.api import InvalidObject
from troth.authoring.home import RefusedPromise, load_home, offer_of
from troth.authoring.lint import lint
from troth.engine.linting.versions import check_versions
from troth.engine.promises.conversion.completeness import check_conversions

TEXT: Mapping[str, Any] = {"type": "string"}


def two(change: Any, **newer: Any) -> dict[str, Any]:
    """A Promise whose stored version v1 has a newer version beside it."""
    obj: dict[str, Any] = copy.deepcopy(
        promise({"files": [{"path": "x.yaml", "template": "a: {{ spec.size }}\n"}]})
    )
    versions = obj["spec"]["api"]["spec"]["versions"]
    versions.append({**copy.deepcopy(versions[0]), "name": "v2", "storage": False, **newer})
    change(versions[1]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    return obj


def messages(obj: Mapping[str, Any]) -> list[str]:
    return [remark.message for remark in check_versions(obj)]


def add(spec: dict[str, Any]) -> None:
    spec["properties"]["retention"] = TEXT


def remove(spec: dict[str, Any]) -> None:
    del spec["properties"]["owner"]


LOSING = {
    "a field of the new version": (add, "v2 has spec.retention, but v1 does not"),
    "a field of the old version": (remove, "v1 has spec.owner, but v2 does not"),
    "a field within": (
        lambda spec: spec["properties"]["backup"]["properties"].update(at=TEXT),
        "v2 has spec.backup.at, but v1 does not",
    ),
    "a field of the items of a list": (
        lambda spec: spec["properties"]["members"]["items"]["properties"].pop("role"),
        "v1 has spec.members[].role, but v2 does not",
    ),
    "another type": (
        lambda spec: spec["properties"]["replicas"].update(type="string", default="1"),
        "spec.replicas is string in v2 and integer in v1",
    ),
    "another type of the values of a map": (
        lambda spec: spec["properties"]["tags"].update(additionalProperties={"type": "integer"}),
        "spec.tags.* is integer in v2 and string in v1",
    ),
    "fields of any name": (
        lambda spec: spec["properties"]["backup"].update({"x-kubernetes-preserve-unknown-fields": True}),
        "spec.backup allows fields of any name in v2, but not in v1",
    ),
    "no fields of any name": (
        lambda spec: spec["properties"]["tags"].pop("additionalProperties"),
        "spec.tags allows fields of any name in v1, but not in v2",
    ),
}


@pytest.mark.parametrize(("change", "said"), LOSING.values(), ids=LOSING.keys())
def test_what_is_lost_between_two_versions_is_told_once_with_the_reason(change: Any, said: str) -> None:
    found = messages(two(change))
    assert len(found) == 1
    assert found[0].startswith(said)
    assert "nothing converts" in found[0]


KEEPING = {
    "the same": lambda spec: None,
    "other limits": lambda spec: spec["properties"]["owner"].update(maxLength=3),
    "another default": lambda spec: spec["properties"]["replicas"].update(default=2),
    "another description": lambda spec: spec.update(description="newer"),
    "a rule": lambda spec: spec.update({"x-kubernetes-validations": [{"rule": "self.replicas > 0"}]}),
}


@pytest.mark.parametrize("change", KEEPING.values(), ids=KEEPING.keys())
def test_versions_that_keep_everything_are_not_remarked_on(change: Any) -> None:
    assert messages(two(change)) == []


def test_a_webhook_that_converts_is_trusted() -> None:
    obj = two(add)
    obj["spec"]["api"]["spec"]["conversion"] = {"strategy": "Webhook"}
    assert messages(obj) == []


def test_a_version_that_is_not_served_loses_only_what_is_stored_in_it() -> None:
    assert messages(two(remove, served=False)) == []
    assert len(messages(two(add, served=False))) == 1


def test_a_single_version_and_a_promise_without_an_api_lose_nothing() -> None:
    assert messages(promise({"files": []})) == []
    assert messages({"spec": {"api": None}}) == []


def test_the_command_and_the_operator_say_it_with_the_place(tmp_path: Path) -> None:
    obj = two(add)
    (tmp_path / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False), "utf-8")
    found = [finding for finding in lint(tmp_path) if finding.code == "T005"]
    assert [finding.severity for finding in found] == ["error"]
    line = (tmp_path / "promise.yaml").read_text("utf-8").split("\n")[found[0].line - 1]
    assert "retention" in line
    with pytest.raises(InvalidObject, match=r"v2 has spec.retention, but v1 does not"):
        check_conversions(obj["spec"]["api"])
    with pytest.raises(RefusedPromise, match=r"v2 has spec.retention, but v1 does not"):
        offer_of(load_home(tmp_path))


def codes(tmp_path: Path, obj: Mapping[str, Any], comment: str = "") -> list[str]:
    text = yaml.safe_dump(obj, sort_keys=False)
    if comment:
        last = text.rindex("retention:")
        text = text[: text.rindex("\n", 0, last)] + f"\n{' ' * 18}# {comment}" + text[text.rindex("\n", 0, last) :]
    (tmp_path / "promise.yaml").write_text(text, "utf-8")
    return [finding.code for finding in lint(tmp_path) if finding.severity == "error" and finding.code < "T1"]


def test_a_comment_does_not_hide_that_the_operator_refuses_the_versions(tmp_path: Path) -> None:
    assert codes(tmp_path, two(add)) == ["T005"]
    assert codes(tmp_path, two(add), "troth:ignore T005 nobody reads it") == ["T001"]


def test_what_a_conversion_leaves_out_is_found_and_a_complete_one_is_no_error(tmp_path: Path) -> None:
    obj = two(add)
    conversion: dict[str, Any] = {"between": ["v1", "v2"], "fields": [{"v2": "spec.retenion"}]}
    obj["spec"]["api"]["conversions"] = [conversion]
    assert codes(tmp_path, obj) == ["T005", "T008"]
    conversion["fields"][0]["v2"] = "spec.retention"
    assert codes(tmp_path, obj) == []
    conversion["fields"][0]["v2"] = 5
    assert codes(tmp_path, obj) == ["T001"]
