"""What is known at one place in a template: its names, and which fields certainly exist there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jinja2 import nodes

from troth.engine.linting.filtering import COUNTS, DEFAULTS, PRESENT_TESTS
from troth.engine.linting.shapes import Shape

Key = tuple[str, ...]
Facts = frozenset[Key]

_NOTHING: Final = frozenset[Key]()
# The last parts of facts that are not about existence. No name of a field begins like this.
_TRUE: Final = ""
_NOT_NULL: Final = "\0not null"
_IS: Final = "\0is"
_IS_NOT: Final = "\0is not"
_MOST_ORIGINS: Final = 6
_UNKNOWN_CONSTANT: Final = object()


@dataclass(slots=True)
class Macro:
    """A macro with the place at which it was written."""

    node: nodes.Macro
    field: str
    source: str
    scope: Scope


@dataclass(slots=True)
class Scope:
    """The names and facts at one place in a template.

    Attributes:
        names: the shape of each name.
        facts: chains of names that certainly exist here.
        own: names that the template itself assigned, which no longer have the pipeline's meaning.
        macros: macros by name.
        modules: imported partials by name.
        origins: the expression that a name was set to, so that a test of the name is also a test of the expression.
    """

    names: dict[str, Shape]
    facts: Facts = _NOTHING
    own: set[str] = field(default_factory=set)
    macros: dict[str, Macro] = field(default_factory=dict)
    modules: dict[str, Scope] = field(default_factory=dict)
    origins: dict[str, nodes.Node] = field(default_factory=dict)

    def copy(self, facts: Facts = _NOTHING) -> Scope:
        """Returns a copy with additional facts."""
        return Scope(
            dict(self.names),
            self.facts | facts,
            set(self.own),
            dict(self.macros),
            dict(self.modules),
            dict(self.origins),
        )

    def knows(self, key: Key | None) -> bool:
        """Whether the value of the chain certainly exists."""
        return key is not None and (
            key in self.facts or any(fact[: len(key)] == key and not _of_value(fact) for fact in self.facts)
        )

    def knows_within(self, key: Key | None) -> bool:
        """Whether a field in the value of the chain certainly exists, or the value is certainly true."""
        return key is not None and any(
            len(fact) > len(key) and fact[: len(key)] == key and not _of_value(fact) for fact in self.facts
        )

    def knows_not_null(self, key: Key | None) -> bool:
        """Whether the value of the chain is certainly not null."""
        return key is not None and ((*key, _NOT_NULL) in self.facts or self.knows_within(key))

    def possible(self, key: Key | None, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """Returns those of ``values`` that the chain can have here."""
        if key is None or values is None:
            return values
        wanted = {fact[-1] for fact in self.facts if fact[:-1] == (*key, _IS)}
        excluded = {fact[-1] for fact in self.facts if fact[:-1] == (*key, _IS_NOT)}
        found = tuple(
            value for value in values if _sign(value) not in excluded and (not wanted or _sign(value) in wanted)
        )
        return found or values  # this place is never reached, so assume what holds elsewhere

    def bind(self, name: str, shape: Shape, expression: nodes.Node | None = None) -> None:
        """Assigns a name in the template."""
        key = key_of(expression) if expression is not None else None
        moved = moved_facts(self.facts, key, name)
        self.facts = frozenset(fact for fact in self.facts if fact[0] != name) | moved
        self.names[name] = shape
        self.own.add(name)
        self.macros.pop(name, None)
        self.modules.pop(name, None)
        self.origins.pop(name, None)
        if expression is not None:
            self.origins[name] = expression


def moved_facts(facts: Facts, key: Key | None, name: str) -> Facts:
    """Returns the facts about a chain as facts about a name that was set to it."""
    if key is None:
        return _NOTHING
    return frozenset(
        (name, *fact[len(key) :]) for fact in facts if len(fact) > len(key) and fact[: len(key)] == key
    )


def key_of(node: nodes.Node | None) -> Key | None:
    """Returns an expression such as ``a.b['c']`` as a chain of names; None when it is something else."""
    parts: list[str] = []
    while True:
        if isinstance(node, nodes.Getattr):
            parts.append(node.attr)
        elif isinstance(node, nodes.Getitem):
            part = _part(node.arg)
            if part is None:
                return None
            parts.append(part)
        else:
            break
        node = node.node
    if not isinstance(node, nodes.Name):
        return None
    key = (node.name, *reversed(parts))
    if key[:2] == ("request", "spec"):
        return key[1:]
    return key[1:] if key[0] == "values" and len(key) > 1 else key


def _part(argument: nodes.Expr) -> str | None:
    if isinstance(argument, nodes.Const):
        return argument.value if isinstance(argument.value, str) else f"[{argument.value}]"
    key = key_of(argument)
    return None if key is None else "{" + ".".join(key) + "}"


def narrow(test: nodes.Node | None, outcome: bool, origins: Mapping[str, nodes.Node], depth: int = 0) -> Facts:
    """Returns the facts that hold when a test had that outcome."""
    if depth > 40:
        return _NOTHING
    if isinstance(test, nodes.Not):
        return narrow(test.node, not outcome, origins, depth + 1)
    if isinstance(test, (nodes.And, nodes.Or)):
        left = narrow(test.left, outcome, origins, depth + 1)
        right = narrow(test.right, outcome, origins, depth + 1)
        return left | right if isinstance(test, nodes.And) is outcome else left & right
    if isinstance(test, nodes.Test):
        return _tested(test, outcome)
    if isinstance(test, nodes.Filter):
        return _defaulted(test, outcome)
    if isinstance(test, nodes.Compare) and len(test.ops) == 1:
        return _compared(test, outcome)
    if isinstance(test, nodes.Call) and outcome:
        return _gotten(test)
    if isinstance(test, nodes.Name) and test.name in origins and depth < _MOST_ORIGINS:
        known = _fact((test.name,), _TRUE) if outcome else _NOTHING
        return _fact(key_of(test)) | known | narrow(origins[test.name], outcome, origins, depth + 1)
    return _fact(key_of(test), _TRUE) if outcome else _NOTHING


def _fact(key: Key | None, *about: str) -> Facts:
    return _NOTHING if key is None else frozenset(((*key, *about),))


def _of_value(fact: Key) -> bool:
    """Whether a fact is about the value of something, and not about its existence."""
    return any(part[:1] == "\0" for part in fact)


def _sign(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"


def _tested(test: nodes.Test, outcome: bool) -> Facts:
    key = key_of(test.node)
    if test.name == "undefined":
        return _NOTHING if outcome else _fact(key)
    if test.name == "none" and not outcome:
        guarded, value = _default_of(test.node)
        return _fact(key, _NOT_NULL) | (
            (_fact(guarded) | _fact(guarded, _NOT_NULL)) if value is None else _NOTHING
        )
    if not outcome or test.name not in PRESENT_TESTS:
        return _NOTHING
    return _fact(key) | (_fact(key, _NOT_NULL) if test.name != "defined" else _NOTHING)


def _default_of(node: nodes.Node | None) -> tuple[Key | None, Any]:
    """Returns the chain before ``| default(constant)``, and the constant; None and "not known" without a filter."""
    if isinstance(node, nodes.Filter) and node.name in DEFAULTS:
        value: Any = ""
        if node.args:
            value = constant(node.args[0])
        return key_of(node.node), value
    return None, _UNKNOWN_CONSTANT


def constant(node: nodes.Node) -> Any:
    """Returns the value of a constant, and ``[]`` for an empty list or map; anything else is not known."""
    if isinstance(node, nodes.Const):
        return node.value
    if isinstance(node, (nodes.List, nodes.Dict, nodes.Tuple)) and not node.items:
        return []
    return _UNKNOWN_CONSTANT


def _defaulted(test: nodes.Filter, outcome: bool) -> Facts:
    node: nodes.Node | None = test
    while isinstance(node, nodes.Filter) and node.name in {*COUNTS, "trim", "bool"}:
        node = node.node
    key, value = _default_of(node)
    if value is _UNKNOWN_CONSTANT or bool(value) is outcome:
        return _NOTHING
    return _fact(key) | (_fact(key, _TRUE) if outcome else _NOTHING)


def _compared(test: nodes.Compare, outcome: bool) -> Facts:
    operator, right = test.ops[0].op, test.ops[0].expr
    if operator in ("in", "notin"):
        if (operator == "in") is not outcome:
            return _unlike(test.expr, right.items) if isinstance(right, (nodes.List, nodes.Tuple)) else _NOTHING
        owner, part = key_of(right), _part(test.expr)
        inside = _fact((*owner, part)) if owner is not None and part is not None else _NOTHING
        key, value = _default_of(test.expr)
        if isinstance(right, (nodes.List, nodes.Tuple)) and value is not _UNKNOWN_CONSTANT:
            members = [constant(item) for item in right.items]
            if _UNKNOWN_CONSTANT not in members and value not in members:
                inside |= _fact(key)
            if len(right.items) == 1:
                inside |= _valued(test.expr, right.items[0], True)
        return inside
    if isinstance(test.expr, nodes.Filter) and test.expr.name in COUNTS and operator in ("gt", "gteq", "ne"):
        enough = constant(right)
        if isinstance(enough, int) and enough >= (1 if operator == "gteq" else 0) and outcome:
            return _defaulted(test.expr, True)
        return _NOTHING
    if operator in ("eq", "ne") and isinstance(test.expr, nodes.Const):
        return _valued(right, test.expr, (operator == "eq") is outcome)
    if operator in ("eq", "ne") and isinstance(right, nodes.Const) and key_of(test.expr) is not None:
        return _valued(test.expr, right, (operator == "eq") is outcome)
    key, value = _default_of(test.expr)
    other = constant(right)
    if value is _UNKNOWN_CONSTANT or other is _UNKNOWN_CONSTANT or operator not in ("eq", "ne"):
        return _NOTHING
    would = (value == other) if operator == "eq" else (value != other)
    return _fact(key) if would is not outcome else _NOTHING


def _gotten(test: nodes.Call) -> Facts:
    called = test.node
    if isinstance(called, nodes.Getattr) and called.attr == "get" and test.args:
        owner, part = key_of(called.node), _part(test.args[0])
        if owner is not None and part is not None and len(test.args) == 1:
            return _fact((*owner, part)) | _fact((*owner, part), _TRUE)
    return _NOTHING


def _valued(node: nodes.Node, value: nodes.Node, is_equal: bool) -> Facts:
    """Returns the facts that follow from a comparison with a constant."""
    key = key_of(node)
    if not isinstance(value, nodes.Const):
        return _NOTHING
    known = _fact(key, _IS if is_equal else _IS_NOT, _sign(value.value))
    return known | (_fact(key, _NOT_NULL) if (value.value is None) is not is_equal else _NOTHING)


def _unlike(node: nodes.Node, values: Sequence[nodes.Node]) -> Facts:
    return frozenset().union(*(_valued(node, value, False) for value in values))
