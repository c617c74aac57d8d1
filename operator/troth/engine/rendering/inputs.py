"""Finds what a template reads: the expressions of a source, and the inputs that they name.

This only needs the source and the data, after a failure: the names of an expression are followed through the data, and
an object is found in the request by identity. So ``item.sise`` in a forEach is reported as ``spec.databases[2].sise``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from jinja2 import TemplateSyntaxError, nodes
from jinja2.utils import missing as no_object

from troth.engine.rendering.templates import Environment
from troth.engine.rendering.values import plain_value

INPUTS: Final = ("spec", "labels", "annotations", "name", "namespace", "request", "promise")
"""The names that come from a request or its Promise, without those that a pipeline defines."""

NAME: Final = re.compile(r"[A-Za-z_]\w*")

_STATEMENT: Final = re.compile(
    r"(?:if|elif|for\s.+?\sin|set\s+[\w.,\s]+=|include|import|from|extends)\s+(.*)", re.DOTALL
)
_MOST_NODES: Final = 20_000
_MOST_STEPS: Final = 4
_SHORT: Final = 60


@dataclass(frozen=True, slots=True)
class Span:
    """An expression or statement in a source, without its braces.

    Attributes:
        line: the line of its first character, from 1; ``end`` is the line of its last.
        text: the text between the braces.
        printed: whether it is an expression, ``{{ … }}``.
    """

    line: int
    end: int
    text: str
    printed: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """A path of names in an expression, such as ``spec.databases[0].name``, and its value."""

    parts: tuple[Any, ...]
    value: Any

    @property
    def path(self) -> str:
        """The path as an author would write it."""
        return path_text(self.parts)


def spans_of(environment: Environment, source: str) -> list[Span]:
    """Returns the expressions and statements of a source, as far as it can be read."""
    spans: list[Span] = []
    parts: list[str] | None = None
    start = 1
    try:
        for line, kind, value in environment.lexer.tokeniter(source, None):
            if kind in ("variable_begin", "block_begin"):
                parts, start = [], line
            elif kind in ("variable_end", "block_end") and parts is not None:
                raw = "".join(parts)
                start += len(raw) - len(raw.lstrip()) and raw[: len(raw) - len(raw.lstrip())].count("\n")
                text = raw.strip()
                spans.append(Span(start, start + text.count("\n"), text, kind == "variable_end"))
                parts = None
            elif parts is not None:
                parts.append(value)
    except TemplateSyntaxError:
        return spans
    return spans


class Inputs:
    """Follows expressions through the data of one rendering.

    Args:
        environment: the environment with which templates access data.
        scope: the names that templates can use.
        definitions: the values of the pipeline as they were written.
    """

    def __init__(self, environment: Environment, scope: Mapping[str, Any], definitions: Mapping[str, Any]) -> None:
        self._environment = environment
        self._scope = scope
        self._definitions = definitions

    def of_span(self, span: Span | None, variables: Mapping[str, Any]) -> list[Chain]:
        """Returns the chains of an expression, or of the expression in a statement."""
        if span is None:
            return []
        if span.printed:
            return self.of_text(span.text, variables)
        match = _STATEMENT.fullmatch(span.text)
        return self.of_text(match.group(1), variables) if match else []

    def of_text(self, text: str, variables: Mapping[str, Any]) -> list[Chain]:
        """Returns the chains of an expression, in order, if their first name is known."""
        try:
            tree = self._environment.parse_plain(f"{{{{ {text} }}}}")
        except TemplateSyntaxError:
            return []
        found: list[Chain] = []
        for parts in _static_paths(tree):
            value: Any = variables.get(parts[0], no_object)
            if value is no_object:
                continue
            prefix: tuple[Any, ...] = parts[:1]
            if parts[0] not in INPUTS and isinstance(value, (dict, list)):
                prefix = self.find(value) or prefix
            for part in parts[1:]:
                value = self._environment.getitem(value, part)
            found.append(Chain((*prefix, *parts[1:]), value))
        return found

    def find(self, wanted: Any) -> tuple[Any, ...] | None:
        """Returns the path of an object in the data, by identity; None when it is not there."""
        level: list[tuple[tuple[Any, ...], Any]] = [
            ((name,), self._scope[name]) for name in (*INPUTS, "values") if name in self._scope
        ]
        seen = 0
        while level:
            deeper: list[tuple[tuple[Any, ...], Any]] = []
            for path, value in level:
                if value is wanted:
                    return path[1:] if path[0] == "values" and len(path) > 1 else path
                seen += 1
                if seen > _MOST_NODES:
                    return None
                if isinstance(value, dict):
                    deeper.extend(((*path, key), child) for key, child in value.items())
                elif isinstance(value, list):
                    deeper.extend(((*path, index), child) for index, child in enumerate(value))
            level = deeper
        return None

    def origin(self, chain: Chain, depth: int = 0) -> Chain:
        """Returns the input of the request from which a value of the pipeline is computed, if that is clear."""
        name = chain.parts[0]
        definition = self._definitions.get(name) if len(chain.parts) == 1 and name not in INPUTS else None
        if isinstance(definition, str) and depth < _MOST_STEPS:
            for span in spans_of(self._environment, definition):
                for other in self.of_span(span, self._scope):
                    if type(other.value) is type(chain.value) and other.value == chain.value:
                        return self.origin(other, depth + 1)
        return chain


def _static_paths(node: nodes.Node) -> Iterator[tuple[Any, ...]]:
    parts: list[Any] = []
    inner: nodes.Node = node
    while True:
        if isinstance(inner, nodes.Getattr):
            parts.append(inner.attr)
            inner = inner.node
        elif isinstance(inner, nodes.Getitem) and isinstance(inner.arg, nodes.Const):
            parts.append(inner.arg.value)
            inner = inner.node
        else:
            break
    if isinstance(inner, nodes.Name):
        yield (inner.name, *reversed(parts))
        return
    if isinstance(node, nodes.Call):
        called = node.node.node if isinstance(node.node, nodes.Getattr) else node.node
        yield from _static_paths(called)  # for a method, its object is what is read
        for argument in (*node.args, *node.kwargs):
            yield from _static_paths(argument)
        return
    for child in node.iter_child_nodes():
        yield from _static_paths(child)


def path_text(parts: Sequence[Any]) -> str:
    """Returns a path as an author would write it."""
    text = str(parts[0])
    for part in parts[1:]:
        if isinstance(part, str) and NAME.fullmatch(part):
            text += f".{part}"
        else:
            text += f'["{part}"]' if isinstance(part, str) else f"[{part!r}]"
    return text


def short_json(value: Any) -> str:
    """Returns a value as shortened JSON; a text without quotes."""
    try:
        plain = plain_value(value)
        text = plain if isinstance(plain, str) else orjson.dumps(plain).decode()
    except Exception:  # noqa: BLE001 - what cannot be shown is left out
        return ""
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"
