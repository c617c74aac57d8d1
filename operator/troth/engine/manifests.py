"""YAML as the API server reads it, and the one way in which Troth writes it.

PyYAML's own loaders speak YAML 1.1 with surprises that are not the API server's: dates become objects, 1:30
becomes 90, 1e3 stays text, a repeated key silently wins, aliases multiply without bound. So only libyaml's
parser is used; which type a plain word has, and what is refused, is decided here:

* JSON types only; yes/no/on/off are booleans (as in Kubernetes), dates and base 60 are text;
* a repeated key, an unknown tag, infinity, and a key that is no text or number are errors with a line;
* merge keys (``<<``) work; what aliases add, and how deep anything nests, is bounded. The bound on depth is
  also what keeps a hostile text from overflowing the stack of libyaml's binding, which ends the process.

Values of expressions are put in here as well, through `Leaves`: while a scalar is read it is still known
whether it was plain or quoted (design 4). Writing is `emit`. Rejected: ruamel (ten times slower), the Rust
parsers (YAML 1.2, and they make dates).
"""

from __future__ import annotations

import math
import re
from typing import Any, Final, Protocol

import yaml
from yaml._yaml import CParser

from troth.api import TrothError
from troth.engine.emit import DEEPEST, dump_document, dump_documents

__all__ = [
    "InvalidManifest",
    "Leaves",
    "TooManyDocuments",
    "dump_document",
    "dump_documents",
    "load_document",
    "load_documents",
    "text_of_key",
]

_MOST_ALIASED: Final = 10_000

_PREFIX: Final = "tag:yaml.org,2002:"
_STR: Final = _PREFIX + "str"
_INT: Final = _PREFIX + "int"
_FLOAT: Final = _PREFIX + "float"
_BOOL: Final = _PREFIX + "bool"
_NULL: Final = _PREFIX + "null"
_MAP: Final = _PREFIX + "map"
_SEQ: Final = _PREFIX + "seq"
_MERGE: Final = _PREFIX + "merge"

_TRUE: Final = frozenset(form for word in ("true", "yes", "on") for form in (word, word.title(), word.upper()))
_FALSE: Final = frozenset(form for word in ("false", "no", "off") for form in (word, word.title(), word.upper()))
_WORDS: Final = {
    **dict.fromkeys(_TRUE | _FALSE, _BOOL),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), _NULL),
    "<<": _MERGE,
}
_NUMERIC: Final = frozenset("-+.0123456789")
_INTEGER: Final = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)")
_REAL: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_TWO_ESCAPES: Final = re.compile(r"\\\\|\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
"""A pair of escapes; a backslash that is escaped itself is found first, so that it begins none."""

_PLAIN_WORDS: Final = {
    "mapping values are not allowed in this context": "a second ': ' in one line, or a key indented too far",
    "did not find expected key": "this line is not indented like the lines that it belongs to",
    "did not find expected '-' indicator": "an item of a list is missing its '- '",
    "could not find expected ':'": "a key is missing its ':'",
    "found character that cannot start any token": "a value starts with a character that YAML keeps for itself",
    "found unexpected end of stream": "a quote is not closed",
    "did not find expected ',' or ']'": "a list in [ ] is missing a ',' or its ']'",
    "did not find expected ',' or '}'": "a map in { } is missing a ',' or its '}'",
    "found undefined alias": "an alias (*) names an anchor (&) that does not exist",
    "block sequence entries are not allowed in this context": "a list cannot start here: put '- ' on a new line",
    "found a tab character that violates indentation": "a tab where spaces must be",
    "found a tab character where an indentation space is expected": "a tab where spaces must be",
    "did not find expected <document start>": "text after the end of a document",
    "control characters are not allowed": "a control character",
}


class InvalidManifest(TrothError):
    """A text that is not YAML as Kubernetes reads it.

    Attributes:
        problem: what is wrong, in plain words, without a full stop.
        line: line in the text, from 1; None when it is not known.
        column: column in that line, from 1.
    """

    def __init__(self, problem: str, line: int | None = None, column: int | None = None) -> None:
        self.problem = problem
        self.line = line
        self.column = column
        super().__init__(f"line {line}: {problem}" if line is not None else problem)


class TooManyDocuments(InvalidManifest):
    """A text has more documents than are allowed."""


class Leaves(Protocol):
    """Puts values into scalars while a text is read. ``mark`` is the character that announces one."""

    @property
    def mark(self) -> str:
        """A scalar without this character is left alone."""

    def leaf(self, text: str, *, plain: bool) -> Any:
        """The value of a scalar; ``plain`` says that it stood without quotes and is no block."""

    def key(self, text: str) -> str:
        """The text of a key."""


def load_documents(text: str, *, leaves: Leaves | None = None, most: int | None = None) -> list[Any]:
    """The documents of a YAML or JSON text as JSON values, empty ones left out.

    Args:
        text: the YAML or JSON.
        leaves: replaces scalars, or None.
        most: more documents than this are an error.

    Raises:
        TooManyDocuments: there are more than ``most``.
        InvalidManifest: the text is not YAML as Kubernetes reads it.
    """
    documents: list[Any] = []
    composer: _Composer | None = None
    try:
        composer = _Composer(_with_whole_characters(text))
        builder = _Builder(leaves, aliases="*" in text and "&" in text)
        while composer.check_node():
            document = builder.document(composer.get_node())
            if document is not None:
                documents.append(document)
                if most is not None and len(documents) > most:
                    raise TooManyDocuments(f"more than {most} documents")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "this is not YAML"
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise InvalidManifest(_in_plain_words(problem), line, column) from None
    except yaml.YAMLError as error:
        problem = getattr(error, "reason", "") or "this is not YAML"
        raise InvalidManifest(_in_plain_words(problem)) from None
    except UnicodeEncodeError:
        raise InvalidManifest("half of a character (a lone surrogate)") from None
    finally:
        if composer is not None:
            composer.dispose()
    return documents


def _with_whole_characters(text: str) -> str:
    """JSON may write a character as two escapes of half a character each, YAML may not; kubectl reads both."""
    if ("\\ud" not in text and "\\uD" not in text) or not text.lstrip().startswith("{"):
        return text
    return _TWO_ESCAPES.sub(_whole_character, text)


def _whole_character(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[0]
    return (bytes.fromhex(match[1]) + bytes.fromhex(match[2])).decode("utf-16-be")


def load_document(text: str) -> Any:
    """The only document of a text; None when there is none.

    Raises:
        InvalidManifest: not YAML, or more than one document.
    """
    documents = load_documents(text)
    if len(documents) > 1:
        raise InvalidManifest(f"{len(documents)} documents where one is expected")
    return documents[0] if documents else None


def text_of_key(value: Any) -> str | None:
    """The text of a scalar as a key in JSON; None when it cannot be one."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return None


class _Composer(CParser):
    """libyaml's parser with our reading of plain words, and a bound on depth."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def resolve(self, kind: type, value: str, implicit: tuple[bool, bool]) -> str:
        if kind is not yaml.ScalarNode:
            return _SEQ if kind is yaml.SequenceNode else _MAP
        if not implicit[0]:
            return _STR
        if value and value[0] in _NUMERIC:
            if _INTEGER.fullmatch(value):
                return _INT
            return _FLOAT if _REAL.fullmatch(value) or _NOT_FINITE.fullmatch(value) else _STR
        return _WORDS.get(value, _STR)

    def descend_resolver(self, parent: Any, index: Any) -> None:  # noqa: ARG002 - PyYAML's signature
        self._depth += 1
        if self._depth > DEEPEST:
            mark = parent.start_mark
            raise InvalidManifest(f"nested more than {DEEPEST} levels deep", mark.line + 1, mark.column + 1)

    def ascend_resolver(self) -> None:
        self._depth -= 1


class _Builder:
    """From nodes to values. A node that is met again through an alias is built again: nothing is shared."""

    def __init__(self, leaves: Leaves | None, *, aliases: bool) -> None:
        self._leaves = leaves
        self._mark = leaves.mark if leaves is not None else ""
        self._seen: set[int] | None = set() if aliases else None
        self._aliased = 0
        self._within_alias = 0
        self._depth = 0

    def document(self, node: Any) -> Any:
        """The value of a document. Anchors end with it, and the next one's nodes may lie where its nodes lay."""
        if self._seen is not None:
            self._seen.clear()
        return self.build(node)

    def build(self, node: Any) -> Any:
        if type(node) is yaml.ScalarNode:
            return self._scalar(node)
        again = False
        if self._seen is not None:
            again = self._meet(node)
        self._depth += 1
        if self._depth > DEEPEST:
            raise _at(node, "an alias that holds itself, or nests too deep")
        try:
            if type(node) is yaml.SequenceNode:
                if node.tag != _SEQ:
                    raise _unknown_tag(node)
                return [self.build(child) for child in node.value]
            if node.tag != _MAP:
                raise _unknown_tag(node)
            return self._mapping(node)
        finally:
            self._depth -= 1
            self._within_alias -= again

    def _meet(self, node: Any) -> bool:
        if self._seen is None:
            return False
        again = id(node) in self._seen
        self._seen.add(id(node))
        self._within_alias += again
        if self._within_alias:
            self._aliased += 1 + len(node.value)
            if self._aliased > _MOST_ALIASED:
                raise _at(node, f"aliases that add more than {_MOST_ALIASED} values")
        return again

    def _mapping(self, node: Any) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged.extend(self._merged(value_node))
                continue
            key = self._key(key_node)
            if key in result:
                raise _at(key_node, f"the key {key!r} is there twice")
            result[key] = self.build(value_node)
        if not merged:
            return result
        base: dict[str, Any] = {}
        for mapping in merged:
            for key, value in mapping.items():
                base.setdefault(key, value)
        return {**base, **result}

    def _merged(self, node: Any) -> list[dict[str, Any]]:
        value = self.build(node)
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise _at(node, "'<<' merges maps, and this is none")
        return mappings

    def _key(self, node: Any) -> str:
        if type(node) is not yaml.ScalarNode:
            raise _at(node, "a key that is a map or a list; a value that starts with { or [ needs quotes")
        if node.tag == _STR:
            text: str = node.value
            if self._leaves is not None and self._mark in text:
                return self._leaves.key(text)
            return text
        key = text_of_key(self._scalar(node))
        if key is None:
            raise _at(node, "a key without a name")
        return key

    def _scalar(self, node: Any) -> Any:
        tag: str = node.tag
        text: str = node.value
        if tag == _STR:
            if self._leaves is not None and self._mark in text:
                return self._leaves.leaf(text, plain=node.style is None or node.style == "")
            return text
        if tag == _INT:
            return _integer(text, node)
        if tag == _BOOL:
            if text in _TRUE or text in _FALSE:
                return text in _TRUE
            raise _at(node, f"{text!r} is neither true nor false")
        if tag == _NULL:
            return None
        if tag == _FLOAT:
            return _real(text, node)
        if tag == _MERGE:
            return text
        raise _unknown_tag(node)


def _integer(text: str, node: Any) -> Any:
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-").lower()
    base = {"0b": 2, "0x": 16, "0o": 8}.get(digits[:2], 8 if digits.startswith("0") and digits != "0" else 10)
    try:
        return sign * int(digits[2:] if digits[1:2] in ("b", "x", "o") else digits, base)
    except ValueError:
        if node.style:
            raise _at(node, f"{text!r} is no whole number") from None
        return text


def _real(text: str, node: Any) -> Any:
    if not _REAL.fullmatch(text):
        raise _at(node, f"{text!r} is no number that JSON has")
    if text.lstrip("+-").isdigit():
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise _at(node, f"{text!r} is too large for a number")
    return number


def _unknown_tag(node: Any) -> InvalidManifest:
    return _at(node, f"the tag {str(node.tag).replace(_PREFIX, '!!')!r} is unknown to Kubernetes")


def _at(node: Any, problem: str) -> InvalidManifest:
    mark = node.start_mark
    return InvalidManifest(problem, mark.line + 1, mark.column + 1)


def _in_plain_words(problem: str) -> str:
    return _PLAIN_WORDS.get(problem, problem)
