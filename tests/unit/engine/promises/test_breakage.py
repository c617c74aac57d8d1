"""Nothing that a live request uses is lost without being named, and a change that only widens names nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from tests.generated_apis import SPECS, definition_of, is_sound, sound_apis
from tests.unit.authoring.lint.linted import SPEC, definition
from troth.engine.admission.admitting import Admitted, admit
from troth.engine.promises.api_changes import ChangeKind, compare_apis
from troth.engine.promises.breakage import Breakage, find_breakage
from troth.engine.promises.definitions import build_definition
from troth.engine.status.patch import same

Object = dict[str, Any]

KINDS = {ChangeKind.REMOVED, ChangeKind.NARROWED}


def asked(spec: Any, name: str = "one", **metadata: Any) -> Object:
    """A request as a person writes it."""
    meta = {"name": name, "namespace": "team", **metadata}
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": meta, "spec": copy.deepcopy(spec)}


def stored(api: Mapping[str, Any], spec: Any) -> Object:
    """A request as an API server keeps it. An example that it would refuse is not looked at."""
    answer = admit(api, asked(spec))
    if not isinstance(answer, Admitted):
        reject()
    return answer.object


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values below a value, with their fields."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        yield path, value


def is_named(breakage: Breakage, field: str) -> bool:
    """Whether a field, or what it is in, is named."""
    return any(field == name or field.startswith((f"{name}.", f"{name}[")) for name in breakage.fields() if name)


@pytest.mark.slow
@settings(max_examples=50)
@given(before=sound_apis(), after=sound_apis(), spec=SPECS)
def test_what_the_api_server_would_drop_or_refuse_is_named(before: Object, after: Object, spec: Object) -> None:
    old, new = definition_of(before), definition_of(after)
    live = stored(old, spec)
    breakage = find_breakage(old, new, [live])
    answer = admit(new, live)
    if not isinstance(answer, Admitted):
        assert breakage.requests
        assert any(problem.kind in KINDS for problem in breakage.requests[0].problems)
        return
    kept = dict(leaves(answer.object["spec"], "spec"))
    for field, value in leaves(live["spec"], "spec"):
        if value not in ({}, []):
            assert is_named(breakage, field) or (field in kept and "[]" in field) or same(kept.get(field), value)


@pytest.mark.slow
@settings(max_examples=50)
@given(before=sound_apis(), after=sound_apis(), spec=SPECS)
def test_what_a_request_loses_is_also_found_in_the_schemas(before: Object, after: Object, spec: Object) -> None:
    old, new = definition_of(before), definition_of(after)
    live = stored(old, spec)
    if find_breakage(old, new, [live]).requests:
        assert compare_apis(old, new)


@pytest.mark.slow
@settings(max_examples=50)
@given(api=sound_apis(), spec=SPECS)
def test_an_api_that_says_the_same_takes_nothing_away(api: Object, spec: Object) -> None:
    old = definition_of(api)
    described = copy.deepcopy(old)
    for version in described["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"]["description"] = "Something else."
    assert find_breakage(old, described, [asked(spec)]).requests == ()


WIDER: Mapping[str, Sequence[Any]] = {
    "maxLength": [None, 20],
    "minLength": [None, 0],
    "maximum": [None],
    "minimum": [None, -100],
    "multipleOf": [None],
    "exclusiveMaximum": [None],
    "pattern": [None],
    "format": [None],
    "maxItems": [None, 40],
    "minProperties": [None, 0],
    "required": [None],
    "anyOf": [None],
    "allOf": [None],
    "x-kubernetes-validations": [None],
    "x-kubernetes-list-type": ["atomic"],
    "nullable": [True],
}


@st.composite
def widened(draw: st.DrawFn, schema: Object) -> Object:
    """A schema that allows all that a schema allows, with the same defaults."""
    wider: Object = {}
    for key, value in schema.items():
        if key == "properties":
            wider[key] = {name: draw(widened(child)) for name, child in value.items()}
            if draw(st.booleans()):
                wider[key]["added"] = {"type": "string"}
        elif key in WIDER and (key == "nullable" or draw(st.booleans())):
            chosen = draw(st.sampled_from(WIDER[key]))
            if chosen is not None:
                wider[key] = chosen
        elif key == "enum" and value and draw(st.booleans()):
            wider[key] = [*value, "added"]
        else:
            wider[key] = value
    return wider


@st.composite
def pairs_that_widen(draw: st.DrawFn) -> tuple[Object, Object]:
    before = draw(sound_apis())
    after = copy.deepcopy(before)
    for version in after["spec"]["versions"]:
        fields = version["schema"]["openAPIV3Schema"]["properties"]
        fields["spec"] = draw(widened(fields["spec"]))
    if draw(st.booleans()):
        after["spec"]["versions"].append({**after["spec"]["versions"][0], "name": "v9", "storage": False})
    assume(is_sound(after))
    return before, after


@pytest.mark.slow
@settings(max_examples=50)
@given(pair=pairs_that_widen(), spec=SPECS)
def test_a_change_that_only_widens_names_nothing_whatever_requests_say(
    pair: tuple[Object, Object], spec: Object
) -> None:
    before, after = pair
    assert find_breakage(definition_of(before), definition_of(after), [asked(spec)]).requests == ()


# ---- by example


def built(spec: Mapping[str, Any], *more: Mapping[str, Any], **changes: Any) -> Object:
    """A definition with a schema of spec, and more versions with the same schema unless they have their own."""
    api = definition(spec, required=False)
    api["spec"]["versions"] += [{**api["spec"]["versions"][0], "storage": False, **each} for each in more]
    api["spec"] |= changes
    return build_definition("things", api)


def without(*names: str) -> Object:
    spec = copy.deepcopy(dict(SPEC))
    spec["properties"] = {name: child for name, child in spec["properties"].items() if name not in names}
    return spec


def problems(breakage: Breakage) -> list[tuple[str, str]]:
    return [(one.name, problem.message) for one in breakage.requests for problem in one.problems]


def test_only_requests_that_have_a_removed_field_are_named_with_numbers_and_three_examples() -> None:
    requests = [asked({"size": "small", "owner": "me"}, f"r{number}") for number in range(5)]
    requests += [
        asked({"size": "small", "members": [{"name": "a", "role": "b"}, {"name": "c", "role": "d"}]}, "s")
    ]
    requests += [asked({"size": "small"}, "quiet")]
    narrow = without("owner")
    del narrow["properties"]["members"]["items"]["properties"]["role"]
    breakage = find_breakage(built(SPEC), built(narrow), reversed(requests))
    assert breakage.fields() == {"spec.owner": 5, "spec.members[].role": 1}
    assert breakage.sentence() == (
        "6 of 7 requests use what the new API takes away: spec.owner (5), spec.members[].role (1); for example "
        "team/r0 (spec.owner is dropped), team/r1 (spec.owner is dropped), team/r2 (spec.owner is dropped)"
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["small"], "the only request uses what the new API takes away: spec.size (1); for example"),
        (["small", "large"], "1 of 2 requests uses what the new API takes away: spec.size (1); for example"),
        (["small", "small"], "2 of 2 requests use what the new API takes away: spec.size (2); for example"),
        (["large"], ""),
    ],
)
def test_a_sentence_counts_requests_in_plain_english(said: Sequence[str], expected: str) -> None:
    narrow = copy.deepcopy(dict(SPEC))
    narrow["properties"]["size"]["enum"] = ["large"]
    requests = [asked({"size": size}, f"r{number}") for number, size in enumerate(said)]
    sentence = find_breakage(built(SPEC), built(narrow), requests).sentence()
    assert sentence.partition(" team/")[0] == expected


def test_a_value_that_is_refused_now_is_named_with_the_words_of_the_api_server() -> None:
    narrow = copy.deepcopy(dict(SPEC))
    narrow["properties"]["size"]["enum"] = ["small"]
    requests = [asked({"size": "small"}, "fits"), asked({"size": "large"}, "odd")]
    assert problems(find_breakage(built(SPEC), built(narrow), requests)) == [
        ("odd", 'spec.size: Unsupported value: "large": supported values: "small"')
    ]


def test_a_request_that_did_not_fit_before_is_named_only_for_what_was_right() -> None:
    narrow = without("owner")
    narrow["properties"]["replicas"]["maximum"] = 3
    narrow["x-kubernetes-validations"] = [{"rule": "self.size != 'odd'"}]
    unfit = asked({"size": "odd", "replicas": 5, "owner": "me"})
    found = dict(problems(find_breakage(built(SPEC), built(SPEC), [unfit])))
    assert found == {}
    named = find_breakage(built(SPEC), built(narrow), [unfit])
    assert set(named.fields()) == {"spec.owner", "spec.replicas"}


def test_a_version_that_is_no_longer_served_is_named_for_those_who_write_in_it() -> None:
    old, new = built(SPEC, {"name": "v2"}), built(SPEC, {"name": "v2", "served": False})
    record = {"operation": "Apply", "fieldsV1": {}}
    ours = [{**record, "manager": "troth", "apiVersion": "example.com/v2"}]
    theirs = [{**record, "manager": "flux", "apiVersion": "example.com/v2"}]
    requests = [
        asked({"size": "small"}, "ours", managedFields=ours),
        asked({"size": "small"}, "theirs", managedFields=theirs),
    ]
    assert problems(find_breakage(old, new, requests)) == [
        ("theirs", "it is written in version v2, which is no longer served")
    ]


def test_a_field_that_the_new_stored_version_lacks_is_lost_in_all_versions_unless_a_webhook_converts() -> None:
    narrow = {"openAPIV3Schema": {"type": "object", "properties": {"spec": without("owner")}}}
    old = built(SPEC)
    new = built(SPEC, {"name": "v2", "schema": narrow})
    assert find_breakage(old, new, [asked({"size": "small", "owner": "me"})]).requests == ()
    first, second = new["spec"]["versions"]
    moved = {
        **new,
        "spec": {**new["spec"], "versions": [{**first, "storage": False}, {**second, "storage": True}]},
    }
    assert find_breakage(old, moved, [asked({"size": "small", "owner": "me"})]).fields() == {"spec.owner": 1}
    converted = {**moved, "spec": {**moved["spec"], "conversion": {"strategy": "Webhook"}}}
    assert find_breakage(old, converted, [asked({"size": "small", "owner": "me"})]).requests == ()


def test_an_api_of_another_kind_takes_everything_away() -> None:
    other = built(SPEC, names={"kind": "Other", "plural": "things"})
    assert find_breakage(built(SPEC), other, [asked({"size": "small"})]).fields() == {"kind": 1}


def test_a_request_that_is_nested_too_deeply_is_named_rather_than_passed_over() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = {"a": deep}
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    closed = built({"type": "object", "properties": {}})
    request = {**asked({}), "spec": deep}
    assert find_breakage(built(free), closed, [request]).fields()
