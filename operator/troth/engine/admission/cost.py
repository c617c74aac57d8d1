"""A lower bound of the cost of a CEL rule as the API server estimates it, which refuses rules that cost too much.

The API server estimates before there is any object: each list is as long as its ``maxItems`` allows, or as fits into a
request of 3 MiB; loops multiply the cost, and so do the lists and maps around the rule. The same estimate is made here
as far as it is certain, and what is not known costs nothing. So the sum is never above the API server's: whatever is
refused here is refused there, and some of what is refused there is accepted here. Rejected: estimating everything. That
takes CEL's type checker with each function's overloads, for rules that hardly anybody writes.

Upstream, all as Kubernetes v1.36.3 uses them. The budgets, how often a rule is evaluated, and the words:
`validation.go` and `cel_validation.go` in `pkg/apis/apiextensions/validation` of k8s.io/apiextensions-apiserver
v0.36.3. How large values can be: `pkg/cel/common/schemas.go` of k8s.io/apiserver v0.36.3. What Kubernetes' own
functions cost: `pkg/cel/library/cost.go` there. What operators, macros and CEL's own functions cost:
`checker/cost.go` and `common/cost.go` of cel-go v0.26.0.

This file does not grow any more: a function whose cost is not known here costs nothing, which is safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from troth.engine.admission.cel_reading import LONGEST_RULE, RuleReader
from troth.engine.admission.refusals import FORBIDDEN, Refusal, forbidden, invalid_without_value

EXPRESSION_LIMIT: Final = 10_000_000
TOTAL_LIMIT: Final = 100_000_000

_LONGEST_SHOWN: Final = 100
_REQUEST: Final = 3 * 1024 * 1024
_LONGEST: Final = _REQUEST - 2
_TIMES: Final[Mapping[str, tuple[int, int]]] = {"duration": (3, 32), "date": (12, 12), "date-time": (21, 32)}
_ADVICE: Final = "bound its lists, maps and texts with maxItems, maxProperties and maxLength"
# A rule that has none of these and is not repeated only costs some units for each of its characters.
_DEAR: Final = re.compile(r"\.\s*[a-zA-Z_]\w*\s*\(|\bin\b")
# The cost of the macro itself for each element, and its cost once, to begin and to end.
_MACROS: Final[Mapping[str, tuple[int, int]]] = {
    "all": (3, 1),
    "exists": (4, 1),
    "exists_one": (2, 2),
    "existsOne": (2, 2),
    "map": (12, 11),
    "filter": (13, 11),
}
_TEXT_NODE: Final = {"type": "string"}
_EMBEDDED: Final = {
    "apiVersion": _TEXT_NODE,
    "kind": _TEXT_NODE,
    "metadata": {"type": "object", "properties": {"name": _TEXT_NODE, "generateName": _TEXT_NODE}},
}
_UNKNOWN_MACROS: Final = ("transformList", "transformMap", "transformMapEntry", "sortBy", "bind")
_ESCAPE: Final = re.compile(r"\\(U.{8}|u.{4}|[xX]..|[0-7]{3}|.)", re.DOTALL)
_TEXT: Final = re.compile(r"""[bB]?([rR]?)("{3}|'{3}|"|')(.*)\2""", re.DOTALL)

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Value:
    """What is known about a value.

    Attributes:
        kind: ``list``, ``map``, ``object``, ``text``, ``number``, or "" for what is not known.
        size: the most items, entries or bytes that it can have; 0 when that is not known.
        least: the fewest bytes that it takes in a request.
        schema: the node of the schema that describes it.
    """

    kind: str = ""
    size: int = 0
    least: int = 0
    schema: Schema | None = None


_NOTHING: Final = _Value()
_NUMBER: Final = _Value("number", 1, 1)

_Scope = Mapping[str, _Value]


def cost_refusals(versions: list[Any]) -> Iterator[Refusal]:
    """Yields why the API server would refuse the rules of a definition for their cost, as far as that is certain.

    Args:
        versions: the versions of a definition whose schemas are sound.
    """
    for index, version in enumerate(versions):
        schema = version["schema"]["openAPIV3Schema"]
        path = f"spec.versions[{index}].schema.openAPIV3Schema"
        reckoning, reader, total, refused = Reckoning(), RuleReader(), 0, False
        for rule in reckoning.rules(schema, path):
            if len(rule.text) > LONGEST_RULE:
                size = f"size: {len(rule.text)}, limit {LONGEST_RULE}"
                said = f"compilation failed: expression code point size exceeds limit: {size}"
                yield invalid_without_value(rule.place, said)
                continue
            cost = reckoning.cost(rule.text, rule.schema, reader) * rule.times if rule.may_be_dear else 0
            total += cost
            if cost > EXPRESSION_LIMIT:
                refused = True
                shown = rule.text if len(rule.text) <= _LONGEST_SHOWN else f"{rule.text[:_LONGEST_SHOWN]}…"
                what = f"an API server refuses {shown!r} for its cost: estimated rule cost"
                yield _refused(rule.place, what, cost / EXPRESSION_LIMIT)
        if total > TOTAL_LIMIT and not refused:
            measured = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
            what = f"an API server refuses its rules for their total cost: {measured}"
            yield _refused(path, what, total / TOTAL_LIMIT)


@dataclass(frozen=True, slots=True)
class EndlessRules(Refusal):
    """Rules that cost more than a hundred times the limit, so that evaluating them here would hardly ever end."""


def _refused(field: str, what: str, factor: float) -> Refusal:
    if factor > 100:
        said = f"{what} exceeds budget by factor of more than 100x ({_ADVICE})"
        return EndlessRules(field, f"Forbidden: {said}", FORBIDDEN)
    return forbidden(
        field, f"{what} exceeds budget by factor of {factor:{'f' if factor < 1.5 else '.1f'}}x ({_ADVICE})"
    )


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule of a schema: its path, its node, and how many values of that node an object can have."""

    place: str
    text: str
    schema: Schema
    times: int

    @property
    def may_be_dear(self) -> bool:
        """Whether the rule may cost so much that it has to be read."""
        return _DEAR.search(self.text) is not None or len(self.text) * self.times > EXPRESSION_LIMIT


@dataclass(slots=True)
class Reckoning:
    """Estimates the rules of one schema; remembers what it found about the schema's nodes."""

    _values: dict[int, _Value | None] = field(default_factory=dict)

    def rules(
        self, schema: Any, path: str, times: int | None = 1, *, is_root: bool = True
    ) -> Iterator[PlacedRule]:
        """Yields the rules of a schema and of all nodes below it.

        Args:
            schema: the node to begin with.
            path: the path of the node.
            times: how many values of the node an object can have; None when nothing bounds that.
            is_root: whether the node describes a whole object.
        """
        if not isinstance(schema, Mapping):
            return
        own = self._value(schema)
        if own is not None:
            repeated = times if times is not None else _REQUEST // (own.least + 1)
            for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
                text = rule.get("rule") if isinstance(rule, Mapping) else None
                if isinstance(text, str):
                    place = f"{path}.x-kubernetes-validations[{index}].rule"
                    yield PlacedRule(place, text.strip(), schema, repeated)
        elements = _most_elements(schema)
        inner = None if times is None or elements is None else times * elements
        for name, child in (schema.get("properties") or {}).items():
            if not (is_root and name in ("metadata", "status")):
                yield from self.rules(child, f"{path}.properties.{name}", inner, is_root=False)
        for name in ("items", "additionalProperties"):
            yield from self.rules(schema.get(name), f"{path}.{name}", inner, is_root=False)

    def cost(self, rule: str, schema: Schema, reader: RuleReader) -> int:
        """Returns the least cost of evaluating a rule of a node once; 0 for a rule that cannot be read here."""
        tree, _ = reader.read(rule)
        return self.cost_of(tree, schema) if tree is not None else 0

    def cost_of(self, tree: Any, schema: Schema) -> int:
        """Returns the `cost` of a rule that is parsed already."""
        own = self._value(schema) or _NOTHING
        try:
            return self._visit(tree, {"self": own, "oldSelf": own})[0]
        except RecursionError:
            return 0

    # ---- the schema

    def _value(self, schema: Any) -> _Value | None:
        """Returns what rules see of a node; None when they do not see it at all."""
        if not isinstance(schema, Mapping):
            return None
        key = id(schema)
        if key not in self._values:
            self._values[key] = self._read(schema)
        return self._values[key]

    def _read(self, schema: Schema) -> _Value | None:
        longest = _number(schema.get("maxLength"))
        if schema.get("x-kubernetes-int-or-string"):
            return _Value("", 4 * longest if longest is not None else _LONGEST, 1, schema)
        kind = schema.get("type")
        if kind == "array":
            items = self._value(schema.get("items"))
            most = _number(schema.get("maxItems"))
            if items is None:
                return None
            return _Value("list", most if most is not None else _LONGEST // (items.least + 1), 2, schema)
        if kind == "object":
            return self._read_object(schema)
        if kind == "string":
            return _read_text(schema, longest)
        if kind in ("integer", "number"):
            return _Value("number", 0, 1, schema)
        return _Value("", 0, 4, schema) if kind == "boolean" else None

    def _read_object(self, schema: Schema) -> _Value | None:
        additional = schema.get("additionalProperties")
        if isinstance(additional, Mapping):
            values = self._value(additional)
            most = _number(schema.get("maxProperties"))
            if values is None:
                return None
            return _Value("map", most if most is not None else _LONGEST // (values.least + 6), 2, schema)
        least, properties = 2, _properties(schema)
        for name in set(schema.get("required") or ()):
            child = properties.get(name)
            value = self._value(child)
            if child is not None and value is not None and child.get("default") is None:
                least += len(name.encode()) + value.least + 4
        return _Value("object", 0, least, schema)

    def _child(self, value: _Value, name: str) -> _Value:
        if value.kind != "object" or value.schema is None:
            return _NOTHING  # the API server does not follow the field of a map, either
        return self._value(_properties(value.schema).get(name)) or _NOTHING

    def _element(self, value: _Value) -> _Value:
        if value.schema is None:
            return _NOTHING
        return (
            self._value(value.schema.get("items" if value.kind == "list" else "additionalProperties")) or _NOTHING
        )

    # ---- the rule

    def _visit(self, tree: Any, scope: _Scope) -> tuple[int, _Value]:
        """Returns the least cost of an expression, and what is known about its value."""
        read = getattr(self, f"_{tree.data}", None)
        if read is not None:
            found: tuple[int, _Value] = read(tree.children, scope)
            return found
        children = [child for child in tree.children if hasattr(child, "data")]
        if len(children) == 1:
            return self._visit(children[0], scope)
        return sum(self._visit(child, scope)[0] for child in children), _NOTHING

    def _expr(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        if len(children) != 3:
            return self._visit(children[0], scope)
        (test, _), (one, left), (other, right) = (self._visit(child, scope) for child in children)
        return test + max(one, other), _Value(size=max(left.size, right.size))

    def _relation(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        if len(children) != 2:
            return self._visit(children[0], scope)
        (one, left), (other, right) = self._visit(children[0].children[0], scope), self._visit(children[1], scope)
        operator = children[0].data
        if operator == "relation_in":
            own = right.size if right.kind == "list" else 0
        elif operator in ("relation_eq", "relation_ne") or left.kind == right.kind == "text":
            own = _tenth(min(left.size, right.size))
        else:
            own = 1 if "number" in (left.kind, right.kind) else 0
        return one + other + own, _NOTHING

    def _addition(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        if len(children) != 2:
            return self._visit(children[0], scope)
        (one, left), (other, right) = self._visit(children[0].children[0], scope), self._visit(children[1], scope)
        cost, size, kinds = one + other, left.size + right.size, (left.kind, right.kind)
        if "number" in kinds or children[0].data == "addition_sub":
            return cost + 1, _NUMBER if "number" in kinds else _NOTHING
        if "list" in kinds:
            return cost + 1, _Value("list", size)
        if "text" in kinds:
            return cost + _tenth(size), _Value("text", size)
        return cost, _NOTHING

    def _multiplication(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        if len(children) != 2:
            return self._visit(children[0], scope)
        one, other = self._visit(children[0].children[0], scope)[0], self._visit(children[1], scope)[0]
        return one + other + 1, _NUMBER

    def _unary(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        inner, signs = children[-1], [child.data for child in children[:-1]]
        while inner.data == "unary" and len(inner.children) == 2:
            signs.append(inner.children[0].data)
            inner = inner.children[1]
        cost, value = self._visit(inner, scope)
        if not signs:
            return cost, value
        # Two ``!`` in a row are not counted as operators, and neither is the sign of a number.
        return cost + (len(signs) % 2 if set(signs) == {"unary_not"} else 0), _Value(value.kind)

    def _member_dot(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        cost, value = self._visit(children[0], scope)
        selected = 1 if value.kind in ("object", "map") else 0
        return cost + selected, self._child(value, _unescaped(str(children[1])))

    def _member_index(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        (cost, value), (index, _) = (self._visit(child, scope) for child in children)
        return cost + index + 1, self._element(value)

    def _member_dot_arg(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        cost, value = self._visit(children[0], scope)
        name, arguments = str(children[1]), _arguments(children[2:])
        if name in _MACROS:
            loop, made = self._loop(name, value, arguments, scope)
            return cost + loop, made
        if name in _UNKNOWN_MACROS:
            return cost, _NOTHING
        found = [self._visit(argument, scope) for argument in arguments]
        cost += sum(one for one, _ in found)
        own, made = _called(name, value, [known for _, known in found])
        return cost + own, made

    def _loop(self, name: str, over: _Value, arguments: list[Any], scope: _Scope) -> tuple[int, _Value]:
        variable = _variable(arguments[0]) if arguments else None
        if variable is None or not 2 <= len(arguments) <= (3 if name == "map" else 2):
            return 0, _NOTHING
        element = self._element(over) if over.kind == "list" else _NOTHING
        inner = {**scope, variable: element}
        each, once = _MACROS[name]
        each += sum(self._visit(argument, inner)[0] for argument in arguments[1:])
        made = _Value("list", over.size) if name in ("map", "filter") else _NOTHING
        return once + over.size * each, made

    def _ident(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        name = str(children[0])
        return (1, scope[name]) if name in scope else (0, _NOTHING)

    def _ident_arg(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        name, arguments = str(children[0]), _arguments(children[1:])
        if name == "has":
            holder = _only(arguments[0], "member_dot") if len(arguments) == 1 else None
            return (self._visit(holder.children[0], scope)[0], _NOTHING) if holder is not None else (0, _NOTHING)
        found = [self._visit(argument, scope) for argument in arguments]
        cost = sum(one for one, _ in found)
        return (cost + 1, _NUMBER) if name == "size" else (cost, _NOTHING)

    def _list_lit(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        items = _arguments(children)
        return 10 + sum(self._visit(item, scope)[0] for item in items), _Value("list", len(items))

    def _map_lit(self, children: list[Any], scope: _Scope) -> tuple[int, _Value]:
        items = _arguments(children)
        return 30 + sum(self._visit(item, scope)[0] for item in items), _Value("map", len(items) // 2)

    def _literal(self, children: list[Any], _: _Scope) -> tuple[int, _Value]:
        source = str(children[0])
        text = _TEXT.fullmatch(source)
        if text is None:
            return 0, _NUMBER if source[:1].isdigit() or source[:1] in ".-" else _NOTHING
        return 0, _Value("text", len(text[3] if text[1] else _ESCAPE.sub("a", text[3])))


def _called(name: str, value: _Value, arguments: list[_Value]) -> tuple[int, _Value]:
    """Returns the cost of a method without its receiver and its arguments, and what is known about its result."""
    size = value.size if value.kind in ("text", "list") else 0
    first = arguments[0].size if arguments and arguments[0].kind == "text" else 0
    if name in ("matches", "find", "findAll"):
        return _tenth(size + 1) * -(-first // 4), _NOTHING
    if name == "contains":
        return _tenth(size) * _tenth(first), _NOTHING
    if name in ("startsWith", "endsWith"):
        return _tenth(first), _NOTHING
    if name in ("lowerAscii", "upperAscii", "substring", "trim"):
        return _tenth(size), _Value("text", size)
    if name == "split":
        return _tenth(2 * size), _Value("list", size if len(arguments) == 1 else 0)
    if name in ("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"):
        return (size if value.kind == "list" and value.schema is not None else _tenth(size)), _NOTHING
    return (1, _NUMBER) if name == "size" else (0, _NOTHING)


def _read_text(schema: Schema, longest: int | None) -> _Value:
    name, enum = schema.get("format"), schema.get("enum")
    if name in _TIMES:
        least, most = _TIMES[str(name)]
        return _Value("", most, least, schema)
    if name == "byte":
        return _Value("", longest if longest is not None else _LONGEST, 2, schema)
    if longest is not None:
        return _Value("text", 4 * longest, 2, schema)
    if enum:
        most = max((len(one.encode()) for one in enum if isinstance(one, str)), default=0)
        return _Value("text", most, 2, schema)
    return _Value("text", _LONGEST, 2, schema)


def _properties(schema: Schema) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = schema.get("properties") or {}
    return {**_EMBEDDED, **properties} if schema.get("x-kubernetes-embedded-resource") else properties


def _most_elements(schema: Schema) -> int | None:
    """Returns by how much a node multiplies the nodes below it; None when nothing bounds that."""
    if schema.get("type") == "array":
        return _number(schema.get("maxItems"))
    if schema.get("type") == "object" and schema.get("additionalProperties") is not None:
        return _number(schema.get("maxProperties"))
    return 1


def _number(value: Any) -> int | None:
    return max(int(value), 0) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _tenth(size: int) -> int:
    return -(-size // 10)


def _arguments(children: list[Any]) -> list[Any]:
    """Returns the expressions of a list of arguments."""
    lists = [child for child in children if hasattr(child, "data")]
    return [item for item in lists[0].children if hasattr(item, "data")] if lists else []


def _only(tree: Any, data: str) -> Any:
    """Returns the node of kind ``data`` if the expression consists of nothing else, and None otherwise."""
    while tree.data != data:
        inner = [child for child in tree.children if hasattr(child, "data")]
        if len(tree.children) != 1 or len(inner) != 1:
            return None
        tree = inner[0]
    return tree


def _variable(tree: Any) -> str | None:
    found = _only(tree, "ident")
    return str(found.children[0]) if found is not None else None


def _unescaped(name: str) -> str:
    """Returns the name of the field that a rule writes as ``name``."""
    if name.startswith("__") and name.endswith("__") and name[2:-2].isalpha() and name != "__underscores__":
        return name[2:-2]
    for written, meant in (("__dot__", "."), ("__dash__", "-"), ("__slash__", "/"), ("__underscores__", "__")):
        name = name.replace(written, meant)
    return name
