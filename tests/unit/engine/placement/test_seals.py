"""Seals: what the operator sealed is known again, and any other object, or any edit of it, is not."""

from __future__ import annotations

import base64
import copy
import gzip
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from troth.api import labels as names
from troth.api.objects import Work, WorkPlacement
from troth.engine.placement.seals import KEY_BYTES, PLACEMENT_LABELS, WORK_LABELS, Seals
from troth.engine.placement.work import encode_content, read_work, read_work_placement

OWNER = "0c1f5c7e-0000-4000-8000-000000000001"
KEY = bytes(range(KEY_BYTES))
SINCE = "2026-01-02T00:00:00Z"
LATER = "2026-01-03T00:00:00Z"
Object = dict[str, Any]


def seals(key: bytes = KEY) -> Seals:
    made = Seals()
    made.use(key, since=SINCE)
    return made


def a_work(**metadata: Any) -> Object:
    labels = {names.WORK_TYPE: "resource", names.PROMISE_NAME: "redis", names.RESOURCE_NAME: "orders"}
    labels[names.PIPELINE_NAME] = "instance"
    return {
        "metadata": {"name": "w", "namespace": "team", "uid": "u", "creationTimestamp": LATER, "labels": labels}
        | metadata,
        "spec": {
            "promiseName": "redis",
            "resourceName": "orders",
            "workloadGroups": [
                {
                    "id": identity,
                    "directory": directory,
                    "destinationSelectors": [{"matchLabels": {"environment": "dev"}, "source": "promise"}],
                    "workloads": [
                        {"filepath": "a.yaml", "content": encode_content(b"kind: A\n")},
                        {"filepath": "b.yaml", "content": encode_content(b"kind: B\n")},
                    ],
                }
                for identity, directory in (("5058f1", "."), ("77aa00", "backup"))
            ],
        },
        "status": {},
    }


def a_placement(**metadata: Any) -> Object:
    labels = {names.WORK: "w", names.WORKLOAD_GROUP_ID: "5058f1", names.TARGET_DESTINATION: "worker-1"}
    return {
        "metadata": {
            "name": "w.worker-1-5058f",
            "namespace": "team",
            "uid": "p",
            "creationTimestamp": LATER,
            "labels": labels,
            "annotations": {names.ASKED_FOR: "environment=dev"},
        }
        | metadata,
        "spec": {
            "targetDestinationName": "worker-1",
            "promiseName": "redis",
            "resourceName": "orders",
            "id": "5058f1",
            "workloads": [{"filepath": "a.yaml", "content": encode_content(b"kind: A\n")}],
        },
        "status": {},
    }


def sealed(obj: Object, by: Seals | None = None, owner: str = OWNER) -> Object:
    by = by or seals()
    is_work = "workloadGroups" in obj["spec"]
    seal = by.seal_work(read_work(obj), owner) if is_work else by.seal_placement(read_work_placement(obj), owner)
    annotations = {**(obj["metadata"].get("annotations") or {}), names.SEAL: seal}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def read(obj: Object, by: Seals | None = None) -> Work | WorkPlacement:
    by = by or seals()
    return by.read_work(obj) if "workloadGroups" in obj["spec"] else by.read_work_placement(obj)


BOTH = pytest.mark.parametrize("make", [a_work, a_placement])


@BOTH
def test_what_was_sealed_is_known_again_whatever_else_the_api_server_adds(make: Callable[..., Object]) -> None:
    obj = sealed(make())
    assert read(obj).sealed_for == OWNER
    obj["metadata"] |= {
        "resourceVersion": "77",
        "generation": 3,
        "managedFields": [{}],
        "finalizers": ["anybody's"],
    }
    obj["metadata"]["labels"] |= {"team": "payments"}
    obj["metadata"]["annotations"] |= {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    obj["spec"]["generation"] = 7
    assert read(obj).sealed_for == OWNER


def test_contents_that_are_packed_in_another_way_are_the_same() -> None:
    obj = sealed(a_work())
    packed = base64.b64encode(gzip.compress(b"kind: A\n", compresslevel=1, mtime=7)).decode()
    obj["spec"]["workloadGroups"][0]["workloads"][0]["content"] = packed
    assert read(obj).sealed_for == OWNER


@BOTH
def test_no_object_passes_without_a_seal_of_this_key_for_an_owner(make: Callable[..., Object]) -> None:
    obj = make()
    assert not read(obj).sealed_for
    assert not read(sealed(obj, seals(bytes(KEY_BYTES)))).sealed_for
    assert not read(sealed(obj), Seals()).sealed_for
    assert not read(sealed(obj, owner="")).sealed_for
    good = sealed(obj)["metadata"]["annotations"][names.SEAL]
    uid, _, mac = good.partition("/")
    for seal in (
        "",
        uid,
        "/",
        f"{uid}/",
        f"/{mac}",
        mac,
        f"{uid}0/{mac}",
        f"{uid}/{mac}=",
        f"{uid}/ü",
        "a/b/c",
        f"{good}/",
    ):
        marked = sealed(obj)
        marked["metadata"]["annotations"][names.SEAL] = seal
        assert not read(marked).sealed_for, seal


@BOTH
@pytest.mark.parametrize("field", ["name", "namespace"])
def test_a_copy_of_a_sealed_object_is_worth_nothing(make: Callable[..., Object], field: str) -> None:
    obj = sealed(make())
    obj["metadata"][field] = "another"
    assert not read(obj).sealed_for


def test_the_seal_of_one_kind_is_not_one_of_another() -> None:
    work = sealed(a_work())
    placement = a_placement(name="w")
    placement["metadata"]["annotations"] = dict(work["metadata"]["annotations"])
    assert not read(placement).sealed_for


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value inside an object."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths_of(inner, (*path, key))


def matters(path: tuple[Any, ...]) -> bool:
    """Whether the operator acts on what is there."""
    if len(path) == 1:
        return False
    if path[0] == "metadata":
        if path[1] in ("labels", "annotations"):
            known = {*WORK_LABELS, *PLACEMENT_LABELS, names.ASKED_FOR, names.MOVED, names.SEAL}
            return len(path) > 2 and path[2] in known
        return path[1] in ("name", "namespace") and len(path) == 2
    return bool(path[0] == "spec")


@BOTH
def test_every_edit_of_what_the_operator_acts_on_breaks_the_seal(make: Callable[..., Object]) -> None:
    whole = sealed(make())
    generator = random.Random(make.__name__)
    tried = 0
    for path in paths_of(whole):
        if not matters(path):
            continue
        for edit in ("drop", "replace", "twice"):
            obj = copy.deepcopy(whole)
            holder: Any = obj
            for step in path[:-1]:
                holder = holder[step]
            value = holder[path[-1]]
            if edit == "drop":
                del holder[path[-1]]
            elif edit == "twice" and isinstance(value, list):
                value.append(value[0] if value else {})
            elif isinstance(value, str):
                holder[path[-1]] = f"{value}{generator.choice('axyz')}"
            elif isinstance(value, list):
                value.reverse()
                if len(value) < 2:
                    value.clear()
            else:
                continue
            if obj == whole or read_again(obj) == read_again(whole):
                continue  # such as a directory that says what is said without it
            tried += 1
            assert not read(obj).sealed_for, (path, edit)
    assert tried > 25


def read_again(obj: Object) -> Any:
    """What the operator makes of an object, seals apart."""
    if "workloadGroups" not in obj["spec"] and "workloads" not in obj["spec"]:
        return None
    view = read_work(obj) if "workloadGroups" in obj["spec"] else read_work_placement(obj)
    return replace(view, status={})


@pytest.mark.parametrize("label", WORK_LABELS)
def test_a_label_that_orders_cannot_be_added_to_a_work(label: str) -> None:
    obj = sealed(a_work())
    obj["metadata"]["labels"][label] = "true"
    assert not read(obj).sealed_for
    placement = sealed(a_placement())
    placement["metadata"]["labels"] |= {names.MISPLACED: "true"}
    assert not read(placement).sealed_for


def test_an_object_whose_content_cannot_be_read_never_passes() -> None:
    obj = a_work()
    obj["spec"]["workloadGroups"][0]["workloads"][0]["content"] = "%%%"
    assert not read(sealed(obj)).sealed_for


# ---- records and reports


RECORD: Mapping[str, Any] = {
    "versionID": "3f1c2ab",
    "troth": {
        "location": {"store": {"kind": "GitStateStore", "name": "s"}, "directory": "d"},
        "alsoIn": [{"store": {"kind": "GitStateStore", "name": "t"}, "directory": "e"}],
    },
}


def recorded(status: Mapping[str, Any] = RECORD, generation: int = 4) -> Object:
    obj = sealed(a_placement())
    seal = seals().seal_record(read_work_placement(obj).metadata, status, generation)
    return {**obj, "status": {**status, "troth": {**status["troth"], "seal": seal}}}


def generation_of(obj: Object) -> int:
    return seals().read_work_placement(obj).recorded


def test_a_record_is_known_again_and_no_edit_of_it_passes() -> None:
    obj = recorded()
    assert generation_of(obj) == 4
    obj["status"] |= {"conditions": [{"type": "Ready"}]}
    obj["spec"]["workloads"] = []
    assert generation_of(obj) == 4, "where the files are does not depend on what somebody makes of the rest"
    for path in paths_of(obj["status"]):
        if path[0] == "conditions" or path == ("troth",):
            continue
        edited = copy.deepcopy(obj)
        holder: Any = edited["status"]
        for step in path[:-1]:
            holder = holder[step]
        del holder[path[-1]]
        assert generation_of(edited) == 0, path
    for seal in (
        "",
        "4",
        "5/",
        None,
        7,
        {"a": 1},
        "5" + obj["status"]["troth"]["seal"][1:],
        "٤" + "/x",
        "9" * 30 + "/x",
    ):
        edited = copy.deepcopy(obj)
        edited["status"]["troth"]["seal"] = seal
        assert generation_of(edited) == 0, seal


@pytest.mark.parametrize("field", ["uid", "name", "namespace"])
def test_a_record_is_worth_nothing_on_another_object(field: str) -> None:
    obj = recorded()
    obj["metadata"][field] = "another"
    assert generation_of(obj) == 0


def test_a_status_that_is_nested_out_of_all_reason_is_only_not_believed() -> None:
    obj = recorded()
    nested: Any = []
    for _ in range(5000):
        nested = [nested]
    obj["status"]["troth"]["location"] = nested
    assert generation_of(obj) == 0


def test_what_a_work_reports_is_known_again_and_no_edit_of_it_passes() -> None:
    obj = sealed(a_work())
    status: Object = {"troth": {"observedGeneration": 1, "unscheduled": [{"id": "a", "matchLabels": {}}]}}
    status["troth"]["seal"] = seals().seal_report(read_work(obj).metadata, status)
    obj["status"] = status
    assert seals().read_work(obj).reported
    edits: list[Object] = [{"unscheduled": None}, {"observedGeneration": 2}, {"held": [{}]}, {"seal": ""}]
    for forged in (*edits, {"refusal": "x"}, {"forbidden": "x"}, {"withheld": "x"}, {"obstacle": "x"}):
        obj["status"] = {"troth": {**status["troth"], **forged}}
        assert not seals().read_work(obj).reported, forged
    obj["status"] = status
    obj["metadata"]["uid"] = "another"
    assert not seals().read_work(obj).reported


# ---- from before there were seals


@BOTH
def test_only_what_is_older_than_the_key_may_be_from_before_there_were_seals(make: Callable[..., Object]) -> None:
    assert read(make(creationTimestamp="2026-01-01T23:59:59Z")).former
    assert not read(make(creationTimestamp=SINCE)).former
    assert not read(make()).former
    assert not read(make(creationTimestamp="")).former
    older = sealed(make(creationTimestamp="2026-01-01T23:59:59Z"))
    assert read(older).former == (make is a_placement), "its record has no seal yet"
    if make is a_placement:
        seal = seals().seal_record(read_work_placement(older).metadata, RECORD, 1)
        older["status"] = {**RECORD, "troth": {**RECORD["troth"], "seal": seal}}
        assert not read(older).former


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        Seals().use(b"short", since=SINCE)
