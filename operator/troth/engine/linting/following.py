"""What following an expression needs: who resolves names and takes remarks, and the rule that what is used exists.

An expression is followed by one object whose parts are split by idea, each in a class upon the one before: `lookups`
looks into values, `operators` compares and combines them, `calls` passes them to filters, tests and functions, and
`expressions` chooses among them. Rejected: functions that take the reader as an argument, which would call one another
in a circle of modules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from jinja2 import nodes

from troth.engine.linting.scope import Key, Macro, Scope, key_of
from troth.engine.linting.shapes import Shape, without_null
from troth.engine.rendering.inputs import path_text


class Following(ABC):
    """Follows expressions; where names come from and where remarks go is the reader's."""

    @abstractmethod
    def step(self) -> None:
        """Counts what was followed."""

    @abstractmethod
    def remark(self, code: str, node: nodes.Node, message: str, fix: str = "", **more: Any) -> None:
        """Says what is wrong at a node."""

    @abstractmethod
    def mark(self, shape: Shape, *, whole: bool) -> None:
        """Notes that a value was used."""

    @abstractmethod
    def resolve(self, name: str, scope: Scope, node: nodes.Node) -> Shape:
        """What a name gives."""

    @abstractmethod
    def value_field(self, name: str) -> None:
        """Notes that ``values.name`` was read."""

    @abstractmethod
    def call_macro(self, macro: Macro, call: nodes.Call, scope: Scope) -> Shape:
        """Follows a macro with what it is given."""

    @abstractmethod
    def quiet(self) -> AbstractContextManager[None]:
        """What is followed inside is not remarked on."""

    @property
    @abstractmethod
    def in_macro(self) -> bool:
        """Whether what is read is given by whoever calls."""

    @abstractmethod
    def expr(self, node: nodes.Node, scope: Scope, *, forgiving: bool = False) -> Shape:
        """The shape of an expression, which may be missing."""

    def use(self, node: nodes.Node, scope: Scope, *, whole: bool = True) -> Shape:
        """The shape of an expression whose value is needed now: it must exist."""
        shape = self.expr(node, scope)
        self.mark(shape, whole=whole)
        if not shape.missing:
            return shape
        key = key_of(node)
        what = path_text(key) if key else "this"
        why = "" if shape.missing.startswith(f"{what} ") else f": {shape.missing}"
        message = (
            f"{what} may be missing{why}" if why else f"{shape.missing}, and is used as if it were always there"
        )
        fix = "give the field a default in the API, write | default(…), or ask whether it is defined first"
        self.remark("T102", node, message, fix)
        if key:
            scope.facts |= {key}
        return replace(shape, missing="")

    def _passed(self, node: nodes.Node, scope: Scope) -> Shape:
        """A value that is put into another one, where nobody follows it further."""
        shape = self.expr(node, scope)
        self.mark(shape, whole=True)
        return shape

    @staticmethod
    def _known(shape: Shape, key: Key | None, scope: Scope) -> Shape:
        if shape.kinds is not None and "null" in shape.kinds and scope.knows_not_null(key):
            shape = without_null(shape)
        if shape.missing and scope.knows(key):
            shape = replace(shape, missing="")
        if shape.hollow and scope.knows_within(key):
            shape = replace(shape, hollow="")
        return shape
