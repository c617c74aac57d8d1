"""Finds the lines and branches of a template, and records which of them a rendering reached.

Jinja's tree is instrumented, instead of tracing the interpreter: a trace has the lines of the generated Python, of
which one line of a template has many, and a missing else of an ``{% if %}`` has none. `CoveringEnvironment` compiles
the same sources with numbered points in them; the operator's own environment does not know about this, and is not
slowed down. The numbers follow from the source alone, so the hits of another process can be read without a map.

These count as branches: both outcomes of each ``if``, ``elif`` and inline ``a if b else c`` (also without an else,
which is the branch that people forget), the body of a loop, the ``else`` of a loop, the body of a macro, and outside
the templates both outcomes of ``when`` and of ``control.suspend`` and the items of ``forEach``. ``and``, ``or`` and
``default`` do not count: lint checks the paths that they read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from jinja2 import nodes
from jinja2.compiler import Frame
from jinja2.visitor import NodeVisitor

from troth.api.pipelines import JinjaPipeline
from troth.engine.rendering.templates import BoundTemplate, DoesNotCompile, Environment, Generator
from troth.engine.rendering.values import Tokens

TRUE: Final = -1
FALSE: Final = -2
"""The points for a leaf's value: the outcome of a condition, or whether a ``forEach`` had items."""

Hit = tuple[str, str, int]
"""A point that was reached: the pipeline, the place in its spec (``files[0].template``), and the point's number."""

_OPENERS: Final = ("{{", "{%")
_CONSTANT: Final = ("{{ true }}", "{{ false }}")
_LONGEST_WORDS: Final = 60
_DEEPEST: Final = 50
_BODIES: Final = ("body", "else_", "elif_")
_OPERATORS: Final[Mapping[str, str]] = {
    "eq": "==",
    "ne": "!=",
    "gt": ">",
    "gteq": ">=",
    "lt": "<",
    "lteq": "<=",
    "in": "in",
    "notin": "not in",
}


@dataclass(frozen=True, slots=True)
class Branch:
    """A way that a template can take.

    Attributes:
        line: its line in the template, from 1.
        words: a description, such as ``the loop body``.
        point: the point that is reached when the branch is taken.
    """

    line: int
    words: str
    point: int


@dataclass(frozen=True, slots=True)
class Outline:
    """What one template has to cover: its branches, and its lines, each with points of which one must be reached."""

    lines: Mapping[int, tuple[int, ...]]
    branches: tuple[Branch, ...]


class Recorder:
    """Records the points that are reached. It must be told the pipeline before each one is rendered."""

    def __init__(self) -> None:
        self.pipeline = ""
        self._hits: set[Hit] = set()
        self._told: set[Hit] = set()

    def add(self, place: str, point: int) -> None:
        """Records that a point was reached."""
        self._hits.add((self.pipeline, place, point))

    def take(self) -> list[Hit]:
        """Returns the points that were reached since the last call."""
        new = sorted(self._hits - self._told)
        self._told |= self._hits
        return new


class _Generator(Generator):
    """Generates code for the points that `_Instrumenting` added as ExprStmt, which the language does not use."""

    def visit_ExprStmt(self, node: nodes.ExprStmt, frame: Frame) -> None:  # noqa: ARG002, N802 - Jinja's name
        self.writeline(f"reached({cast('nodes.Const', node.node).value})", node)

    def visit_Not(self, node: nodes.UnaryExpr, frame: Frame) -> None:  # noqa: N802
        points = getattr(node, "points", None)
        if points is None:
            super().visit_Not(node, frame)
            return
        self.write(f"tested({points[0]}, {points[1]}, ")
        self.visit(node.node, frame)
        self.write(")")


class CoveringEnvironment(Environment):
    """An environment whose renderings record what they reach."""

    code_generator_class = _Generator

    recorder: Recorder

    def __init__(self) -> None:
        super().__init__()
        self.recorder = Recorder()

    def outline(self, source: str) -> Outline:
        """Returns what a template has to cover; an empty outline when it does not compile."""
        try:
            self.for_render(Tokens("0", most=1), {}).bind(source, "")
        except DoesNotCompile:
            return Outline({}, ())
        tree = super()._parse(source, None, None)
        return _Instrumenting(self).instrument(tree)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        if not self.traced:
            _Instrumenting(self).instrument(tree)
        return tree

    def bind(self, source: str, display: str) -> BoundTemplate:
        """Compiles a template. Until `watch` is called for it, nothing is recorded, for example during a diagnosis."""
        template = super().bind(source, display)
        self._connect(template, lambda point: None)  # noqa: ARG005 - a stand-in
        return template

    def watch(self, template: BoundTemplate, place: str) -> None:
        """Records from now on what a template reaches, for a place in the pipeline's spec."""
        recorder = self.recorder
        self._connect(template, lambda point: recorder.add(place, point))

    def decided(self, place: str, outcome: bool) -> None:
        """Records the outcome of a condition, or whether there were items."""
        self.recorder.add(place, TRUE if outcome else FALSE)

    @staticmethod
    def _connect(template: BoundTemplate, reached: Callable[[int], None]) -> None:
        def tested(yes: int, no: int, value: Any) -> bool:
            outcome = bool(value)
            reached(yes if outcome else no)
            return outcome

        names = template.root_render_func.__globals__
        names["reached"], names["tested"] = reached, tested


def watched_sources(pipeline: JinjaPipeline) -> Iterator[tuple[str, str]]:
    """Yields each text of a pipeline that can be covered: its place in the spec, and its source."""
    for name, source in pipeline.partials.items():
        yield f"partials.{name}", source
    for name, value in pipeline.values.items():
        yield from _leaves(value, f"values.{name}")
    for index, file in enumerate(pipeline.files):
        if file.for_each is not None:
            yield f"files[{index}].forEach", file.for_each
        if file.when is not None:
            yield f"files[{index}].when", file.when
        if any(opener in file.path for opener in _OPENERS):
            yield f"files[{index}].path", file.path
        yield f"files[{index}].template", file.template
    for index, rule in enumerate(pipeline.destinations):
        yield from _leaves(rule.directory, f"destinations[{index}].directory")
        yield from _leaves(rule.match_labels, f"destinations[{index}].matchLabels")
    for index, move in enumerate(pipeline.moved):
        for name, leaf in (("kind", move.kind), ("from", move.old), ("to", move.new)):
            yield from _leaves(leaf, f"moved[{index}].{name}")
    for name, value in pipeline.status.items():
        yield from _leaves(value, f"status.{name}")
    for name, value in pipeline.control.items():
        yield from _leaves(value, f"control.{name}")


def decisions_of(pipeline: JinjaPipeline) -> Iterator[tuple[str, Branch]]:
    """Yields the branches of a pipeline outside its templates, with their places. Their line is always 1."""
    for index, file in enumerate(pipeline.files):
        if file.for_each is not None:
            yield f"files[{index}].forEach", Branch(1, "an item of forEach", TRUE)
        if file.when is not None and file.when not in _CONSTANT:
            yield from _both(f"files[{index}].when", "when")
    suspend = pipeline.control.get("suspend")
    if isinstance(suspend, str) and any(opener in suspend for opener in _OPENERS):
        yield from _both("control.suspend", "suspend")


def _both(place: str, name: str) -> Iterator[tuple[str, Branch]]:
    yield place, Branch(1, f"{name} is true", TRUE)
    yield place, Branch(1, f"{name} is false", FALSE)


def _leaves(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yields the leaves with expressions, with the same names as in a rendering. Others are not evaluated."""
    if isinstance(value, str):
        if any(opener in value for opener in _OPENERS):
            yield where, value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _leaves(child, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from _leaves(child, f"{where}[{index}]")


class _Instrumenting(NodeVisitor):
    """Adds points to a tree: one before each statement, and one for each outcome of a condition."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._next = 0
        self._lines: dict[int, list[int]] = {}
        self._branches: list[Branch] = []

    def instrument(self, tree: nodes.Template) -> Outline:
        """Changes the tree, and returns what can be reached in it."""
        tree.body = self._body(tree.body)
        tree.set_environment(self._environment)
        lines = {line: tuple(points) for line, points in sorted(self._lines.items())}
        return Outline(lines, tuple(sorted(self._branches, key=lambda branch: (branch.line, branch.point))))

    # ---- statements

    def _body(self, body: Sequence[nodes.Node], first: nodes.Node | None = None) -> list[nodes.Node]:
        found: list[nodes.Node] = [first] if first is not None else []
        for node in body:
            if isinstance(node, nodes.Output):
                found.extend(self._output(node))
                continue
            header = () if isinstance(node, nodes.If) else _header(node)
            if header:
                found.append(self._marker(header))
            self.visit(node)
            found.append(node)
        return found

    def _output(self, output: nodes.Output) -> Iterator[nodes.Node]:
        """Yields an output for each part that begins a line, so that parts after a failure do not count as covered."""
        marked: set[int] = set()
        parts: list[nodes.Expr] = []
        for child in output.nodes:
            lines = (
                _text_lines(child)
                if isinstance(child, nodes.TemplateData)
                else _span(child, child.lineno or output.lineno)
            )
            if not set(lines) <= marked:
                if parts:
                    yield nodes.Output(parts, lineno=parts[0].lineno or output.lineno)
                parts = []
                marked.update(lines)
                yield self._marker(lines)
            self.visit(child)
            parts.append(child)
        if parts:
            yield nodes.Output(parts, lineno=parts[0].lineno or output.lineno)

    def visit_If(self, node: nodes.If) -> None:  # noqa: N802 - Jinja's name
        for part in (node, *node.elif_):
            words = _shortened(part.test)
            lines = _span(part.test, part.lineno)
            self.visit(part.test)
            part.test, yes, no = self._tested(part.test, part.lineno)
            for line in lines:
                self._lines.setdefault(line, []).extend((yes, no))
            self._branches.append(Branch(part.lineno, f"the body of if {words}", yes))
            part.body = self._body(part.body)
        self._branches.append(Branch(part.lineno, f"else of if {words}", no))
        node.else_ = self._body(node.else_)

    def visit_For(self, node: nodes.For) -> None:  # noqa: N802
        self.visit(node.iter)
        if node.test is not None:
            self.visit(node.test)
        node.body = self._body(node.body, self._branch(node, "the loop body"))
        if node.else_:
            node.else_ = self._body(node.else_, self._branch(node, "the else of the loop"))

    def visit_Macro(self, node: nodes.Macro) -> None:  # noqa: N802
        for default in node.defaults:
            self.visit(default)
        node.body = self._body(node.body, self._branch(node, f"the macro {node.name}"))

    def visit_CallBlock(self, node: nodes.CallBlock) -> None:  # noqa: N802
        self.visit(node.call)
        for default in node.defaults:
            self.visit(default)
        node.body = self._body(node.body, self._branch(node, "the body of the call"))

    def visit_CondExpr(self, node: nodes.CondExpr) -> None:  # noqa: N802
        words = _shortened(node.test)
        self.generic_visit(node)
        node.test, yes, no = self._tested(node.test, node.lineno)
        self._branches.append(Branch(node.lineno, f"the value if {words}", yes))
        self._branches.append(Branch(node.lineno, f"the value unless {words}", no))

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> None:
        """Handles any other node with a body, such as a block."""
        for name, value in node.iter_fields():
            if name == "body" and isinstance(value, list):
                node.body = self._body(value)  # type: ignore[attr-defined]
            else:
                for child in value if isinstance(value, list) else (value,):
                    if isinstance(child, nodes.Node):
                        self.visit(child, *args, **kwargs)

    # ---- points

    def _point(self) -> int:
        self._next += 1
        return self._next - 1

    def _marker(self, lines: Sequence[int]) -> nodes.ExprStmt:
        point = self._point()
        for line in lines:
            self._lines.setdefault(line, []).append(point)
        return _statement(point, lines[0])

    def _branch(self, node: nodes.Stmt, words: str) -> nodes.ExprStmt:
        point = self._point()
        self._branches.append(Branch(node.lineno, words, point))
        return _statement(point, node.lineno)

    def _tested(self, test: nodes.Node, line: int) -> tuple[nodes.Expr, int, int]:
        yes, no = self._point(), self._point()
        wrapped = nodes.Not(cast("nodes.Expr", test), lineno=line)
        wrapped.points = (yes, no)  # type: ignore[attr-defined]
        return wrapped, yes, no


def _statement(point: int, line: int) -> nodes.ExprStmt:
    return nodes.ExprStmt(nodes.Const(point, lineno=line), lineno=line)


def _header(node: nodes.Node) -> list[int]:
    """Returns the lines of a statement without those of its bodies."""
    found: set[int] = {node.lineno}
    for name, value in node.iter_fields():
        if name in _BODIES:
            continue
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, nodes.Node):
                found.update(_span(child, node.lineno))
    return list(range(min(found), max(found) + 1))


def _span(node: nodes.Node, line: int) -> list[int]:
    """Returns the lines of an expression, from ``line`` on, where it or its statement begins."""
    found: set[int] = {line, *(child.lineno for child in (node, *node.find_all(nodes.Node)) if child.lineno)}
    return list(range(min(found), max(found) + 1))


def _text_lines(data: nodes.TemplateData) -> list[int]:
    """Returns the lines of a text that are not blank."""
    return [data.lineno + offset for offset, line in enumerate(data.data.split("\n")) if line.strip()]


def _shortened(node: nodes.Node) -> str:
    words = _words(node)
    return words if len(words) <= _LONGEST_WORDS else f"{words[: _LONGEST_WORDS - 1]}…"


def _words(node: Any, depth: int = 0) -> str:
    """Returns an expression almost as it was written."""
    if depth > _DEEPEST:
        return "…"

    def of(child: Any) -> str:
        return _words(child, depth + 1)

    match node:
        case nodes.Name():
            return str(node.name)
        case nodes.Const():
            return _constant(node.value)
        case nodes.Getattr():
            return f"{of(node.node)}.{node.attr.removeprefix('@')}"
        case nodes.Getitem():
            return f"{of(node.node)}[{of(node.arg)}]"
        case nodes.Compare():
            return " ".join((of(node.expr), *(f"{_OPERATORS[part.op]} {of(part.expr)}" for part in node.ops)))
        case nodes.Not():
            return f"not {of(node.node)}"
        case nodes.Neg():
            return f"-{of(node.node)}"
        case nodes.And() | nodes.Or():
            return f"{of(node.left)} {'and' if isinstance(node, nodes.And) else 'or'} {of(node.right)}"
        case nodes.BinExpr():
            return f"{of(node.left)} {node.operator} {of(node.right)}"
        case nodes.Filter() | nodes.Test():
            sign = "|" if isinstance(node, nodes.Filter) else "is"
            given = f"({', '.join(of(argument) for argument in node.args)})" if node.args else ""
            return f"{of(node.node) if node.node is not None else ''} {sign} {node.name}{given}"
        case nodes.Call():
            return f"{of(node.node)}({', '.join(of(argument) for argument in node.args)})"
        case nodes.List() | nodes.Tuple():
            return f"[{', '.join(of(item) for item in node.items)}]"
    return "…"


def _constant(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
