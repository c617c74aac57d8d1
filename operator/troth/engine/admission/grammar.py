"""The parser of CEL rules, built from tables that were generated in advance.

cel-python generates the tables of its grammar when a process reads its first rule. That takes 0.2 s, as long as a whole
render of one request without rules. So they are kept beside this file, as JSON, together with the versions that they
were made with; where other versions are installed, the tables are generated as cel-python does. ``python -m
troth.engine.admission.grammar`` writes the file again, and a test fails when that is due.

Rejected: lark's own cache (pickles with a predictable name in a folder that everybody can write to), and pickles in the
package (people cannot review their content).
"""

from __future__ import annotations

import functools
import json  # some of lark's numbers are too large for orjson
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import lark
from celpy import celparser
from lark.grammar import Rule
from lark.lexer import TerminalDef

TABLES: Final = Path(__file__).with_name("cel_grammar.json")
_OPTIONS: Final[dict[str, Any]] = {
    "lexer_callbacks": {"IDENT": celparser.CELParser.ambiguous_literals},
    "tree_class": lark.Tree,
}
"""The attributes of cel-python's parser that are not data."""


@functools.cache
def cel_parser() -> celparser.CELParser:
    """cel-python's parser of expressions."""
    if celparser.CELParser.CEL_PARSER is None:
        celparser.CELParser.CEL_PARSER = _load()
    return celparser.CELParser()


def make_tables() -> bytes:
    """Returns the tables of the installed versions, in the format of the file."""
    grammar = Path(celparser.__file__).with_name("cel.lark").read_text("utf-8")
    parser = lark.Lark(
        grammar,
        parser="lalr",
        start="expr",
        g_regex_flags=re.MULTILINE,
        propagate_positions=True,
        maybe_placeholders=False,
        priority="invert",
        **_OPTIONS,
    )
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    data["options"] |= {"lexer_callbacks": {}, "tree_class": None}
    tables = {"versions": _versions(), "data": _pack(data), "memo": _pack(memo)}
    return json.dumps(tables, separators=(",", ":")).encode() + b"\n"


def _load() -> lark.Lark | None:
    tables = json.loads(TABLES.read_bytes())
    if tables["versions"] != _versions():
        return None
    load: Any = lark.Lark._load_from_dict  # noqa: SLF001 - as lark's own stand-alone parsers
    parser: lark.Lark = load(_unpack(tables["data"]), _unpack(tables["memo"]), **_OPTIONS)
    return parser


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("cel-python", "lark")}


def _pack(value: Any) -> Any:
    """Returns a value for JSON, in which a map with numbers as keys becomes a marked list of pairs."""
    if isinstance(value, dict):
        if any(not isinstance(key, str) for key in value):
            return {"#": [[key, _pack(child)] for key, child in value.items()]}
        return {key: _pack(child) for key, child in value.items()}
    return [_pack(child) for child in value] if isinstance(value, (list, tuple, set, frozenset)) else value


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        if "#" in value:
            return {key: _unpack(child) for key, child in value["#"]}
        return {key: _unpack(child) for key, child in value.items()}
    return [_unpack(child) for child in value] if isinstance(value, list) else value


if __name__ == "__main__":
    TABLES.write_bytes(make_tables())
