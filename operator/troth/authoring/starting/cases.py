"""Writes the first tests of a Promise from what the engine renders now, for people to review and to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from troth.authoring.testing.golden import FOLDER
from troth.authoring.testing.matching import rendered_objects
from troth.engine.yaml.emit import dump_document


@dataclass(frozen=True, slots=True)
class Case:
    """A test case: a request, and what it renders.

    Attributes:
        name: the name of the case.
        request: the request.
        example: the example file that holds the request; may be empty.
        files: what it renders, by path.
        placed: what it writes, by Destination and path in its store.
    """

    name: str
    request: Mapping[str, Any]
    example: str
    files: Mapping[str, bytes]
    placed: Mapping[str, Mapping[str, bytes]]


def cases_text(cases: Sequence[Case], refusals: Sequence[Mapping[str, Any]], *, whole: bool) -> str:
    """The text of ``tests/cases.yaml``.

    With ``whole`` it expects each object in full; otherwise it names golden folders.
    """
    written: list[dict[str, Any]] = []
    for case in cases:
        objects = rendered_objects(case.files)
        expect: dict[str, Any] = {"files": sorted(case.files), "counts": _counts(objects)}
        if whole:
            expect["objects"] = objects
        else:
            expect["golden"] = case.example.removesuffix(".yaml")
        request = {"from": f"../examples/{case.example}"} if case.example else _short(case.request)
        written.append({"name": case.name, "request": request, "expect": expect})
    written.extend(dict(refusal) for refusal in refusals)
    return dump_document(
        {
            "apiVersion": "troth.dev/v1alpha1",
            "kind": "PromiseTest",
            "metadata": {"name": "cases"},
            "spec": {"cases": written},
        }
    )


def golden_files(name: str, case: Case) -> dict[str, str]:
    """The files of a golden folder, by their path in the Promise's folder."""
    return {
        f"tests/{FOLDER}/{name}/{destination}/{path}": content.decode()
        for destination, files in case.placed.items()
        for path, content in files.items()
    }


def refusal_of(field: str, schema: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any] | None:
    """A case with a value in a field that the API refuses; None when no value is certain to be refused."""
    if schema.get("type") == "string" and schema.get("enum"):
        spec = {**base, field: "none-of-them" if "none-of-them" not in schema["enum"] else "neither"}
        expect = {"refused": {"field": f"spec.{field}", "message": "Unsupported value"}}
        return {"name": f"refuses an unknown {field}", "request": {"spec": spec}, "expect": expect}
    return None


def _counts(objects: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The number of objects by kind. A kind that occurs in several groups is left out, since it is ambiguous."""
    groups: dict[str, set[str]] = {}
    for obj in objects:
        groups.setdefault(str(obj.get("kind")), set()).add(str(obj.get("apiVersion")).rpartition("/")[0])
    counts = Counter(str(obj.get("kind")) for obj in objects)
    return {kind: count for kind, count in sorted(counts.items()) if len(groups[kind]) == 1}


def _short(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": request["metadata"]["name"]}, "spec": request.get("spec") or {}}
