"""Jinja as Troth uses it: sandboxed, strict, on plain data, with `Tokens` instead of escaping.

The differences from a plain `ImmutableSandboxedEnvironment`, and the reasons:

* There is one environment for each rendering. It is a shallow copy with the rendering's tokens and partials, so nothing
  is global; compiled code is shared between renderings (`CodeCache`) and bound to the copy by running it.
* ``spec.items`` is the field ``items`` of the data, never a method of dict; ``spec.items()`` is the method. They are
  distinguished in the parser's tree (`_mark_methods`).
* Fields of a missing field may be read (``spec.a.b | default(1)``), but never used.
* Everything that a template captures is a `Text`, and everything in the output passes through `finalize`, including the
  results of filter and call blocks. Jinja prints those as they are, which would let a value through.
* Nothing is evaluated while compiling, so the cost of compiling only depends on the length of the source.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from types import CodeType
from typing import Any, Final, cast

from jinja2 import (
    StrictUndefined,
    Template,
    TemplateNotFound,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
    nodes,
)
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import TemplateAssertionError
from jinja2.nodes import EvalContextModifier
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, missing, pass_context
from jinja2.visitor import NodeTransformer, NodeVisitor
from markupsafe import Markup

from troth.engine.rendering.filters import allowed_filters, allowed_tests, fail
from troth.engine.rendering.functions import TemplateFunction
from troth.engine.rendering.suggestions import hint_for
from troth.engine.rendering.values import NoValue, Oversized, Tokens, plain_value
from troth.engine.yaml.emit import text_of

_METHOD: Final = "@"
_DICT_METHODS: Final = frozenset(("items", "keys", "values", "get"))
_DATA: Final = (dict, str, list, int, float, bool, type(None), tuple)
_LONGEST_PRODUCT: Final = 2 * 1024 * 1024
_MOST_BITS: Final = 4096
_MOST_ITERATIONS: Final = 100_000

TRACE_OPEN: Final = "\ue002"
TRACE_CLOSE: Final = "\ue003"


class MissingValue(UndefinedError):
    """Something is used that does not exist.

    Attributes:
        missing: what was looked up, and in which object.
    """

    def __init__(self, message: str | None, missing: Missing) -> None:
        super().__init__(message)
        self.missing = missing


class DoesNotCompile(Exception):
    """A source is not a valid template.

    Attributes:
        error: Jinja's error, which knows the line.
        display: the name of the template in errors.
        source: the source of the template.
    """

    def __init__(self, error: TemplateSyntaxError, display: str, source: str) -> None:
        super().__init__(error.message)
        self.error = error
        self.display = display
        self.source = source


class Missing(StrictUndefined):
    """A name or a field that does not exist. It may be tested and have a default; using it raises an error."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[Exception] = UndefinedError,
    ) -> None:
        super().__init__(hint, obj, name, exc)  # type: ignore[arg-type]
        if exc is UndefinedError:
            self._undefined_exception = self._raise  # type: ignore[assignment]

    def _raise(self, message: str | None) -> MissingValue:
        return MissingValue(message, self)

    @property
    def owner(self) -> Any:
        """The object in which the name was looked up."""
        return self._undefined_obj

    @property
    def wanted(self) -> Any:
        """The name, key or index; None for an item of a list that is empty."""
        return self._undefined_name

    @property
    def told(self) -> str:
        """Jinja's message for what it found missing itself, such as the first item of an empty list; or ""."""
        return self._undefined_hint or ""


class NamespaceName(str):
    """The namespace of a request, which is also Jinja's function ``namespace()``, since both have that name."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Namespace:
        """Returns a namespace object of Jinja's."""
        return Namespace(*args, **kwargs)


class BoundTemplate(Template):
    """A template of one rendering, with its name in errors."""

    display: str
    source: str


class CodeCache:
    """A cache of compiled templates by their source, which drops the least recently used ones.

    Args:
        most: how many templates, and how many characters of source, are kept.
    """

    def __init__(self, *, most: int = 512, most_characters: int = 4 * 1024 * 1024) -> None:
        self._codes: OrderedDict[str, CodeType] = OrderedDict()
        self._names: dict[str, frozenset[str]] = {}
        self._most = most
        self._most_characters = most_characters
        self._characters = 0

    def get(self, source: str, *, make: Callable[[], CodeType]) -> CodeType:
        """Returns the code of a source, which is compiled if it is not in the cache."""
        code = self._codes.get(source)
        if code is not None:
            self._codes.move_to_end(source)
            return code
        code = make()
        self._codes[source] = code
        self._characters += len(source)
        while self._codes and (len(self._codes) > self._most or self._characters > self._most_characters):
            dropped, _ = self._codes.popitem(last=False)
            self._characters -= len(dropped)
        return code

    def names(self, source: str, *, make: Callable[[], frozenset[str]]) -> frozenset[str]:
        """Returns the names that a source reads, which are determined if they are not in the cache."""
        found = self._names.get(source)
        if found is None:
            if len(self._names) >= self._most:
                self._names.clear()
            found = self._names[source] = make()
        return found


class Generator(CodeGenerator):
    """Passes the results of call blocks, filter blocks and recursive loops through `finalize` as well."""

    def start_write(self, frame: Frame, node: nodes.Node | None = None) -> None:
        """Begins an output that passes through `finalize`."""
        super().start_write(frame, node)
        self.write("environment.finalize(context, ")

    def end_write(self, frame: Frame) -> None:
        """Ends an output."""
        self.write(")")
        super().end_write(frame)

    def simple_write(self, s: str, frame: Frame, node: nodes.Node | None = None) -> None:
        """Outputs something that is a text already."""
        super().start_write(frame, node)
        self.write(s)
        super().end_write(frame)


@pass_context
def _never(context: object, value: object) -> str:  # noqa: ARG001 - a stand-in for the signature of finalize
    raise AssertionError("a template runs in an environment of its own render")


def _as_is(value: Any) -> Any:
    return value


def _join(parts: Iterable[Any]) -> str:
    """The operator ``~``, which gives a text and never markup."""
    return "".join(part if isinstance(part, str) else text_of(plain_value(part)) for part in parts)


def _range(*bounds: int) -> range:
    result = range(*bounds)
    if len(result) > _MOST_ITERATIONS:
        raise Oversized(f"range gives more than {_MOST_ITERATIONS} numbers")
    return result


class Environment(ImmutableSandboxedEnvironment):
    """The environment that compiles templates; `for_render` returns the ones that run them."""

    code_generator_class = Generator
    template_class = BoundTemplate
    intercepted_binops = frozenset(("*", "**", "-"))

    tokens: Tokens
    partials: Mapping[str, str]
    codes: CodeCache
    traced: bool

    def __init__(self, codes: CodeCache | None = None) -> None:
        super().__init__(
            autoescape=True,
            undefined=Missing,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            optimized=False,
            finalize=_never,
            cache_size=0,
            extensions=("jinja2.ext.loopcontrols",),
        )
        self.filters = cast("Any", allowed_filters())
        self.tests = cast("Any", allowed_tests())
        functions: dict[str, Callable[..., Any]] = {
            "range": _range,
            "dict": dict,
            "namespace": Namespace,
            "fail": fail,
        }
        self.globals = {name: TemplateFunction(name, function) for name, function in functions.items()}
        self.partials = {}
        self.codes = codes if codes is not None else CodeCache()
        self.traced = False

    # ---- one render

    def for_render(self, tokens: Tokens, partials: Mapping[str, str], *, traced: bool = False) -> Environment:
        """Returns an environment for one rendering, with the same language and its own values.

        Args:
            tokens: the store for the rendering's values.
            partials: sources for include, import and extends.
            traced: whether to mark each line of the output with the line of the template that wrote it (`TRACE_OPEN`).
        """
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.tokens = tokens
        copy.partials = partials
        copy.traced = traced
        copy.finalize = tokens.finalize
        return copy

    def bind(self, source: str, display: str) -> BoundTemplate:
        """Returns a template of this rendering.

        Raises:
            DoesNotCompile: the source is not a valid template.
        """
        try:
            if self.traced:  # its code contains the name of its file, so it cannot be shared
                code = self.compile(source, name=display)
            else:
                code = self.codes.get(source, make=lambda: self.compile(source, name=None))
        except TemplateSyntaxError as error:
            raise DoesNotCompile(error, display, source) from None
        except (RecursionError, SyntaxError):
            too_deep = TemplateSyntaxError("nested too deeply", 1)
            raise DoesNotCompile(too_deep, display, source) from None
        template = BoundTemplate.from_code(self, code, self.globals)
        assert isinstance(template, BoundTemplate)  # noqa: S101 - what from_code cannot say in its type
        template.display = display
        template.source = source
        names = template.root_render_func.__globals__
        names["Markup"] = self.tokens.capture
        names["escape"] = _as_is
        names["str_join"] = names["markup_join"] = _join
        return template

    def _load_template(self, name: Any, globals: MutableMapping[str, Any] | None) -> Template:  # noqa: A002, ARG002
        source = self.partials.get(name)
        if source is None:
            raise TemplateNotFound(str(name))
        template = self.bind(source, f"partials.{name}")
        self.watch(template, f"partials.{name}")
        return template

    # ---- hooks for coverage (`troth.engine.rendering.coverage`)

    def watch(self, template: BoundTemplate, place: str) -> None:
        """Called for each template of a pipeline before it runs; ``place`` is its field in the pipeline's spec."""

    def decided(self, place: str, outcome: bool) -> None:
        """Called with the outcome of a condition, and with whether a ``forEach`` had items."""

    # ---- compiling

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _Checks(self).visit(tree)
        tree = cast("nodes.Template", _FilteredBlocks().visit(tree))
        _mark_methods(tree)
        if self.traced:
            _mark_lines(tree, name or "")
        return tree

    def names_in(self, source: str) -> frozenset[str]:
        """Returns the names that a template may read (``x`` for ``values.x``). Empty when it does not compile."""
        return self.codes.names(source, make=lambda: self._names_in(source))

    def _names_in(self, source: str) -> frozenset[str]:
        try:
            tree = self.parse_plain(source)
        except TemplateSyntaxError:
            return frozenset()  # the rendering reports it
        fields = [
            node
            for node in tree.find_all(nodes.Getattr)
            if _is_values(node.node) and node.attr not in _DICT_METHODS
        ]
        names = [node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"]
        for _ in fields:
            names.remove("values")
        return frozenset((*names, *(node.attr for node in fields)))

    def parse_plain(self, source: str) -> nodes.Template:
        """Returns the tree of a template as Jinja parses it, to inspect its expressions."""
        return super()._parse(source, None, None)

    # ---- running

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Evaluates ``obj.attribute``, which for data is a field, or a method if the name is marked as a call."""
        method = attribute[0] == _METHOD
        name = attribute[1:] if method else attribute
        if isinstance(obj, dict):
            if method and name in _DICT_METHODS:
                return getattr(obj, name)
            try:
                return obj[name]
            except KeyError:
                return Missing(obj=obj, name=name)
        if isinstance(obj, Undefined):
            return obj
        if not method and (isinstance(obj, str) or type(obj) in _DATA):
            return Missing(obj=obj, name=name)
        return super().getattr(obj, name)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Evaluates ``obj[argument]``, which is never an attribute of data."""
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, str) or type(obj) in _DATA:
            if isinstance(argument, Undefined):
                str(argument)  # raises its own error
            try:
                return obj[argument]
            except (TypeError, LookupError):
                return Missing(obj=obj, name=argument)
        return super().getitem(obj, argument)

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a function. The result of a macro is returned as a `Text`."""
        result = super().call(context, function, *args, **kwargs)
        return self.tokens.capture(str(result)) if type(result) is Markup else result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Guards ``*`` and ``**``, which could need too much memory, and ``-``, whose result could be a set."""
        if operator == "-":
            result = super().call_binop(context, operator, left, right)
            if isinstance(result, (set, frozenset)):
                raise NoValue("a set, which has no order; use the filter difference")
            return result
        if operator == "**":
            if isinstance(left, int) and isinstance(right, int) and right * left.bit_length() > _MOST_BITS:
                raise Oversized(f"a number of more than {_MOST_BITS} bits")
        else:
            for text, times in ((left, right), (right, left)):
                if (
                    isinstance(text, (str, list, tuple))
                    and isinstance(times, int)
                    and len(text) * times > _LONGEST_PRODUCT
                ):
                    raise Oversized(f"'*' makes more than {_LONGEST_PRODUCT} characters")
        return super().call_binop(context, operator, left, right)


class _Checks(NodeVisitor):
    """Finds constructs that the language does not have, anywhere in a template."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def visit_Filter(self, node: nodes.Filter) -> None:  # noqa: N802 - Jinja's name
        self._known("filter", node, self._environment.filters, self._environment.tests)

    def visit_Test(self, node: nodes.Test) -> None:  # noqa: N802
        self._known("test", node, self._environment.tests, self._environment.filters)

    def visit_ScopedEvalContextModifier(self, node: EvalContextModifier) -> None:  # noqa: N802
        raise TemplateSyntaxError("there is no {% autoescape %}: values never need escaping", node.lineno)

    visit_EvalContextModifier = visit_ScopedEvalContextModifier  # noqa: N815

    def _known(
        self, kind: str, node: nodes.Filter | nodes.Test, known: Mapping[str, Any], others: Mapping[str, Any]
    ) -> None:
        if node.name not in known:
            raise UnknownName(kind, node.name, hint_for(kind, node.name, known, others), node.lineno)
        self.generic_visit(node)


class UnknownName(TemplateAssertionError):
    """A template uses a filter or a test that does not exist.

    Attributes:
        hint: what to do instead.
    """

    def __init__(self, kind: str, unknown: str, hint: str, lineno: int) -> None:
        super().__init__(f"there is no {kind} {unknown!r}", lineno)
        self.hint = hint
        self.unknown = unknown


class _FilteredBlocks(NodeTransformer):
    """Makes ``{% set x | upper %}`` capture first and filter then: a filter's result is a value, not markup."""

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> Any:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        if node.filter is None:
            return node
        target = node.target
        if isinstance(target, nodes.Name):
            loaded: nodes.Expr = nodes.Name(target.name, "load", lineno=node.lineno)
            stored: nodes.Expr = nodes.Name(target.name, "store", lineno=node.lineno)
        elif isinstance(target, nodes.NSRef):
            name = nodes.Name(target.name, "load", lineno=node.lineno)
            loaded = nodes.Getattr(name, target.attr, "load", lineno=node.lineno)
            stored = nodes.NSRef(target.name, target.attr, lineno=node.lineno)
        else:
            raise TemplateSyntaxError("a block can be set to one name only", node.lineno)
        innermost = node.filter
        while isinstance(innermost.node, nodes.Filter):
            innermost = innermost.node
        innermost.node = loaded
        assign = nodes.Assign(stored, node.filter, lineno=node.lineno)
        return [nodes.AssignBlock(target, None, node.body, lineno=node.lineno), assign]


def _is_values(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "values"


def _mark_methods(tree: nodes.Template) -> None:
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr) and call.node.attr[0] != _METHOD:
            call.node.attr = _METHOD + call.node.attr


def _mark_lines(tree: nodes.Template, display: str) -> None:
    for data in tree.find_all(nodes.TemplateData):
        lines = data.data.split("\n")
        data.data = "\n".join(
            f"{TRACE_OPEN}{display}:{data.lineno + offset}{TRACE_CLOSE}{line}" for offset, line in enumerate(lines)
        )
