"""Finds fields that decide where a request goes, and that an edit of the request may change.

A request stays where its files were written. When its pipeline chooses the destination by a field that can be edited,
such an edit is held back until somebody moves the request, so the API should refuse the edit. A rule makes a field
immutable when it compares the field, or something that contains the field, with ``oldSelf``. Rejected: evaluating the
rules for all pairs of values, which gives no better result for the rules that people write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from jinja2 import TemplateSyntaxError, nodes

from troth.engine.linting.remarks import Remark
from troth.engine.promises.request_paths import Path, path_words
from troth.engine.rendering.templates import Environment

_UNFIXED: Final = ("labels", "annotations")
_SAME: Final = re.compile(r"(?:^|[^\w.])(?:self\s*==\s*oldSelf|oldSelf\s*==\s*self)(?![\w.\[])")
_FIX: Final = "add `x-kubernetes-validations: [{rule: self == oldSelf, message: …}]` to the field"


def check_selectors(
    schema: Mapping[str, Any], field: str, paths: Iterable[Path], unfixed: str
) -> Iterator[Remark]:
    """Finds fields that decide where a request goes and that an edit of it can change.

    Args:
        schema: the schema of the API.
        field: the path in the Promise of the rule that decides.
        paths: the paths of the request that the rule reads.
        unfixed: ``labels`` or ``annotations`` if the rule reads these, which no rule of the API can make immutable; or
            "".
    """
    if unfixed:
        message = f"{unfixed} of a request decide where it is placed, and anybody may edit them"
        yield Remark("T111", field, message, "read a field of spec that the API fixes", needle=unfixed)
    for path in sorted(paths):
        if path[:1] == ("spec",) and not is_fixed(schema, path):
            words = path_words(path)
            message = f"{words} decides where a request is placed, and an edit of it would hold the request back"
            yield Remark("T111", field, message, _FIX, needle=words)


def is_fixed(schema: Mapping[str, Any], path: Path) -> bool:
    """Whether the rules of a schema make a field immutable.

    A field that the API does not have counts as immutable, since it is always missing.
    """
    here: Any = schema
    for depth, name in enumerate((*path, "")):
        if not isinstance(here, Mapping):
            return True
        if any(_fixes(str(rule.get("rule", "")), path[depth:]) for rule in _rules(here)):
            return True
        if depth == len(path):
            return len(here.get("enum") or ()) == 1
        if name == "[]":
            here = here.get("items")
            continue
        properties = here.get("properties") or {}
        if name not in properties and here.get("x-kubernetes-preserve-unknown-fields"):
            return False
        here = properties.get(name, here.get("additionalProperties"))
    return False


def read_unfixed(sources: Iterable[str], environment: Environment) -> str:
    """Returns ``labels`` or ``annotations`` if templates read these, which no rule can make immutable; or ""."""
    for source in sources:
        try:
            tree = environment.parse_plain(source)
        except (TemplateSyntaxError, RecursionError):
            continue  # the check of the whole pipeline reports it
        names = [node.name for node in tree.find_all(nodes.Name)]
        names += [node.attr for node in tree.find_all(nodes.Getattr) if _is_metadata(node.node)]
        names += [
            str(node.arg.value)
            for node in tree.find_all(nodes.Getitem)
            if _is_metadata(node.node) and isinstance(node.arg, nodes.Const)
        ]
        for name in _UNFIXED:
            if name in names:
                return name
    return ""


def _is_metadata(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Getattr) and node.attr == "metadata"


def _rules(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rules = schema.get("x-kubernetes-validations")
    return [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list) else []


def _fixes(rule: str, rest: Path) -> bool:
    """Whether a rule compares its own value, or a part of it on the path ``rest``, with the old one."""
    if _SAME.search(rule):
        return True
    for length in range(1, len(rest) + 1):
        part = ".".join(rest[:length])
        if re.search(rf"\boldSelf\.{re.escape(part)}(?![\w.\[])", rule) and re.search(
            rf"\bself\.{re.escape(part)}(?![\w.\[])", rule
        ):
            return True
    return False
