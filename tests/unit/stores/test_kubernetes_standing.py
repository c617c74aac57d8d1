"""Whose an object on a cluster is: judged from what the object says, what the API server says of it, and our record."""

from __future__ import annotations

from typing import Any

import pytest

from troth.api import Resource
from troth.stores.kubernetes_objects import Entry, Manifest, ObjectKey
from troth.stores.kubernetes_standing import (
    Footing,
    Recorded,
    is_removable,
    is_same_stamp,
    judge,
    marked,
    refusal,
    release,
    see,
    uid_of,
)

UID = "0caca2bc-6ea4-4fef-b192-414fa4cfe06a"
OURS = "troth-ours"


def obj(
    *,
    label: str = "",
    applied: bool = False,
    touched: bool = False,
    subresource: str = "",
    operation: str = "Apply",
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    fields: dict[str, Any] = {"f:data": {"f:a": {}}} if touched or applied else {}
    if applied:
        fields["f:metadata"] = {"f:labels": {"f:troth.dev/inventory": {}}}
    entry = {"manager": "troth", "operation": operation, "fieldsV1": fields}
    if subresource:
        entry["subresource"] = subresource
    return {
        "metadata": {
            "uid": UID,
            "labels": {"troth.dev/inventory": label} if label else {},
            "annotations": annotations or {},
            "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {}}, entry],
        }
    }


@pytest.mark.parametrize(
    ("there", "recorded", "adopts", "expected"),
    [
        # ours
        (obj(label=OURS, applied=True), Recorded(UID), False, Footing(UID)),
        (obj(label=OURS, applied=True), Recorded(), False, Footing(UID)),
        (obj(label=OURS, applied=True), None, False, Footing(UID)),  # the record is lost
        (obj(label=OURS), Recorded(UID), False, Footing(UID)),  # its managed fields are lost
        (obj(label=OURS), Recorded(UID[:8]), False, Footing(UID)),  # of an older release
        (obj(touched=True), Recorded(UID), False, Footing(UID)),  # somebody took the label away
        # adopted
        (obj(label=OURS, applied=True), Recorded(UID, adopted=True), False, Footing(UID, adopted=True)),
        (
            obj(label=OURS, applied=True, annotations={"troth.dev/adopted": "true"}),
            Recorded(UID),
            False,
            Footing(UID, adopted=True),
        ),
        (obj(label=OURS), Recorded("other"), False, Footing(UID, adopted=True)),  # a backup was restored
        (obj(label=OURS), Recorded(), False, Footing(UID, adopted=True)),
        (obj(annotations={"troth.dev/adopt": "a/x"}), None, False, Footing(UID, adopted=True)),
        (obj(), None, True, Footing(UID, adopted=True)),
        (obj(label=OURS), None, True, Footing(UID, adopted=True)),
        (obj(label="other", annotations={"troth.dev/adopt": "a/x"}), None, False, Footing(UID, adopted=True)),
        # somebody else's
        (obj(), None, False, None),
        (obj(), Recorded(UID), False, None),  # the record alone
        (obj(touched=True), Recorded("other"), False, None),
        (obj(touched=True), Recorded(), False, None),
        (obj(touched=True), None, False, None),
        (obj(label=OURS), None, False, None),  # the label alone
        (obj(label=OURS, applied=True, operation="Update"), None, False, None),
        (obj(label=OURS, applied=True, subresource="status"), None, False, None),
        (obj(label="other", applied=True), Recorded(UID), True, None),
        (obj(annotations={"troth.dev/adopt": "true"}), None, False, None),
        (obj(annotations={"troth.dev/adopt": "a/x2"}), None, False, None),
    ],
)
def test_an_object_is_ours_when_something_bears_out_its_label(
    there: dict[str, Any], recorded: Recorded | None, adopts: bool, expected: Footing | None
) -> None:
    assert judge(see(there), names={OURS}, recorded=recorded, owner="a/x", adopts=adopts) == expected


def test_only_what_we_applied_may_be_deleted() -> None:
    assert is_removable(see(obj(label=OURS, applied=True)))
    assert not is_removable(see(obj(label=OURS, touched=True)))


def test_an_apply_carries_our_marks_and_what_it_relies_on() -> None:
    body = {
        "kind": "ConfigMap",
        "metadata": {
            "name": "c",
            "uid": "forged",
            "resourceVersion": "7",
            "labels": {"a": "b", "troth.dev/inventory": "forged"},
            "annotations": {"troth.dev/adopted": "true", "troth.dev/adopt": "a/x", "kept": "1"},
        },
    }
    manifest = Manifest(Entry("v1", "ConfigMap", "n", "c"), body, "c.yaml")
    absent = marked(manifest, OURS, Footing())["metadata"]
    assert absent == {
        "name": "c",
        "labels": {"a": "b", "troth.dev/inventory": OURS},
        "annotations": {"kept": "1"},
        "resourceVersion": "1",
    }
    adopted = marked(manifest, OURS, Footing(UID, adopted=True))["metadata"]
    assert adopted["uid"] == UID
    assert "resourceVersion" not in adopted
    assert adopted["annotations"] == {"kept": "1", "troth.dev/adopted": "true"}


def test_what_is_given_back_keeps_the_fields_of_others() -> None:
    there = obj(label=OURS, applied=True)
    patch = release(there)["metadata"]
    assert patch["labels"] == {"troth.dev/inventory": None}
    assert patch["managedFields"] == there["metadata"]["managedFields"][:1]
    there["metadata"]["managedFields"] = there["metadata"]["managedFields"][1:]
    assert release(there)["metadata"]["managedFields"] == [{}]


def test_what_is_given_back_is_no_longer_the_component_that_we_made_it() -> None:
    parent = (
        "kratix.io/parent-promise-name",
        "kratix.io/parent-resource-name",
        "kratix.io/parent-resource-namespace",
    )
    there = obj(label=OURS, applied=True)
    there["metadata"]["labels"] |= dict.fromkeys(parent, "p")
    assert release(there)["metadata"]["labels"] == {"troth.dev/inventory": None}  # by somebody else's hand
    there["metadata"]["managedFields"][1]["fieldsV1"]["f:metadata"]["f:labels"] |= {
        f"f:{each}": {} for each in parent
    }
    assert release(there)["metadata"]["labels"] == dict.fromkeys(("troth.dev/inventory", *parent))


def test_a_stamp_of_an_older_release_is_compared_by_what_it_has() -> None:
    now = see(obj(label=OURS, applied=True)).stamp
    older = f"{UID[:8]}-{now.rpartition('-')[2]}"
    assert uid_of(now) == UID
    assert uid_of(older) == UID[:8]
    assert uid_of("") == ""
    assert is_same_stamp(now, now)
    assert is_same_stamp(older, now)
    assert not is_same_stamp(f"{UID[:8]}-0123456789abcdef", now)
    assert not is_same_stamp(f"11111111-{now.rpartition('-')[2]}", now)


def test_a_refusal_has_the_command_that_adopts_the_object() -> None:
    resource = Resource("apps", "v1", "deployments", "Deployment")
    text = refusal(ObjectKey("apps", "Deployment", "n", "c"), resource, "a/x")
    assert text.endswith("kubectl annotate deployments.apps c --namespace n troth.dev/adopt=a/x")
    assert "Troth did not make it" in text
    assert "troth.dev/inventory is other" in refusal(
        ObjectKey("apps", "Deployment", "n", "c"), resource, "a/x", inventory="other"
    )
