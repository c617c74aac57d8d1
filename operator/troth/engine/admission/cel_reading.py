"""Reading CEL rules: each text once, and no more text than can be read while somebody waits.

cel-python's parser takes some ten microseconds for each character. The largest known API (Gateway's HTTPRoute) has
17,000 characters of rules. Rules that are much longer count as unchecked, instead of being read for minutes.
"""

from __future__ import annotations

import functools
from typing import Any, Final

LONGEST_RULE: Final = 100_000
"""The most characters that the API server allows in a rule."""
MOST_TEXT: Final = 30_000
"""The most characters that are read of all rules of a version together."""


_HANDING_ON: Final = (
    "expr",
    "conditionalor",
    "conditionaland",
    "relation",
    "addition",
    "multiplication",
    "unary",
    "member",
)


class RuleReader:
    """Reads the rules of one version, until they are too long together."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MOST_TEXT

    def read(self, source: str) -> tuple[Any, str]:
        """Returns the tree of a rule, a ``lark.Tree``; or None, and the reason why the rule cannot be read."""
        if not source:
            return None, ""
        if len(source) > self._left:
            return None, f"the rules of this API are longer than the {MOST_TEXT:,} characters that are read"
        self._left -= len(source)
        return _parse(source)


@functools.lru_cache(maxsize=4096)
def _parse(source: str) -> tuple[Any, str]:
    # Imported here: loading the library takes longer than a whole render without rules.
    from celpy.celparser import CELParseError

    from troth.engine.admission.grammar import cel_parser

    try:
        return _collapsed(cel_parser().parse(source)), ""
    except (CELParseError, RecursionError) as error:
        return None, f"cel-python cannot read it: {first_line(error)}"


def _collapsed(tree: Any) -> Any:
    """Returns the tree without nodes that only wrap another one, which are nine of ten, in memory and in time."""
    for node in tree.iter_subtrees():  # from the leaves to the root
        node.children = [_inner(child) for child in node.children]
    return _inner(tree)


def _inner(node: Any) -> Any:
    children: list[Any] = getattr(node, "children", [])
    if len(children) != 1 or not hasattr(children[0], "children"):
        return node
    if node.data == "primary":
        return children[0].children[0] if children[0].data == "paren_expr" else node
    return children[0] if node.data in _HANDING_ON else node


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message."""
    text = str(error.args[0] if error.args else error).strip()
    return (text.splitlines() or [type(error).__name__])[0][:200]
