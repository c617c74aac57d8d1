"""Follows values that are passed to filters, tests, functions, macros and methods."""

from __future__ import annotations

from dataclasses import replace

from jinja2 import nodes

from troth.engine.linting import filtering
from troth.engine.linting.comparing import GROUPS, words_of
from troth.engine.linting.operators import Operators
from troth.engine.linting.scope import Scope
from troth.engine.linting.shapes import NUMBERS, TEXT, TRUTH, UNKNOWN, WHOLE, Shape, shape_of_value, union


class Calls(Operators):
    """Follows filters, tests and calls."""

    def _filter(self, node: nodes.Filter, scope: Scope) -> Shape:
        if node.node is None:
            for argument in node.args:
                self.use(argument, scope)
            return TEXT
        if node.name in filtering.DEFAULTS:
            return self._default(node, scope)
        shape = self.use(node.node, scope, whole=node.name not in filtering.COUNTS)
        for argument in (*node.args, *(item.value for item in node.kwargs)):
            self.use(argument, scope)
        wanted = filtering.unfit(node.name, shape)
        if wanted:
            self.remark(
                "T103", node.node, f"{words_of(node.node)} is {shape.words}, but {node.name} needs {wanted}"
            )
        elif shape.declared and "null" in (shape.kinds or ()) and node.name in filtering.WANT_NO_NULL:
            message = f"{words_of(node.node)} may be null, and {node.name} makes text of that"
            self.remark("T102", node.node, message, "write | default(…, true), or ask whether it is none")
        self._attribute(node, shape)
        return filtering.having(node, filtering.result(node.name, shape))

    def _attribute(self, node: nodes.Filter, shape: Shape) -> None:
        """Follows the field that a filter reads from each item."""
        assert node.node is not None  # noqa: S101 - asked by the caller
        names = [item.value for item in node.kwargs if item.key == "attribute"]
        if node.name in filtering.ATTRIBUTE_FIRST and node.args:
            names.append(node.args[0])
        items = shape.items if shape.only("list") else None
        if items is None or not items.is_map or items.rest is not None or not items.declared:
            return
        for name in names:
            if isinstance(name, nodes.Const) and isinstance(name.value, str):
                first = name.value.split(".")[0]
                if first not in items.fields:
                    self._unknown_field(items, first, name, None, words_of(node.node))

    def _default(self, node: nodes.Filter, scope: Scope) -> Shape:
        assert node.node is not None  # noqa: S101 - asked by the caller
        shape = self.expr(node.node, scope, forgiving=True)
        self.mark(shape, whole=False)
        others = [self._passed(argument, scope) for argument in node.args]
        other = others[0] if others else shape_of_value("")
        self._check_default(node, shape, other)
        return union(replace(shape, missing="", hollow=""), other)

    def _check_default(self, node: nodes.Filter, shape: Shape, other: Shape) -> None:
        if not shape.declared or not shape.kinds or not other.kinds or node.node is None:
            return
        if other.values is not None and any(value in (None, "", False) for value in other.values):
            return  # it has no value
        if not any(shape.kinds & group and other.kinds & group for group in GROUPS):
            self.remark(
                "T103",
                node.node,
                f"the default of {words_of(node.node)} is {other.words}, and the API says {shape.words}",
                f"give a default that is {shape.words}",
            )
        elif shape.values is not None and other.values is not None:
            self._check_members(node.node, shape, other)

    def _test(self, node: nodes.Test, scope: Scope) -> Shape:
        if node.name in filtering.FORGIVING_TESTS:
            self.mark(self.expr(node.node, scope, forgiving=True), whole=False)
        else:
            self.use(node.node, scope)
        for argument in node.args:
            self.use(argument, scope)
        return TRUTH

    def _call(self, node: nodes.Call, scope: Scope) -> Shape:
        called = node.node
        if isinstance(called, nodes.Name) and called.name in scope.macros:
            return self.call_macro(scope.macros[called.name], node, scope)
        if isinstance(called, nodes.Getattr):
            module = scope.modules.get(called.node.name) if isinstance(called.node, nodes.Name) else None
            if module is not None:
                macro = module.macros.get(called.attr)
                return self.call_macro(macro, node, scope) if macro else UNKNOWN
            return self._method(called, node, scope)
        shapes = [self.use(argument, scope) for argument in (*node.args, *(item.value for item in node.kwargs))]
        if not isinstance(called, nodes.Name):
            self.use(called, scope)
            return UNKNOWN
        if called.name == "range":
            for argument, shape in zip(node.args, shapes, strict=False):
                if shape.never(NUMBERS):
                    self.remark(
                        "T103", argument, f"{words_of(argument)} is {shape.words}, but range needs a number"
                    )
            return Shape(kinds=frozenset(("list",)), items=WHOLE)
        if called.name == "caller":
            return TEXT
        if called.name not in ("fail", "dict", "namespace"):
            self.resolve(called.name, scope, called)
        return UNKNOWN

    def _method(self, called: nodes.Getattr, node: nodes.Call, scope: Scope) -> Shape:
        owner = self.use(called.node, scope, whole=called.attr not in ("items", "get"))
        arguments = [self.use(argument, scope) for argument in node.args]
        name = called.attr
        if owner.kinds is None:
            self.mark(owner, whole=True)
            return Shape(paths=owner.paths)
        if name in filtering.TEXT_METHODS and owner.never({"text"}):
            self.remark("T103", called.node, f"{words_of(called.node)} is {owner.words}, but {name}() needs text")
            return filtering.TEXT_METHODS[name]
        if name in filtering.MAP_METHODS and owner.never({"map"}):
            self.remark("T103", called.node, f"{words_of(called.node)} is {owner.words}, but {name}() needs a map")
            return UNKNOWN
        if owner.is_map and name in filtering.MAP_METHODS:
            return self._map_method(owner, name, node, arguments)
        return filtering.TEXT_METHODS.get(name, UNKNOWN) if owner.only("text") else UNKNOWN

    def _map_method(self, owner: Shape, name: str, node: nodes.Call, arguments: list[Shape]) -> Shape:
        found = [*owner.fields.values(), *([owner.rest] if owner.rest is not None else [])]
        value = replace(union(*found), missing="") if found else UNKNOWN
        if name == "keys":
            return Shape(kinds=frozenset(("list",)), items=TEXT)
        if name == "values":
            return Shape(kinds=frozenset(("list",)), items=value)
        if name == "items":
            pair = Shape(kinds=frozenset(("list",)), fields={"0": TEXT, "1": value}, items=union(TEXT, value))
            return Shape(kinds=frozenset(("list",)), items=pair)
        if not arguments or not arguments[0].values or len(arguments[0].values) != 1:
            self.mark(owner, whole=True)
            return UNKNOWN
        wanted = str(arguments[0].values[0])
        shape = owner.fields.get(wanted) or owner.rest
        if shape is None:
            if owner.declared and not self.in_macro:
                self._unknown_field(owner, wanted, node, None)
            return UNKNOWN
        if not shape.missing and not owner.hollow:
            return shape
        return union(replace(shape, missing=""), arguments[1] if len(arguments) > 1 else shape_of_value(None))
