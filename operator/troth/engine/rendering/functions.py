"""The functions that a template can call, as values that are good for nothing else.

Python writes a function as its name and its address in memory, which differs from process to process: a template that
formats one would render something else after each restart. A class such as `dict` has methods on top, and `dict.update`
would change the request for the next pipeline. So what a template is given is neither: it can be called, has no
attributes, and has no text, wherever in a list or a map it stands.
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
        """What the function gives."""
        return self._function(*arguments, **named)

    def __repr__(self) -> str:
        """It has no text.

        Raises:
            NoValue: always.
        """
        self._refuse()

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        """It has no text; raises `NoValue`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NoValue(f"the function {self.__name__}(…), not called, which is not a value")


def as_list(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose results stand in a list: an iterator has an address too, and is empty once it was read."""

    @wraps(filter_)
    def listed(*arguments: Any, **named: Any) -> Any:
        result = filter_(*arguments, **named)
        return list(result) if isinstance(result, Iterator) else result

    return listed
