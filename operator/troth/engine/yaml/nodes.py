"""Reads a YAML text into nodes, with libyaml's parser, Kubernetes' types of plain words, and a bound on depth.

libyaml's binding composes nodes itself, in C, and refuses an anchor that occurs twice in one document. YAML allows
that, and kubectl reads it: the later anchor is used from there on. Such a text is composed here, from events, which
takes twice as long, so this is only done where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, Literal

import yaml
from yaml._yaml import CParser

from troth.api import TrothError
from troth.api.nesting import DEEPEST
from troth.engine.yaml.words import FALSE, NULL, NUMERIC, TRUE, is_not_finite, number

PREFIX: Final = "tag:yaml.org,2002:"
STR: Final = PREFIX + "str"
NUMBER: Final = PREFIX + "float"
WHOLE: Final = PREFIX + "int"
BOOL: Final = PREFIX + "bool"
NULL_TAG: Final = PREFIX + "null"
MAP: Final = PREFIX + "map"
SEQ: Final = PREFIX + "seq"
MERGE: Final = PREFIX + "merge"

_WORDS: Final = {**dict.fromkeys(TRUE | FALSE, BOOL), **dict.fromkeys(NULL, NULL_TAG), "<<": MERGE}
_ANCHOR_AGAIN: Final = "found duplicate anchor"


Mistake = Literal["RepeatedKey", "Indentation", "ReservedCharacter", "TooManyAliases"]
"""Frequent mistakes, for which an author of templates gets a hint."""


class InvalidManifest(TrothError):
    """A text that is not YAML as Kubernetes reads it.

    Attributes:
        problem: what is wrong, in plain words, without a full stop.
        line: the line in the text, from 1; None when it is not known.
        column: the column in that line, from 1.
        mistake: which of the frequent mistakes it is; None when it is another one.
    """

    def __init__(
        self,
        problem: str,
        line: int | None = None,
        column: int | None = None,
        *,
        mistake: Mistake | None = None,
    ) -> None:
        self.problem = problem
        self.mistake = mistake
        self.line = line
        self.column = column
        super().__init__(f"line {line}: {problem}" if line is not None else problem)


def compose(text: str) -> Iterator[Any]:
    """Yields the node of each document.

    Raises:
        InvalidManifest: the text nests too deep.
        yaml.YAMLError: the text is not YAML.
    """
    done = 0
    composer = _Composer(text)
    try:
        while composer.check_node():
            yield composer.get_node()
            done += 1
    except yaml.composer.ComposerError as error:
        if not str(error.context).startswith(_ANCHOR_AGAIN):
            raise
        yield from islice(_compose_events(text), done, None)
    finally:
        composer.dispose()


class _Composer(CParser):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def resolve(self, kind: type, value: str, implicit: tuple[bool, bool]) -> str:
        if kind is not yaml.ScalarNode:
            return SEQ if kind is yaml.SequenceNode else MAP
        if not implicit[0]:
            return STR
        if value and value[0] in NUMERIC:
            return NUMBER if number(value) is not None or is_not_finite(value) else STR
        return _WORDS.get(value, STR)

    def descend_resolver(self, parent: Any, index: Any) -> None:  # noqa: ARG002 - PyYAML's signature
        self._depth += 1
        if self._depth > DEEPEST + 1:  # a scalar counts here, too
            mark = parent.start_mark
            raise InvalidManifest(f"nested more than {DEEPEST} levels deep", mark.line + 1, mark.column + 1)

    def ascend_resolver(self) -> None:
        self._depth -= 1


def _compose_events(text: str) -> Iterator[Any]:
    parser = _Composer(text)
    try:
        parser.get_event()
        while not parser.check_event(yaml.StreamEndEvent):
            parser.get_event()
            yield _node(parser, {}, None)
            parser.get_event()
    finally:
        parser.dispose()


def _node(parser: Any, anchors: dict[str, Any], parent: Any) -> Any:
    event = parser.get_event()
    start, end = _marks(event)
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise yaml.composer.ComposerError(None, None, "found undefined alias", start)
        return anchors[event.anchor]
    tag = event.tag if event.tag not in (None, "!") else None
    node: Any
    if isinstance(event, yaml.ScalarEvent):
        tag = tag or parser.resolve(yaml.ScalarNode, event.value, event.implicit)
        node = yaml.ScalarNode(tag, event.value, start, end, style=event.style)
    elif isinstance(event, yaml.SequenceStartEvent):
        node = yaml.SequenceNode(tag or SEQ, [], start, end)
    else:
        node = yaml.MappingNode(tag or MAP, [], start, end)
    if event.anchor is not None:
        anchors[event.anchor] = node
    if not isinstance(node, yaml.ScalarNode):
        _fill(node, parser, anchors, parent)
    return node


def _marks(event: Any) -> tuple[Any, Any]:
    return event.start_mark, event.end_mark


def _fill(node: Any, parser: Any, anchors: dict[str, Any], parent: Any) -> None:
    is_map = isinstance(node, yaml.MappingNode)
    end = yaml.MappingEndEvent if is_map else yaml.SequenceEndEvent
    parser.descend_resolver(parent or node, None)
    while not parser.check_event(end):
        child = _node(parser, anchors, node)
        node.value.append((child, _node(parser, anchors, node)) if is_map else child)
    parser.ascend_resolver()
    node.end_mark = parser.get_event().end_mark
