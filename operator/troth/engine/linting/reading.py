"""Follows a template's tree without running it: which paths it reads, of which types, and whether they exist.

Every branch is followed with what its test implies: after ``{% if spec.a is defined %}`` the field exists, and nothing
after ``{{ fail(…) }}`` is reached. Macros are followed at each call with its arguments, and partials where they are
included, so a finding is about a place together with a field. Rejected: rendering with objects that record what is
read, which only covers the branches that the example takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from jinja2 import TemplateSyntaxError, nodes

from troth.api.pipelines import SCOPE
from troth.engine.linting.expressions import Expressions
from troth.engine.linting.remarks import Remark
from troth.engine.linting.scope import Macro, Scope, key_of, narrow
from troth.engine.linting.shapes import TEXT, UNKNOWN, Shape, union
from troth.engine.promises.request_paths import Path
from troth.engine.rendering.inputs import path_text
from troth.engine.rendering.templates import Environment

_MOST_STEPS: Final = 150_000
_DEEPEST: Final = 12


class Enough(Exception):
    """A template is too large or too deep to be followed to the end."""


@dataclass(slots=True)
class Usage:
    """What templates read.

    Attributes:
        whole: paths of the request that were used with everything in them.
        touched: paths of the request that were used without what is in them.
        values: names of values.
        partials: names of partials.
    """

    whole: set[Path] = field(default_factory=set)
    touched: set[Path] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    partials: set[str] = field(default_factory=set)

    def add(self, other: Usage) -> None:
        """Adds what another usage has."""
        self.whole |= other.whole
        self.touched |= other.touched
        self.values |= other.values
        self.partials |= other.partials

    def reads(self, path: Path) -> bool:
        """Whether a path was read, or something in it, or something that it is in as a whole."""
        if any(path[: len(whole)] == whole or whole[: len(path)] == path for whole in self.whole):
            return True
        return any(touched[: len(path)] == path for touched in self.touched)


class Reader(Expressions):
    """Reads the templates of one pipeline.

    Args:
        environment: parses the templates.
        partials: the sources of partials by name.
        values: the names of the pipeline's values.
        partial_field: returns the path of a partial's text in the Promise.
        report: is called with each remark.
    """

    def __init__(
        self,
        environment: Environment,
        partials: Mapping[str, str],
        values: Sequence[str],
        partial_field: Callable[[str], str],
        report: Callable[[Remark], None],
    ) -> None:
        self.usage = Usage()
        self._environment = environment
        self._partials = partials
        self._values = frozenset(values)
        self._partial_field = partial_field
        self._report = report
        self._text = ""
        self._lines: list[str] = []
        self._steps = 0
        self._depth = 0
        self._in_macro = 0
        self._trees: dict[str, nodes.Template | None] = {}

    # ---- entry points

    def template(self, source: str, field: str, scope: Scope) -> Shape:
        """Reads a template or a leaf. Returns the shape of a leaf's value, and text for a template."""
        tree = self._parse(source)
        if tree is None:
            return TEXT
        with self._at(field, source):
            body = tree.body
            output = body[0] if len(body) == 1 else None
            if isinstance(output, nodes.Output) and len(output.nodes) == 1:
                only = output.nodes[0]
                if not isinstance(only, nodes.TemplateData):
                    return self.use(only, scope)
            self._body(body, scope)
        return TEXT

    def test(self, source: str, field: str, scope: Scope) -> nodes.Expr | None:
        """Reads a condition. Returns its expression, from which facts about the guarded part follow, or None."""
        self.template(source, field, scope.copy())
        tree = self._parse(source)
        body = tree.body if tree is not None else []
        output = body[0] if len(body) == 1 else None
        if isinstance(output, nodes.Output) and len(output.nodes) == 1:
            only = output.nodes[0]
            return None if isinstance(only, nodes.TemplateData) else only
        return None

    # ---- what expressions need

    def step(self) -> None:
        """Counts one more node that is followed.

        Raises:
            Enough: too many nodes were followed.
        """
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise Enough

    def remark(self, code: str, node: nodes.Node, message: str, fix: str = "", **more: Any) -> None:
        """Reports what is wrong at a node."""
        self._report(Remark(code, self._text, message, fix, node.lineno, self.needle(node), **more))

    def needle(self, node: nodes.Node) -> str:
        """Returns words in the source by which the place of a node can be found, or ""."""
        key = key_of(node)
        line = self._lines[node.lineno - 1] if 0 < node.lineno <= len(self._lines) else ""
        if key is not None:
            for words in (path_text(key), "." + key[-1], key[-1], key[0]):
                if words in line:
                    return words.removeprefix(".") if not line.count(words[1:]) > line.count(words) else words
        return ""

    def mark(self, shape: Shape, *, whole: bool) -> None:
        """Notes that a value is used; ``whole`` with everything in it."""
        (self.usage.whole if whole else self.usage.touched).update(shape.paths)

    def resolve(self, name: str, scope: Scope, node: nodes.Node) -> Shape:
        """Returns the shape of a name's value."""
        if name not in scope.own:
            if name == "values":
                self.usage.values |= self._values
            elif name in self._values:
                self.usage.values.add(name)
        shape = scope.names.get(name)
        if shape is not None:
            return shape
        known = name in scope.macros or name in scope.modules or name in self._environment.globals
        if not known and name not in scope.own and (name in SCOPE or name in self._values):
            self._no_name(name, node)
        return UNKNOWN

    def value_field(self, name: str) -> None:
        """Notes that ``values.name`` is read."""
        self.usage.values.add(name)

    def _no_name(self, name: str, node: nodes.Node) -> None:
        if name in ("item", "index"):
            fix = "it exists in files with forEach only"
        elif self._in_macro or self._depth > 1:
            fix = "import the partial with context, or give the macro what it needs as an argument"
        else:
            fix = "a Promise's own workflow has no request; promise is the whole object"
        self.remark("T109", node, f"there is no {name} here", fix)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Returns a context in which no remarks are reported."""
        report, self._report = self._report, _say_nothing
        try:
            yield
        finally:
            self._report = report

    @property
    def in_macro(self) -> bool:
        """Whether a macro is being followed, whose arguments depend on its callers."""
        return self._in_macro > 0

    def call_macro(self, macro: Macro, call: nodes.Call, scope: Scope) -> Shape:
        """Follows a macro with the arguments of a call."""
        given = [self.expr(argument, scope) for argument in call.args]
        named = {item.key: (self.expr(item.value, scope), item.value) for item in call.kwargs}
        if self._depth >= _DEEPEST:
            message = f"macros call one another more than {_DEEPEST} deep, and are not followed further"
            self.remark("T004", call, message)
        if call.dyn_args is not None or call.dyn_kwargs is not None or self._depth >= _DEEPEST:
            for shape in (*given, *(shape for shape, _ in named.values())):
                self.mark(shape, whole=True)
            return TEXT
        inner = macro.scope.copy(scope.facts & macro.scope.facts if macro.scope.own else scope.facts)
        names = [argument.name for argument in macro.node.args]
        defaults = dict(zip(reversed(names), reversed(macro.node.defaults), strict=False))
        arguments: dict[str, tuple[Shape, nodes.Expr | None]] = {}
        for index, parameter in enumerate(macro.node.args):
            if index < len(given):
                arguments[parameter.name] = (given[index], call.args[index])
            elif parameter.name in named:
                arguments[parameter.name] = named[parameter.name]
            elif parameter.name in defaults:
                with self._at(macro.field, macro.source):
                    arguments[parameter.name] = (self.expr(defaults[parameter.name], macro.scope), None)
            else:
                missing = f"the call does not give {parameter.name}"
                arguments[parameter.name] = (Shape(kinds=frozenset(("null",)), missing=missing), None)
        for name, (shape, expression) in arguments.items():
            key = key_of(expression)
            facts = {(name, *fact[len(key) :]) for fact in scope.facts if key and fact[: len(key)] == key}
            inner.bind(name, shape)
            inner.facts |= frozenset(fact for fact in facts if len(fact) > 1)
        for name in ("caller", "varargs", "kwargs"):
            inner.names.setdefault(name, UNKNOWN)
        for shape in given[len(macro.node.args) :]:
            self.mark(shape, whole=True)
        self._in_macro += 1
        try:
            with self._at(macro.field, macro.source):
                self._body(macro.node.body, inner)
        finally:
            self._in_macro -= 1
        return TEXT

    # ---- statements

    def _body(self, body: Sequence[nodes.Node], scope: Scope) -> bool:
        """Reads statements. Returns True if nothing after them is reached."""
        ended = False
        for node in body:
            self.step()
            ended = self._statement(node, scope) or ended
        return ended

    def _statement(self, node: nodes.Node, scope: Scope) -> bool:
        if isinstance(node, nodes.Output):
            return self._output(node, scope)
        if isinstance(node, nodes.If):
            return self._if(node, scope)
        if isinstance(node, nodes.For):
            self._for(node, scope)
        elif isinstance(node, nodes.Assign):
            self._assign(node.target, self.expr(node.node, scope), scope, node.node)
        elif isinstance(node, nodes.AssignBlock):
            self._body(node.body, scope.copy())
            if node.filter is not None:
                self.expr(node.filter, scope)
            self._assign(node.target, TEXT, scope, None)
        elif isinstance(node, nodes.Macro):
            scope.bind(node.name, UNKNOWN)
            del scope.names[node.name]
            scope.macros[node.name] = Macro(node, self._text, "\n".join(self._lines), scope)
        elif isinstance(node, (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            self._other(node, scope)
        elif isinstance(node, (nodes.Break, nodes.Continue)):
            return True
        else:
            self._rest(node, scope)
        return False

    def _rest(self, node: nodes.Node, scope: Scope) -> None:
        inner = scope.copy()
        if isinstance(node, nodes.With):
            for target, value in zip(node.targets, node.values, strict=True):
                self._assign(target, self.expr(value, scope), inner, value)
            self._body(node.body, inner)
        elif isinstance(node, nodes.CallBlock):
            for argument in node.args:
                inner.bind(argument.name, UNKNOWN)
            self._body(node.body, inner)
            self.use(node.call, scope)
        elif isinstance(node, nodes.FilterBlock):
            self._body(node.body, inner)
            self.expr(node.filter, scope)
        elif isinstance(node, (nodes.Block, nodes.Scope, nodes.ScopedEvalContextModifier)):
            self._body(node.body, inner)
        elif isinstance(node, nodes.ExprStmt):
            self.use(node.node, scope)

    def _output(self, node: nodes.Output, scope: Scope) -> bool:
        ended = False
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                continue
            self.use(child, scope)
            if isinstance(child, nodes.Call) and isinstance(child.node, nodes.Name) and child.node.name == "fail":
                ended = True
        return ended

    def _if(self, node: nodes.If, scope: Scope) -> bool:
        self.enum_branches(node, scope)
        arms: list[tuple[Scope, bool]] = []
        current = scope.copy()
        for branch in (node, *node.elif_):
            asked = self.use(branch.test, current, whole=False)
            inside = current.copy(narrow(branch.test, True, current.origins))
            if self._in_macro and asked.is_false:
                with self.quiet():  # with the arguments of this call, this branch is never taken
                    self._body(branch.body, inside)
                continue
            arms.append((inside, self._body(branch.body, inside)))
            current = current.copy(narrow(branch.test, False, current.origins))
        arms.append((current, self._body(node.else_, current)))
        going = [arm for arm, ended in arms if not ended]
        self._join(scope, going)
        return not going

    def _join(self, scope: Scope, arms: list[Scope]) -> None:
        if not arms:
            return
        scope.facts = frozenset.intersection(*(arm.facts for arm in arms))
        for name in dict.fromkeys(name for arm in arms for name in arm.names):
            shapes = [arm.names[name] for arm in arms if name in arm.names]
            if scope.names.get(name) is not shapes[0] or len({id(shape) for shape in shapes}) > 1:
                scope.names[name] = union(*shapes)
                scope.own.add(name)
                scope.origins.pop(name, None)
        for arm in arms:
            scope.own |= arm.own
            scope.macros = {**arm.macros, **scope.macros}
            scope.modules = {**arm.modules, **scope.modules}

    def _for(self, node: nodes.For, scope: Scope) -> None:
        items = self.use(node.iter, scope, whole=False)
        self.check_iterable(node.iter, items)
        inner = scope.copy()
        inner.names["loop"] = UNKNOWN
        self._assign(node.target, item_of(items), inner, None)
        if node.test is not None:
            self.use(node.test, inner, whole=False)
            inner = inner.copy(narrow(node.test, True, inner.origins))
        self._body(node.body, inner)
        self._body(node.else_, scope.copy())

    def _assign(self, target: nodes.Node, shape: Shape, scope: Scope, value: nodes.Node | None) -> None:
        if isinstance(target, nodes.Name):
            scope.bind(target.name, shape, value)
        elif isinstance(target, nodes.Tuple):
            parts = (
                value.items if isinstance(value, nodes.Tuple) and len(value.items) == len(target.items) else None
            )
            for index, part in enumerate(target.items):
                given = parts[index] if parts else None
                found = self.expr(given, scope) if given is not None else pair_item(shape, index)
                self._assign(part, found, scope, given)
        else:
            self.mark(shape, whole=True)

    # ---- other templates

    def _other(self, node: nodes.Node, scope: Scope) -> None:
        template = getattr(node, "template", None)
        names = _partial_names(template)
        if names is None:
            self.use(template, scope) if isinstance(template, nodes.Expr) else None
            self.usage.partials.update(self._partials)
            return
        for name in names:
            if name not in self._partials:
                continue
            self.usage.partials.add(name)
            with_context = getattr(node, "with_context", True)
            inner = scope.copy() if with_context else Scope({})
            self._partial(name, inner)
            if isinstance(node, nodes.Import):
                scope.bind(node.target, UNKNOWN)
                scope.modules[node.target] = inner
            elif isinstance(node, nodes.FromImport):
                self._take(node, inner, scope)
            break

    def _partial(self, name: str, scope: Scope) -> None:
        if self._depth >= _DEEPEST:
            raise Enough
        tree = self._parse(self._partials[name])
        if tree is not None:
            with self._at(self._partial_field(name), self._partials[name]):
                self._body(tree.body, scope)

    @staticmethod
    def _take(node: nodes.FromImport, inner: Scope, scope: Scope) -> None:
        for entry in node.names:
            name, alias = entry if isinstance(entry, tuple) else (entry, entry)
            macro = inner.macros.get(name)
            scope.bind(alias, inner.names.get(name, UNKNOWN))
            if macro is not None:
                del scope.names[alias]
                scope.macros[alias] = macro

    def _parse(self, source: str) -> nodes.Template | None:
        if "{" not in source:
            return None
        if source not in self._trees:
            try:
                self._trees[source] = self._environment.parse_plain(source)
            except (TemplateSyntaxError, RecursionError):
                self._trees[source] = None  # the check of the whole pipeline reports it
        return self._trees[source]

    @contextmanager
    def _at(self, field: str, source: str) -> Iterator[None]:
        before = self._text, self._lines
        self._text, self._lines = field, source.split("\n")
        self._depth += 1
        try:
            yield
        finally:
            self._text, self._lines = before
            self._depth -= 1


def _say_nothing(remark: Remark) -> None:
    del remark


def item_of(shape: Shape) -> Shape:
    """Returns the shape of the items in a loop over a value."""
    if shape.only("list") and shape.items is not None:
        return shape.items
    if shape.kinds is not None and shape.kinds <= {"map", "text"}:
        return TEXT
    return Shape(paths=shape.paths)


def pair_item(shape: Shape, index: int) -> Shape:
    """Returns the shape of one of several names that a loop or a ``set`` assigns at once."""
    found = shape.fields.get(str(index)) if shape.only("list") else None
    if found is not None:
        return found
    return replace(shape.items, missing="") if shape.only("list") and shape.items else Shape(paths=shape.paths)


def _partial_names(template: Any) -> list[str] | None:
    if isinstance(template, nodes.Const) and isinstance(template.value, str):
        return [template.value]
    if isinstance(template, (nodes.List, nodes.Tuple)):
        found = [item.value for item in template.items if isinstance(item, nodes.Const)]
        return found if len(found) == len(template.items) else None
    return None
