"""Finds the field of a Promise for the place in a failure, and the text in such a field.

A failure names what authors and users know: the pipeline and the file, or the field of a leaf. A tool that opens an
editor, or that looks for a comment in the template, needs the place in the Promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from troth.engine.failure import Failure

_WORKFLOWS: Final = tuple(
    (owner, action) for owner in ("resource", "promise") for action in ("configure", "delete")
)
_EXPRESSION: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def pipelines_of(promise: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each pipeline of a Promise, which may have any shape, with its field."""
    spec = promise.get("spec")
    workflows = spec.get("workflows") if isinstance(spec, dict) else None
    for owner, action in _WORKFLOWS:
        actions = workflows.get(owner) if isinstance(workflows, dict) else None
        pipelines = actions.get(action) if isinstance(actions, dict) else None
        for index, pipeline in enumerate(pipelines if isinstance(pipelines, list) else ()):
            if isinstance(pipeline, dict):
                yield f"spec.workflows.{owner}.{action}[{index}]", pipeline


def fields_by_name(promise: Mapping[str, Any], workflow: str) -> dict[str, str]:
    """Returns the fields of the pipelines of one workflow, by their names.

    The position of a pipeline among those of templates is not its position in the workflow, where pipelines of
    containers may be between them.

    Args:
        promise: a Promise that the operator accepts.
        workflow: the field of the workflow, such as ``spec.workflows.resource.configure``.
    """
    found = [(field, pipeline) for field, pipeline in pipelines_of(promise) if field.startswith(f"{workflow}[")]
    return {pipeline["metadata"]["name"]: field for field, pipeline in found}


def field_of(promise: Mapping[str, Any], failure: Failure) -> str:
    """Returns the field of the Promise that a failure is about, or ""."""
    for base, pipeline in pipelines_of(promise):
        if (pipeline.get("metadata") or {}).get("name") != failure.pipeline:
            continue
        spec = pipeline.get("spec") or {}
        index = _file_index(spec.get("files") or (), failure.file)
        return f"{base}.spec.files[{index}].template" if index is not None else f"{base}.spec.{failure.file}"
    return ""


def line_of_kind(template: str, kind: str, position: int) -> int | None:
    """Returns the line, from 1, on which a template has the kind of an object; None if an expression gives the kind.

    Args:
        template: the source of the template.
        kind: the kind.
        position: how many objects of that kind it gives before this one.
    """
    written = re.compile(
        rf"""^[ \t]*(?:-[ \t]+)*["']?kind["']?[ \t]*:[ \t]*["']?{re.escape(kind)}["']?[ \t]*(?:\#|$)"""
    )
    lines = [number for number, line in enumerate(template.split("\n"), 1) if written.match(line.rstrip("\r,"))]
    return lines[min(position, len(lines) - 1)] if lines else None


def value_at(value: Any, path: str) -> Any:
    """Returns the value at a path such as ``spec.files[0].template``, or None. Names may contain dots."""
    if not path:
        return value
    if isinstance(value, list):
        match = re.match(r"\[(\d+)\]\.?", path)
        return (
            value_at(value[int(match[1])], path[match.end() :]) if match and int(match[1]) < len(value) else None
        )
    if isinstance(value, Mapping):
        for name in value:
            if path == name:
                return value[name]
            if path.startswith((f"{name}.", f"{name}[")):
                found = value_at(value[name], path[len(name) :].removeprefix("."))
                if found is not None:
                    return found
    return None


def _file_index(files: Any, path: str) -> int | None:
    entries = [(index, str(entry.get("path", ""))) for index, entry in enumerate(files) if isinstance(entry, dict)]
    for index, written in entries:
        if written == path:
            return index
    for index, written in entries:
        pattern = ".*".join(re.escape(part) for part in _EXPRESSION.split(written))
        if pattern != re.escape(written) and re.fullmatch(pattern, path, re.DOTALL):
            return index
    return None
