"""What an expression of a template gives, and what is wrong with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, Final

from jinja2 import nodes

from troth.api.pipelines import close_match
from troth.engine.inputs import path_text
from troth.engine.linting import filtering
from troth.engine.linting.comparing import GROUPS as _GROUPS
from troth.engine.linting.comparing import are_alike, enumerated, members_of, origin_of, subject_of, words_of
from troth.engine.linting.scope import Key, Macro, Scope, key_of, narrow
from troth.engine.linting.shapes import (
    NUMBER,
    NUMBERS,
    TEXT,
    TRUTH,
    UNKNOWN,
    WHOLE,
    Shape,
    shape_of_value,
    union,
)

_ORDERINGS: Final = frozenset(("lt", "gt", "lteq", "gteq"))
_OPERATORS: Final = {nodes.Add: "+", nodes.Sub: "-", nodes.Div: "/", nodes.FloorDiv: "//", nodes.Pow: "**"}


class Expressions(ABC):
    """Gives each expression its shape; where names come from and where remarks go is the reader's."""

    @abstractmethod
    def step(self) -> None:
        """Counts what was followed."""

    @abstractmethod
    def remark(self, code: str, node: nodes.Node, message: str, fix: str = "", **more: Any) -> None:
        """Says what is wrong at a node."""

    @abstractmethod
    def mark(self, shape: Shape, *, whole: bool) -> None:
        """Notes that a value was used."""

    @abstractmethod
    def resolve(self, name: str, scope: Scope, node: nodes.Node) -> Shape:
        """What a name gives."""

    @abstractmethod
    def value_field(self, name: str) -> None:
        """Notes that ``values.name`` was read."""

    @abstractmethod
    def call_macro(self, macro: Macro, call: nodes.Call, scope: Scope) -> Shape:
        """Follows a macro with what it is given."""

    @property
    @abstractmethod
    def in_macro(self) -> bool:
        """Whether what is read is given by whoever calls."""

    # ---- using

    def use(self, node: nodes.Node, scope: Scope, *, whole: bool = True) -> Shape:
        """The shape of an expression whose value is needed now: it must exist."""
        shape = self.expr(node, scope)
        self.mark(shape, whole=whole)
        if not shape.missing:
            return shape
        key = key_of(node)
        what = path_text(key) if key else "this"
        why = "" if shape.missing.startswith(f"{what} ") else f": {shape.missing}"
        message = (
            f"{what} may be missing{why}" if why else f"{shape.missing}, and is used as if it were always there"
        )
        fix = "give the field a default in the API, write | default(…), or ask whether it is defined first"
        self.remark("T102", node, message, fix)
        if key:
            scope.facts |= {key}
        return replace(shape, missing="")

    def expr(self, node: nodes.Node, scope: Scope, *, forgiving: bool = False) -> Shape:
        """The shape of an expression, which may be missing."""
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

    def _passed(self, node: nodes.Node, scope: Scope) -> Shape:
        """A value that is put into another one, where nobody follows it further."""
        shape = self.expr(node, scope)
        self.mark(shape, whole=True)
        return shape

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

    # ---- looking into values

    @staticmethod
    def _known(shape: Shape, key: Key | None, scope: Scope) -> Shape:
        if shape.missing and scope.knows(key):
            shape = replace(shape, missing="")
        if shape.hollow and scope.knows_within(key):
            shape = replace(shape, hollow="")
        return shape

    def _getattr(self, node: nodes.Getattr, scope: Scope, forgiving: bool) -> Shape:
        if isinstance(node.node, nodes.Name):
            name = node.node.name
            if name == "values" and name not in scope.own and "values" in scope.names:
                self.value_field(node.attr)
                return self._field(scope.names[name], node.attr, node, scope, forgiving)
            if name in scope.modules:
                return scope.modules[name].names.get(node.attr, UNKNOWN)
        owner = self.expr(node.node, scope, forgiving=forgiving)
        return self._field(owner, node.attr, node, scope, forgiving)

    def _getitem(self, node: nodes.Getitem, scope: Scope, forgiving: bool) -> Shape:
        if isinstance(node.node, nodes.Name) and node.node.name == "values" and isinstance(node.arg, nodes.Const):
            return self._getattr(
                nodes.Getattr(node.node, str(node.arg.value), "load", lineno=node.lineno), scope, forgiving
            )
        owner = self.expr(node.node, scope, forgiving=forgiving)
        if isinstance(node.arg, nodes.Slice):
            for part in (node.arg.start, node.arg.stop, node.arg.step):
                if part is not None:
                    self.use(part, scope)
            return replace(owner, values=None, fields={} if owner.only("list") else owner.fields)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._field(owner, node.arg.value, node, scope, forgiving)
        index = self.use(node.arg, scope)
        if owner.only("list"):
            place = str(index.values[0]) if index.values and len(index.values) == 1 else ""
            found = owner.fields.get(place) or owner.items or UNKNOWN
            return self._known(replace(found, missing=owner.missing or found.missing), key_of(node), scope)
        if owner.only("text"):
            return replace(TEXT, missing=owner.missing, paths=owner.paths)
        if owner.is_map:
            return self._member(owner, index, node, scope, forgiving)
        return Shape(missing=owner.missing, paths=owner.paths)

    def _member(self, owner: Shape, index: Shape, node: nodes.Getitem, scope: Scope, forgiving: bool) -> Shape:
        """A field whose name is only known when it renders."""
        if index.values is None:
            found = [*owner.fields.values(), *([owner.rest] if owner.rest is not None else [])]
            shape = union(*found) if found else UNKNOWN
            return replace(shape, missing=owner.missing, paths=shape.paths | owner.paths)
        names = [str(value) for value in index.values if value is not None]
        lacking = [name for name in names if name not in owner.fields]
        if lacking and owner.rest is None and not forgiving and not scope.knows(key_of(node)):
            table = path_text(key) if (key := key_of(node.node)) else "the map"
            reading = path_text(key) if (key := key_of(node.arg)) else "the key"
            listed = enumerated(lacking)
            self.remark(
                "T105",
                node,
                f"{table} has no entry for {listed}, which {origin_of(index, reading)} may be",
                f"add {listed} to {table}",
                severity="error",
            )
        found = [owner.fields[name] for name in names if name in owner.fields]
        if lacking and owner.rest is not None:
            found.append(owner.rest)
        shape = union(*found) if found else UNKNOWN
        return self._known(replace(shape, missing=owner.missing or shape.missing), key_of(node), scope)

    def _field(self, owner: Shape, name: str, node: nodes.Node, scope: Scope, forgiving: bool) -> Shape:
        key = key_of(node)
        if owner.kinds is None:
            self.mark(owner, whole=True)  # where it leads is not known
            return self._known(Shape(missing=owner.missing, paths=owner.paths), key, scope)
        if "map" not in owner.kinds:
            if not owner.kinds or owner.only("null"):
                return self._known(Shape(missing=owner.missing or "it is null"), key, scope)
            if not (forgiving and self.in_macro):
                what = path_text(key[:-1]) if key and len(key) > 1 else "it"
                self.remark(
                    "T101", node, f"{what} is {owner.words}, and has no field {name!r}", "read the value itself"
                )
            self.mark(owner, whole=True)
            return UNKNOWN
        found = owner.fields.get(name) or owner.rest
        if found is None:
            self.mark(owner, whole=False)
            if not scope.knows(key) and not (forgiving and (self.in_macro or not owner.declared)):
                self._unknown_field(owner, name, node, key)
            return UNKNOWN
        missing = owner.missing or owner.hollow or found.missing
        if "null" in owner.kinds and not missing:
            missing = f"{path_text(key[:-1]) if key and len(key) > 1 else 'it'} may be null"
        return self._known(replace(found, missing=missing), key, scope)

    def _unknown_field(self, owner: Shape, name: str, node: nodes.Node, key: Key | None) -> None:
        what = path_text(key[:-1]) if key and len(key) > 1 else "the map"
        meant = close_match(name, owner.fields)
        fix = (
            f"did you mean {meant}?" if meant else f"there is: {enumerated(owner.fields)}" if owner.fields else ""
        )
        if owner.declared:
            fix += "; or declare it in the API" if fix else "declare it in the API"
            self.remark("T101", node, f"the API has no {what}.{name}: the API server drops it", fix)
        else:
            self.remark("T101", node, f"{what} has no {name!r}", fix or "it is empty")

    # ---- filters, tests, calls

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
                "T103", node.node, f"{words_of(node.node)} is {shape.words}, and {node.name} wants {wanted}"
            )
        self._attribute(node, shape)
        return filtering.result(node.name, shape)

    def _attribute(self, node: nodes.Filter, shape: Shape) -> None:
        """The field that a filter reads of each item."""
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
                    self._unknown_field(items, first, name, None)

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
            return  # stands for nothing
        if not any(shape.kinds & group and other.kinds & group for group in _GROUPS):
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
                        "T103", argument, f"{words_of(argument)} is {shape.words}, and range wants a number"
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
            self.remark("T103", called.node, f"{words_of(called.node)} is {owner.words}, and {name}() is of text")
            return filtering.TEXT_METHODS[name]
        if name in filtering.MAP_METHODS and owner.never({"map"}):
            self.remark("T103", called.node, f"{words_of(called.node)} is {owner.words}, and {name}() is of a map")
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

    # ---- operators

    def _either(self, node: nodes.And | nodes.Or, scope: Scope) -> Shape:
        left = self.use(node.left, scope, whole=False)
        inner = scope.copy(narrow(node.left, isinstance(node, nodes.And), scope.origins))
        right = self.expr(node.right, inner)
        self.mark(right, whole=False)
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
            if not any(left.kinds & group and right.kinds & group for group in _GROUPS):
                self._disjoint(node.left, left, node.right, right, "+", "use ~ to join them as text")
            return replace(union(left, right), values=None)
        return UNKNOWN

    def _number(self, node: nodes.Node, shape: Shape, operator: str) -> None:
        if shape.never({*NUMBERS}) and not shape.only("null"):
            self.remark("T103", node, f"{words_of(node)} is {shape.words}, and {operator} wants a number")

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
        """Says which constants an enum does not have."""
        if shape.values is None or other.values is None:
            return
        for value in other.values:
            if not any(member == value for member in shape.values):
                meant = close_match(str(value), [str(member) for member in shape.values])
                fix = f"did you mean {meant!r}?" if meant else f"it is one of {enumerated(shape.values)}"
                self.remark("T104", node, f"{origin_of(shape, words_of(node))} is never {value!r}", fix)

    def check_iterable(self, node: nodes.Node, shape: Shape) -> None:
        """Says when a loop goes over something that has no items."""
        if shape.never({"list", "map", "text"}) and not shape.only("null"):
            self.remark("T103", node, f"{words_of(node)} is {shape.words}, and a loop wants a list or a map")
        elif shape.declared and shape.only("text"):
            self.remark("T103", node, f"{words_of(node)} is text, and a loop over it gives its letters")

    def enum_branches(self, node: nodes.If, scope: Scope) -> None:
        """Says which member of an enum an if … elif without an else forgets."""
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
                f"no branch is for {enumerated(forgotten)}, which {origin_of(shape, words_of(subject))} may be",
                "add a branch for it, or an else",
            )
