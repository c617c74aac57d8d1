"""From the bytes that an API server sends to objects, one at a time and within bounds.

An API server stores what its schemas allow, and a schema that lets everything through allows ten thousand levels, or
half a million lists in one object. One such object must neither hide the others of its list nor end the watch, and
reading it must not block the event loop: parsing those half million lists takes 180 ms. A thread would not help, since
the parser holds the interpreter's lock.

So nearly everything takes the short way: a text with few enough commas and brackets is parsed at once, and its depth is
checked afterwards (3 µs of the 110 that an event costs). A text that is too large or too deep for that is taken apart
in a thread, lists into items and items into fields, without building any objects; only a field that is within the
bounds of `troth.api.nesting` is parsed.

Rejected: an incremental parser (ten times the time for every object, for the sake of hostile ones); asking again for
the metadata alone, as PartialObjectMetadata (a call more, and the status is missing).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

from troth.api.nesting import (
    DEEPEST,
    MOST_VALUES,
    REMEDY,
    TOO_DEEP,
    TOO_MANY,
    PartialObject,
    bound_object,
    bound_objects,
)
from troth.kube.errors import Unintelligible

Object = dict[str, Any]

_SMALL: Final = 64 * 1024
_PARSED_LEVELS: Final = 1000
"""A depth that orjson can still parse; its own limit is 1,024 levels."""

_SPACE: Final = rb"[ \t\r\n]*+"
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRINGS: Final = re.compile(_STRING, re.DOTALL)
_TOKENS: Final = re.compile(rb"%s|[\[\]{}]" % _STRING, re.DOTALL)
_RUN: Final = re.compile(rb'(?:[^"]{1,256}+|%s){1,400}+' % _STRING, re.DOTALL)
"""A part of a text that ends outside a string, and is short enough that other threads get the lock soon."""

_NEXT: Final = re.compile(rb"%s,?%s" % (_SPACE, _SPACE))
_KEY: Final = re.compile(rb"(%s)%s:%s" % (_STRING, _SPACE, _SPACE), re.DOTALL)
_SCALAR: Final = re.compile(rb"%s|[^\",\[\]{} \t\r\n]++" % _STRING, re.DOTALL)
_BRACES: Final = bytes.maketrans(b"[]", b"{}")
_OTHERS: Final = bytes(character for character in range(256) if character not in b"[]{}")
_ROUNDS: Final = 100
_OPENING: Final = frozenset(b"[{")
_CLOSING: Final = frozenset(b"]}")


class _Span(NamedTuple):
    """Where a value stands in a text, and how many values it holds."""

    start: int
    end: int
    values: int


class Page(NamedTuple):
    """One page of a list: its items, and the metadata of the list."""

    items: list[Object]
    metadata: Object


async def read_object(body: bytes) -> Object:
    """Returns the object of an API server's answer, without the parts that are beyond the bounds (`bound_object`).

    Raises:
        Unintelligible: the answer is not a JSON object.
    """
    if _is_light(body):
        try:
            return bound_object(_map(orjson.loads(body)))
        except orjson.JSONDecodeError:
            pass
    return await asyncio.to_thread(_read_heavy, body)


async def read_page(body: bytes) -> Page:
    """Returns a page of a list, without items that are not objects. Raises Unintelligible as `read_object` does."""
    if _is_light(body):
        try:
            answer = _map(orjson.loads(body))
        except orjson.JSONDecodeError:
            pass
        else:
            items = [item for item in _list(answer.get("items")) if isinstance(item, dict)]
            return Page(bound_objects(items), _map(answer.get("metadata")))
    return await asyncio.to_thread(_read_heavy_page, body)


async def read_typed(line: bytes) -> tuple[str, Object]:
    """Returns the type and the object of one line of a watch. Raises Unintelligible as `read_object` does."""
    if _is_light(line):
        try:
            event = _map(orjson.loads(line))
        except orjson.JSONDecodeError:
            pass
        else:
            obj = _map(event.get("object"))
            # An object cannot be deeper than its number of brackets, and most objects have few.
            deep = line.count(b"{") + line.count(b"[") > DEEPEST
            return _text(event.get("type")), bound_object(obj) if deep else obj
    return await asyncio.to_thread(_read_heavy_event, line)


async def read_document(body: bytes) -> Object:
    """Returns a document about the server itself, such as its OpenAPI, of any size. Raises Unintelligible."""
    try:
        return _map(orjson.loads(body) if len(body) <= _SMALL else await asyncio.to_thread(orjson.loads, body))
    except orjson.JSONDecodeError as error:
        raise Unintelligible from error


def read_heavy_object(text: bytes) -> Object:
    """Reads any object in the way for large ones. It blocks, so call it in a thread."""
    found: Object = {}
    unread: list[str] = []
    for name, span in _members(text):
        problem = _put(found, name, text, span)
        if problem and name in ("metadata", "status") and text[span.start : span.start + 1] == b"{":
            found[name] = _light_members(text, span)
        elif problem:
            unread.append(f"{name}{_culprit(text, span)} {problem}; {REMEDY}")
    return bound_object(PartialObject(found, "; ".join(unread)) if unread else found)


def _read_heavy(text: bytes) -> Object:
    if _is_light(text):
        try:
            return bound_object(_map(orjson.loads(text)))
        except orjson.JSONDecodeError:
            pass
    return read_heavy_object(text)


def _read_heavy_page(text: bytes) -> Page:
    items: list[Object] = []
    metadata: Object = {}
    for name, span in _members(text):
        if name == "items" and text[span.start : span.start + 1] == b"[":
            spans = (item for item in _elements(text, span) if text[item.start : item.start + 1] == b"{")
            items.extend(_read_heavy(text[item.start : item.end]) for item in spans)
        elif name == "metadata":
            metadata = _light_members(text, span)
    return Page(items, metadata)


def _read_heavy_event(text: bytes) -> tuple[str, Object]:
    kind: Any = None
    obj: Object | None = None
    for name, span in _members(text):
        if name == "object":
            obj = _read_heavy(text[span.start : span.end])
        elif name == "type":
            kind = _parse(text, span)
    if obj is None:
        raise Unintelligible
    return _text(kind), obj


def _light_members(text: bytes, span: _Span) -> Object:
    """Returns a map without the members that are beyond the bounds."""
    found: Object = {}
    part = text[span.start : span.end]
    for name, member in _members(part):
        _put(found, name, part, member)
    return found


def _put(found: Object, name: str, text: bytes, span: _Span) -> str:
    """Puts the value of a span into a map; if it is beyond a bound, returns which bound instead."""
    if span.values > MOST_VALUES:
        return TOO_MANY
    try:
        found[name] = orjson.loads(text[span.start : span.end])
    except orjson.JSONDecodeError:
        if _levels(text, span) < _PARSED_LEVELS:
            raise Unintelligible from None
        return TOO_DEEP
    return ""


def _culprit(text: bytes, span: _Span) -> str:
    """Returns the member of a map that is beyond the bounds, such as ``.list``; "" when none is by itself."""
    part = text[span.start : span.end]
    if part[:1] != b"{":
        return ""
    found = (
        f".{name}"
        for name, member in _members(part)
        if member.values > MOST_VALUES or _levels(part, member) >= DEEPEST
    )
    return next(found, "")


def _is_light(text: bytes) -> bool:
    return len(text) <= _SMALL or text.count(b",") + text.count(b"[") + text.count(b"{") <= MOST_VALUES


def _members(text: bytes) -> Iterator[tuple[str, _Span]]:
    """Yields the keys of a map with the spans of their values."""
    at = _NEXT.match(text).end()  # type: ignore[union-attr]  # it matches nothing, too
    if text[at : at + 1] != b"{":
        raise Unintelligible
    at += 1
    while True:
        at = _NEXT.match(text, at).end()  # type: ignore[union-attr]
        if text[at : at + 1] == b"}":
            return
        key = _KEY.match(text, at)
        if key is None:
            raise Unintelligible
        span = _skip(text, key.end())
        name = _loads(key[1])
        yield _text(name), span
        at = span.end


def _elements(text: bytes, span: _Span) -> Iterator[_Span]:
    """Yields the spans of a list's elements."""
    at = span.start + 1
    while True:
        at = _NEXT.match(text, at).end()  # type: ignore[union-attr]
        if text[at : at + 1] == b"]":
            return
        element = _skip(text, at)
        yield element
        at = element.end


def _skip(text: bytes, start: int) -> _Span:
    """Returns the span of the value at ``start``. Parts of the text that cannot hold its end are only counted."""
    if text[start : start + 1] not in (b"{", b"["):
        scalar = _SCALAR.match(text, start)
        if scalar is None:
            raise Unintelligible
        return _Span(start, scalar.end(), 1)
    at, level, values = start, 0, 1
    while True:
        run = _RUN.match(text, at)
        if run is None:
            raise Unintelligible
        bare = _STRINGS.sub(b"", run[0]) if b'"' in run[0] else run[0]
        left = _unpaired(bare)
        closed = left.count(b"}")
        if closed >= level:
            end, level = _close(text, at, run.end(), level)
            if level == 0:
                inside = _STRINGS.sub(b"", text[at:end])
                return _Span(start, end, values + inside.count(b",") + inside.count(b"[") + inside.count(b"{"))
        else:
            level += len(left) - 2 * closed
        values += bare.count(b",") + bare.count(b"[") + bare.count(b"{")
        at = run.end()


def _unpaired(bare: bytes) -> bytes:
    """Returns the unpaired brackets of a text without strings: closing ones, and then opening ones."""
    left = bare.translate(_BRACES, _OTHERS)
    for _ in range(_ROUNDS):
        before = len(left)
        left = left.replace(b"{}", b"")
        if len(left) == before:
            break
    return left


def _close(text: bytes, start: int, end: int, level: int) -> tuple[int, int]:
    """Returns the position after the bracket that closes ``level`` brackets, and 0; or ``end`` and the open level."""
    for token in _TOKENS.finditer(text, start, end):
        first = text[token.start()]
        if first in _OPENING:
            level += 1
        elif first in _CLOSING:
            level -= 1
            if level <= 0:
                return token.end(), 0
    return end, level


def _levels(text: bytes, span: _Span) -> int:
    """Returns how deep a value nests."""
    level = deepest = 0
    for token in _TOKENS.finditer(text, span.start, span.end):
        first = text[token.start()]
        if first in _OPENING:
            level += 1
            deepest = max(deepest, level)
            if deepest > _PARSED_LEVELS:
                break
        elif first in _CLOSING:
            level -= 1
    return deepest


def _parse(text: bytes, span: _Span) -> Any:
    return _loads(text[span.start : span.end])


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unintelligible from error


def _map(value: Any) -> Object:
    if not isinstance(value, dict):
        raise Unintelligible
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unintelligible
    return value
