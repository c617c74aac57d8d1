"""Explains an exception as a `Failure`: the line, the expression, the input, and what was probably meant.

Jinja's frames give the template and the line. The expression is read from the source of that line; if there are
several, they are evaluated again as far as possible, and the one that fails in the same way is chosen. `inputs` finds
the input for which it failed.

All of this only runs after a failure, so it may be slow, but it must never be wrong about the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, Final

from jinja2 import TemplateNotFound
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.utils import missing as no_object

from troth.api.pipelines import SCOPE
from troth.api.strict import close_match
from troth.engine.bookkeeping import is_hidden
from troth.engine.failure import Failure, Reason
from troth.engine.rendering.filters import Refusal
from troth.engine.rendering.inputs import INPUTS, NAME, Chain, Inputs, Span, path_text, short_json, spans_of
from troth.engine.rendering.suggestions import hint_for_tag
from troth.engine.rendering.templates import (
    TRACE_CLOSE,
    TRACE_OPEN,
    BoundTemplate,
    DoesNotCompile,
    Environment,
    Missing,
    MissingValue,
    UnknownName,
)
from troth.engine.rendering.values import NoValue, Oversized, Tokens
from troth.engine.yaml.manifests import InvalidManifest
from troth.engine.yaml.nodes import Mistake

_LOCAL: Final = re.compile(r"l_(\d+)_(\w+)")
_TRACE: Final = re.compile(f"{TRACE_OPEN}([^{TRACE_CLOSE}]*):(\\d+){TRACE_CLOSE}")
_MOST_NAMES: Final = 12


class Problem(Exception):
    """A fault that rendering itself finds in the result of a template."""

    def __init__(self, reason: Reason, message: str, hint: str = "", *, value: Any = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.hint = hint
        self.value = value


class InvalidOutput(Exception):
    """The output of a template is not YAML. ``display`` and ``line`` are the place in the template, if it was found."""

    def __init__(self, error: InvalidManifest, display: str, line: int | None) -> None:
        super().__init__(error.problem)
        self.error = error
        self.display = display
        self.line = line


@dataclass(frozen=True, slots=True)
class _Place:
    """The place at which a template failed, and the names that were defined there."""

    display: str
    source: str
    line: int | None
    variables: Mapping[str, Any]


@dataclass(slots=True)
class Attempt:
    """The template that is being evaluated. The rendering keeps it up to date so that a failure can be explained."""

    environment: Environment
    scope: Mapping[str, Any]
    definitions: Mapping[str, Any] = field(default_factory=dict)
    display: str = ""
    source: str = ""

    @property
    def inputs(self) -> Inputs:
        """The inputs of the template that is being evaluated."""
        return Inputs(self.environment, self.scope, self.definitions)

    def begin(self, display: str, source: str, scope: Mapping[str, Any]) -> None:
        """Sets the template that following failures are about."""
        self.display = display
        self.source = source
        self.scope = scope

    def locate(self, error: InvalidManifest) -> InvalidOutput:
        """Returns the error with the line of the template that wrote the invalid line of the output."""
        if error.line is None:
            return InvalidOutput(error, self.display, None)
        try:
            found = self._trace(error.line)
        except Exception:  # noqa: BLE001 - it rendered once already; the line is a service
            found = None
        return InvalidOutput(error, *(found or (self.display, None)))

    def _trace(self, wanted: int) -> tuple[str, int] | None:
        tokens = Tokens("0", most=1 << 24)
        environment = self.environment.for_render(tokens, self.environment.partials, traced=True)
        template = environment.bind(self.source, self.display)
        text = "".join(template.root_render_func(template.new_context(dict(self.scope))))
        current: tuple[str, int] | None = None
        line = 0
        for written in text.split("\n"):
            marks = _TRACE.findall(written)
            if marks:
                current = (marks[0][0], int(marks[0][1]))
            line += 1 + tokens.expand(_TRACE.sub("", written)).count("\n")
            if line >= wanted:
                break
            if marks:
                current = (marks[-1][0], int(marks[-1][1]))
        return current


def diagnose(error: BaseException, attempt: Attempt) -> Failure:
    """Returns the failure that explains an exception raised while rendering."""
    try:
        return _diagnose(error, attempt)
    except Exception:  # noqa: BLE001 - hostile data may break even this; the reason must not be lost
        return _by_kind(error, Failure("TemplateError", _words(error), file=attempt.display), attempt)


def _diagnose(error: BaseException, attempt: Attempt) -> Failure:
    if isinstance(error, DoesNotCompile):
        return _syntax(error, attempt)
    if isinstance(error, InvalidOutput):
        return _invalid_output(error, attempt)
    place = _place(error, attempt)
    span = _expression(error, place, attempt)
    failure = Failure(
        "TemplateError",
        _words(error),
        file=place.display,
        line=place.line,
        column=_column(place, span),
        expression=span.text if span else "",
    )
    if isinstance(error, MissingValue):
        return _missing(error, failure, span, place, attempt)
    chain = _input(span, place, attempt)
    if chain is not None:
        failure = replace(failure, input=chain.path, value=short_json(chain.value))
    return _by_kind(error, failure, attempt)


def _by_kind(error: BaseException, failure: Failure, attempt: Attempt) -> Failure:
    if isinstance(error, Problem):
        value = short_json(error.value) if error.value is not None and not failure.input else failure.value
        return replace(failure, reason=error.reason, hint=error.hint, value=value)
    if isinstance(error, Refusal):
        return replace(failure, reason="Refused")
    if isinstance(error, RecursionError):
        return replace(failure, endless=True)
    if isinstance(error, (Oversized, MemoryError)):
        return replace(failure, reason="TemplateTooLarge", hint="render less, or split it over several pipelines")
    if isinstance(error, TemplateNotFound):
        known = sorted(attempt.environment.partials)
        meant = close_match(str(error.name), known)
        hint = (
            f"did you mean {meant!r}?"
            if meant
            else f"partials: {', '.join(known)}"
            if known
            else "add it to partials"
        )
        return replace(failure, message=f"there is no partial {error.name!r}", hint=hint)
    if isinstance(error, NoValue):
        return replace(failure, hint="print a text, a number, a list or a map")
    return failure


# ---- where


def _place(error: BaseException, attempt: Attempt) -> _Place:
    found: tuple[BoundTemplate, int, FrameType] | None = None
    trace = error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, BoundTemplate):
            found = (template, template.get_corresponding_lineno(trace.tb_lineno), trace.tb_frame)
        trace = trace.tb_next
    if found is None or isinstance(error, Problem):
        single = (
            1 if attempt.source and "\n" not in attempt.source.strip("\n") and _is_leaf(attempt.display) else None
        )
        place = _Place(attempt.display, attempt.source, single, attempt.scope)
        return replace(place, line=None) if single and not spans_of(attempt.environment, attempt.source) else place
    template, line, frame = found
    return _Place(template.display, template.source, line, {**attempt.scope, **_locals(frame)})


def _is_leaf(display: str) -> bool:
    return "[" in display or display.startswith(("values.", "status", "control"))


def _locals(frame: FrameType) -> dict[str, Any]:
    """Returns the variables of a template's frame, from loops, macros and {% set %}."""
    found: dict[str, tuple[int, Any]] = {}
    for name, value in frame.f_locals.items():
        match = _LOCAL.fullmatch(name)
        if match and value is not no_object and int(match[1]) >= found.get(match[2], (-1, None))[0]:
            found[match[2]] = (int(match[1]), value)
    return {name: value for name, (_, value) in found.items()}


def _column(place: _Place, span: Span | None) -> int | None:
    if span is None or place.line is None:
        return None
    lines = place.source.split("\n")
    if not 0 < span.line <= len(lines):
        return None
    at = lines[span.line - 1].find(span.text.split("\n")[0])
    return at + 1 if at >= 0 and span.line == place.line else None


def _expression(error: BaseException, place: _Place, attempt: Attempt) -> Span | None:
    line = place.line
    if line is None:
        return None
    spans = [span for span in spans_of(attempt.environment, place.source) if span.line <= line <= span.end]
    if isinstance(error, MissingValue) and isinstance(error.missing.wanted, str):
        mentioned = [span for span in spans if error.missing.wanted in NAME.findall(span.text)]
        spans = mentioned or spans
    if len(spans) > 1 and not isinstance(error, (MemoryError, RecursionError)) and isinstance(error, Exception):
        spans = [span for span in spans if span.printed and _fails_alike(error, span, place, attempt)] or spans
    return spans[0] if spans else None


def _fails_alike(error: Exception, span: Span, place: _Place, attempt: Attempt) -> bool:
    try:
        template = attempt.environment.bind(f"{{{{ {span.text} }}}}", place.display)
        for _ in template.root_render_func(template.new_context(dict(place.variables))):
            pass
    except Exception as other:  # noqa: BLE001 - which exception it is, is the question
        return type(other) is type(error) and str(other) == str(error)
    return False


def _input(span: Span | None, place: _Place, attempt: Attempt) -> Chain | None:
    """Returns the first input that an expression reads, preferably a field of the request."""
    chains = [
        chain for chain in attempt.inputs.of_span(span, place.variables) if not isinstance(chain.value, Missing)
    ]
    for wanted in (INPUTS, None):
        for chain in chains:
            if (wanted is None or chain.parts[0] in wanted) and not callable(chain.value):
                return chain
    return None


# ---- what, and what to do


def _missing(error: MissingValue, failure: Failure, span: Span | None, place: _Place, attempt: Attempt) -> Failure:
    owner, wanted = error.missing.owner, error.missing.wanted
    failure = replace(failure, reason="TemplateUndefined")
    if owner is no_object and wanted is None:
        return _missing_item(error.missing.told, failure, span, place, attempt)
    if owner is no_object:
        return _missing_name(str(wanted), failure, place, attempt)
    chains = attempt.inputs.of_span(span, place.variables)
    owner_path = _owner_path(owner, wanted, chains, attempt)
    keys = [key for key in owner if isinstance(key, str)] if isinstance(owner, dict) else []
    by_value = next(
        (chain for chain in chains if type(chain.value) is type(wanted) and chain.value == wanted), None
    )
    if by_value is not None:
        origin = attempt.inputs.origin(by_value)
        failure = replace(failure, input=origin.path, value=short_json(origin.value))
    elif owner_path:
        failure = replace(failure, input=path_text((*owner_path, wanted)))
    name = path_text(owner_path) if owner_path else "the map" if isinstance(owner, dict) else "the value"
    return replace(
        failure,
        message=_lacks(name, owner, wanted),
        hint=_suggest(owner_path, wanted, keys, optional=by_value is None),
    )


def _owner_path(owner: Any, wanted: Any, chains: Sequence[Chain], attempt: Attempt) -> tuple[Any, ...]:
    for chain in chains:
        if isinstance(chain.value, Missing) and chain.value.owner is owner and chain.value.wanted == wanted:
            # The chain may continue after the missing part, so it is cut there.
            at = max(index for index, part in enumerate(chain.parts) if part == wanted)
            return chain.parts[:at]
    if isinstance(owner, (dict, list)):
        return attempt.inputs.find(owner) or ()
    return next((chain.parts for chain in chains if chain.value is owner), ())


def _lacks(name: str, owner: Any, wanted: Any) -> str:
    if isinstance(owner, dict):
        return f"{name} has no {wanted!r}" if owner else f"{name} is empty, so it has no {wanted!r}"
    if isinstance(owner, (list, tuple)):
        return f"{name} is a list of {len(owner)}, and has no [{wanted!r}]"
    return f"{name} is {kind_of(owner)}, and has no {wanted!r}"


def _suggest(owner: tuple[Any, ...], wanted: Any, keys: Iterable[str], *, optional: bool) -> str:
    if owner[-1:] in (("labels",), ("annotations",)) and isinstance(wanted, str) and is_hidden(wanted):
        return "a template does not see what tools note for themselves; use a name of your own"
    keys = list(keys)
    hints: list[str] = []
    meant = close_match(str(wanted), keys)
    if meant:
        hints.append(f"did you mean {path_text((*owner, meant)) if owner else meant}?")
    if keys:
        shown = ", ".join(keys[:_MOST_NAMES]) + (", …" if len(keys) > _MOST_NAMES else "")
        hints.append(f"available: {shown}")
    if optional and not meant:
        hints.append("if it may be missing, write | default(…)")
        if owner == ("spec",) and not keys and isinstance(wanted, str):
            hints.append(
                f"if not, the API has to require it: required: [{wanted}] in the schema of spec, and required: [spec] "
                "beside properties in openAPIV3Schema"
            )
    return "; ".join(hints).replace("?; available", "? Available")


def _missing_item(told: str, failure: Failure, span: Span | None, place: _Place, attempt: Attempt) -> Failure:
    """Explains a missing item of an empty list, from ``first``, ``last``, ``max`` or ``min``."""
    chain = _input(span, place, attempt)
    if chain is not None:
        failure = replace(failure, input=chain.path, value=short_json(chain.value))
    which = next((word for word in ("first", "last") if f"No {word} item" in told), "largest or smallest")
    return replace(
        failure,
        message=f"the list is empty, and has no {which} item",
        hint="write | default(…) after it, or check first that the list is not empty",
    )


def _missing_name(name: str, failure: Failure, place: _Place, attempt: Attempt) -> Failure:
    failure = replace(failure, message=f"there is no {name!r} here", input=name)
    if name in ("item", "index"):
        return replace(failure, hint="it exists in files with forEach only")
    if name in attempt.definitions:
        return replace(failure, hint=f"the values need one another in a circle; take one of them out of {name}")
    if place.display.startswith("partials.") and name in attempt.scope:
        return replace(failure, hint="import the partial with context: {% import … as … with context %}")
    if name in ("spec", "request"):
        return replace(failure, hint="a Promise's own workflow has no request; promise is the whole object")
    known = [*dict.fromkeys((*SCOPE, *place.variables, *attempt.environment.globals))]
    meant = close_match(name, known)
    available = ", ".join(key for key in attempt.scope if not key.startswith("_"))
    return replace(failure, hint=f"did you mean {meant}?" if meant else f"available: {available}")


def _syntax(error: DoesNotCompile, attempt: Attempt) -> Failure:
    cause = error.error
    spans = [span for span in spans_of(attempt.environment, error.source) if span.line <= cause.lineno <= span.end]
    if isinstance(cause, UnknownName):
        spans = [span for span in spans if cause.unknown in span.text] or spans
    lines = error.source.split("\n")
    line = cause.lineno if 0 < cause.lineno <= len(lines) else len(lines)
    expression = spans[0].text if spans else lines[line - 1].strip()
    hint = cause.hint if isinstance(cause, UnknownName) else _syntax_hint(cause.message or "")
    return Failure(
        "TemplateSyntax",
        (cause.message or "this is not a template").rstrip("."),
        file=error.display,
        line=line,
        expression=expression,
        hint=hint,
    )


def _syntax_hint(message: str) -> str:
    if "end of print statement" in message or "unexpected '}'" in message:
        return "an expression ends with }}"
    if "end of template" in message or "Unexpected end" in message:
        return "close what is open: }}, %}, {% endif %} or {% endfor %}"
    if "nknown tag" in message:
        return hint_for_tag(message)
    return ""


def _invalid_output(error: InvalidOutput, attempt: Attempt) -> Failure:
    source = attempt.source
    if error.display.startswith("partials."):
        source = attempt.environment.partials.get(error.display.removeprefix("partials."), source)
    message = error.error.problem
    if error.error.line is not None:
        message += f" (line {error.error.line} of what was rendered)"
    span: Span | None = None
    if error.line is not None:
        spans = spans_of(attempt.environment, source)
        span = next((found for found in spans if found.printed and found.line <= error.line <= found.end), None)
    place = _Place(error.display, source, error.line, attempt.scope)
    failure = Failure(
        "InvalidYAML",
        message,
        file=error.display,
        line=error.line,
        expression=span.text if span else "",
        hint=_HINTS[error.error.mistake] if error.error.mistake else "",
    )
    chain = _input(span, place, attempt)
    return replace(failure, input=chain.path, value=short_json(chain.value)) if chain else failure


_HINTS: Final[Mapping[Mistake, str]] = {
    "RepeatedKey": "remove one of them",
    "Indentation": "check the spaces before this line, and the line break that {% … %} removes",
    "ReservedCharacter": "put the value into quotes",
    "TooManyAliases": "write the values out, or repeat them with {% for %}",
}


def _words(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "the template needs more memory than it may use"
    if isinstance(error, RecursionError):
        return "the template calls itself without end, or what it builds nests too deep"
    if isinstance(error, SecurityError):
        return f"not allowed in a template: {error}"
    if isinstance(error, NoValue):
        return f"the expression gives {error}"
    if isinstance(error, UnicodeEncodeError):
        return "a text holds half of a character (a lone surrogate)"
    if isinstance(error, KeyError):
        return f"there is no {error}"
    if isinstance(error, (Problem, Oversized, Refusal, ValueError, ZeroDivisionError, TemplateRuntimeError)):
        return str(error) or type(error).__name__
    return _in_plain_words(str(error)) or type(error).__name__


_PYTHON_TYPES: Final = (
    (re.compile(r"'(\w+)' object is not callable"), r"'\1' is not a function and cannot be called"),
    (re.compile(r"'?\b(?:str|Text|NamespaceName)\b'?"), "text"),
    (re.compile(r"'\bint\b'|'\bfloat\b'"), "a number"),
    (re.compile(r"'\bbool\b'"), "true or false"),
    (re.compile(r"'NoneType'"), "null"),
    (re.compile(r"'\bdict\b'"), "a map"),
    (re.compile(r"'\b(?:list|tuple)\b'"), "a list"),
)


def _in_plain_words(message: str) -> str:
    """Returns Python's message with its types in the terms of YAML."""
    for pattern, word in _PYTHON_TYPES:
        message = pattern.sub(word, message)
    return message


def kind_of(value: Any) -> str:
    """Returns the type of a value in the terms of YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, Mapping):
        return "a map"
    return "a list" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"
