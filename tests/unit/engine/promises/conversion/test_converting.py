"""Nothing is lost between two versions, there and back, and an edit in either of them counts."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.engine.promises.conversion.generated import NEW, OLD, Api, apis, objects
from tests.versioned_api import WRITTEN, convert, converter, made, spec_of
from troth.engine.admission.validation import Validator
from troth.engine.promises.conversion.converting import KEPT, Converted, Converter, NotConverted
from troth.engine.promises.conversion.json_values import alike

LOOK = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.slow
@LOOK
@given(st.data())
def test_there_and_back_an_object_is_what_it_was(data: st.DataObject) -> None:
    api, here, stored = drawn(data)
    there = NEW if here == OLD else OLD
    through = converter(api.definition(stored))
    obj = data.draw(objects(api, here))
    answer = through.convert(obj, there)
    if isinstance(answer, NotConverted):
        assert there == stored
        assert "whole number" in answer.reason
        return
    back = convert(through, answer.object, here)
    assert alike(back, obj), (answer.object, back)
    assert alike(convert(through, back, there), answer.object)


@pytest.mark.slow
@LOOK
@given(st.data())
def test_what_comes_out_is_valid_in_the_other_version_or_says_what_is_left_out(data: st.DataObject) -> None:
    api, here, stored = drawn(data)
    side = (OLD, NEW).index(here)
    answer = converter(api.definition(stored)).convert(data.draw(objects(api, here)), (NEW, OLD)[side])
    if isinstance(answer, Converted) and not answer.left_out:
        assert Validator(api.schemas[1 - side]).check(answer.object["spec"], "spec") == []
        assert answer.object["apiVersion"].endswith((NEW, OLD)[side])


@pytest.mark.slow
@LOOK
@given(st.data())
def test_what_is_edited_in_the_other_version_counts_and_the_rest_comes_back(data: st.DataObject) -> None:
    api, here, stored = drawn(data)
    there = NEW if here == OLD else OLD
    through = converter(api.definition(stored))
    first, second = data.draw(objects(api, here)), data.draw(objects(api, there))
    answer = through.convert(first, there)
    if isinstance(answer, NotConverted):
        return
    edited = {**answer.object, "spec": second["spec"]}
    back = through.convert(edited, here)
    if isinstance(back, NotConverted):
        assert here == stored
        return
    again = convert(through, back.object, there)
    assert alike(again["spec"], second["spec"])


def drawn(data: st.DataObject) -> tuple[Api, str, str]:
    return data.draw(apis()), data.draw(st.sampled_from((OLD, NEW))), data.draw(st.sampled_from((OLD, NEW)))


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@pytest.mark.slow
@LOOK
@given(st.data())
def test_whatever_is_converted_there_is_an_answer(data: st.DataObject) -> None:
    api, here, stored = drawn(data)
    through = converter(api.definition(stored))
    obj = data.draw(objects(api, here))
    for _ in range(data.draw(st.integers(0, 3))):
        obj = data.draw(damaged(obj))
    if isinstance(obj, dict) and data.draw(st.booleans()):
        kept = {"v1 in v2": data.draw(JSON), "v2 in v1": data.draw(JSON)}
        fields = {"fields": {rule.get(NEW): data.draw(JSON) for rule in api.fields}, "empty": data.draw(JSON)}
        text = data.draw(
            st.sampled_from([json.dumps(kept), json.dumps({"v2 in v1": fields}), "[" * 9999, "{", "NaN"])
        )
        obj["metadata"] = {"annotations": {KEPT: text}}
    for version in (OLD, NEW, "v3", ""):
        assert isinstance(through.convert(obj, version), Converted | NotConverted)


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """Draws a value with something else in one place."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: draw(damaged(value[name]))}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], draw(damaged(value[index])), *value[index + 1 :]]
    return draw(JSON)


@pytest.fixture(scope="module", name="through")
def _through() -> Converter:
    return converter(yaml.safe_load(WRITTEN))


def test_a_request_is_written_in_the_new_words(through: Converter) -> None:
    old = made("v1", owner="a", storageGB=10, size="large", users=[{"name": "z", "role": "r"}, {"name": "b"}])
    assert convert(through, old, "v2")["spec"] == {
        "contact": {"team": "a"},
        "storage": "10Gi",
        "profile": "L",
        "tls": True,
        "accounts": {"z": {"kind": "r"}, "b": {}},
    }


def test_what_only_the_new_version_has_is_there_again_after_an_edit_in_the_old_one(through: Converter) -> None:
    new = made("v2", profile="XL", tls=False, storage="1500Mi", accounts={"a": {"note": "n"}, "b": {"note": "m"}})
    old = convert(through, new, "v1")
    assert old["spec"] == {"size": "large", "storageGB": 2, "users": [{"name": "a"}, {"name": "b"}]}
    old["spec"]["users"].append({"name": "c", "role": "r"})
    del old["spec"]["users"][1]
    again = convert(through, old, "v2")
    assert again["spec"] == {**new["spec"], "accounts": {"a": {"note": "n"}, "c": {"kind": "r"}}}
    old["spec"]["size"] = "small"
    old["spec"]["storageGB"] = 3
    assert convert(through, old, "v2")["spec"]["profile"] == "S"
    assert convert(through, old, "v2")["spec"]["storage"] == "3Gi"


def test_two_versions_that_are_not_stored_are_converted_by_way_of_the_stored_one(through: Converter) -> None:
    old = made("v1", owner="a", storageGB=1, legacy="kept", replicas=3)
    third = convert(through, old, "v3")
    assert third["spec"] == {"team": "a", "storageMi": 1024}
    assert convert(through, third, "v1") == old


def test_a_value_that_the_stored_version_does_not_allow_is_refused_in_words(through: Converter) -> None:
    answer = through.convert(made("v1", replicas=7), "v2")
    assert isinstance(answer, NotConverted)
    assert answer.reason.startswith("v2, in which it is stored, does not allow it: spec.replicas")
    assert "less than or equal to 5" in answer.reason


def test_a_value_that_the_other_version_cannot_express_is_left_out_and_comes_back(through: Converter) -> None:
    new = made("v2", storage="much")
    answer = through.convert(new, "v1")
    assert isinstance(answer, Converted)
    assert answer.object["spec"] == {}
    assert answer.left_out == ("spec.storage cannot be converted: 'much' is not a quantity such as 10Gi",)
    assert convert(through, answer.object, "v2") == new


def test_an_object_in_the_same_version_and_its_metadata_stay_as_they_are(through: Converter) -> None:
    obj = {**made("v1", owner="a"), "status": {"x": 1}}
    assert convert(through, obj, "v1") == obj
    assert convert(through, obj, "v2")["metadata"] == {"name": "one"}
    assert convert(through, obj, "v2")["status"] == {"x": 1}


def test_a_default_is_the_same_for_every_object() -> None:
    api = yaml.safe_load(WRITTEN)
    for index in (1, 2):
        schema = {"type": "object", "properties": {"a": {"type": "string"}}}
        properties = spec_of(api["spec"]["versions"][index])["properties"]
        properties["b" if index == 2 else "x"] = {"type": "string"} if index == 2 else schema
    api["conversions"][0]["fields"].append({"v2": "spec.x", "default": {"a": "always"}})
    api["conversions"][1]["fields"].append({"v3": "spec.b", "v2": "spec.x.a"})
    through = converter(api)
    for _ in range(2):
        assert convert(through, made("v1"), "v3")["spec"] == {"b": "always"}


def test_an_annotation_that_no_conversion_wrote_sets_nothing_that_the_stored_version_forbids(
    through: Converter,
) -> None:
    obj = made("v1", size="large")
    kept = {"v2 in v1": {"fields": {"spec.profile": {"was": "XXL", "as": "large"}}}}
    obj["metadata"]["annotations"] = {KEPT: json.dumps(kept)}
    answer = through.convert(obj, "v2")
    assert isinstance(answer, NotConverted)
    assert "spec.profile" in answer.reason


@pytest.mark.parametrize("shared", [{}, {"deep": {}}, {"deep": None}])
def test_a_map_that_an_edit_left_empty_is_there_again(shared: dict[str, Any]) -> None:
    number, text = {"type": "number"}, {"type": "string"}
    old = {"old": {"type": "object", "properties": {"a": number}}}
    old["shared"] = {"type": "object", "properties": {"same": text}}
    deep = {"type": "object", "nullable": True, "properties": {"b": number}}
    new = {"shared": {"type": "object", "properties": {"same": text, "deep": deep}}}
    specs = ({"type": "object", "properties": properties} for properties in (old, new))
    api = Api((next(specs), next(specs)), [{"v1": "spec.old.a", "v2": "spec.shared.deep.b"}])
    through = converter(api.definition("v1"))
    there = convert(through, made("v1", old={"a": 0}), "v2")
    assert there["spec"] == {"shared": {"deep": {"b": 0}}}
    edited = {**there, "spec": {"shared": shared}}
    assert convert(through, convert(through, edited, "v1"), "v2")["spec"] == {"shared": shared}
