"""What a test compares, and how expressions are shown to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from jinja2 import nodes

from troth.engine.linting.scope import Key, key_of
from troth.engine.linting.shapes import NUMBERS, Shape
from troth.engine.promises.request_paths import path_words
from troth.engine.rendering.inputs import path_text

GROUPS: Final = (frozenset(("text",)), NUMBERS, frozenset(("list",)), frozenset(("map",)))
"""Groups of types that can be compared with each other."""

_MOST_NAMES: Final = 8


def subject_of(test: nodes.Node) -> nodes.Node | None:
    """Returns the expression that the first comparison of a test is about; None if it is not a comparison."""
    while isinstance(test, nodes.Or):
        test = test.left
    if isinstance(test, nodes.Compare):
        return test.ops[0].expr if isinstance(test.expr, nodes.Const) else test.expr
    return None


def members_of(test: nodes.Node) -> tuple[Key | None, Sequence[Any]]:
    """Returns the chain of names that a test compares, and the constants; None and nothing for other tests."""
    if isinstance(test, nodes.Or):
        first, members = members_of(test.left)
        second, others = members_of(test.right)
        return (first, (*members, *others)) if first == second else (None, ())
    if not isinstance(test, nodes.Compare) or len(test.ops) != 1:
        return None, ()
    operand = test.ops[0]
    left, right = test.expr, operand.expr
    if operand.op == "eq" and isinstance(left, nodes.Const):
        left, right = right, left
    if operand.op == "eq" and isinstance(right, nodes.Const):
        return key_of(left), (right.value,)
    if operand.op == "in" and isinstance(right, (nodes.List, nodes.Tuple)):
        return key_of(left), tuple(item.value for item in right.items if isinstance(item, nodes.Const))
    return None, ()


def are_alike(left: Shape, right: Shape) -> bool:
    """Whether values of two shapes can be compared at all."""
    first, second = left.kinds or frozenset(), right.kinds or frozenset()
    return any(first & group and second & group for group in GROUPS) or bool(first & second)


def words_of(node: nodes.Node) -> str:
    """Returns an expression in the form in which messages show it."""
    if isinstance(node, nodes.Const):
        return repr(node.value)
    if isinstance(node, nodes.Filter) and node.node is not None:
        return f"{words_of(node.node)} | {node.name}"
    key = key_of(node)
    return path_text(key) if key else "this"


def origin_of(shape: Shape, words: str) -> str:
    """Returns ``words``, with the field of the request that the value comes from, if that is another one."""
    paths = sorted(path_words(path) for path in shape.paths)
    return words if not paths or words in paths or len(paths) > 1 else f"{words} ({paths[0]})"


def enumerated(members: Any) -> str:
    """Returns the members in one line, and only the first ones if there are many."""
    found = [repr(member) if isinstance(member, str) else str(member) for member in members]
    return ", ".join(found[:_MOST_NAMES]) + (", …" if len(found) > _MOST_NAMES else "")
