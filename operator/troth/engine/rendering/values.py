"""Keeps values out of the YAML text: expressions leave tokens in it, which are replaced after it was parsed.

The result of an expression never becomes part of the text that is parsed. `Tokens.finalize`, which Jinja calls for each
``{{ … }}``, stores the value and leaves a token: two private-use characters around a nonce of this rendering and a
number. For the parser this is an ordinary word without a line break, so no value can end a line, add a key or start a
document; `Tokens.leaf` inserts the values into the scalars afterwards. A scalar that is exactly one token, without
quotes, becomes the value with its type; everything else is text. Values may contain anything, even tokens, because they
are not processed again.

Text that the template itself wrote and captured (a macro's result, ``{% set %}…{% endset %}``) is a `Text`: as a string
it is what a reader of the file would see, so that comparisons and filters give correct results, and it keeps its
markup, so that printing it gives the template's own text again. Jinja's Markup is not used for it: joining Markup with
a string escapes the string for HTML and then trusts it, which would let values into the text again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Undefined, pass_context

from troth.api.nesting import DEEPEST, TOO_DEEP
from troth.engine.yaml.emit import dump_document, dump_scalar, quote, text_of
from troth.engine.yaml.manifests import text_of_key

_OPEN: Final = "\ue000"
_CLOSE: Final = "\ue001"
_TOKEN: Final = re.compile(f"{_OPEN}([0-9a-z]+)\\.([0-9]+){_CLOSE}")
_ALONE: Final = re.compile(f"^([ ]*(?:- +)*){_OPEN}([0-9a-z]+)\\.([0-9]+){_CLOSE}[ \\t]*$", re.MULTILINE)
_VIEWS: Final[tuple[Any, ...]] = (Iterator, range, type({}.keys()), type({}.values()), type({}.items()))


class Oversized(Exception):
    """Something exceeds a limit; the message says what."""


class NoValue(TypeError):
    """The result of an expression is not a value, but a function, a module or a loop."""


class Text(str):
    """Text that a template wrote: a string with the values filled in, which keeps the markup for printing it."""

    __slots__ = ("markup",)
    markup: str

    def __new__(cls, plain: str, markup: str) -> Text:
        """Creates a text from its string and its markup."""
        text = super().__new__(cls, plain)
        text.markup = markup
        return text


@dataclass(frozen=True, slots=True)
class _Special:
    """A value that differs as a whole scalar, as part of a longer one, and in a file that is not YAML."""

    value: Any
    inside: str
    outside: str
    block: bool = False


class Tokens:
    """The values of one rendering.

    Args:
        nonce: lower-case letters and digits that no template can guess.
        most: the most characters that all values together may add to the output.
    """

    mark: Final = _OPEN

    def __init__(self, nonce: str, *, most: int) -> None:
        self._nonce = nonce
        self._most = most
        self._spent = 0
        self._values: list[Any] = []
        self._blocks = False

    # ---- while a template runs

    @pass_context  # also keeps Jinja from calling it while it compiles
    def finalize(self, context: object, value: Any) -> str:  # noqa: ARG002 - Jinja's signature
        """Stores the result of an expression, and returns its token.

        Raises:
            NoValue: the result is not a value.
            UndefinedError: the expression is undefined.
        """
        kind = type(value)
        if kind is Text:
            markup: str = value.markup
            return markup
        return self._token(plain_value(value))

    def capture(self, markup: str) -> Text:
        """Returns a `Text` of what the template wrote into a variable instead of the output."""
        if type(markup) is Text:
            return markup
        return Text(self.plain(markup), markup)

    def yaml(self, value: Any) -> Text:
        """Returns a value as YAML. A map or a list that is alone on a line becomes several lines."""
        value = plain_value(value)
        text = dump_document(value).removesuffix("\n")
        if not (isinstance(value, (dict, list)) and value):
            text = dump_scalar(value)
            return Text(text, self._token(_Special(value, text, text)))
        self._blocks = True
        return Text(text, self._token(_Special(value, text, text, block=True)))

    def indented(self, text: str, lead: str, indent: str) -> Text:
        """Returns lines that a filter indented. In YAML this has no effect on a value, which does not need it."""
        outside = indent.join(str(text).splitlines(keepends=True))
        plain = lead + outside
        return Text(plain, lead + self._token(_Special(str(text), str(text), outside)))

    # ---- when the text is complete

    def expand(self, text: str) -> str:
        """Returns the text with the maps and lists of `yaml` as lines, still with tokens in place of values."""
        return _ALONE.sub(self._expand, text) if self._blocks else text

    def leaf(self, text: str, *, plain: bool) -> Any:
        """Returns the value of a scalar (`manifests.Leaves`)."""
        match = _TOKEN.fullmatch(text) if plain else None
        if match is not None and match.group(1) == self._nonce:
            value = self._values[int(match.group(2))]
            if type(value) is _Special:
                value = value.value
            self._spend(len(value) if type(value) is str else 16)
            return value
        return _TOKEN.sub(self._inside, text)

    def result(self, text: str) -> Any:
        """Returns the value of a leaf, which is not YAML: with its type if it is a single expression, else as text."""
        match = _TOKEN.fullmatch(text.removesuffix("\n"))  # without the final line break of a block
        if match is not None and match.group(1) == self._nonce:
            value = self._values[int(match.group(2))]
            if type(value) is not _Special:
                return value
        return self.plain(text)

    def key(self, text: str) -> str:
        """Returns the text of a key (`manifests.Leaves`)."""
        value = self.leaf(text, plain=True)
        key = text_of_key(value)
        return text_of(value) if key is None else key

    def plain(self, text: str) -> str:
        """Returns the text with its values, as in a file that is not YAML."""
        if _OPEN not in text:
            return text
        if self._blocks:
            text = _ALONE.sub(self._lay_out, text)
        return _TOKEN.sub(self._outside, text)

    def _token(self, value: Any) -> str:
        self._values.append(value)
        return f"{_OPEN}{self._nonce}.{len(self._values) - 1}{_CLOSE}"

    def _inside(self, match: re.Match[str]) -> str:
        if match.group(1) != self._nonce:
            return match.group()
        value = self._values[int(match.group(2))]
        return self._spend_text(value.inside if type(value) is _Special else text_of(value))

    def _outside(self, match: re.Match[str]) -> str:
        if match.group(1) != self._nonce:
            return match.group()
        value = self._values[int(match.group(2))]
        return self._spend_text(value.outside if type(value) is _Special else text_of(value))

    def _expand(self, match: re.Match[str]) -> str:
        lead, nonce, index = match.groups()
        value = self._values[int(index)] if nonce == self._nonce else None
        if type(value) is not _Special or not value.block:
            return match.group()
        skeleton: list[str] = []
        self._skeleton(value.value, lead, " " * len(lead), skeleton)
        return "\n".join(skeleton)

    def _lay_out(self, match: re.Match[str]) -> str:
        lead, nonce, index = match.groups()
        value = self._values[int(index)] if nonce == self._nonce else None
        if type(value) is not _Special or not value.block:
            return match.group()
        return lead + self._spend_text(value.outside.replace("\n", "\n" + " " * len(lead)))

    def _skeleton(self, value: Any, lead: str, indent: str, lines: list[str]) -> None:
        if isinstance(value, dict) and value:
            for key, child in value.items():
                name = self._token(_Special(key, quote(key), quote(key)))
                if isinstance(child, (dict, list)) and child:
                    lines.append(f"{lead}{name}:")
                    deeper = indent + "  " if isinstance(child, dict) else indent
                    self._skeleton(child, deeper, deeper, lines)
                else:
                    lines.append(f"{lead}{name}: {self._quoted(child)}")
                lead = indent
        elif isinstance(value, list) and value:
            for child in value:
                self._skeleton(child, f"{lead}- ", indent + "  ", lines)
                lead = indent
        else:
            lines.append(f"{lead}{self._quoted(value)}")

    def _quoted(self, value: Any) -> str:
        text = dump_scalar(value)
        return self._token(_Special(value, text, text))

    def _spend_text(self, text: str) -> str:
        self._spend(len(text))
        return text

    def _spend(self, characters: int) -> None:
        self._spent += characters
        if self._spent > self._most:
            raise Oversized(f"the values make the output longer than {self._most} characters")


def plain_value(value: Any, level: int = 1) -> Any:
    """Returns the result of an expression as a JSON value that shares nothing with it.

    Args:
        value: the result of the expression.
        level: how deep the value is in the whole result.

    Raises:
        NoValue: it is not a JSON value, contains something that is not, or nests too deep.
        UndefinedError: it is undefined, or contains something that is.
    """
    kind = type(value)
    if kind is str:
        if not value.isascii():
            value.encode()  # otherwise a lone surrogate would only be found when the file is written
        return value
    if value is None or kind is bool:
        return value
    if kind is int:
        if abs(value) >= 1 << 64:
            raise NoValue("a whole number that JSON cannot hold")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise NoValue(f"{value}, which is not a number that JSON can hold")
        return value
    if isinstance(value, str):
        return plain_value(str(value))
    if level > DEEPEST:
        raise NoValue(f"a value that {TOO_DEEP}")
    if isinstance(value, Mapping):
        return {_plain_key(key): plain_value(child, level + 1) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(child, level + 1) for child in value]
    if isinstance(value, Undefined):
        str(value)  # raises its own error
    if isinstance(value, _VIEWS):
        children: Iterable[Any] = value
        return [plain_value(child, level + 1) for child in children]
    raise NoValue(f"{_describe(value)}, which is not a value")


def _plain_key(key: Any) -> str:
    text = text_of_key(plain_value(key))
    if text is None:
        raise NoValue("a map with a key that is not text")
    return text


def _describe(value: Any) -> str:
    if callable(value):
        name = getattr(value, "name", None) or getattr(value, "__name__", None)
        return f"the function {name.strip('_')}(…), not called" if name else "a function, not called"
    return f"a {type(value).__name__}"
