"""The CEL rules of a schema (``x-kubernetes-validations``), evaluated with cel-python.

There are two libraries. cel-python computes the right size of a string, distinguishes its errors and accepts functions
of ours; its ``has()`` and a few functions are corrected here and in `cel_library`. What it cannot evaluate (optional
types, comprehensions with two variables, functions of Kubernetes that nobody wrote for Python) is returned as
`Unchecked`, so that it never counts as checked. Rejected: common-expression-language (Rust). Its size of a string is
the number of bytes, which cannot be corrected, so it would be wrong in silence.

A rule that the API server refuses for its cost is not evaluated at all (`cost`). A rule that it accepts may still run
for minutes here, where a step is a thousand times slower: `steps` ends it, and it counts as unchecked.

Upstream: `pkg/apiserver/schema/cel/validation.go` of k8s.io/apiextensions-apiserver v0.36.3.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import lark
from celpy import celtypes
from celpy.evaluation import (
    Activation,
    CELEvalError,
    CELSyntaxError,
    CELUnsupportedError,
    Evaluator,
    base_functions,
)

from troth.engine.admission.cel_library import FUNCTIONS, UnorderedList, cel_string, is_unknown
from troth.engine.admission.cel_reading import RuleReader, first_line
from troth.engine.admission.cost import EXPRESSION_LIMIT, Reckoning
from troth.engine.admission.refusals import (
    Refusal,
    duplicate,
    forbidden,
    invalid,
    invalid_without_value,
    required,
)
from troth.engine.admission.steps import Allowance, OutOfSteps, Steps
from troth.engine.admission.structure import Schema
from troth.engine.admission.validation import ABSENT, old_items, same

# For a function that looks at characters or items, so many of them count as one step.
_SIZE_OF_A_STEP: Final = 16
_OPERATORS: Final = ("_||_", "_&&_", "_?_:_", "_[_]")
_METERED: Final = (
    "_==_",
    "_!=_",
    "_<_",
    "_<=_",
    "_>_",
    "_>=_",
    "_in_",
    "_+_",
    "contains",
    "startsWith",
    "endsWith",
)

_RESERVED: Final = frozenset(
    (
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    )
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ERRORS: Final = (
    ("IndexError", "index out of bounds"),
    ("ZeroDivisionError", "division by zero"),
    ("invalid literal for int()", "type conversion error from 'string' to 'int'"),
    ("overflow", "integer overflow or invalid argument"),
)
_ESCAPED: Final = re.compile(r"__|[./-]")
_MISSING_KEY: Final = re.compile(
    r"no such (?:member in mapping: \\*'|key\W.{0,60}?StringType\(\W*)([^'\\]*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A rule that could not be evaluated here; only the API server can say whether the object satisfies it.

    Attributes:
        field: where the rule applies.
        rule: the text of the rule.
        cause: why it could not be evaluated.
    """

    field: str
    rule: str
    cause: str

    def __str__(self) -> str:
        return f"{self.field}: the rule {self.rule!r} could not be checked: {self.cause}"


class _Evaluator(Evaluator):
    """cel-python's evaluator with CEL's ``has()``: an error on the way to the last field stays an error."""

    def __init__(self, ast: lark.Tree[Any], activation: Activation, steps: Steps) -> None:
        super().__init__(ast, activation)
        self._steps = steps

    def sub_evaluator(self, ast: lark.Tree[Any]) -> Evaluator:
        return _Evaluator(ast, self.activation, self._steps)

    def visit_children(self, tree: lark.Tree[Any]) -> Any:
        self._steps.take()
        return super().visit_children(tree)

    def function_eval(self, name_token: lark.Token, exprlist: Iterable[Any] | None = None) -> Any:
        # It cannot be among the functions, where `string` is also the type that rules compare with.
        if name_token.value != "string" or isinstance(exprlist, CELEvalError):
            return super().function_eval(name_token, exprlist)
        arguments = list(exprlist or ())
        if len(arguments) != 1 or isinstance(arguments[0], CELEvalError):
            return arguments[0] if arguments else CELEvalError("no matching overload")
        return cel_string(arguments[0])

    def macro_has_eval(self, exprlist: lark.Tree[Any]) -> Any:
        node: Any = exprlist
        while isinstance(node, lark.Tree) and node.data != "member_dot":
            if len(node.children) != 1:
                raise CELSyntaxError("has() takes one field selection")
            node = node.children[0]
        if not isinstance(node, lark.Tree):
            raise CELSyntaxError("has() takes one field selection")
        holder = self.visit(node.children[0])
        if isinstance(holder, CELEvalError):
            return holder
        if not isinstance(holder, Mapping):
            raise CELSyntaxError("has() is asked about something that is not an object")
        name = celtypes.StringType(str(node.children[1]))
        return celtypes.BoolType(name in holder and holder[name] is not None)


class _Rule:
    """One rule, parsed."""

    __slots__ = ("_message", "_problem", "_tree", "definition", "field_path", "source", "uses_old")

    def __init__(self, definition: Schema, schema: Schema, reader: RuleReader) -> None:
        self.definition = definition
        self.source = str(definition.get("rule") or "").strip()
        self.field_path = str(definition.get("fieldPath") or "")
        self._tree, self._problem = reader.read(self.source)
        if self._tree is not None and Reckoning().cost_of(self._tree, schema) > EXPRESSION_LIMIT:
            self._tree, self._problem = None, "it costs more than an API server lets it"
        self.uses_old = bool(re.search(r"\boldSelf\b", self.source))
        expression = str(definition.get("messageExpression") or "").strip()
        self._message = reader.read(expression)[0] if expression else None
        if definition.get("optionalOldSelf"):
            self._tree, self._problem = None, "optionalOldSelf is not supported"

    def holds(self, activation: Activation, context: dict[str, Any], steps: Steps) -> bool | str:
        """Whether the rule holds. A string is the error that ends its evaluation, which refuses the object as well.

        Raises:
            NotImplementedError: it cannot be evaluated here; the error says why.
        """
        if self._tree is None:
            raise NotImplementedError(self._problem)
        try:
            answer: Any = _Evaluator(self._tree, activation, steps).evaluate(context)
        except OutOfSteps:
            raise NotImplementedError("it takes too many steps") from None
        except CELEvalError as error:
            return _cel_error(error)
        except (CELSyntaxError, CELUnsupportedError, RecursionError, TypeError, ValueError, KeyError) as error:
            raise NotImplementedError(first_line(error)) from error
        if not isinstance(answer, celtypes.BoolType):
            raise NotImplementedError("it does not answer with true or false")
        return bool(answer)

    def detail(self, activation: Activation, context: dict[str, Any], steps: Steps) -> str:
        """Returns the message for an object that breaks the rule."""
        if self._message is not None:
            try:
                text: Any = _Evaluator(self._message, activation, steps).evaluate(context)
            except (CELEvalError, CELSyntaxError, CELUnsupportedError, OutOfSteps, RecursionError):
                text = ""
            except (TypeError, ValueError, KeyError):
                text = ""
            if isinstance(text, str) and text.strip() and "\n" not in text.strip():
                return text.strip()
        message = str(self.definition.get("message") or "").strip()
        return message or f"failed rule: {self.source}"

    def name(self) -> str:
        """The name of the rule in errors."""
        return str(self.definition.get("message") or "").strip() or self.source


class Rules:
    """The rules of a node of a schema, and of the nodes below it."""

    __slots__ = (
        "_additional",
        "_all_of",
        "_allowance",
        "_atomic",
        "_items",
        "_list_keys",
        "_properties",
        "_root",
        "_rules",
        "_schema",
    )

    def __init__(
        self,
        schema: Schema,
        *,
        structure: Schema | None = None,
        is_root: bool = False,
        reader: RuleReader | None = None,
    ) -> None:
        reader = reader or RuleReader()
        self._schema = structure if structure is not None else schema
        self._root = is_root or bool(self._schema.get("x-kubernetes-embedded-resource"))
        self._rules = tuple(
            _Rule(rule, self._schema, reader) for rule in schema.get("x-kubernetes-validations") or ()
        )
        self._allowance = Allowance()
        known: Schema = self._schema.get("properties") or {}
        below = {
            name: Rules(item, structure=known[name], reader=reader)
            for name, item in (schema.get("properties") or {}).items()
            if name in known
        }
        self._properties = {name: rules for name, rules in below.items() if rules}
        self._additional = _below(schema, self._schema, "additionalProperties", reader)
        self._items = _below(schema, self._schema, "items", reader)
        nested = (
            Rules(item, structure=self._schema, is_root=is_root, reader=reader)
            for item in schema.get("allOf") or ()
        )
        self._all_of = tuple(rules for rules in nested if rules)
        self._atomic = self._schema.get("x-kubernetes-map-type") == "atomic"
        self._list_keys: tuple[str, ...] = (
            tuple(self._schema.get("x-kubernetes-list-map-keys") or ())
            if self._schema.get("x-kubernetes-list-type") == "map"
            else ()
        )

    def __bool__(self) -> bool:
        return bool(self._rules or self._properties or self._additional or self._items or self._all_of)

    def check(
        self, value: Any, old: Any = ABSENT, allowance: Allowance | None = None
    ) -> tuple[list[Refusal], list[Unchecked]]:
        """Returns the refusals of a whole object by the rules, and the rules that could not be evaluated.

        Args:
            value: the object to check.
            old: the existing object; `ABSENT` if there is none.
            allowance: the steps for all objects that are judged together; None for the one of these rules.
        """
        allowance = allowance or self._allowance
        walk = _Walk(Steps(allowance.steps))
        self.visit_value(value, "", old, unchanged=False, walk=walk)
        allowance.settle(walk.steps)
        return walk.refusals, walk.unchecked

    def visit_value(self, value: Any, path: str, old: Any, *, unchanged: bool, walk: _Walk) -> None:
        """Evaluates the rules of this node, then those below it, and adds the results to ``walk``.

        ``unchanged``: whether the value is part of something that an update leaves as it was.
        """
        if value is None:
            return
        unchanged = same(value, old) if old is not ABSENT else unchanged
        if self._rules:
            self._evaluate(value, path, old, unchanged=unchanged, walk=walk)
        for rules in self._all_of:
            rules.visit_value(value, path, old, unchanged=False, walk=walk)
        if isinstance(value, dict):
            before = old if isinstance(old, dict) and not self._atomic else {}
            for name, item in value.items():
                below, where = self._properties.get(name), f"{path}.{name}" if path else name
                if below is None and name not in (self._schema.get("properties") or {}):
                    below, where = self._additional, f"{path}[{name}]"
                if below is not None:
                    below.visit_value(item, where, before.get(name, ABSENT), unchanged=unchanged, walk=walk)
        elif isinstance(value, list) and self._items is not None:
            find = old_items(old, self._list_keys)
            for index, item in enumerate(value):
                known = find(item) if find is not None else ABSENT
                self._items.visit_value(item, f"{path}[{index}]", known, unchanged=unchanged, walk=walk)

    def _evaluate(self, value: Any, path: str, old: Any, *, unchanged: bool, walk: _Walk) -> None:
        has_old = old is not ABSENT and old is not None
        context: dict[str, Any] = {"self": cel_value(value, self._schema, is_root=self._root)}
        if has_old and any(rule.uses_old for rule in self._rules):
            context["oldSelf"] = cel_value(old, self._schema, is_root=self._root)
        for rule in self._rules:
            if not rule.source:
                continue
            if rule.uses_old and not has_old and not rule.definition.get("optionalOldSelf"):
                continue  # a transition rule has nothing to compare with when the value is new
            try:
                answer = rule.holds(walk.activation, context, walk.steps)
            except NotImplementedError as error:
                walk.unchecked.append(Unchecked(path, rule.source, str(error)))
                continue
            if answer is True or (answer is False and unchanged and not rule.uses_old):
                continue
            if isinstance(answer, str):
                kind = str(self._schema.get("type") or "")
                walk.refusals.append(invalid(path, kind, f"{answer} evaluating rule: {rule.name()}"))
                continue
            walk.refusals.append(_refusal(path, value, rule, rule.detail(walk.activation, context, walk.steps)))


@dataclass(slots=True)
class _Walk:
    activation: Activation
    steps: Steps
    refusals: list[Refusal]
    unchecked: list[Unchecked]

    def __init__(self, steps: Steps) -> None:
        self.activation = Activation(functions=_metered(steps))
        self.steps = steps
        self.refusals = []
        self.unchecked = []


def _metered(steps: Steps) -> dict[str, Callable[..., Any]]:
    """Returns the functions of rules; those whose time and memory depend on their arguments take steps for that."""
    known = {**{name: base_functions[name] for name in _METERED}, **FUNCTIONS}
    return {
        name: function if name in _OPERATORS else _meter(function, name, steps) for name, function in known.items()
    }


def _meter(function: Callable[..., Any], name: str, steps: Steps) -> Callable[..., Any]:
    multiplies = name in ("replace", "join")

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        sizes = [len(one) if isinstance(one, str | bytes | list | dict) else 0 for one in arguments]
        most = max(sizes, default=0)
        if most > _SIZE_OF_A_STEP:
            each = multiplies or isinstance(arguments[0], UnorderedList)
            steps.take(most * (max(1, *sizes[1:]) if each and len(sizes) > 1 else 1) // _SIZE_OF_A_STEP)
        return function(*arguments)

    return call


def cel_value(value: Any, schema: Schema | None, *, is_root: bool = False) -> Any:
    """Returns a value as the rules see it: typed by its schema, without unknown fields."""
    schema = schema or {}
    kind = type(value)
    if value is None:
        return None
    if kind is bool:
        return celtypes.BoolType(value)
    if kind is str:
        return _text(value, "" if schema.get("x-kubernetes-int-or-string") else str(schema.get("format") or ""))
    if kind is int:
        return celtypes.DoubleType(value) if schema.get("type") == "number" else celtypes.IntType(value)
    if kind is float:
        return celtypes.IntType(int(value)) if schema.get("type") == "integer" else celtypes.DoubleType(value)
    if kind is list:
        items = schema.get("items")
        values = [cel_value(item, items) for item in value]
        if schema.get("x-kubernetes-list-type") in ("set", "map"):
            unordered = UnorderedList(values)
            unordered.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
            return unordered
        return celtypes.ListType(values)
    return _object(value, schema, is_root=is_root)


def _object(value: Mapping[str, Any], schema: Schema, *, is_root: bool) -> celtypes.MapType:
    properties: dict[str, Any] = dict(schema.get("properties") or {})
    additional = schema.get("additionalProperties")
    if is_root or schema.get("x-kubernetes-embedded-resource"):
        text = {"type": "string"}
        properties |= {
            "apiVersion": text,
            "kind": text,
            "metadata": {"type": "object", "properties": {"name": text, "generateName": text}},
        }
    found: dict[Any, Any] = {}
    for name, item in value.items():
        if name in properties:
            escaped = escaped_name(name)
            if escaped is not None:
                found[celtypes.StringType(escaped)] = cel_value(item, properties[name])
        elif isinstance(additional, Mapping) and not properties:
            found[celtypes.StringType(name)] = cel_value(item, additional)
    return celtypes.MapType(found)


def escaped_name(name: str) -> str | None:
    """Returns the name of a field as rules write it; None when rules cannot refer to such a name."""
    if name in _RESERVED:
        return f"__{name}__"
    escaped = _ESCAPED.sub(lambda match: _ESCAPES[match[0]], name)
    return escaped if _IDENTIFIER.fullmatch(escaped) else None


def _text(value: str, format_name: str) -> Any:
    try:
        if format_name in ("date-time", "datetime"):
            return celtypes.TimestampType(value)
        if format_name == "date":
            return celtypes.TimestampType(f"{value}T00:00:00Z")
        if format_name == "duration":
            return celtypes.DurationType(value)
        if format_name == "byte":
            return celtypes.BytesType(base64.b64decode(value))
    except (ValueError, TypeError):
        return CELEvalError("no matching overload")
    return celtypes.StringType(value)


def _below(schema: Schema, structure: Schema, name: str, reader: RuleReader) -> Rules | None:
    inner, outer = schema.get(name), structure.get(name)
    if not isinstance(inner, Mapping) or not isinstance(outer, Mapping):
        return None
    return Rules(inner, structure=outer, reader=reader) or None


def _cel_error(error: CELEvalError) -> str:
    """Returns CEL's name for an error of a rule.

    Raises:
        NotImplementedError: the evaluator lacks something, so the error is not one of the rule.
    """
    text = str(error.args)
    if is_unknown(error):
        raise NotImplementedError(_unknown(text))
    missing = _MISSING_KEY.search(text)
    if missing:
        return f"no such key: {missing[1]}"
    for sign, name in _ERRORS:
        if sign in text:
            return name
    raise NotImplementedError(first_line(error))


def _unknown(text: str) -> str:
    undeclared = re.search(r"undeclared reference to \W*(\w+)", text)
    if undeclared:
        return f"{undeclared[1]} is not known here"
    return "it compares or combines types that cel-python does not"


def _refusal(path: str, value: Any, rule: _Rule, detail: str) -> Refusal:
    field = path + rule.field_path if path else rule.field_path.lstrip(".")
    reason = rule.definition.get("reason")
    if reason == "FieldValueForbidden":
        return forbidden(field, detail)
    if reason == "FieldValueRequired":
        return required(field, detail)
    if reason == "FieldValueDuplicate":
        return duplicate(field, value)
    if isinstance(value, dict | list):
        return invalid_without_value(field, detail)
    return invalid(field, value, detail)
