"""Generates a text that matches a pattern: the first branches of the pattern, with as few repetitions as possible."""

from __future__ import annotations

import re
from re import _constants as constants
from re import _parser as parser
from typing import Any, Final

from troth.engine.admission.validation import compile_pattern

_MOST_REPEATED: Final = 40
_LONGEST: Final = 1000


def text_for(pattern: str) -> str | None:
    """Returns a text that matches a regular expression; None when none could be generated."""
    try:
        if len(pattern) > 1000:
            return None
        text = _write(parser.parse(pattern))
    except (re.error, _Unwritable, RecursionError, OverflowError):
        return None
    search, _ = compile_pattern(pattern)
    return text if search is not None and search(text) else None


class _Unwritable(Exception):
    """A part of a pattern for which no text can be generated."""


def _write(tree: Any) -> str:
    return "".join([_part(operator, argument) for operator, argument in tree])


def _part(operator: Any, argument: Any) -> str:
    if operator is constants.LITERAL:
        return chr(argument)
    if operator is constants.NOT_LITERAL:
        return "a" if argument != ord("a") else "b"
    if operator is constants.ANY:
        return "a"
    if operator is constants.AT:
        return ""
    if operator is constants.IN:
        return _one_of(argument)
    if operator is constants.BRANCH:
        return _write(argument[1][0])
    if operator is constants.SUBPATTERN:
        return _write(argument[-1])
    if operator in (constants.MAX_REPEAT, constants.MIN_REPEAT):
        least, _, inner = argument
        if least > _MOST_REPEATED:
            raise _Unwritable
        text = _write(inner)
        if len(text) * least > _LONGEST:
            raise _Unwritable
        repeated: str = text * least
        return repeated
    raise _Unwritable


def _one_of(items: Any) -> str:
    negated = items[0][0] is constants.NEGATE
    candidates = "".join(map(chr, range(33, 127)))
    order = "abcdefghijklmnopqrstuvwxyz0123456789" + candidates
    for character in order:
        if negated != any(_holds(character, *item) for item in items if item[0] is not constants.NEGATE):
            return character
    raise _Unwritable


def _holds(character: str, operator: Any, argument: Any) -> bool:
    if operator is constants.LITERAL:
        return bool(ord(character) == argument)
    if operator is constants.RANGE:
        return bool(argument[0] <= ord(character) <= argument[1])
    if operator is constants.CATEGORY:
        if argument is constants.CATEGORY_DIGIT:
            return character.isdigit()
        if argument is constants.CATEGORY_WORD:
            return character.isalnum() or character == "_"
    return False
