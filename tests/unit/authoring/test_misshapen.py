"""What is of another type than it should be is told with its field, and a bug of ours is never blamed on somebody.

Every place of a Promise, a definition, a Destination, a store and a request is set to something else, one at a time.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.documents import ROOT
from troth.api import InvalidObject
from troth.api.objects import read_promise
from troth.authoring.home import load_home, offer_of
from troth.authoring.input_files import HomeError
from troth.authoring.known_kinds import read_schemas
from troth.authoring.rendering.destinations import read_destinations
from troth.authoring.rendering.requests import Requests
from troth.authoring.starting.definitions import adopt
from troth.authoring.starting.start import begin
from troth.engine.promises.offers import read_offer

DATA: Final = ROOT / "tests" / "data"
WRONG: Final[Sequence[Any]] = (5, True, "text", [5], [[]], {"a": 5}, None)
FEWER: Final[Sequence[Any]] = (5, "text", [5])

PROMISE: Final = (DATA / "whole-promise.yaml").read_text("utf-8")

DESTINATION: Final = """
apiVersion: platform.kratix.io/v1alpha1
kind: Destination
metadata: {name: a, labels: {a: b}, annotations: {a: b}}
spec:
  path: a
  stateStoreRef: {kind: GitStateStore, name: g}
  strictMatchLabels: true
  filepath: {mode: aggregatedYAML, filename: a.yaml}
  cleanup: all
  initWorkloads: {enabled: false}
  existing: Adopt
  allow: {namespaces: [a], kinds: [{group: "", kind: A}], clusterKinds: [{group: "", kind: A}], files: true}
"""
STORES: Final = (
    """
apiVersion: platform.kratix.io/v1alpha1
kind: GitStateStore
metadata: {name: g}
spec:
  {url: "https://a/b", path: p, branch: main, secretRef: {name: a, namespace: b}, authMethod: ssh, gitAuthor: {name: a}}
""",
    """
apiVersion: troth.dev/v1alpha1
kind: KubernetesStateStore
metadata: {name: g}
spec: {secretRef: {name: a, namespace: b}}
""",
    """
apiVersion: troth.dev/v1alpha1
kind: DirectoryStateStore
metadata: {name: g}
spec: {path: /a, plainSecrets: refuse}
""",
)
OPENAPI: Final = """
swagger: "2.0"
info: {title: Kubernetes, version: v1.36.3}
definitions:
  com.example.v1.Thing:
    type: object
    required: [spec]
    x-kubernetes-group-version-kind: [{group: example.com, version: v1, kind: Thing}]
    properties:
      metadata: {$ref: "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
      spec: {allOf: [{$ref: "#/definitions/com.example.v1.Spec"}]}
  com.example.v1.Spec:
    type: object
    properties:
      list: {type: array, items: {type: string, enum: [a]}}
      map: {type: object, additionalProperties: {type: integer, format: int32}}
  io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta:
    type: object
    properties: {name: {type: string}}
"""
REQUEST: Final = """
apiVersion: example.com/v1
kind: Thing
metadata: {name: orders, namespace: team, labels: {a: b}, annotations: {a: b}}
spec:
  {size: small, replicas: 2, list: [{name: a}], map: {a: "2026-01-02"}, port: 80, any: {a: b}}
"""


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of each value in an object, except for the object's own."""
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def variants(obj: dict[str, Any], values: Sequence[Any] = WRONG) -> Iterator[tuple[str, dict[str, Any]]]:
    """The object with each place set to each of the values, with the path of the place."""
    for path in places(obj):
        for wrong in values:
            changed = copy.deepcopy(obj)
            parent: Any = changed
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = wrong
            yield dotted(path), changed


def dotted(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def is_about(field: str, place: str) -> bool:
    """Whether a message names the place, what is around it or in it, or at least something of the same API."""
    related = field.startswith(place) or place.startswith(field)
    return bool(field) and (related or (place.startswith("spec.api.") and field.startswith("spec.api.")))


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of a place that had been set to something else: the field that was named, and the whole message."""

    place: str
    field: str
    message: str


def told(cases: Iterable[tuple[str, dict[str, Any]]], act: Callable[[dict[str, Any]], object]) -> list[Told]:
    """What is said of those that are refused. Whatever is no refusal in words is raised as it is."""
    found = []
    for place, obj in cases:
        try:
            act(obj)
        except (HomeError, InvalidObject) as error:
            found.append(Told(place, error.field, str(error)))
    return found


def test_every_misshapen_part_of_a_promise_is_named(tmp_path: Path) -> None:
    home = load_home(promise_file(tmp_path))
    offer_of(home)
    found = told(variants(home.promise, FEWER), lambda promise: offer_of(replace(home, promise=promise)))
    assert len(found) > 400
    assert [one for one in found if not is_about(one.field, one.place)] == []


def test_the_operator_reads_a_misshapen_promise_as_the_commands_do() -> None:
    """It meets one that the API server has let through, since the schema of a Promise leaves its API open."""
    found = told(variants(yaml.safe_load(PROMISE)), lambda promise: read_offer(read_promise(promise)))
    assert len(found) > 500
    assert [one for one in found if not is_about(one.field, one.place)] == []


def test_every_misshapen_part_of_a_definition_is_named(tmp_path: Path) -> None:
    file = definition_file(tmp_path)
    definition = json.loads(file.read_text())

    def act(changed: dict[str, Any]) -> None:
        file.write_text(json.dumps(changed))
        adopt(file, "")

    found = told(variants(definition, FEWER), act)
    assert len(found) > 200
    whole = ("apiVersion", "kind", "metadata")
    assert [one for one in found if not one.field and one.place not in whole] == []


@pytest.mark.parametrize("index", range(1 + len(STORES)))
def test_every_misshapen_part_of_a_platform_is_named(tmp_path: Path, index: int) -> None:
    objects = [yaml.safe_load(text) for text in (DESTINATION, *STORES)]
    file = tmp_path / "platform.yaml"

    def act(changed: dict[str, Any]) -> None:
        file.write_text(json.dumps({"kind": "List", "items": [*objects[:index], changed, *objects[index + 1 :]]}))
        read_destinations(file)

    def is_named(one: Told) -> bool:
        last = one.place.rpartition(".")[2].partition("[")[0].removesuffix("s")
        return is_about(one.field, one.place) or last in one.message or one.place in ("apiVersion", "kind")

    found = told(variants(objects[index]), act)
    assert len(found) > 20
    assert [one for one in found if not is_named(one)] == []


def test_every_misshapen_part_of_openapi_is_named(tmp_path: Path) -> None:
    file = openapi_file(tmp_path)
    read_schemas(file)

    def act(changed: dict[str, Any]) -> None:
        file.write_text(json.dumps(changed))
        read_schemas(file)

    found = told(variants(yaml.safe_load(OPENAPI)), act)
    assert len(found) > 100
    whole = ("swagger", "definitions")
    assert [one for one in found if not is_about(one.field, one.place) and one.place not in whole] == []


def test_every_misshapen_part_of_a_request_is_named(tmp_path: Path) -> None:
    requests = Requests(load_home(promise_file(tmp_path)), destinations=None)
    request = yaml.safe_load(REQUEST)
    assert not admitted(requests, request)
    found = [(place, [one.field for one in admitted(requests, changed)]) for place, changed in variants(request)]
    refused = [(place, fields) for place, fields in found if fields and place not in ("apiVersion", "kind")]
    assert len(refused) > 60
    assert [one for one in refused if not any(is_about(field, one[0]) for field in one[1])] == []


def admitted(requests: Requests, request: dict[str, Any]) -> Any:
    return requests.render_with(lambda pipelines, context: (), request).refusals


def broken(*_: Any, **__: Any) -> Any:
    raise TypeError("a bug of ours")


def promise_file(folder: Path) -> Path:
    file = folder / "promise.yaml"
    file.write_text(PROMISE)
    return file


def definition_file(folder: Path) -> Path:
    file = folder / "definition.yaml"
    file.write_text(json.dumps(yaml.safe_load(PROMISE)["spec"]["api"]))
    return file


def openapi_file(folder: Path) -> Path:
    file = folder / "openapi.json"
    file.write_text(json.dumps(yaml.safe_load(OPENAPI)))
    return file


def platform_file(folder: Path) -> Path:
    file = folder / "platform.yaml"
    file.write_text(DESTINATION)
    return file


@pytest.mark.parametrize(
    ("callee", "act"),
    [
        ("troth.authoring.known_kinds.reduce_openapi", lambda folder: read_schemas(openapi_file(folder))),
        ("troth.authoring.home.read_offer", lambda folder: offer_of(load_home(promise_file(folder)))),
        ("troth.authoring.home.definition_refusals", lambda folder: offer_of(load_home(promise_file(folder)))),
        (
            "troth.authoring.rendering.destinations.read_destination",
            lambda folder: read_destinations(platform_file(folder)),
        ),
        (
            "troth.authoring.starting.definitions.build_definition",
            lambda folder: adopt(definition_file(folder), ""),
        ),
        (
            "troth.authoring.starting.start.smallest",
            lambda folder: begin(folder / "things", definition=definition_file(folder)),
        ),
    ],
    ids=["openapi", "promise", "definition of a promise", "destination", "definition", "start"],
)
def test_a_bug_of_ours_is_not_blamed_on_what_somebody_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, callee: str, act: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(callee, broken)
    with pytest.raises(TypeError, match="a bug of ours"):
        act(tmp_path)
