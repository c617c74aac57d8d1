"""What is lost between two versions is found, and where nothing is found, nothing is lost."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.unit.engine.promises.conversion.generated import NEW, OLD, Api, apis, objects
from tests.versioned_api import WRITTEN, spec_of
from troth.api import InvalidObject
from troth.engine.admission.structure import prune
from troth.engine.promises.conversion.completeness import Loss, check_conversions, find_losses
from troth.engine.promises.conversion.converting import Converted, Converter
from troth.engine.promises.conversion.declarations import read_conversions
from troth.engine.promises.conversion.json_values import alike

LOOK = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def losses(api: dict[str, Any]) -> list[Loss]:
    return list(find_losses(api, read_conversions(api)))


@pytest.mark.slow
@LOOK
@given(apis(), st.sampled_from((OLD, NEW)))
def test_a_complete_declaration_loses_nothing(api: Api, stored: str) -> None:
    assert losses(api.definition(stored)) == []


@pytest.mark.slow
@LOOK
@given(st.data())
def test_a_field_that_is_not_declared_any_more_is_found(data: st.DataObject) -> None:
    api, stored = data.draw(apis()), data.draw(st.sampled_from((OLD, NEW)))
    assume(api.fields)
    rule = data.draw(st.sampled_from(api.fields))
    api.fields.remove(rule)
    said = " ".join(loss.problem for loss in losses(api.definition(stored)))
    for version in (OLD, NEW):
        names = rule.get(version, "").split(".")
        above = [".".join(names[:length]) for length in range(2, len(names) + 1)]
        assert version not in rule or any(f"{version} has {path}, " in said for path in above)


@pytest.mark.slow
@LOOK
@given(st.data())
def test_where_nothing_is_found_an_object_is_the_same_there_and_back(data: st.DataObject) -> None:
    api = data.draw(apis())
    for fields in data.draw(st.lists(st.sampled_from(["rule", "old", "new"]), max_size=2)):
        if fields == "rule" and api.fields:
            api.fields.remove(data.draw(st.sampled_from(api.fields)))
        elif properties := api.schemas[fields == "new"].get("properties"):
            properties.pop(data.draw(st.sampled_from(sorted(properties))))
    here, stored = data.draw(st.sampled_from((OLD, NEW))), data.draw(st.sampled_from((OLD, NEW)))
    definition = api.definition(stored)
    assume(not losses(definition))
    side = (OLD, NEW).index(here)
    through = Converter(definition, read_conversions(definition))
    obj = data.draw(objects(api, here))
    answer = through.convert(obj, (NEW, OLD)[side])
    assume(isinstance(answer, Converted))
    assert isinstance(answer, Converted)
    pruned = answer.object["spec"]
    prune(pruned, api.schemas[1 - side])
    back = through.convert({**answer.object, "spec": pruned}, here)
    assert isinstance(back, Converted)
    assert alike(back.object, obj)


ANY: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.slow
@LOOK
@given(st.data())
def test_whatever_the_schemas_are_there_is_an_answer(data: st.DataObject) -> None:
    definition = data.draw(apis()).definition(NEW)
    holder: Any = definition["spec"]
    for _ in range(data.draw(st.integers(0, 9))):
        children = holder if isinstance(holder, dict) else dict(enumerate(holder))
        name = data.draw(st.sampled_from(sorted(children)))
        if not isinstance(children[name], dict | list) or not children[name]:
            break
        below = children[name]
        if data.draw(st.integers(0, 3)) == 0:
            holder[name] = data.draw(ANY)
            break
        holder = below
    assert all(isinstance(loss, Loss) for loss in losses(definition))


def written(change: Any = None) -> dict[str, Any]:
    api: dict[str, Any] = yaml.safe_load(WRITTEN)
    if change:
        change(
            api,
            api["conversions"][0]["fields"],
            [spec_of(version)["properties"] for version in api["spec"]["versions"]],
        )
    return api


F = "spec.api.conversions[0].fields"
SPEC = "spec.api.spec.versions[1].schema.openAPIV3Schema.properties.spec.properties"
UNSOUND = {
    "a field that does not exist": (
        lambda api, fields, specs: fields[0].update(v1="spec.ownr"),
        (f"{F}[0].v1", "v1 has no field spec.ownr", "did you mean spec.owner?"),
    ),
    "a field of an entry that does not exist": (
        lambda api, fields, specs: fields[5]["fields"][0].update(v1="rle"),
        (f"{F}[5].fields[0].v1", "v1 has no field spec.users[].rle", "did you mean role?"),
    ),
    "a version that does not exist": (
        lambda api, fields, specs: api["spec"]["versions"].pop(0),
        ("spec.api.conversions[0].between", "v1 is not a version of the API", "versions: v2, v3"),
    ),
    "neither is stored": (
        lambda api, fields, specs: api["conversions"].append({"between": ["v1", "v3"]}),
        ("spec.api.conversions[2].between", "neither of them is v2, which is stored", "declare what differs"),
    ),
    "a webhook beside it": (
        lambda api, fields, specs: api["spec"].update(conversion={"strategy": "Webhook"}),
        ("spec.api.conversions", "cannot be used together with a webhook", "keep one"),
    ),
    "a member without a pair": (
        lambda api, fields, specs: specs[1]["profile"]["enum"].append("XXL"),
        (f"{F}[2].values", "spec.profile may be 'XXL' in v2, and no pair is for that", "add a pair with v2: XXL"),
    ),
    "a pair without a member": (
        lambda api, fields, specs: fields[2]["values"].append({"v1": "tiny", "v2": "S"}),
        (f"{F}[2].values[3].v1", "'tiny' is not a value of spec.size in v1", "correct it"),
    ),
    "values without an enum": (
        lambda api, fields, specs: specs[0].update(size={"type": "string"}),
        (f"{F}[2].values", "spec.size has no enum in v1", "give it an enum"),
    ),
    "a unit of a text": (
        lambda api, fields, specs: specs[0].update(storageGB={"type": "string"}),
        (f"{F}[1].unit", "spec.storageGB is string in v1, and has to be a number", "change its type"),
    ),
    "a number without a unit": (
        lambda api, fields, specs: specs[1].update(storage={"type": "integer"}),
        (
            f"{F}[1].unit",
            "spec.storage is integer in v2, and has to be a quantity",
            "name the unit in which v2 counts",
        ),
    ),
    "a default of another type": (
        lambda api, fields, specs: fields[4].update(default="yes"),
        (f"{F}[4].default", "v2 does not allow it for spec.tls", "write a value that spec.tls may have"),
    ),
    "a required field without a default": (
        lambda api, fields, specs: (
            fields[4].pop("default"),
            spec_of(api["spec"]["versions"][1]).update(required=["tls"]),
        ),
        (f"{F}[4]", "v2 requires spec.tls, which v1 does not have", "give it a default"),
    ),
    "a required field that may be missing": (
        lambda api, fields, specs: spec_of(api["spec"]["versions"][1]).update(required=["storage"]),
        (
            f"{F}[1]",
            "v2 requires spec.storage, but spec.storageGB may be missing in v1",
            "give spec.storageGB a default",
        ),
    ),
    "a list that may have a key twice": (
        lambda api, fields, specs: specs[0]["users"].pop("x-kubernetes-list-type"),
        (f"{F}[5].key", "may have two entries with the same 'name'", "correct the schema"),
    ),
    "a map whose entries have the key": (
        lambda api, fields, specs: specs[1]["accounts"]["additionalProperties"]["properties"].update(
            name={"type": "string"}
        ),
        (f"{F}[5].key", "spec.accounts in v2 has a field 'name' in its entries", "correct the schema"),
    ),
    "a field of an entry": (
        lambda api, fields, specs: fields[5]["fields"].pop(),
        (
            f"{SPEC}.accounts.additionalProperties.properties.note",
            "v2 has spec.accounts.*.note, but v1 does not, and no conversion names it",
            "name it in spec.api.conversions[0].fields",
        ),
    ),
    "a field of the same name that is another": (
        lambda api, fields, specs: specs[0].update(
            contact={"type": "object", "properties": {"team": {"type": "string"}}}
        ),
        (
            "spec.api.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.contact.properties.team",
            "v1 has spec.contact.team, and v2 has another field in its place",
            "name it",
        ),
    ),
}


def test_what_is_written_well_loses_nothing() -> None:
    assert losses(written()) == []


@pytest.mark.parametrize(("change", "said"), UNSOUND.values(), ids=UNSOUND.keys())
def test_what_a_conversion_cannot_carry_is_named_with_place_and_remedy(
    change: Any, said: tuple[str, str, str]
) -> None:
    found = losses(written(change))
    assert found
    assert found[0].field == said[0]
    assert said[1] in found[0].problem
    assert said[2] in found[0].remedy


def test_a_version_that_is_not_served_need_not_show_what_only_the_stored_one_has() -> None:
    api = written(lambda api, fields, specs: fields.pop(4))
    assert len(losses(api)) == 1
    api["spec"]["versions"][0]["served"] = False
    assert losses(api) == []


def test_an_api_that_loses_a_field_is_refused() -> None:
    api = written(lambda api, fields, specs: api.pop("conversions"))
    with pytest.raises(InvalidObject, match=r"v1 has spec.owner, but v2 does not; v2 is the stored version"):
        check_conversions(api)


def test_declared_conversions_are_refused_where_nothing_serves_them() -> None:
    with pytest.raises(InvalidObject, match="this operator does not convert between versions"):
        check_conversions(written(), is_served=False)
    check_conversions(written())
    check_conversions(None, is_served=False)
    single = copy.deepcopy(written())
    single.pop("conversions")
    single["spec"]["versions"] = single["spec"]["versions"][1:2]
    check_conversions(single, is_served=False)


def test_the_example_of_the_documentation_is_complete() -> None:
    page = (Path(__file__).parents[5] / "docs/reference/conversions.md").read_text("utf-8")
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])["spec"]["api"]["conversions"]
    api = written()
    spec_of(api["spec"]["versions"][1])["properties"]["accounts"]["additionalProperties"]["properties"].pop("note")
    api["conversions"][0] = shown[0]
    assert losses(api) == []
