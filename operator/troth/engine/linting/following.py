"""The base for following expressions: resolving names, reporting remarks, and the rule that a used value must exist.

One object follows expressions. Its class is split by idea, and each part inherits from the one before: `lookups` looks
into values, `operators` compares and combines them, `calls` passes them to filters, tests and functions, and
`expressions` chooses among these. Rejected: functions that take the reader as an argument, which would call one another
in a circle of modules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from jinja2 import nodes

from troth.engine.linting.scope import Key, Macro, Scope, key_of
from troth.engine.linting.shapes import NO_SPEC, OPTIONAL_SPEC, Shape, without_null
from troth.engine.rendering.inputs import path_text


class Following(ABC):
    """Follows expressions. A subclass, the reader, resolves names and takes the remarks."""

    @abstractmethod
    def step(self) -> None:
        """Counts one more node that is followed."""

    @abstractmethod
    def remark(self, code: str, node: nodes.Node, message: str, fix: str = "", **more: Any) -> None:
        """Reports what is wrong at a node."""

    @abstractmethod
    def mark(self, shape: Shape, *, whole: bool) -> None:
        """Notes that a value is used; ``whole`` with everything in it."""

    @abstractmethod
    def resolve(self, name: str, scope: Scope, node: nodes.Node) -> Shape:
        """Returns the shape of a name's value."""

    @abstractmethod
    def value_field(self, name: str) -> None:
        """Notes that ``values.name`` is read."""

    @abstractmethod
    def call_macro(self, macro: Macro, call: nodes.Call, scope: Scope) -> Shape:
        """Follows a macro with the arguments of a call."""

    @abstractmethod
    def quiet(self) -> AbstractContextManager[None]:
        """Returns a context in which no remarks are reported."""

    @property
    @abstractmethod
    def in_macro(self) -> bool:
        """Whether a macro is being followed, whose arguments depend on its callers."""

    @abstractmethod
    def expr(self, node: nodes.Node, scope: Scope, *, forgiving: bool = False) -> Shape:
        """Returns the shape of an expression, whose value may be missing."""

    def use(self, node: nodes.Node, scope: Scope, *, whole: bool = True) -> Shape:
        """Returns the shape of an expression whose value is used, and so must exist."""
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
        fix = "give the field a default in the API"
        if shape.missing in (NO_SPEC, OPTIONAL_SPEC):
            fix = (
                "add required: [spec] beside properties in the API's openAPIV3Schema if every request needs a spec"
            )
        fix += ", write | default(…), or ask whether it is defined first"
        self.remark("T102", node, message, fix)
        if key:
            scope.facts |= {key}
        return replace(shape, missing="")

    def _passed(self, node: nodes.Node, scope: Scope) -> Shape:
        """Follows a value that becomes part of another one, in which it is not followed any further."""
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
