"""Checks every path that a pipeline's templates read against the schema of the Promise's API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from troth.api.pipelines import DestinationRule, JinjaPipeline
from troth.engine.jobs.declared import container_steps
from troth.engine.linting.reading import Enough, Reader, Usage, item_of
from troth.engine.linting.remarks import Remark
from troth.engine.linting.scope import Facts, Scope, narrow
from troth.engine.linting.selectors import check_selectors, read_unfixed
from troth.engine.linting.shapes import (
    NO_SPEC,
    TEXT,
    TEXTS,
    UNKNOWN,
    WHOLE,
    Shape,
    shape_of_schema,
    shape_of_value,
    union,
)
from troth.engine.promises.offers import Offer
from troth.engine.promises.request_paths import Path, path_words
from troth.engine.rendering.render import order_values
from troth.engine.rendering.sources import fields_by_name
from troth.engine.rendering.templates import Environment

_OPENERS: Final = ("{{", "{%", "{#")
_MAP: Final = frozenset(("map",))
_METADATA: Final = Shape(
    kinds=_MAP,
    fields={
        "name": TEXT,
        "namespace": TEXT,
        "labels": replace(TEXTS, missing="a request may have no labels"),
        "annotations": replace(TEXTS, missing="a request may have no annotations"),
    },
    rest=UNKNOWN,
)
_PROMISE: Final = Shape(kinds=_MAP, fields={"name": TEXT, "version": TEXT, "labels": TEXTS})


@dataclass(frozen=True, slots=True)
class _Api:
    """The version of the API in which requests are read, and the path of its schema."""

    schema: Mapping[str, Any]
    field: str


def check_paths(promise: Mapping[str, Any], offer: Offer) -> list[Remark]:
    """Finds what is wrong with the paths that the templates of a Promise read.

    Args:
        promise: the built Promise.
        offer: the Promise's offer, as the operator reads it.
    """
    api = _api_of(promise, offer)
    remarks: list[Remark] = []
    usage = Usage()
    workflows = (
        ("resource.configure", offer.resource_configure, True),
        ("resource.delete", offer.resource_delete, True),
        ("promise.configure", offer.promise_configure, False),
        ("promise.delete", offer.promise_delete, False),
    )
    whole = True
    for where, pipelines, of_request in workflows:
        fields = fields_by_name(promise, f"spec.workflows.{where}")
        for pipeline in pipelines:
            base = f"{fields[pipeline.name]}.spec"
            reading = _Reading(pipeline, base, api if of_request else None, configures=where.endswith("configure"))
            whole = reading.run() and whole
            remarks.extend(reading.remarks)
            usage.add(reading.reader.usage)
    if api is not None and whole and offer.resource_configure and not _runs_containers(promise):
        remarks.extend(_unused_fields(api, usage))
    return list(dict.fromkeys(remarks))


def _runs_containers(promise: Mapping[str, Any]) -> bool:
    """Whether containers are run for requests, which may read any field of theirs."""
    return any(step.type == "resource" for step in container_steps(promise))


def _api_of(promise: Mapping[str, Any], offer: Offer) -> _Api | None:
    if offer.resource is None:
        return None
    versions = promise["spec"]["api"]["spec"]["versions"]
    for index, version in enumerate(versions):
        if version.get("name") == offer.resource.version:
            schema = ((version.get("schema") or {}).get("openAPIV3Schema")) or {}
            field = f"spec.api.spec.versions[{index}].schema.openAPIV3Schema"
            return _Api(schema, field)
    return None


class _Reading:
    """The check of one pipeline."""

    def __init__(self, pipeline: JinjaPipeline, base: str, api: _Api | None, *, configures: bool) -> None:
        self._pipeline = pipeline
        self._configures = configures
        self._base = base
        self._environment = Environment()
        self.remarks: list[Remark] = []
        self.reader = Reader(
            self._environment,
            pipeline.partials,
            list(pipeline.values),
            lambda name: f"{base}.partials.{name}",
            self.remarks.append,
        )
        self._scope = Scope(_names(api))
        self._api = api
        self._read_by_value: dict[str, Usage] = {}

    def run(self) -> bool:
        """Reads all templates. Returns False if they could not be read to the end."""
        try:
            self._values()
            self._files()
            self._leaves()
        except (Enough, RecursionError):
            self.remarks.append(
                Remark("T004", self._base, "the templates are too large or nested too deeply to be followed", "")
            )
            return False
        self._unused()
        return True

    def _values(self) -> None:
        fields: dict[str, Shape] = {}
        self._scope.names["values"] = Shape(kinds=_MAP, fields=fields)
        for name in order_values(self._pipeline.values, self._environment):
            value = self._pipeline.values[name]
            with self._reading() as usage:
                shape = self._tree(value, f"{self._base}.values.{name}", self._scope)
            self._read_by_value[name] = usage
            fields[name] = self._scope.names[name] = shape
            if isinstance(value, str) and any(opener in value for opener in _OPENERS):
                expression = self.reader.test(value, f"{self._base}.values.{name}", self._scope)
                if expression is not None:
                    self._scope.origins[name] = expression

    def _tree(self, value: Any, field: str, scope: Scope) -> Shape:
        if isinstance(value, str):
            if not any(opener in value for opener in _OPENERS):
                return shape_of_value(value)
            return self.reader.template(value, field, scope.copy())
        if isinstance(value, Mapping):
            return self._map(value, field, scope)
        if isinstance(value, (list, tuple)):
            shapes = [self._tree(child, f"{field}[{index}]", scope) for index, child in enumerate(value)]
            return Shape(kinds=frozenset(("list",)), items=union(*shapes) if shapes else UNKNOWN)
        return shape_of_value(value)

    def _map(self, value: Mapping[str, Any], field: str, scope: Scope) -> Shape:
        fields: dict[str, Shape] = {}
        rest: Shape | None = None
        for key, child in value.items():
            shape = self._tree(child, f"{field}.{key}", scope)
            if any(opener in str(key) for opener in _OPENERS):
                self.reader.template(str(key), f"{field}.{key}", scope.copy())
                rest = UNKNOWN
            else:
                fields[str(key)] = shape
        return Shape(kinds=_MAP, fields=fields, rest=rest)

    def _files(self) -> None:
        for index, file in enumerate(self._pipeline.files):
            field = f"{self._base}.files[{index}]"
            scope = self._scope.copy()
            if file.for_each is not None:
                shape = self.reader.template(file.for_each, f"{field}.forEach", scope.copy())
                scope.names["item"] = _for_each(shape)
                scope.names["index"] = WHOLE
            if file.when is not None:
                scope.facts |= self._condition(file.when, f"{field}.when", scope)
            self.reader.template(file.path, f"{field}.path", scope.copy())
            self.reader.template(file.template, f"{field}.template", scope.copy())

    def _condition(self, source: str, field: str, scope: Scope) -> Facts:
        expression = self.reader.test(source, field, scope)
        return narrow(expression, True, scope.origins)

    def _leaves(self) -> None:
        for index, rule in enumerate(self._pipeline.destinations):
            field = f"{self._base}.destinations[{index}]"
            with self._reading() as usage:
                self._tree(rule.directory, f"{field}.directory", self._scope)
                self._tree(dict(rule.match_labels), f"{field}.matchLabels", self._scope)
            self._selectors(rule, field, usage)
        for index, move in enumerate(self._pipeline.moved):
            for name, leaf in (("kind", move.kind), ("from", move.old), ("to", move.new)):
                self._tree(leaf, f"{self._base}.moved[{index}].{name}", self._scope)
        self._tree(dict(self._pipeline.status), f"{self._base}.status", self._scope)
        self._tree(dict(self._pipeline.control), f"{self._base}.control", self._scope)

    @contextmanager
    def _reading(self) -> Iterator[Usage]:
        """Records what is read inside the context, which also counts as read by the whole pipeline."""
        before, inside = self.reader.usage, Usage()
        self.reader.usage = inside
        try:
            yield inside
        finally:
            self.reader.usage = before
            before.add(inside)

    def _selectors(self, rule: DestinationRule, field: str, usage: Usage) -> None:
        if self._api is None or not self._configures:
            return
        if any(remark.code == "T101" and remark.field.startswith(field) for remark in self.remarks):
            return  # it reads something that does not exist, which is reported already
        sources: list[Any] = [rule.directory, dict(rule.match_labels)]
        read, waiting = Usage(), [usage]
        seen: set[str] = set()
        while waiting:
            read.add(waiting.pop())
            for name in read.values - seen:
                seen.add(name)
                sources.append(self._pipeline.values[name])
                waiting.append(self._read_by_value.get(name, Usage()))
        unfixed = read_unfixed(_texts(sources), self._environment)
        self.remarks.extend(check_selectors(self._api.schema, field, read.whole | read.touched, unfixed))

    def _unused(self) -> None:
        for name in self._pipeline.values:
            if name not in self.reader.usage.values:
                self.remarks.append(
                    Remark(
                        "T106",
                        f"{self._base}.values.{name}",
                        f"nothing reads the value {name}",
                        "remove it",
                        needle=name,
                    )
                )
        for name in self._pipeline.partials:
            if name not in self.reader.usage.partials:
                self.remarks.append(
                    Remark(
                        "T108",
                        f"{self._base}.partials.{name}",
                        f"nothing includes the partial {name}",
                        "remove it",
                    )
                )


def _texts(value: Any) -> Iterator[str]:
    """Yields every text in a tree, including keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield str(key)
            yield from _texts(child)
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from _texts(child)


def _names(api: _Api | None) -> dict[str, Shape]:
    names = {
        "name": TEXT,
        "namespace": TEXT,
        "labels": TEXTS,
        "annotations": TEXTS,
    }
    if api is None:
        return {**names, "promise": UNKNOWN}
    root = shape_of_schema(api.schema, ())
    spec = root.fields.get("spec") or UNKNOWN
    names["promise"] = _PROMISE
    names["request"] = Shape(
        kinds=_MAP,
        fields={
            **{name: shape for name, shape in root.fields.items() if name != "status"},
            "apiVersion": TEXT,
            "kind": TEXT,
            "metadata": _METADATA,
            "spec": spec,
        },
        declared=True,
    )
    hollow = NO_SPEC if spec.missing or "null" in (spec.kinds or ()) else ""
    kinds = spec.kinds - {"null"} if spec.kinds else spec.kinds
    names["spec"] = replace(spec, missing="", hollow=hollow, kinds=kinds)
    return names


def _for_each(shape: Shape) -> Shape:
    if shape.only("map"):
        found = [*shape.fields.values(), *([shape.rest] if shape.rest is not None else [])]
        value = replace(union(*found), missing="") if found else UNKNOWN
        return Shape(kinds=_MAP, fields={"key": TEXT, "value": value})
    return item_of(shape) if shape.only("list") else Shape(paths=shape.paths)


def _unused_fields(api: _Api, usage: Usage) -> Iterator[Remark]:
    properties = api.schema.get("properties") or {}
    spec = properties.get("spec")
    if isinstance(spec, Mapping):
        yield from _unused_in(spec, ("spec",), f"{api.field}.properties.spec", usage, 0)


def _unused_in(schema: Mapping[str, Any], path: Path, field: str, usage: Usage, depth: int) -> Iterator[Remark]:
    if depth > 30:
        return
    properties = schema.get("properties")
    for name, child in (properties if isinstance(properties, Mapping) else {}).items():
        here, where = (*path, name), f"{field}.properties.{name}"
        if not usage.reads(here):
            words = path_words(here)
            yield Remark(
                "T107", where, f"no template reads {words}", "use it, or remove it from the API", needle=name
            )
        elif isinstance(child, Mapping):
            yield from _unused_in(child, here, where, usage, depth + 1)
    items = schema.get("items")
    if isinstance(items, Mapping) and usage.reads((*path, "[]")):
        yield from _unused_in(items, (*path, "[]"), f"{field}.items", usage, depth + 1)
