"""The messages between the pool and its workers: JSON frames, each after its length in four bytes.

Pipelines and contexts are JSON already; contents of files are UTF-8 text, or packed as a Work holds them, so nothing
needs another encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple
from typing import Any, Final

import orjson

from troth.api.pipelines import DestinationRule, FileTemplate, JinjaPipeline, Move
from troth.engine.failure import Failure
from troth.engine.lint_report import LintReport
from troth.engine.placement.work import Packed
from troth.engine.rendering.render import Control, Outcome, PackedFile, RenderContext, Rendered, RenderedFile

LENGTH: Final = struct.Struct("!I")
_OPTIONS: Final = orjson.OPT_NON_STR_KEYS

Answer = Outcome | LintReport
"""An answer of a worker, for a pipeline or for a Promise to lint."""


def pack(message: Any) -> bytes:
    """Packs a message as the payload of a frame."""
    return orjson.dumps(message, option=_OPTIONS, default=_plain)


def unpack(payload: bytes) -> Any:
    """Unpacks the message of a payload."""
    return orjson.loads(payload)


def framed(payload: bytes) -> bytes:
    """Returns a frame: the length of a payload, and the payload."""
    return LENGTH.pack(len(payload)) + payload


def pack_pipelines(pipelines: Sequence[JinjaPipeline]) -> bytes:
    """Packs a list of pipelines; equal lists give equal bytes. orjson writes a dataclass as a map of its fields."""
    return pack(list(pipelines))


def read_pipelines(messages: Sequence[Mapping[str, Any]]) -> tuple[JinjaPipeline, ...]:
    """Returns the pipelines from unpacked messages."""
    return tuple(
        JinjaPipeline(**{name: _read_field(name, value) for name, value in message.items()})
        for message in messages
    )


def _read_field(name: str, value: Any) -> Any:
    part = _PARTS.get(name)
    return value if part is None else tuple(part(**each) for each in value)


_PARTS: Final[Mapping[str, Callable[..., Any]]] = {
    "files": FileTemplate,
    "destinations": DestinationRule,
    "moved": Move,
}
"""The fields of a pipeline that are lists of dataclasses; all others are plain JSON."""


def pack_context(context: RenderContext) -> bytes:
    """Packs what templates may read."""
    return pack({"promise": context.promise, "request": context.request})


def read_context(message: Mapping[str, Any]) -> RenderContext:
    """Returns the context from an unpacked message."""
    return RenderContext(promise=message["promise"], request=message["request"])


def outcome_message(outcome: Answer | None) -> Any:
    """Returns an answer as a message."""
    if outcome is None:
        return None
    if isinstance(outcome, Failure):
        return {"failure": asdict(outcome)}
    if isinstance(outcome, LintReport):
        return {"lint": asdict(outcome)}
    control = outcome.control
    return {
        "pipeline": outcome.pipeline,
        "files": [
            (file.path, asdict(file.packed))
            if isinstance(file, PackedFile)
            else (file.path, file.content.decode())
            for file in outcome.files
        ],
        "destinations": [(rule.directory, rule.match_labels) for rule in outcome.destinations],
        "status": outcome.status,
        "control": None if control is None else astuple(control),
        "moved": [(move.kind, move.old, move.new) for move in outcome.moved],
    }


def read_outcome(message: Mapping[str, Any] | None) -> Outcome | None:
    """Returns the outcome from a message."""
    if message is None:
        return None
    if "failure" in message:
        return Failure.from_wire(message["failure"])
    control = message["control"]
    return Rendered(
        pipeline=message["pipeline"],
        files=tuple(
            RenderedFile(path, content.encode())
            if isinstance(content, str)
            else PackedFile(path, Packed(**content))
            for path, content in message["files"]
        ),
        destinations=tuple(DestinationRule(*rule) for rule in message["destinations"]),
        status=message["status"],
        control=None if control is None else Control(*control),
        moved=tuple(Move(*move) for move in message["moved"]),
    )


def read_answer(message: Mapping[str, Any] | None) -> Answer | None:
    """Returns the answer from a message, which is usually an outcome."""
    if message is not None and "lint" in message:
        return LintReport.from_wire(message["lint"])
    return read_outcome(message)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be sent to a worker")
