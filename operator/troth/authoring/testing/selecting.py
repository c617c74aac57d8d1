"""Selects the cases of a Promise by an expression."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from troth.api import TrothError

_TOKENS: Final = re.compile(r"\s*(?:([()])|\"([^\"]*)\"|'([^']*)'|([^\s()\"']+))")

Choice = Callable[[str], bool]


class InvalidChoice(TrothError):
    """The expression that was given to ``-k`` cannot be read."""


def choose(expression: str) -> Choice:
    """A function that says whether a name is selected by an expression.

    The expression consists of words, ``and``, ``or``, ``not`` and parentheses. A word selects the names that contain
    it anywhere, in upper or lower case.

    Raises:
        InvalidChoice: the expression cannot be read.
    """
    if not expression.strip():
        return lambda _: True
    parser = _Parser(expression)
    choice = parser.either()
    parser.end()
    return lambda name: choice(name.casefold())


class _Parser:
    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens: list[tuple[str, bool]] = []
        position, text = 0, expression.rstrip()
        while position < len(text):
            match = _TOKENS.match(text, position)
            if match is None:
                raise self._error()
            quoted = match[2] if match[2] is not None else match[3]
            self._tokens.append((match[1] or quoted or match[4] or "", quoted is not None))
            position = match.end()
        if len(self._tokens) > 200:
            raise self._error()

    def either(self) -> Choice:
        choices = [self._both()]
        while self._takes("or"):
            choices.append(self._both())
        return lambda name: any(choice(name) for choice in choices)

    def _both(self) -> Choice:
        choices = [self._one()]
        while self._takes("and"):
            choices.append(self._one())
        return lambda name: all(choice(name) for choice in choices)

    def _one(self) -> Choice:
        if self._takes("not"):
            refused = self._one()
            return lambda name: not refused(name)
        if self._takes("("):
            inner = self.either()
            if not self._takes(")"):
                raise self._error()
            return inner
        words = []
        while self._tokens and (self._tokens[0][1] or self._tokens[0][0] not in ("and", "or", "not", "(", ")")):
            words.append(self._tokens.pop(0)[0].casefold())
        if not words:
            raise self._error()
        phrase = " ".join(words)
        return lambda name: phrase in name

    def end(self) -> None:
        if self._tokens:
            raise self._error()

    def _takes(self, word: str) -> bool:
        if self._tokens and self._tokens[0] == (word, False):
            self._tokens.pop(0)
            return True
        return False

    def _error(self) -> InvalidChoice:
        return InvalidChoice(
            f"-k {self._expression!r} cannot be read; use words with and, or, not and parentheses between them"
        )
