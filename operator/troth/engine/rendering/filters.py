"""The filters, tests and functions that templates may use: a list of what is allowed, with Ansible's and Helm's names.

Each always gives the same result for the same input: there are no clocks, random values or lookups. Jinja's own are
kept where they are such functions, but not those that trust text (``safe``), write HTML, or access attributes. A filter
that writes markup returns a `Text`, and takes the rendering's `Tokens` from its environment.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import jinja2.filters
import jinja2.tests
import orjson
from jinja2 import pass_environment

from troth.engine.quantities import (
    quantity,
    quantity_add,
    quantity_div,
    quantity_max,
    quantity_min,
    quantity_mul,
    quantity_sub,
)
from troth.engine.rendering.durations import duration, duration_text
from troth.engine.rendering.functions import as_list
from troth.engine.rendering.values import Text, Tokens, plain_value
from troth.engine.yaml.emit import text_of
from troth.engine.yaml.manifests import InvalidManifest, load_document, load_documents

_FROM_JINJA: Final = (
    "abs batch capitalize center count d default dictsort first float groupby int items last length list lower map "
    "max min reject rejectattr replace reverse round select selectattr slice sort sum title trim truncate unique "
    "upper urlencode wordcount wordwrap"
)
_TESTS_FROM_JINJA: Final = (
    "boolean defined divisibleby eq equalto even false float ge greaterthan gt in integer iterable le lessthan lower "
    "lt mapping ne none number odd sameas sequence string true undefined upper == != > >= < <="
)


class Refusal(Exception):
    """Raised by ``fail("…")``: the template refuses the request on purpose, with its author's message."""


class HasTokens(Protocol):
    """The environment of one rendering, as far as filters use it."""

    tokens: Tokens


def fail(*words: Any) -> str:
    """Refuses the request, with ``words`` as the message in its status."""
    raise Refusal(" ".join(text_of(plain_value(word)) for word in words) or "refused by the template")


# ---- formats


@pass_environment
def to_yaml(environment: HasTokens, value: Any, *_ignored: Any, **_options: Any) -> Text:
    """A value as YAML. The options of Ansible's filter are accepted and ignored, because there is only one form."""
    return environment.tokens.yaml(value)


def to_json(value: Any, *_ignored: Any, **_options: Any) -> str:
    """A value as compact JSON."""
    return orjson.dumps(plain_value(value), option=orjson.OPT_NON_STR_KEYS).decode()


def to_nice_json(value: Any, indent: int = 2, **_options: Any) -> str:
    """A value as JSON with line breaks and indentation."""
    return json.dumps(plain_value(value), indent=min(int(indent), 16), ensure_ascii=False)


def from_json(text: str) -> Any:
    """The value of a JSON text."""
    try:
        return orjson.loads(str(text))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"this is not JSON: {error}") from None


def from_yaml(text: str) -> Any:
    """The value of a YAML text, as Kubernetes reads it."""
    try:
        return load_document(str(text))
    except InvalidManifest as error:
        raise ValueError(f"this is not YAML: {error}") from None


def from_yaml_all(text: str) -> list[Any]:
    """The documents of a YAML text, as a list."""
    try:
        return load_documents(str(text))
    except InvalidManifest as error:
        raise ValueError(f"this is not YAML: {error}") from None


def b64encode(value: Any) -> str:
    """Base64 of a text in UTF-8."""
    return base64.b64encode(text_of(plain_value(value)).encode()).decode()


def b64decode(text: str) -> str:
    """The text that is encoded as base64."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"this is not base64 of a text: {error}") from None


def sha256(value: Any) -> str:
    """The SHA-256 of a text in hex; for any other value, of its JSON with sorted keys."""
    return hash_of(value, "sha256")


def hash_of(value: Any, algorithm: str = "sha1") -> str:
    """A hash in hex, by md5, sha1, sha224, sha256, sha384 or sha512."""
    if algorithm not in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
        raise ValueError(f"unknown hash {algorithm!r}")
    value = plain_value(value)
    data = value.encode() if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()


# ---- text


def string(value: Any) -> str:
    """A value as text; a map or a list as JSON."""
    return value if isinstance(value, str) else text_of(plain_value(value))


def join(values: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    """The texts of a list, with a separator between them."""
    if attribute is not None:
        values = [value[attribute] for value in values]
    return separator.join(string(value) for value in values)


@pass_environment
def indent(
    environment: HasTokens,
    text: str,
    width: int | str = 4,
    first: bool = False,
    blank: bool = False,
) -> Text:
    """Indents the lines after the first. This is not needed in YAML, where values are inserted after parsing."""
    del blank
    if isinstance(width, str) and width.strip(" \t"):
        raise ValueError("lines are indented with spaces")  # no template wrote any other text
    margin = width if isinstance(width, str) else " " * min(int(width), 256)
    return _indented(environment.tokens, text, margin if first else "", margin)


@pass_environment
def nindent(environment: HasTokens, text: str, width: int = 4) -> Text:
    """Starts a new line and indents all lines, as in Helm."""
    margin = " " * min(int(width), 256)
    return _indented(environment.tokens, text, "\n" + margin, margin)


def _indented(tokens: Tokens, text: Any, lead: str, margin: str) -> Text:
    if type(text) is not Text:
        return tokens.indented(string(text), lead, margin)
    markup = lead + margin.join(text.markup.splitlines(keepends=True))
    return tokens.capture(markup)


def dns_label(value: Any, length: int = 63) -> str:
    """A name that Kubernetes accepts for every kind: lower-case letters, digits and ``-``.

    If more than the case had to be changed, or if it was cut, a hash of the original is appended, so that two inputs
    never have the same name.
    """
    text = string(value)
    length = max(12, min(int(length), 63))
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if name and name == text.lower() and len(name) <= length:
        return name
    return f"{name[: length - 9].rstrip('-') or 'x'}-{sha256(text)[:8]}"


def slug(value: Any, separator: str = "-") -> str:
    """The text in lower case, in which everything that is not a letter or a digit is replaced."""
    return re.sub(r"[^a-z0-9]+", lambda _: separator, string(value).lower()).strip(separator)


def split(text: str, separator: str | None = None, most: int = -1) -> list[str]:
    """The parts of a text between separators."""
    return string(text).split(separator, most)


def regex_replace(
    text: Any, pattern: str = "", replacement: str = "", ignorecase: bool = False, multiline: bool = False
) -> str:
    """A text in which all matches of a pattern are replaced."""
    return _regex(pattern, ignorecase, multiline).sub(replacement, string(text))


def regex_search(text: Any, pattern: str, *groups: Any, ignorecase: bool = False, multiline: bool = False) -> Any:
    """The first match of a pattern, or the given groups of it; null without a match."""
    match = _regex(pattern, ignorecase, multiline).search(string(text))
    if match is None:
        return None
    if not groups:
        return match.group()
    return [match.group(int(group) if str(group).isdigit() else str(group)) for group in groups]


def regex_findall(text: Any, pattern: str, ignorecase: bool = False, multiline: bool = False) -> list[Any]:
    """All matches of a pattern."""
    return [
        list(found) if isinstance(found, tuple) else found
        for found in _regex(pattern, ignorecase, multiline).findall(string(text))
    ]


def regex_escape(text: Any) -> str:
    """A pattern that matches exactly this text."""
    return re.escape(string(text))


def _regex(pattern: str, ignorecase: bool, multiline: bool) -> re.Pattern[str]:
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a valid regular expression: {error}") from None


# ---- logic, lists and maps


def boolean(value: Any) -> bool:
    """True for true, 1, yes and on, in any case."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "1", "yes", "on", "y", "t")
    return bool(value)


def ternary(value: Any, true: Any, false: Any, null: Any = None) -> Any:
    """One of two results, or a third one when the value is null."""
    if value is None and null is not None:
        return null
    return true if value else false


def combine(value: Any, *others: Any, recursive: bool = False, **_options: Any) -> dict[str, Any]:
    """Maps merged into one, in which later ones win; nested maps are only merged when ``recursive``."""
    result: dict[str, Any] = {}
    for mapping in (value, *others):
        for part in mapping if isinstance(mapping, list) else [mapping]:
            if not isinstance(part, Mapping):
                raise TypeError("combine merges maps")
            result = _merged(result, part) if recursive else {**result, **part}
    return result


def _merged(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in other.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(cast("Mapping[str, Any]", old), value) if both else value
    return result


def dict2items(value: Mapping[str, Any], key_name: str = "key", value_name: str = "value") -> list[dict[str, Any]]:
    """A map as a list of entries with a key and a value."""
    return [{key_name: key, value_name: child} for key, child in value.items()]


def items2dict(values: Iterable[Any], key_name: str = "key", value_name: str = "value") -> dict[str, Any]:
    """A list of entries with a key and a value, or of pairs, as a map."""
    return {
        entry[key_name] if isinstance(entry, Mapping) else entry[0]: (
            entry[value_name] if isinstance(entry, Mapping) else entry[1]
        )
        for entry in values
    }


def flatten(values: Iterable[Any], levels: int | None = None) -> list[Any]:
    """A list with the items of nested lists in place of these, without nulls."""
    result: list[Any] = []
    for value in values:
        if isinstance(value, (list, tuple)) and levels != 0:
            result.extend(flatten(value, None if levels is None else levels - 1))
        elif value is not None:
            result.append(value)
    return result


def zipped(values: Iterable[Any], *others: Iterable[Any]) -> list[list[Any]]:
    """Combines lists item by item, up to the length of the shortest."""
    return [list(entry) for entry in zip(values, *others, strict=False)]


def zip_longest(values: Iterable[Any], *others: Iterable[Any], fillvalue: Any = None) -> list[list[Any]]:
    """Combines lists item by item, up to the length of the longest."""
    return [list(entry) for entry in itertools.zip_longest(values, *others, fillvalue=fillvalue)]


def _distinct(values: Iterable[Any]) -> list[Any]:
    result: list[Any] = []
    for value in values:
        if value not in result:
            result.append(value)
    return result


def union(values: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """The items of both lists, without repetitions, in order."""
    return _distinct([*values, *other])


def intersect(values: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """The items that are in both lists, without repetitions, in order."""
    return [value for value in _distinct(values) if value in other]


def difference(values: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """The items that are only in the first list, without repetitions, in order."""
    return [value for value in _distinct(values) if value not in other]


def symmetric_difference(values: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """The items that are in only one of the lists."""
    return [*difference(values, other), *difference(other, values)]


# ---- tests


def matches(value: Any, pattern: str) -> bool:
    """Whether the pattern matches at the start of the text."""
    return _regex(pattern, ignorecase=False, multiline=False).match(string(value)) is not None


def searches(value: Any, pattern: str) -> bool:
    """Whether the pattern matches anywhere in the text."""
    return _regex(pattern, ignorecase=False, multiline=False).search(string(value)) is not None


def contains(value: Any, item: Any) -> bool:
    """Whether a list, map or text contains something."""
    return item in value


def subset(values: Iterable[Any], other: Any) -> bool:
    """Whether all items of a list are in another list."""
    return all(value in other for value in values)


def superset(values: Any, other: Iterable[Any]) -> bool:
    """Whether a list contains all items of another list."""
    return all(value in values for value in other)


def version(value: Any, other: Any, operator: str = "eq") -> bool:
    """Compares two versions, number by number, with an operator such as ``>=``."""
    left, right = _version(string(value)), _version(string(other))
    results = {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }
    words = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "=": "=="}
    try:
        return results[words.get(operator, operator)]
    except KeyError:
        raise ValueError(f"{operator!r} compares nothing; use one of {', '.join(results)}") from None


def _version(text: str) -> tuple[tuple[int, ...], bool, tuple[tuple[int, int, str], ...]]:
    """Returns a key for sorting versions: by their numbers, with pre-releases such as 1.0-rc1 before the release."""
    release, rest = re.fullmatch(r"v?([0-9.]{0,64})(.*)", text.lower(), re.DOTALL).groups()  # type: ignore[union-attr]
    numbers = [int(part) for part in release.split(".") if part]
    while numbers and not numbers[-1]:
        numbers.pop()
    parts = re.findall(r"[0-9]{1,18}|[a-z]+", rest.partition("+")[0])
    return (
        tuple(numbers),
        not parts,
        tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts),
    )


def allowed_filters() -> dict[str, Callable[..., Any]]:
    """Returns the filters by name."""
    return {
        **{name: as_list(jinja2.filters.FILTERS[name]) for name in _FROM_JINJA.split()},
        "b64decode": b64decode,
        "b64encode": b64encode,
        "bool": boolean,
        "combine": combine,
        "dict2items": dict2items,
        "difference": difference,
        "dns_label": dns_label,
        "duration": duration,
        "duration_text": duration_text,
        "flatten": flatten,
        "from_json": from_json,
        "from_yaml": from_yaml,
        "from_yaml_all": from_yaml_all,
        "hash": hash_of,
        "indent": indent,
        "intersect": intersect,
        "items2dict": items2dict,
        "join": join,
        "nindent": nindent,
        "quantity": quantity,
        "quantity_add": quantity_add,
        "quantity_div": quantity_div,
        "quantity_max": quantity_max,
        "quantity_min": quantity_min,
        "quantity_mul": quantity_mul,
        "quantity_sub": quantity_sub,
        "regex_escape": regex_escape,
        "regex_findall": regex_findall,
        "regex_replace": regex_replace,
        "regex_search": regex_search,
        "sha256": sha256,
        "slug": slug,
        "split": split,
        "string": string,
        "symmetric_difference": symmetric_difference,
        "ternary": ternary,
        "to_json": to_json,
        "to_nice_json": to_nice_json,
        "to_nice_yaml": to_yaml,
        "to_yaml": to_yaml,
        "tojson": to_json,
        "union": union,
        "zip": zipped,
        "zip_longest": zip_longest,
    }


def allowed_tests() -> dict[str, Callable[..., Any]]:
    """Returns the tests by name."""
    return {
        **{name: cast("Callable[..., Any]", jinja2.tests.TESTS[name]) for name in _TESTS_FROM_JINJA.split()},
        "contains": contains,
        "match": matches,
        "search": searches,
        "subset": subset,
        "superset": superset,
        "version": version,
    }
