"""Reads the Destinations that rendered files may go to from the files of a platform."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from troth.api import InvalidObject, Resource
from troth.api.objects import Destination, read_destination, read_state_store
from troth.api.resources import DESTINATION
from troth.api.store_kinds import STORE_KINDS, StoreRef
from troth.api.typed import require_map, require_text
from troth.authoring.input_files import HomeError, read_objects
from troth.authoring.promise_admission import misshapen
from troth.engine.placement.plain_secrets import Policy, policy_of

ANYWHERE: Final = "anywhere"
"""The name that is shown when no Destinations are given. A platform may have a Destination of that name, too."""

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME: Final = 253
_MODES: Final = ("nestedByMetadata", "aggregatedYAML", "none")


@dataclass(frozen=True, slots=True)
class Destinations:
    """The Destinations of a platform, with the folder and the ``plainSecrets`` of their stores."""

    destinations: tuple[Destination, ...]
    store_paths: Mapping[StoreRef, str] = field(default_factory=dict)
    policies: Mapping[StoreRef, Policy] = field(default_factory=dict)

    def named(self, name: str) -> Destination:
        """The Destination of this name."""
        return next(destination for destination in self.destinations if destination.name == name)

    def store_path(self, destination: Destination) -> str:
        """The folder in the Destination's state store that everything goes to; empty for the root."""
        return self.store_paths.get(destination.store, "")

    def policy(self, destination: Destination) -> Policy:
        """The policy of its state store for Secrets in plain text; ``allow`` for a store that is not in the file."""
        return self.policies.get(destination.store, "allow")


def read_destinations(path: Path) -> Destinations:
    """The Destinations and state stores in a YAML file. Other objects in it are ignored.

    Raises:
        HomeError: it cannot be read, or does not have a Destination.
    """
    found: list[Destination] = []
    paths: dict[StoreRef, str] = {}
    policies: dict[StoreRef, Policy] = {}
    for obj in read_objects(path):
        if obj["kind"] == DESTINATION.kind:
            labels = _check_shape(path, obj, DESTINATION)
            destination = read_destination(obj)
            if not _NAME.fullmatch(destination.name) or len(destination.name) > _LONGEST_NAME:
                problem = f"{destination.name!r} is not a valid name of a Destination"
                remedy = "use lower-case letters, digits, dashes and dots"
                raise HomeError(path, problem, remedy, field="metadata.name")
            if destination.name in (known.name for known in found):
                raise HomeError(path, f"has two Destinations {destination.name!r}", "give each its own name")
            _check(path, destination, labels)
            found.append(destination)
        elif kind := STORE_KINDS.get(obj["kind"]):
            _check_shape(path, obj, kind.resource)
            store = read_state_store(obj)
            if not store.metadata.name:
                raise HomeError(path, f"is missing in a {kind.kind}", field="metadata.name")
            ref = StoreRef(kind.kind, store.metadata.name)
            policies[ref] = policy_of(kind.kind, store.spec)
            paths[ref] = kind.prefix_of(store.spec)
    if not found:
        raise HomeError(path, "has no Destination", "put the platform's Destinations in it")
    return Destinations(tuple(found), paths, policies)


def _check_shape(path: Path, obj: Mapping[str, Any], resource: Resource) -> Mapping[str, Any]:
    """Refuses fields of a wrong type, as an API server does. Returns the labels, whose values are not checked here.

    Raises:
        HomeError: a field has the wrong type; the error names it.
    """
    try:
        metadata = require_map(obj.get("metadata"), "metadata")
        name = require_text(metadata.get("name"), "metadata.name")
        labels = require_map(metadata.get("labels"), "metadata.labels")
        for key, text in require_map(metadata.get("annotations"), "metadata.annotations").items():
            require_text(text, f"metadata.annotations.{key}")
        spec = require_map(obj.get("spec"), "spec")
        allow = require_map(spec.get("allow"), "spec.allow") if resource is DESTINATION else {}
    except InvalidObject as error:
        problem = f"{error.problem} in a {resource.kind}"
        raise HomeError(path, problem, error.remedy, field=error.field) from None
    _check_allow(path, name, allow)
    refusal = misshapen(obj, resource)
    if refusal is not None:
        raise HomeError(path, f"{refusal.message} (in the {resource.kind} {name!r})", field=refusal.field)
    return labels


def _check(path: Path, destination: Destination, labels: Mapping[str, object]) -> None:
    """Refuses what an API server refuses, and what would send files elsewhere than on a cluster."""
    for label, value in labels.items():
        if not isinstance(value, str):
            problem = f"the label {label} of the Destination {destination.name!r} is not a text"
            raise HomeError(path, problem, "put its value in quotes")
    if destination.mode not in _MODES:
        problem = f"spec.filepath.mode of the Destination {destination.name!r} is {destination.mode!r}"
        raise HomeError(path, problem, f"use {', '.join(_MODES[:-1])} or {_MODES[-1]}")


def _check_allow(path: Path, destination: str, allow: Mapping[str, Any]) -> None:
    """Refuses rules that an API server refuses or drops, since they would be different rules on a cluster."""
    for name, value in allow.items():
        match name:
            case "namespaces":
                fits = isinstance(value, list) and all(isinstance(each, str) for each in value)
                remedy = "use a list of texts, such as [team-*]"
            case "kinds" | "clusterKinds":
                fits = isinstance(value, list) and all(map(_is_kind, value))
                remedy = "use a list such as [{group: apps, kind: Deployment}]"
            case "files":
                fits, remedy = isinstance(value, bool), "use true or false"
            case _:
                fits, remedy = False, "there are namespaces, kinds, clusterKinds and files"
        if not fits:
            problem = f"spec.allow.{name} of the Destination {destination!r} has the wrong type"
            raise HomeError(path, problem, remedy)


def _is_kind(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and entry.keys() == {"group", "kind"}
        and all(isinstance(text, str) for text in entry.values())
    )


def anywhere() -> Destination:
    """The Destination that matches everything."""
    return read_destination({"metadata": {"name": ANYWHERE}})
