"""Reads YAML as the API server does.

PyYAML's own loaders read YAML 1.1 in ways that differ from the API server's: dates become objects, 1:30 becomes 90, 1e3
stays text, a repeated key silently wins, aliases multiply without bound. So only libyaml's parser is used. `words`
decides which type a plain word has, `documents` where a document ends, and this module what is refused:

* JSON types only; y, n, yes, no, on and off are booleans (as in Kubernetes), dates and base 60 are text;
* a repeated key, an unknown tag, infinity, and a key that is not text or number are errors with a line;
* merge keys (``<<``) work, unless readers differ on what they give;
* what aliases add is bounded, and so is the depth of nesting. The bound on depth also keeps a hostile text from
  overflowing the stack of libyaml's binding, which would end the process.

What is read is what kubectl reads. Anything that kubectl refuses, drops, or reads differently from all other readers is
refused.

The values of expressions are inserted here as well, through `Leaves`, because it is only known during reading whether a
scalar was plain or quoted. `emit` writes YAML. Rejected: ruamel (ten times slower), the parsers written in Rust (YAML
1.2, and they make dates).
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

import yaml

from troth.api.nesting import DEEPEST
from troth.engine.yaml.documents import OneOfEach, document_starts, json_documents
from troth.engine.yaml.emit import dump_document, dump_documents
from troth.engine.yaml.nodes import (
    BOOL,
    MAP,
    MERGE,
    NULL_TAG,
    NUMBER,
    PREFIX,
    SEQ,
    STR,
    WHOLE,
    InvalidManifest,
    Mistake,
    compose,
)
from troth.engine.yaml.words import (
    FALSE,
    NULL,
    NUMERIC,
    TRUE,
    as_json_has_it,
    is_not_finite,
    key_of_fraction,
    number,
)

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
_LARGEST_KEY: Final = 3e38
"""The largest fraction as a key, which kubectl reads with 32 bits."""

_BINARY: Final = PREFIX + "binary"
_NO_VALUE: Final = {WHOLE: "whole number", NUMBER: "number", BOOL: "boolean", NULL_TAG: "null"}
_SLASH: Final = re.compile(r"(?<!\\)(?:\\\\)*\\/")

_BANG: Final = re.compile(r"!\s")
_BANG_FIRST: Final = re.compile(r"(?:&\S+\s+)?!(?=\s)")
"""A scalar with the tag ``!``, which makes it text, as in ``! 12``."""

_BYTE_ORDER_MARK: Final = re.compile(r"(\n---[ \t\r]*(?:#[^\n]*)?\n)\ufeff")
"""A byte order mark after ``---``, from joining two files. YAML itself ignores one at the start of a text."""

_TWO_ESCAPES: Final = re.compile(r"\\\\|\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
"""A pair of escapes of surrogates. An escaped backslash is matched first, so that it cannot begin an escape."""

_SECOND_VALUE: Final = "mapping values are not allowed in this context"
_NO_KEY: Final = "did not find expected key"
_CANNOT_START: Final = "found character that cannot start any token"
_TAB: Final = "found a tab character that violates indentation"

_PLAIN_WORDS: Final = {
    _SECOND_VALUE: "a second ': ' in one line, or a key indented too far",
    _NO_KEY: "this line is not indented like the lines that it belongs to",
    "did not find expected '-' indicator": "an item of a list is missing its '- '",
    "could not find expected ':'": "a key is missing its ':'",
    _CANNOT_START: "a value starts with a character that YAML keeps for itself",
    "found unexpected end of stream": "a quote is not closed",
    "did not find expected ',' or ']'": "a list in [ ] is missing a ',' or its ']'",
    "did not find expected ',' or '}'": "a map in { } is missing a ',' or its '}'",
    "found undefined alias": "an alias (*) names an anchor (&) that does not exist",
    "block sequence entries are not allowed in this context": "a list cannot start here: put '- ' on a new line",
    _TAB: "a tab where spaces must be",
    "found a tab character where an indentation space is expected": "a tab where spaces must be",
    "did not find expected <document start>": "text after the end of a document: begin the next one with '---'",
    "did not find expected node content": "a value cannot begin like this: quote it",
    "found unexpected ':'": "a ':' without a space after it: quote the text",
    "did not find expected alphabetic or numeric character": "a '*' or '&' without a name: quote the text",
    "did not find expected whitespace or line break": "a '!' begins a tag, and this is not a tag: quote the text",
    "did not find expected tag URI": "a '!' begins a tag, and this is not a tag: quote the text",
    "did not find expected comment or line break": "the text of '|' or '>' begins on the next line",
    "mapping keys are not allowed in this context": "a '?' begins a key, and none can stand here: quote the text",
    "found unknown escape character": "a backslash before a character that it cannot stand before: use single quotes",
    "found unexpected document indicator": "a quote is not closed before '---'",
    "found invalid Unicode character escape code": "an escape that stands for no character",
    "control characters are not allowed": "a control character",
}
_MISTAKES: Final[Mapping[str, Mistake]] = {
    _SECOND_VALUE: "Indentation",
    _NO_KEY: "Indentation",
    _CANNOT_START: "ReservedCharacter",
}
"""The mistakes behind messages of libyaml."""


class TooManyDocuments(InvalidManifest):
    """A text with more documents than are allowed."""


class Leaves(Protocol):
    """Puts values into scalars while a text is read. ``mark`` is the character that marks such scalars."""

    @property
    def mark(self) -> str:
        """The character without which a scalar is left as it is."""

    def leaf(self, text: str, *, plain: bool) -> Any:
        """Returns the value of a scalar; ``plain`` says whether it had no quotes and is not a block."""

    def key(self, text: str) -> str:
        """Returns the text of a key."""


def load_documents(text: str, *, leaves: Leaves | None = None, most: int | None = None) -> list[Any]:
    """Returns the documents of a YAML or JSON text as JSON values, without empty ones.

    Args:
        text: the YAML or JSON to read.
        leaves: puts values into scalars; None to leave all of them as they are.
        most: the most documents that are allowed; None for any number.

    Raises:
        TooManyDocuments: there are more than ``most``.
        InvalidManifest: the text is not YAML as Kubernetes reads it.
    """
    documents: list[Any] = []
    if leaves is None:
        documents, text = json_documents(text)
    else:
        text = _with_whole_characters(text)
    if most is not None and len(documents) > most:
        raise TooManyDocuments(f"more than {most} documents")
    if not text.endswith("\n"):
        text += "\n"  # as in kubectl, so that a block at the end keeps its last line break
    if "\ufeff" in text:
        text = _BYTE_ORDER_MARK.sub(r"\1", text)
    try:
        parts = OneOfEach(document_starts(text))
        builder = _Builder(leaves, text)
        for node in compose(text):
            document = builder.document(node)
            if document is None:
                continue
            parts.next(node)
            documents.append(document)
            if most is not None and len(documents) > most:
                raise TooManyDocuments(f"more than {most} documents")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "this is not YAML"
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        if problem == _CANNOT_START and mark and text[mark.index : mark.index + 1] == "\t":
            problem = _TAB
        raise InvalidManifest(_in_plain_words(problem), line, column, mistake=_MISTAKES.get(problem)) from None
    except yaml.YAMLError as error:
        problem = getattr(error, "reason", "") or "this is not YAML"
        raise InvalidManifest(_in_plain_words(problem)) from None
    except UnicodeEncodeError:
        raise InvalidManifest("half of a character (a lone surrogate)") from None
    return documents


def _with_whole_characters(text: str) -> str:
    """Joins pairs of escaped surrogates, which JSON allows and YAML does not; kubectl reads both."""
    if ("\\ud" not in text and "\\uD" not in text) or not text.lstrip().startswith("{"):
        return text
    return _TWO_ESCAPES.sub(_whole_character, text)


def _whole_character(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[0]
    return (bytes.fromhex(match[1]) + bytes.fromhex(match[2])).decode("utf-16-be")


def load_document(text: str) -> Any:
    """Returns the only document of a text; None when the text is empty.

    Raises:
        InvalidManifest: the text is not YAML, or has more than one document.
    """
    documents = load_documents(text)
    if len(documents) > 1:
        raise InvalidManifest(f"{len(documents)} documents where one is expected")
    return documents[0] if documents else None


def text_of_key(value: Any) -> str | None:
    """Returns the text of a scalar as a key of JSON; None when it cannot be a key."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return key_of_fraction(value) if abs(value) < _LARGEST_KEY else None
    return None


class _Builder:
    """Builds values from nodes. A node that an alias refers to is built again, so that values share nothing."""

    def __init__(self, leaves: Leaves | None, text: str) -> None:
        self._leaves = leaves
        self._mark = leaves.mark if leaves is not None else ""
        self._seen: set[int] | None = set() if "*" in text and "&" in text else None
        is_json = leaves is not None and text.lstrip().startswith("{")
        self._slashes = text if "\\/" in text and not is_json else ""
        self._bangs = text if _BANG.search(text) else ""
        self._aliased = 0
        self._within_alias = 0
        self._depth = 0

    def document(self, node: Any) -> Any:
        """Returns the value of a document. Its anchors are forgotten, since later nodes may reuse their addresses."""
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
                if node.tag != SEQ:
                    raise _unknown_tag(node)
                return [self.build(child) for child in node.value]
            if node.tag != MAP:
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
                raise _at(node, f"aliases that add more than {_MOST_ALIASED} values", "TooManyAliases")
        return again

    def _mapping(self, node: Any) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                if key_node.value != "<<":
                    raise _unknown_tag(key_node)
                added = self._merged(value_node)
                for key in added:
                    if (key in result and result[key] != added[key]) or (
                        key in merged and merged[key] != added[key]
                    ):
                        raise _at(
                            key_node,
                            f"'<<' merges the key {key!r}, which is there already: kubectl takes the later one, "
                            "other readers the earlier; put '<<' first, or leave one of them out",
                        )
                merged.update(added)
                continue
            key = self._key(key_node)
            if key in result:
                why = f", as {key_node.value!r} without quotes is {key}" if key_node.tag == BOOL else ""
                raise _at(key_node, f"the key {key!r} occurs twice{why}", "RepeatedKey")
            result[key] = self.build(value_node)
        return {**merged, **result} if merged else result

    def _merged(self, node: Any) -> dict[str, Any]:
        if type(node) is yaml.SequenceNode and self._seen and id(node) in self._seen:
            raise _at(node, "'<<' merges a list only where the list is written: [*a, *b]")
        value = self.build(node)
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise _at(node, "'<<' merges maps, and this is not a map")
        return {key: child for mapping in reversed(mappings) for key, child in mapping.items()}

    def _key(self, node: Any) -> str:
        if type(node) is not yaml.ScalarNode:
            raise _at(node, "a key that is a map or a list; a value that starts with { or [ needs quotes")
        tag: str = node.tag
        if tag == STR:
            text: str = node.value
            if self._leaves is not None and self._mark in text:
                return self._leaves.key(text)
            return self._text(node) if self._slashes else text
        value = self._scalar(node)
        if tag in (NUMBER, WHOLE) and type(value) is not str:
            value = _number(node)
        key = text_of_key(value) if type(value) is not int or value < 1 << 63 else None
        if key is None:
            raise _at(node, "a key without a name" if value is None else f"{node.value!r} is too large for a key")
        return key

    def _scalar(self, node: Any) -> Any:
        tag: str = node.tag
        text: str = node.value
        if tag == STR:
            if self._leaves is not None and self._mark in text:
                return self._leaves.leaf(text, plain=node.style is None or node.style == "")
            return self._text(node) if self._slashes else text
        if self._bangs and _BANG_FIRST.match(self._bangs, node.start_mark.index):
            return text
        if tag in (NUMBER, WHOLE):
            return as_json_has_it(_number(node))
        if tag == BOOL and (text in TRUE or text in FALSE):
            return text in TRUE
        if tag == NULL_TAG and text in NULL:
            return None
        if tag in _NO_VALUE:
            raise _at(node, f"{text!r} is not a {_NO_VALUE[tag]}")
        if tag == _BINARY:
            return _text_of_bytes(node)
        if tag == MERGE:
            return text
        raise _unknown_tag(node)

    def _text(self, node: Any) -> str:
        text: str = node.value
        if node.style == '"' and (
            found := _SLASH.search(self._slashes, node.start_mark.index + 1, node.end_mark.index)
        ):
            line = self._slashes.count("\n", 0, found.end()) + 1
            raise InvalidManifest("'\\/', which is JSON and not YAML: write '/'", line)
        return text


def _number(node: Any) -> int | float:
    text: str = node.value
    if is_not_finite(text):
        raise _at(node, f"{text!r} is not a number that JSON has")
    value = number(text) if text and text[0] in NUMERIC else None
    if value is None or (node.tag == WHOLE and isinstance(value, float)):
        raise _at(node, f"{text!r} is not a {_NO_VALUE[node.tag]}")
    return value


def _text_of_bytes(node: Any) -> str:
    text: str = node.value
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True).decode()
    except UnicodeDecodeError:
        raise _at(node, "these bytes are not text, and kubectl would damage them: leave '!!binary' out") from None
    except ValueError:
        raise _at(node, "'!!binary' is followed by something that is not base64") from None


def _unknown_tag(node: Any) -> InvalidManifest:
    return _at(
        node,
        f"the tag {str(node.tag).replace(PREFIX, '!!')!r} does not fit here, or is not one that Kubernetes knows",
    )


def _at(node: Any, problem: str, mistake: Mistake | None = None) -> InvalidManifest:
    mark = node.start_mark
    return InvalidManifest(problem, mark.line + 1, mark.column + 1, mistake=mistake)


def _in_plain_words(problem: str) -> str:
    return _PLAIN_WORDS.get(problem, problem)
