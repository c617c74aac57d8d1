"""Follows the expressions of a template: their shapes, and what is wrong with them."""

from __future__ import annotations

from dataclasses import replace

from jinja2 import nodes

from troth.engine.linting.calls import Calls
from troth.engine.linting.scope import Scope, key_of
from troth.engine.linting.shapes import NUMBER, TEXT, TRUTH, UNKNOWN, Shape, shape_of_value, union


class Expressions(Calls):
    """Determines the shape of each expression."""

    def expr(self, node: nodes.Node, scope: Scope, *, forgiving: bool = False) -> Shape:
        """Returns the shape of an expression, whose value may be missing."""
        self.step()
        if isinstance(node, nodes.Const):
            return shape_of_value(node.value)
        if isinstance(node, nodes.Name):
            return self._known(self.resolve(node.name, scope, node), key_of(node), scope)
        if isinstance(node, nodes.Getattr):
            return self._getattr(node, scope, forgiving)
        if isinstance(node, nodes.Getitem):
            return self._getitem(node, scope, forgiving)
        if isinstance(node, nodes.Filter):
            return self._filter(node, scope)
        if isinstance(node, nodes.Test):
            return self._test(node, scope)
        if isinstance(node, nodes.Call):
            return self._call(node, scope)
        if isinstance(node, nodes.Compare):
            return self._compare(node, scope)
        if isinstance(node, (nodes.And, nodes.Or)):
            return self._either(node, scope)
        if isinstance(node, nodes.CondExpr):
            return self._condition(node, scope)
        if isinstance(node, nodes.Not):
            self.use(node.node, scope, whole=False)
            return TRUTH
        if isinstance(node, nodes.BinExpr):
            return self._binary(node, scope)
        return self._made(node, scope)

    def _made(self, node: nodes.Node, scope: Scope) -> Shape:
        if isinstance(node, (nodes.List, nodes.Tuple)):
            shapes = [self._passed(item, scope) for item in node.items]
            items = replace(union(*shapes), missing="") if shapes else None
            return Shape(kinds=frozenset(("list",)), items=items)
        if isinstance(node, nodes.Dict):
            return self._dict(node, scope)
        if isinstance(node, nodes.Concat):
            for child in node.nodes:
                self.use(child, scope)
            return TEXT
        if isinstance(node, (nodes.Neg, nodes.Pos)):
            self._number(node.node, self.use(node.node, scope), "-")
            return NUMBER
        for part in node.iter_child_nodes():
            if isinstance(part, nodes.Expr):
                self.use(part, scope)
        return TEXT if isinstance(node, nodes.TemplateData) else UNKNOWN

    def _dict(self, node: nodes.Dict, scope: Scope) -> Shape:
        fields: dict[str, Shape] = {}
        rest: Shape | None = None
        for pair in node.items:
            value = self._passed(pair.value, scope)
            if isinstance(pair.key, nodes.Const):
                fields[str(pair.key.value)] = value
            else:
                self.use(pair.key, scope)
                rest = UNKNOWN
        return Shape(kinds=frozenset(("map",)), fields=fields, rest=rest)
