"""Whatever stands on an API server is read to a value or to an error in words, never to another exception, and soon.

A fuzzer for each reader. Random bytes hardly ever come past the first look, so most inputs are sound ones with
something else in some of their places. What was found once stays in tests/data/readers and is tried first. Quick
here; TROTH_FUZZ_EXAMPLES=5000 takes minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import string
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.adapter_readers import ADAPTER_READERS
from tests.hostile.conversion_readers import CONVERSION_READERS
from tests.hostile.garbage import only_own_garbage
from tests.hostile.job_readers import JOB_READERS
from tests.platforms import destination, git_store, promise, request
from tests.unit.engine.pipelines import context
from troth.api import InvalidObject, TrothError, find_condition
from troth.api import labels as names
from troth.api.nesting import bound_object
from troth.api.objects import (
    read_destination,
    read_promise,
    read_request,
    read_state_store,
)
from troth.api.pipelines import JinjaPipeline, parse_pipelines
from troth.app.secret_kubeconfig import read_kubeconfig
from troth.controllers import differences
from troth.controllers.owners import promise_of, work_of, work_owner
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.admission.refusals import Refusal
from troth.engine.failure import Failure
from troth.engine.placement.work import ContentDigests, encode_content, read_work, read_work_placement
from troth.engine.promises.conversion.converting import NotConverted
from troth.engine.promises.definitions import read_definition
from troth.engine.promises.offers import read_offer
from troth.engine.rendering.components import read_parent
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import render_context, render_pipeline
from troth.engine.status.deletion import deletion_status
from troth.engine.status.facts import PromiseFacts, RequestFacts, WorkflowFacts
from troth.engine.status.patch import status_patch
from troth.engine.status.placement import placement_status, read_placement, work_status
from troth.engine.status.placement import read_work as work_facts
from troth.engine.status.promise import promise_status
from troth.engine.status.request import refusal_status, request_status
from troth.engine.workflow.progress import read_progress
from troth.engine.workflow.retries import judge_retry
from troth.engine.yaml.manifests import InvalidManifest, dump_documents, load_documents
from troth.kube import CredentialsError, Gone, KubeError, from_kubeconfig_dict
from troth.kube.reading import read_object, read_page
from troth.kube.watch import read_event

Object = dict[str, Any]

EXAMPLES = int(os.environ.get("TROTH_FUZZ_EXAMPLES", "100"))
LONGEST = 1.0
"""Seconds of a processor that reading one input may take; they are milliseconds."""

NOW = "2026-03-01T08:00:00Z"
KEPT = Path(__file__).parent.parent / "data" / "readers"

fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

CONDITION: Object = {
    "type": "Ready",
    "status": "False",
    "reason": "Failing",
    "message": "it fails",
    "lastTransitionTime": NOW,
}
PIPELINE: Object = {
    "name": "instance",
    "phase": "Suspended",
    "lastTransitionTime": NOW,
    "attempts": 2,
    "nextRetryAt": "2026-03-01T09:00:00Z",
}
LOCATION: Object = {
    "store": {"kind": "GitStateStore", "name": "s"},
    "directory": "a",
    "address": "x",
    "files": ["b"],
}
STATUS: Object = {
    "conditions": [CONDITION, {**CONDITION, "type": "Stalled"}, {**CONDITION, "type": "WriteSucceeded"}],
    "message": "it fails",
    "status": "Unavailable",
    "versionID": "abc",
    "observedGeneration": 1,
    "lastAvailableTime": NOW,
    "lastSuccessfulConfigureWorkflowTime": NOW,
    "kratix": {
        "lastAvailableTime": NOW,
        "status": "Available",
        "workflows": {"pipelines": [PIPELINE], "suspendedGeneration": 1, "configure": {"pipelines": [PIPELINE]}},
    },
    "troth": {
        "observedGeneration": 1,
        "path": "a/b",
        "phase": "Committed",
        "refusal": "no",
        "failure": {"reason": "x"},
        "statusKeys": ["endpoint"],
        "conditionTypes": ["Backup"],
        "components": [{"apiVersion": "a/v1", "kind": "B", "namespace": "c", "name": "d", "state": "Ready"}],
        "placements": [{"destination": "d", "version": "abc", "state": "Written"}],
        "unscheduled": [{"id": "x", "matchLabels": {"a": "b"}}],
        "held": [{"name": "n", "destination": "d", "matchLabels": {"a": "b"}, "has": {"a": "c"}}],
        "location": LOCATION,
        "alsoIn": [LOCATION],
    },
}
METADATA: Object = {
    "name": "it",
    "namespace": "n",
    "uid": "u",
    "resourceVersion": "7",
    "generation": 1,
    "labels": {names.PROMISE_NAME: "p", names.RESOURCE_NAME: "r", names.PIPELINE_NAME: "i"},
    "annotations": {"a": "b"},
    "finalizers": ["f"],
    "deletionTimestamp": NOW,
    "ownerReferences": [{"uid": "o"}],
    "managedFields": [{"manager": "troth", "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}}}],
}
GROUP: Object = {
    "id": "5058f",
    "directory": ".",
    "destinationSelectors": [{"matchLabels": {"a": "b"}, "source": "promise"}],
    "workloads": [{"filepath": "a.yaml", "content": encode_content(b"a: 1\n")}],
}
WORK: Object = {
    "kind": "Work",
    "metadata": METADATA,
    "spec": {"promiseName": "p", "resourceName": "r", "workloadGroups": [GROUP]},
    "status": STATUS,
}
PLACEMENT: Object = {
    "kind": "WorkPlacement",
    "metadata": METADATA,
    "spec": {"targetDestinationName": "d", "promiseName": "p", "resourceName": "r", "id": "5058f", **GROUP},
    "status": STATUS,
}
OFFERED: Object = promise(
    "p",
    dependencies=[{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "it", "namespace": "default"}}],
    requiredPromises=[{"name": "other", "version": "v1"}],
    spec_schema={
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {
                "type": "string",
                "enum": ["small", "large"],
                "default": "small",
                "maxLength": 9,
                "pattern": "^[a-z]+$",
            },
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "port": {"x-kubernetes-int-or-string": True},
            "list": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            },
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "texts": {"type": "object", "additionalProperties": {"type": "string", "format": "date-time"}},
        },
        "x-kubernetes-validations": [{"rule": "!has(self.count) || self.count < 9", "message": "too many"}],
    },
)
OFFERED["spec"]["workflows"]["promise"] = {"configure": [], "delete": []}
OFFERED |= {"metadata": METADATA | {"name": "p"}, "status": STATUS}
ASKED: Object = request(
    "p", "it", "n", size="small", count=3, port="http", list=[{"name": "a"}], free={"a": [1]}, texts={"a": NOW}
)
ADMISSION = Admission(read_offer(read_promise(OFFERED)).definition or {})
DEFINITION: Object = {
    **OFFERED["spec"]["api"],
    "metadata": METADATA,
    "status": {"conditions": [CONDITION | {"type": "NamesAccepted"}], "storedVersions": ["v1"]},
}
PIPELINES: list[Any] = [
    {
        "apiVersion": "troth.dev/v1alpha1",
        "kind": "JinjaPipeline",
        "metadata": {"name": "instance"},
        "spec": {
            "values": {"port": 5432, "host": "{{ name }}.example"},
            "files": [
                {
                    "path": "x/{{ item }}.yaml",
                    "template": "a: {{ spec.size }}",
                    "when": "{{ true }}",
                    "forEach": "{{ [1, 2] }}",
                }
            ],
            "partials": {"labels": "a: b"},
            "destinations": [{"directory": "x", "matchLabels": {"a": "b"}}],
            "status": {"endpoint": "{{ host }}"},
            "control": {"suspend": "{{ false }}", "message": "wait", "retryAfter": "30s"},
            "moved": [{"kind": "ConfigMap", "from": "a", "to": "b"}],
        },
    }
]
KUBECONFIG: Object = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "n"}}],
    "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:6443", "certificate-authority-data": ""}}],
    "users": [{"name": "u", "user": {"token": "secret"}}],
}

WORDS = (
    "",
    "a",
    "..",
    "/",
    "a/b",
    "Ready",
    "True",
    "true",
    "1",
    "0x1F",
    "-1",
    "2024-99-99",
    NOW,
    "%",
    ":",
    "http://[",
)
MARKS = ("{{ name }}", "{{", "{% x", "\0", "\n---\n", "\u2028", "é", "!tag", "&a", "*a", "<<", "~", "a\u200db")
LONG = ("9" * 5_000, "a" * 70, chr(0xD800))
TEXTS = st.sampled_from(WORDS + MARKS + LONG) | st.text(string.printable, max_size=12)
SCALARS = st.one_of(
    st.sampled_from(
        [None, True, False, 0, -1, 7, 2**53 + 1, 2**63, 2**64, -(2**64), 10**30, 1.5, -0.0, 1e300, 5e-324]
    ),
    TEXTS,
)
KEYS = st.sampled_from(["", "name", "spec", "type", "from", "a.b/c", "\n", "kind", "metadata", "labels"]) | TEXTS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value: the map or the list, and the key or the index."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield value, key
        yield from places(child)


@st.composite
def mutated(draw: st.DrawFn, sound: Any) -> Any:
    """A sound value with something else in one to three of its places, something added, or something missing."""
    value = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(value))
        if not found:
            break
        holder, key = found[draw(st.integers(0, len(found) - 1))]
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "add", "repeat"])):
            case "remove":
                del holder[key]
            case "add" if isinstance(holder, dict):
                holder[draw(KEYS)] = draw(JSON)
            case "repeat" if isinstance(holder, list):
                holder.append(holder[key])
            case _:
                holder[key] = draw(JSON)
    return value


@pytest.fixture(autouse=True)
def own_garbage() -> Iterator[None]:
    with only_own_garbage():
        yield


def judge(read: Callable[[Any], object], value: Any) -> None:
    """Reads a value; an error in words is an answer, too."""
    began = time.process_time()
    with contextlib.suppress(InvalidObject, InvalidManifest, KubeError):
        read(value)
    assert time.process_time() - began < LONGEST


def see_request(obj: Any) -> None:
    view = read_request(obj)
    (
        differences.as_component(view),
        differences.failing(view),
        differences.readiness(view),
        read_parent(view.metadata.labels),
    )
    differences.meant_differs(view, read_request(ASKED))
    for facts in (
        RequestFacts(generation=1, promise_version="v", workflow=WorkflowFacts()),
        RequestFacts(generation=1, promise_version="v", workflow=WorkflowFacts(), promise_available=False),
        RequestFacts(generation=1, promise_version="v", workflow=WorkflowFacts(), paused=True),
    ):
        settle(view.status, request_status(view.status, facts, now=NOW))
    settle(view.status, refusal_status(view.status, generation=1, reason="x", message="y", now=NOW))
    settle(view.status, deletion_status(view.status, waiting_for="z", now=NOW, failure="w"))
    for record in read_progress(view.status):
        judge_retry("instance", 3, record=record, now=NOW)


def settle(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """What the operator would write is JSON."""
    orjson.dumps(status_patch(old, new))


def see_promise(obj: Any) -> None:
    view = read_promise(obj)
    differences.as_offer(view), differences.as_dependent(view), differences.readiness(view)
    settle(view.status, promise_status(view.status, PromiseFacts(generation=1), now=NOW))
    render_context(view, None)
    read_offer(view)


def see_work(obj: Any) -> None:
    ContentDigests().is_heavy(obj)
    view = read_work(obj)
    work_owner(view), promise_of(view.metadata), differences.as_keeper(view), differences.readiness(view)
    settle(view.status, work_status(view.status, work_facts(view, ()), now=NOW))


def see_placement(obj: Any) -> None:
    ContentDigests().is_heavy(obj)
    view = read_work_placement(obj)
    work_of(view), differences.was_ever_written(view), differences.readiness(view)
    settle(view.status, placement_status(view.status, read_placement(view), now=NOW))


def see_destination(obj: Any) -> None:
    view = read_destination(obj)
    differences.as_place(view), differences.as_target(view), differences.readiness(view)
    find_condition(view.status.get("conditions"), "Ready")


def see_definition(obj: Any) -> None:
    read_definition(obj)


def see_store(obj: Any) -> None:
    differences.readiness(read_state_store(obj))


def see_pipelines(value: Any) -> list[object]:
    outcomes: list[object] = []
    if not isinstance(value, list):
        return outcomes
    for parsed in parse_pipelines(value, "spec", action="configure"):
        if not isinstance(parsed, JinjaPipeline):
            continue
        outcome = render_pipeline(parsed, context(), limits=Limits(), nonce="abc")
        if isinstance(outcome, Failure):
            assert outcome.message
            assert "Traceback" not in outcome.sentence()
        outcomes.append(outcome)
    return outcomes


def see_kubeconfig(document: Any) -> None:
    async def read() -> None:
        await from_kubeconfig_dict(document)

    if isinstance(document, dict):
        asyncio.run(read())


def see_admission(obj: Any) -> list[object]:
    answer = ADMISSION.admit(obj)
    return [answer] if isinstance(answer, Admitted) else [*answer]


SOUND: Mapping[str, tuple[Callable[[Any], object], Any]] = {
    "request": (see_request, {**ASKED, "metadata": METADATA, "status": STATUS}),
    "promise": (see_promise, OFFERED),
    "work": (see_work, WORK),
    "placement": (see_placement, PLACEMENT),
    "destination": (
        see_destination,
        destination("d", store="s", labels={"a": "b"}, filepath={"mode": "none"}) | {"status": STATUS},
    ),
    "definition": (see_definition, DEFINITION),
    "store": (
        see_store,
        git_store("s", "https://example.com/a.git", secretRef={"name": "s"}) | {"status": STATUS},
    ),
    "pipelines": (see_pipelines, PIPELINES),
    **JOB_READERS,
    **ADAPTER_READERS,
    **CONVERSION_READERS,
    "kubeconfig": (see_kubeconfig, KUBECONFIG),
    "admission": (see_admission, ASKED),
}
REFUSALS = (Failure, NotConverted, Refusal)
"""Those of the answers that readers give which say that something is wrong."""


SERVED = SOUND.keys() - {"pipelines", "admission", "kubeconfig", *CONVERSION_READERS}


def kept() -> list[Any]:
    """What was found once: one file for each reader, with a list of inputs."""
    return [
        pytest.param(file.stem, value, id=f"{file.stem}-{number}")
        for file in sorted(KEPT.glob("*.json"))
        for number, value in enumerate(json.loads(file.read_text()))
    ]


@pytest.mark.parametrize(("reader", "value"), kept())
def test_what_was_found_once_is_read_now(reader: str, value: Any) -> None:
    judge(SOUND[reader][0], value)


@pytest.mark.parametrize("reader", SOUND)
def test_what_is_sound_is_read(reader: str) -> None:
    read, sound = SOUND[reader]
    answer = read(copy.deepcopy(sound))
    for outcome in answer if isinstance(answer, list) else ():
        assert not isinstance(outcome, REFUSALS)


@pytest.mark.parametrize("reader", SOUND)
def test_a_reader_gives_a_value_or_an_error_in_words(reader: str) -> None:
    read, sound = SOUND[reader]

    @fuzzed
    @given(mutated(sound))
    def hold(value: Any) -> None:
        if reader in SERVED:
            try:  # as it comes from an API server: half of a character and numbers of 100 bits do not
                value = bound_object(orjson.loads(json.dumps(value)))
            except orjson.JSONDecodeError:
                return
        judge(read, value)

    hold()


@st.composite
def spoilt(draw: st.DrawFn, sound: bytes) -> bytes:
    """A sound text with some bytes cut out, doubled or replaced."""
    text = sound
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 9)))
        other = draw(
            st.sampled_from(
                [
                    b"",
                    b"[",
                    b"{",
                    b"}",
                    b"]",
                    b'"',
                    b"\\",
                    b",",
                    b":",
                    b"\n",
                    b"- ",
                    b"&a ",
                    b"*a",
                    b"!!int ",
                    b"\xff",
                    b"\0",
                ]
            )
            | st.binary(max_size=4)
        )
        text = text[:start] + other + text[end:] + draw(st.sampled_from([b"", b"", text[start:end]]))
    return text


PAGE = orjson.dumps(
    {"kind": "List", "metadata": {"resourceVersion": "7", "continue": "x"}, "items": [WORK, PLACEMENT]}
)
EVENT = orjson.dumps({"type": "MODIFIED", "object": WORK})
ENDED = orjson.dumps(
    {
        "type": "ERROR",
        "object": {
            "kind": "Status",
            "code": 410,
            "reason": "Expired",
            "details": {"causes": [{"reason": "x"}], "retryAfterSeconds": 1},
        },
    }
)


def test_sound_bytes_of_a_server_are_read() -> None:
    assert asyncio.run(read_page(PAGE)).items == [WORK, PLACEMENT]
    assert asyncio.run(read_object(PAGE)) == orjson.loads(PAGE)
    assert asyncio.run(read_event(EVENT)).object == WORK
    with pytest.raises(Gone):
        asyncio.run(read_event(ENDED))


@fuzzed
@given(spoilt(PAGE), spoilt(EVENT), spoilt(ENDED))
def test_bytes_of_a_server_are_objects_or_an_error_in_words(page: bytes, event: bytes, ended: bytes) -> None:
    judge(lambda body: asyncio.run(read_page(body)), page)
    judge(lambda body: asyncio.run(read_object(body)), page)
    judge(lambda body: asyncio.run(read_event(body)), event)
    judge(lambda body: asyncio.run(read_event(body)), ended)


@fuzzed
@given(
    spoilt(json.dumps(KUBECONFIG).encode())
    | spoilt(b"".join(b"%s: &a {x: [1, *a]}\n" % key for key in (b"users", b"clusters")))
)
def test_a_kubeconfig_out_of_a_secret_is_a_map_or_an_error_that_quotes_nothing(content: bytes) -> None:
    said = ""
    try:
        see_kubeconfig(read_kubeconfig(content))
    except CredentialsError as error:
        said = str(error)
    assert "secret" not in said


MANIFEST = b"""\
apiVersion: v1
kind: ConfigMap
metadata: {name: it, labels: &labels {a: "b", 'c': d}}
data:
  text: |
    first
    second
  folded: >-
    a
    b
  number: "12"
more: [1, 1.5, true, ~, 2024-01-01, 0o17, *labels]
---
{"kind": "List", "items": [{"a": "\\u00e9"}, []]}
"""


@fuzzed
@given(spoilt(MANIFEST))
def test_a_manifest_is_read_and_written_again_or_refused_in_words(content: bytes) -> None:
    def read(content: bytes) -> None:
        found = load_documents(content.decode(errors="replace"))
        assert load_documents(dump_documents(found)) == found

    judge(read, content)


def test_an_error_is_always_one_of_ours() -> None:
    assert issubclass(InvalidObject, TrothError)
    assert issubclass(InvalidManifest, TrothError)
