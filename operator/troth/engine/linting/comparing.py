"""What a test compares, and how shapes and expressions are said to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from jinja2 import nodes

from troth.engine.linting.scope import Key, key_of
from troth.engine.linting.shapes import NUMBERS, Shape, path_words
from troth.engine.rendering.inputs import path_text

GROUPS: Final = (frozenset(("text",)), NUMBERS, frozenset(("list",)), frozenset(("map",)))
"""Types that can be compared with one another."""

_MOST_NAMES: Final = 8


def subject_of(test: nodes.Node) -> nodes.Node | None:
    """What the first comparison of a test is about."""
    while isinstance(test, nodes.Or):
        test = test.left
    if isinstance(test, nodes.Compare):
        return test.ops[0].expr if isinstance(test.expr, nodes.Const) else test.expr
    return None


def members_of(test: nodes.Node) -> tuple[Key | None, Sequence[Any]]:
    """Which chain a test compares, and with which constants."""
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
    """Whether the two can be compared at all."""
    first, second = left.kinds or frozenset(), right.kinds or frozenset()
    return any(first & group and second & group for group in GROUPS) or bool(first & second)


def words_of(node: nodes.Node) -> str:
    """An expression for people."""
    if isinstance(node, nodes.Const):
        return repr(node.value)
    if isinstance(node, nodes.Filter) and node.node is not None:
        return f"{words_of(node.node)} | {node.name}"
    key = key_of(node)
    return path_text(key) if key else "this"


def origin_of(shape: Shape, words: str) -> str:
    """What is read, and where it comes from when that has another name."""
    paths = sorted(path_words(path) for path in shape.paths)
    return words if not paths or words in paths or len(paths) > 1 else f"{words} ({paths[0]})"


def enumerated(members: Any) -> str:
    """The members, the first ones of many."""
    found = [repr(member) if isinstance(member, str) else str(member) for member in members]
    return ", ".join(found[:_MOST_NAMES]) + (", …" if len(found) > _MOST_NAMES else "")
