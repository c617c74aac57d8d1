"""Makes the groups of a Work from what a pipeline left (kratix-compatibility.md#works).

``destination-selectors.yaml`` says which directories have Destinations of their own, and the Promise says the rest
through the ConfigMap that is mounted as ``promise-scheduling``. Kratix writes the keys of the latter in small letters
and reads both as Go does, without regard to case; so both are read in that way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from troth.adapter.errors import Unusable
from troth.api import InvalidObject
from troth.api.objects import Selector
from troth.api.pipelines import DestinationRule
from troth.api.strict import close_match
from troth.api.typed import name_type
from troth.engine.placement.work import ROOT, SOURCE_PROMISE, GroupContent, Packed, build_groups

SELECTORS_FILE: Final = "destination-selectors.yaml"
SOURCE_PROMISE_WORKFLOW: Final = "promise-workflow"
_SOURCES: Final = (SOURCE_PROMISE_WORKFLOW, SOURCE_PROMISE)  # in the order in which a Work has them


def read_rules(document: Any, seen_as: str) -> tuple[DestinationRule, ...]:
    """Reads the rules of a ``destination-selectors.yaml``; None has no rules.

    `make_groups` checks whether they fit together, and whether they fit to the files.

    Raises:
        Unusable: it is not a list of maps with ``directory`` and ``matchLabels``.
    """
    return tuple(
        DestinationRule(
            _text(entry.get("directory"), seen_as, f"[{index}].directory"), _labels(entry, seen_as, index)
        )
        for index, entry in enumerate(_entries(document, seen_as, ("directory", "matchLabels")))
    )


def read_scheduling(document: Any, seen_as: str) -> tuple[Selector, ...]:
    """Reads the Promise's selectors for the output of its pipelines: one for each source, in the order of a Work.

    If two entries of one source have the same label, the EARLIER one counts, as in a Promise.

    Raises:
        Unusable: it is not a list of maps with ``matchLabels`` and ``source``.
    """
    labels: dict[str, dict[str, str]] = {}
    for index, entry in enumerate(_entries(document, seen_as, ("matchLabels", "source"))):
        source = _text(entry.get("source"), seen_as, f"[{index}].source") or SOURCE_PROMISE
        if source not in _SOURCES:
            raise Unusable(seen_as, f"[{index}].source: {source!r} is neither promise nor promise-workflow")
        merged = labels.setdefault(source, {})
        for label, value in _labels(entry, seen_as, index).items():
            merged.setdefault(label, value)
    return tuple(Selector(labels[source], source) for source in _SOURCES if labels.get(source))


def make_groups(
    files: Mapping[str, Packed],
    rules: Sequence[DestinationRule],
    scheduling: Sequence[Selector],
    source: str,
    seen_as: str,
) -> tuple[GroupContent, ...]:
    """Makes the groups of a Work.

    Args:
        files: the output, path to content.
        rules: `read_rules`.
        scheduling: `read_scheduling`; it speaks for the group ``.`` alone, after that group's own rule.
        source: who speaks through the rules: ``resource-workflow`` or ``promise-workflow``.
        seen_as: the path of the file with the rules, for messages.

    Raises:
        Unusable: a rule without labels, two for one directory, one for a sub-directory, or one for a directory in
            which there is no file.
    """
    try:
        groups = build_groups(files, rules, {}, source)
    except InvalidObject as error:
        where = error.field.removeprefix("destinations")
        problem = f"{where}: {error.problem}" if where else error.problem
        raise Unusable(seen_as, problem + (f"; {error.remedy}" if error.remedy else "")) from None
    return tuple(
        replace(group, selectors=(*group.selectors, *scheduling)) if group.directory == ROOT else group
        for group in groups
    )


def _entries(document: Any, seen_as: str, known: Sequence[str]) -> list[dict[str, Any]]:
    if document is None:
        return []
    if not isinstance(document, list):
        raise Unusable(seen_as, f"is {name_type(document)}, not a list")
    return [_entry(entry, seen_as, f"[{index}]", known) for index, entry in enumerate(document)]


def _entry(entry: Any, seen_as: str, where: str, known: Sequence[str]) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise Unusable(seen_as, f"{where} is {name_type(entry)}, not a map")
    names = {name.casefold(): name for name in known}
    found: dict[str, Any] = {}
    for key, value in entry.items():
        name = names.get(key.casefold())
        if name is None:
            meant = close_match(key, known)
            remedy = f"did you mean {meant}?" if meant else f"known fields: {', '.join(known)}"
            raise Unusable(seen_as, f"{where}.{key} is not a known field; {remedy}")
        if name in found:
            raise Unusable(seen_as, f"{where} has {name} twice")
        found[name] = value
    return found


def _labels(entry: Mapping[str, Any], seen_as: str, index: int) -> dict[str, str]:
    where = f"[{index}].matchLabels"
    labels = entry.get("matchLabels")
    if labels is None:
        return {}
    if not isinstance(labels, dict):
        raise Unusable(seen_as, f"{where} is {name_type(labels)}, not a map")
    return {label: _text(value, seen_as, f"{where}.{label}") for label, value in labels.items()}


def _text(value: Any, seen_as: str, where: str) -> str:
    if not isinstance(value, str | None):
        raise Unusable(seen_as, f"{where} is {name_type(value)}, not text; put the value in quotes")
    return value or ""
