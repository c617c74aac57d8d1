"""Reads records in a store or on a cluster that others may have written, with limits of size, depth and types.

Everybody who may push to a repository or edit a ConfigMap can write these, by mistake or on purpose. So a small text
must not become large here: aliases and tags are refused, and texts that are too deep or too long are refused before
they are read to the end. There is one error for all of this, and it does not quote the text.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
import yaml
from yaml._yaml import CParser

LARGEST: Final = 4 << 20
"""The largest record in bytes, which has room for ten thousand files with the longest paths."""

MOST: Final = 50_000
"""The greatest number of values in one record, which is more than the files of the largest Work."""

_DEEPEST: Final = 16
_TEXT: Final = "tag:yaml.org,2002:str"
_TIME: Final = "tag:yaml.org,2002:timestamp"
_RESOLVER: Final = yaml.resolver.Resolver()


class Unreadable(Exception):
    """A record cannot be read. The message says what is wrong, as the end of a sentence."""


def read_yaml(content: bytes) -> Any:
    """The only document of a YAML text, as dicts, lists and texts, with None for any other scalar. Raises Unreadable.

    JSON does not have dates, so a date is a text here, as it is for Kubernetes and Kratix.
    """
    _require_size(len(content))
    try:
        parser = CParser(content.decode())
    except UnicodeDecodeError:
        raise Unreadable("is not UTF-8 text") from None
    except (yaml.YAMLError, ValueError):
        raise Unreadable("is not YAML") from None
    try:
        return _document(parser)
    except yaml.MarkedYAMLError as error:
        raise Unreadable(f"is not YAML{_line(error.problem_mark)}") from None
    except (yaml.YAMLError, ValueError):
        raise Unreadable("is not YAML") from None
    finally:
        parser.dispose()


def read_json(text: object) -> Any:
    """The value of a JSON text. Raises Unreadable."""
    if not isinstance(text, str):
        raise Unreadable("is not text")
    _require_size(len(text))
    try:
        return orjson.loads(text)
    except ValueError:  # also for a text that is too deep, which orjson refuses itself
        raise Unreadable("is not JSON") from None


def _require_size(size: int) -> None:
    if size > LARGEST:
        raise Unreadable(f"is larger than {LARGEST >> 20} MiB")


def _document(parser: Any) -> Any:
    """Builds the document in one pass over the events, without recursion: open collections are kept in a list."""
    found: list[Any] = []
    open_: list[Any] = [found]
    keys: list[Any] = [None]
    documents = values = 0
    while (event := parser.get_event()) is not None:
        kind = type(event)
        values += 1
        if values > MOST:
            raise Unreadable(f"holds more than {MOST} values")
        if kind is yaml.DocumentStartEvent:
            documents += 1
            if documents > 1:
                raise Unreadable(f"has more than one document{_line(event.start_mark)}")
        elif kind is yaml.AliasEvent or getattr(event, "anchor", None):
            raise Unreadable(f"has an anchor or an alias{_line(event.start_mark)}")
        elif kind in (yaml.SequenceEndEvent, yaml.MappingEndEvent):
            open_.pop()
            keys.pop()
        elif kind is yaml.ScalarEvent:
            _put(open_, keys, _scalar(event), event)
        elif kind in (yaml.SequenceStartEvent, yaml.MappingStartEvent):
            if event.tag is not None:
                raise Unreadable(f"has a tag (!){_line(event.start_mark)}")
            if len(open_) > _DEEPEST:
                raise Unreadable(f"nests deeper than {_DEEPEST} levels{_line(event.start_mark)}")
            child: Any = [] if kind is yaml.SequenceStartEvent else {}
            _put(open_, keys, child, event)
            open_.append(child)
            keys.append(None)
    return found[0] if found else None


def _put(open_: list[Any], keys: list[Any], value: Any, event: Any) -> None:
    holder = open_[-1]
    if isinstance(holder, list):
        holder.append(value)
    elif keys[-1] is None:
        if not isinstance(value, str):
            raise Unreadable(f"has a key that is not text{_line(event.start_mark)}")
        if value in holder:
            raise Unreadable(f"has a key twice{_line(event.start_mark)}")
        keys[-1] = value
    else:
        holder[keys[-1]] = value
        keys[-1] = None


def _scalar(event: Any) -> str | None:
    if event.tag not in (None, _TEXT, "!"):
        raise Unreadable(f"has a tag (!){_line(event.start_mark)}")
    text: str = event.value
    if event.tag is None and event.implicit[0]:
        tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return text if tag in (_TEXT, _TIME) else None
    return text


def _line(mark: Any) -> str:
    return f" (line {mark.line + 1})" if mark is not None else ""
