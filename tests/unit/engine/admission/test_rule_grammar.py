"""The tables from which CEL rules are read are those of the installed cel-python."""

from __future__ import annotations

import json
from typing import Any

import lark
import pytest
from celpy import celparser

from troth.engine.admission import grammar

RULES = [
    "self == oldSelf",
    "self.a.size() <= 50 && self.a.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    "!has(oldSelf.spec) || (has(self.spec) && self.spec.size in [oldSelf.spec.size, 'large'])",
    "self.items.all(x, x.name != '' && self.items.exists_one(y, y.name == x.name))",
    "true || false ? 1u : -2.5e3",
    "{'a': 1, 'b': [1, 2]}['a'] == 1",
    "b'bytes' == b\"\\x00\" || r'raw\\n' == '''text'''",
    "self.map(x, x > 0, x * 2).filter(y, y % 2 == 0) != []",
    "type(self) == google.protobuf.Timestamp{seconds: 1}",
    "duration('1h') < self.timeout && timestamp('2026-01-01T00:00:00Z').getFullYear() == 2026",
]
BROKEN = ["", "self ==", "self.a &&& b", "(self", "1 2", "'open", "self.[a]", "@"]


@pytest.fixture(scope="module")
def made_anew() -> lark.Lark:
    """The parser as cel-python makes it."""
    shared: Any = celparser.CELParser
    kept, shared.CEL_PARSER = shared.CEL_PARSER, None
    try:
        shared()
        made: lark.Lark = shared.CEL_PARSER
        return made
    finally:
        shared.CEL_PARSER = kept


def test_the_tables_are_those_of_the_installed_versions() -> None:
    found = json.loads(grammar.TABLES.read_bytes())["versions"]

    assert found == grammar._versions(), "run python -m troth.engine.admission.grammar"


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_read_as_by_cel_pythons_own_parser(made_anew: lark.Lark, rule: str) -> None:
    assert grammar.cel_parser().parse(rule) == made_anew.parse(rule)


@pytest.mark.parametrize("rule", BROKEN)
def test_what_is_no_rule_is_refused_by_both(made_anew: lark.Lark, rule: str) -> None:
    with pytest.raises(celparser.CELParseError):
        grammar.cel_parser().parse(rule)
    with pytest.raises(lark.exceptions.LarkError):
        made_anew.parse(rule)


def test_tables_of_other_versions_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "version", lambda name: "0.0.0")

    assert grammar._load() is None
