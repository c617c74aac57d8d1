"""Why a pipeline failed. It is a value, since a failing template is an expected outcome.

The author of a Promise and the developer who made the request read it, often in the status of an object and nowhere
else. So it says where it happened (pipeline, file, line, expression), for which input (path and value), what is wrong,
and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

from troth.api.typed import read_text

Reason = Literal[
    "TemplateSyntax",
    "TemplateUndefined",
    "TemplateError",
    "TemplateTimeout",
    "TemplateTooLarge",
    "InvalidYAML",
    "InvalidPath",
    "DuplicatePath",
    "Refused",
    "InvalidDestinations",
    "InvalidStatus",
    "NotAllowed",
    "RenderCrashed",
    "ContainerFailed",
    "JobFailed",
    "JobRefused",
    "AttemptsExhausted",
]

_UNBOUNDED: Final = ("TemplateTimeout", "TemplateTooLarge", "RenderCrashed")
_PASSING: Final = frozenset({"RenderCrashed", "TemplateTimeout"})
_LONGEST_VALUE: Final = 80
_LONGEST_TEXT: Final = 1024


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in one pipeline.

    Attributes:
        reason: a word in CamelCase, for conditions and for tools.
        pipeline: the name of the pipeline.
        file: the path of the file, or the field of a leaf (``values.size``, ``files[0].when``), or "".
        line: the line in the template of ``file``, counted from 1.
        column: the column in that line, counted from 1.
        expression: the source of the expression, without its braces.
        input: the path of the most relevant input, such as ``spec.size``.
        value: that input as JSON, cut short, or "".
        message: what is wrong, without a full stop.
        hint: what to do about it, or "".
        container: the container that failed, or "".
        exit_code: the exit code of its process; None if no container failed.
        log: the last lines of its log, or "".
        attempts: after how many attempts it was given up; 0 for any other failure. Not shown beside the message.
        endless: whether the stack was exhausted, because includes or macros form a circle. Not shown to people.
        again: the seconds after which Troth tries again by itself; 0 when that is not decided. Not shown to people.
    """

    reason: Reason
    message: str
    pipeline: str = ""
    file: str = ""
    line: int | None = None
    column: int | None = None
    expression: str = ""
    input: str = ""
    value: str = ""
    hint: str = ""
    container: str = ""
    exit_code: int | None = None
    log: str = ""
    attempts: int = 0
    endless: bool = False
    again: float = field(default=0.0, compare=False)

    @property
    def location(self) -> str:
        """``pipeline/file:line``, as far as these are known."""
        where = "/".join(part for part in (self.pipeline, self.file) if part)
        return f"{where}:{self.line}" if where and self.line is not None else where

    @property
    def is_unbounded(self) -> bool:
        """Whether the templates exceeded their time, memory or stack, as opposed to being wrong."""
        return self.reason in _UNBOUNDED or self.endless

    def sentence(self) -> str:
        """Returns one line for people: where, what is wrong, what to do. A refusal is shown as its author wrote it."""
        if self.reason == "Refused":
            return " ".join(self.message.split())
        text = f"{self.location}: {self.message}" if self.location else self.message
        if self.hint:
            text += f"; {self.hint}"
        return " ".join(text.split())

    def as_status(self) -> dict[str, Any]:
        """Returns the failure for ``status.troth.failure``, without the fields that are not known."""
        fields = {
            "reason": self.reason,
            "pipeline": self.pipeline,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "expression": self.expression,
            "input": self.input,
            "value": self.value,
            "message": self.message,
            "hint": self.hint,
            "container": self.container,
            "exitCode": self.exit_code,
            "log": self.log,
        }
        return {name: value for name, value in fields.items() if value not in (None, "")}

    @staticmethod
    def from_status(fields: Mapping[str, Any]) -> Failure | None:
        """Returns the failure that `as_status` wrote; None if there is none. Never raises."""
        reasons: tuple[Reason, ...] = get_args(Reason)
        reason = next((known for known in reasons if known == fields.get("reason")), None)
        if reason is None:
            return None
        return Failure(
            reason,
            read_text(fields.get("message")),
            pipeline=read_text(fields.get("pipeline")),
            file=read_text(fields.get("file")),
            line=_read_number(fields.get("line")),
            column=_read_number(fields.get("column")),
            expression=read_text(fields.get("expression")),
            input=read_text(fields.get("input")),
            value=read_text(fields.get("value")),
            hint=read_text(fields.get("hint")),
            container=read_text(fields.get("container")),
            exit_code=_read_number(fields.get("exitCode")),
            log=read_text(fields.get("log")),
        )

    @property
    def passes(self) -> bool:
        """Whether the same rendering may succeed at another time."""
        return passes(self.reason)

    def within(self, pipeline: str) -> Failure:
        """Returns the failure as one of that pipeline, with its texts cut to a length that a status can hold."""
        return replace(
            self,
            pipeline=pipeline,
            expression=_cut(self.expression, _LONGEST_TEXT),
            value=_cut(self.value, _LONGEST_VALUE),
            message=_cut(self.message, _LONGEST_TEXT),
            hint=_cut(self.hint, _LONGEST_TEXT),
            log=self.log if len(self.log) <= _LONGEST_TEXT else "…" + self.log[1 - _LONGEST_TEXT :],
        )

    @staticmethod
    def from_wire(fields: Mapping[str, Any]) -> Failure:
        """Returns the failure from the fields that a worker sent."""
        return Failure(**fields)


def _read_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def passes(reason: str) -> bool:
    """Whether a failure for that reason may pass by itself, because a process or its time was at fault."""
    return reason in _PASSING


def timed_out(seconds: float, found: Failure | None = None) -> Failure:
    """Returns the failure of a pipeline that did not end in ``seconds``, with its place, if ``found`` knows it."""
    failure = Failure(
        "TemplateTimeout",
        f"the templates did not finish within {seconds:g} seconds",
        hint="look for a loop that is too long, or a regular expression that backtracks",
    )
    if found is None:
        return failure
    return replace(failure, file=found.file, line=found.line, column=found.column, expression=found.expression)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
