"""Follows operators: which values fit together, and which members of an enum are forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from jinja2 import nodes

from troth.api.strict import close_match
from troth.engine.linting.comparing import (
    GROUPS,
    are_alike,
    enumerated,
    members_of,
    origin_of,
    subject_of,
    words_of,
)
from troth.engine.linting.lookups import Lookups
from troth.engine.linting.scope import Key, Scope, narrow
from troth.engine.linting.shapes import NUMBER, NUMBERS, TRUTH, UNKNOWN, Shape, shape_of_value, union, without_null

_ORDERINGS: Final = frozenset(("lt", "gt", "lteq", "gteq"))
_OPERATORS: Final = {nodes.Add: "+", nodes.Sub: "-", nodes.Div: "/", nodes.FloorDiv: "//", nodes.Pow: "**"}


class Operators(Lookups):
    """Follows operators, comparisons and conditions."""

    def _either(self, node: nodes.And | nodes.Or, scope: Scope) -> Shape:
        left = self.use(node.left, scope, whole=False)
        inner = scope.copy(narrow(node.left, isinstance(node, nodes.And), scope.origins))
        right = self.expr(node.right, inner)
        self.mark(right, whole=False)
        if isinstance(node, nodes.Or) and left.kinds is not None:
            if left.only("null"):
                return right
            left = replace(without_null(left), hollow="")  # otherwise the result is the right one
        return union(left, right)

    def _condition(self, node: nodes.CondExpr, scope: Scope) -> Shape:
        self.use(node.test, scope, whole=False)
        true = self.expr(node.expr1, scope.copy(narrow(node.test, True, scope.origins)))
        if node.expr2 is None:
            return replace(true, missing=true.missing or "there is no else")
        return union(true, self.expr(node.expr2, scope.copy(narrow(node.test, False, scope.origins))))

    def _binary(self, node: nodes.BinExpr, scope: Scope) -> Shape:
        left, right = self.use(node.left, scope), self.use(node.right, scope)
        operator = _OPERATORS.get(type(node))
        if operator in ("-", "/", "//", "**"):
            self._number(node.left, left, operator)
            self._number(node.right, right, operator)
            return NUMBER
        if operator == "+" and left.kinds and right.kinds:
            if not any(left.kinds & group and right.kinds & group for group in GROUPS):
                self._disjoint(node.left, left, node.right, right, "+", "use ~ to join them as text")
            return replace(union(left, right), values=None)
        return UNKNOWN

    def _number(self, node: nodes.Node, shape: Shape, operator: str) -> None:
        if shape.never({*NUMBERS}) and not shape.only("null"):
            self.remark("T103", node, f"{words_of(node)} is {shape.words}, but {operator} needs a number")

    def _disjoint(
        self, left: nodes.Node, first: Shape, right: nodes.Node, second: Shape, operator: str, fix: str
    ) -> None:
        node = left if first.paths else right
        message = f"{words_of(left)} is {first.words}, {words_of(right)} is {second.words}: {operator}"
        self.remark("T103", node, f"{message} cannot be", fix)

    def _compare(self, node: nodes.Compare, scope: Scope) -> Shape:
        left_node, left = node.expr, self.use(node.expr, scope)
        for operand in node.ops:
            right = self.use(operand.expr, scope, whole=operand.op not in ("in", "notin"))
            if operand.op in ("in", "notin"):
                self._inside(left_node, left, operand.expr, right)
            elif operand.op in _ORDERINGS:
                if left.kinds and right.kinds and not are_alike(left, right):
                    self._disjoint(
                        left_node, left, operand.expr, right, "an order between them", "compare like with like"
                    )
            elif left.paths or right.paths:
                self._equal(left_node, left, operand.expr, right)
            left_node, left = operand.expr, right
        return TRUTH

    def _equal(self, left_node: nodes.Node, left: Shape, right_node: nodes.Node, right: Shape) -> None:
        if not left.kinds or not right.kinds or "null" in left.kinds | right.kinds:
            return
        if not are_alike(left, right):
            self._disjoint(left_node, left, right_node, right, "being equal", "compare like with like")
            return
        if left.paths and isinstance(right_node, nodes.Const):
            self._check_members(left_node, left, right)
        elif right.paths and isinstance(left_node, nodes.Const):
            self._check_members(right_node, right, left)

    def _inside(self, left_node: nodes.Node, left: Shape, right_node: nodes.Node, right: Shape) -> None:
        if right.kinds and right.never({"list", "map", "text"}):
            self.remark("T103", right_node, f"{words_of(right_node)} is {right.words}, and nothing can be in it")
        if left.paths and left.values is not None and isinstance(right_node, (nodes.List, nodes.Tuple)):
            for item in right_node.items:
                if isinstance(item, nodes.Const):
                    self._check_members(left_node, left, shape_of_value(item.value))

    def _check_members(self, node: nodes.Node, shape: Shape, other: Shape) -> None:
        """Reports constants that are not members of an enum."""
        if shape.values is None or other.values is None:
            return
        for value in other.values:
            if not any(member == value for member in shape.values):
                meant = close_match(str(value), [str(member) for member in shape.values])
                fix = f"did you mean {meant!r}?" if meant else f"it is one of {enumerated(shape.values)}"
                self.remark("T104", node, f"{origin_of(shape, words_of(node))} is never {value!r}", fix)

    def check_iterable(self, node: nodes.Node, shape: Shape) -> None:
        """Reports a loop over something that has no items."""
        if shape.never({"list", "map", "text"}) and not shape.only("null"):
            self.remark("T103", node, f"{words_of(node)} is {shape.words}, but a loop needs a list or a map")
        elif shape.declared and shape.only("text"):
            self.remark("T103", node, f"{words_of(node)} is text, and a loop over it gives its letters")

    def enum_branches(self, node: nodes.If, scope: Scope) -> None:
        """Reports the members of an enum that an if … elif without an else forgets."""
        tests = [node.test, *(branch.test for branch in node.elif_)]
        if node.else_ or len(tests) < 2:
            return
        handled: list[Any] = []
        keys: set[Key] = set()
        for test in tests:
            key, members = members_of(test)
            if key is None:
                return
            keys.add(key)
            handled.extend(members)
        subject = subject_of(node.test)
        if len(keys) != 1 or subject is None:
            return
        shape = self.expr(subject, scope, forgiving=True)
        if shape.values is None or not shape.paths:
            return
        forgotten = [value for value in shape.values if value is not None and value not in handled]
        if forgotten:
            self.remark(
                "T105",
                subject,
                f"no branch handles {enumerated(forgotten)}, which {origin_of(shape, words_of(subject))} may be",
                "add a branch for it, or an else",
            )
