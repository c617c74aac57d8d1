"""The functions that a template can call, as values that cannot be used in any other way.

Python formats a function with its address in memory, which differs from process to process: a template that formats one
would render something else after each restart. A class such as `dict` also has methods, and `dict.update` would change
the request for the next pipeline. So a template gets neither of these, but an object that can be called, has no
attributes, and cannot be formatted, not even as part of a list or a map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, NoReturn

from troth.engine.rendering.values import NoValue


class TemplateFunction:
    """A function that a template can call."""

    __slots__ = ("__name__", "_function")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.__name__ = name
        self._function = function

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Calls the function."""
        return self._function(*arguments, **named)

    def __repr__(self) -> str:
        """Refuses to be formatted.

        Raises:
            NoValue: always.
        """
        self._refuse()

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        """Refuses to be formatted. Raises `NoValue`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NoValue(f"the function {self.__name__}(…), not called, which is not a value")


def as_list(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a filter that gives a list instead of an iterator, which would have an address and could be read once."""

    @wraps(filter_)
    def listed(*arguments: Any, **named: Any) -> Any:
        result = filter_(*arguments, **named)
        return list(result) if isinstance(result, Iterator) else result

    return listed
