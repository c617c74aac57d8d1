"""What a CEL rule costs is reckoned as the API server reckons it, and never above: nothing is refused in vain."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.platforms import promise
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION
from troth.engine.admission.definitions import definition_refusals
from troth.engine.promises.definitions import build_definition
from troth.kube import ApiError, Client

INTEGER: Mapping[str, Any] = {"type": "integer"}
TEXT: Mapping[str, Any] = {"type": "string"}
SHORT: Mapping[str, Any] = {"type": "string", "maxLength": 10}
ITEM: Mapping[str, Any] = {
    "type": "object",
    "required": ["name", "size"],
    "properties": {"name": TEXT, "short": SHORT, "size": INTEGER, "free": {"x-kubernetes-int-or-string": True}},
}


def items(of: Mapping[str, Any], most: int | None = None) -> dict[str, Any]:
    return {"type": "array", "items": of} | ({"maxItems": most} if most is not None else {})


def entries(of: Mapping[str, Any], most: int | None = None) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": of} | ({"maxProperties": most} if most is not None else {})


FIELDS: Mapping[str, Any] = {
    "numbers": items(INTEGER),
    "few": items(INTEGER, 10),
    "some": items(INTEGER, 150),
    "many": items(INTEGER, 1000),
    "none": items(INTEGER, 0),
    "texts": items(TEXT),
    "shorts": items(SHORT, 100),
    "colours": items({"type": "string", "enum": ["red", "green"]}),
    "objects": items(ITEM),
    "embedded": items(
        {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
            "required": ["metadata", "kind"],
        }
    ),
    "times": items({"type": "string", "format": "date-time"}, 1000),
    "lists": items(items(INTEGER, 20), 20),
    "free": {"x-kubernetes-int-or-string": True},
    "map": entries(INTEGER),
    "small": entries(ITEM, 20),
    "text": TEXT,
    "short": SHORT,
    "bytes": {"type": "string", "format": "byte"},
    "flag": {"type": "boolean"},
    "number": INTEGER,
    "my-namespace": TEXT,
    "namespace": items(INTEGER, 1000),
}

# Rules of an object with these fields.
RULES = (
    "self.few.all(x, self.few.all(y, self.few.all(z, x + y + z > 0)))",
    "self.many.all(x, x > 0)",
    "self.many.all(x, self.many.all(y, x == y))",
    "self.many.all(x, self.many.all(y, x <= y && y <= x || x != 3))",
    "self.many.all(x, self.many.all(y, self.many.all(z, true)))",
    "self.some.all(x, self.some.exists_one(y, x == y))",
    "self.some.all(x, self.some.exists(y, self.some.exists(z, x == y + z)))",
    "self.none.all(x, self.numbers.all(y, self.numbers.all(z, true)))",
    "self.numbers.all(x, x > 0)",
    "self.numbers.all(x, x > 0 && x < 100)",
    "self.numbers.all(x, x > 0 && x < 100 && x != 50 && x != 51)",
    "self.numbers.all(x, self.numbers.all(y, true))",
    "self.numbers.exists(x, self.few.all(y, y < x))",
    "self.numbers.map(x, x + 1).size() > 2",
    "self.few.map(x, x > 2, [x]).filter(x, x.size() > 0).size() > 2",
    "self.texts.all(x, x.startsWith('a'))",
    "self.texts.all(x, x.matches('^a'))",
    "self.texts.all(x, self.colours.exists(y, x == y))",
    "self.shorts.all(x, x.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$'))",
    "self.shorts.all(x, self.shorts.exists_one(y, x == y))",
    "self.colours.all(x, x == 'red' || x in ['green'])",
    "self.objects.all(x, x.size > 0)",
    "self.objects.all(x, has(x.short) && x.short.size() > 0 || x.size > 10 || x.size < 5)",
    "self.objects.all(x, self.objects.exists_one(y, x.name == y.name))",
    "self.objects.all(x, x.name in self.small)",
    "self.small.all(k, self.small[k].size > 0 && self.small[k].name == k)",
    "self.small.all(k, self.numbers.all(x, x > 0))",
    "self.map.all(k, k.size() > 1)",
    "self.map.all(k, self.map[k] in self.some)",
    "self.lists.all(x, x.all(y, self.many.all(z, y > z)))",
    "self.lists.all(x, self.lists.all(y, x.all(a, y.all(b, a != b))))",
    "self.text.matches('^[a-z]+$')",
    f"self.text.matches('^{'[a-z]' * 40}$')",
    f"self.short.matches('^{'[a-z]' * 40}$')",
    "self.text.contains('abcdefghijklmnopqrstuvwxyz')",
    f"self.text.contains({'a' * 500!r})",
    f"'{'a' * 5000}'.contains('a')",
    "self.text == self.short",
    "self.text.split(',').all(x, x != '')",
    "self.text.lowerAscii() + self.text.upperAscii() == self.text",
    "(self.text + self.text).matches('^[a-z0-9-.]{3,200}a{1,3}$')",
    "self.free == 'abc'",
    "self.bytes == b'abc'",
    "self.times.all(x, self.times.all(y, x <= y))",
    "self.flag == true && !self.flag == !!self.flag && -self.number == -3 && -(-self.number) > -4",
    "(self.flag ? self.numbers : self.few).all(x, self.few.all(y, x > y))",
    "self.numbers == self.few && self.few.sum() > 3 && self.numbers.isSorted() && self.numbers.max() > 3",
    "self.numbers[self.few[0]] > 3 && self['number'] == 3",
    "[1, 2, 3].all(x, [4, 5, 6].exists(y, x < y)) && {'a': 1, 'b': 2}.all(k, k in ['a', 'b'])",
    "self.__namespace__.all(x, self.__namespace__.all(y, x <= y && y <= x || x != 3))",
    "self.my__dash__namespace.matches('^a')",
    "has(self.text) && has(self.small) && size(self.text) > 3 && size(self.small) < 3 * 4 % 5",
    r"self.short == '\n\u0041\\' || self.text.matches(r'\d\d')",
    "self.embedded.all(x, x.kind != 'a' && x.metadata.name != x.kind)",
    "cel.bind(x, self.numbers, x.all(y, y > 3))",
    "self.many.all(self, self > 3)",
    "oldSelf.many.all(x, self.many.all(y, x <= y && y <= x || x != 3))",
    "self.numbers.all(i, x, self.none.all(j, y, x > y))",
    f"self.few.all(x, x in [{', '.join(['1'] * 40_000)}])",
    "self.texts.map(x, x).all(y, y.matches('^a'))",
    "self.text.split(',', 3).all(x, x.split('').all(y, y == 'a'))",
    "self.texts.join(',').matches('^[a-z]$')",
)

# What the API server refuses and is let through here: the size of what a few functions give is not known.
LET_THROUGH = RULES[-1:]

# Rules on values that can be in an object many times.
REPEATED: Mapping[str, dict[str, Any]] = {
    "a number in a list": items({**INTEGER, "x-kubernetes-validations": [{"rule": "self > 0"}]}),
    "numbers in a list": items(
        {**INTEGER, "x-kubernetes-validations": [{"rule": "self > 0 && self < 9 && self != 5 && self != 6"}]}
    ),
    "an object in a list": items(
        {**ITEM, "x-kubernetes-validations": [{"rule": "self.size > 1 && self.size < 9 || self.size == 11"}]}
    ),
    "an empty object in a list": items(
        {
            "type": "object",
            "properties": {"a": INTEGER, "b": INTEGER},
            "x-kubernetes-validations": [{"rule": "self.a > self.b && self.b > 3 && self.a < 1000"}],
        }
    ),
    "a loop in a bounded list": items(
        {**items(INTEGER, 100), "x-kubernetes-validations": [{"rule": "self.all(x, x > 0)"}]}, 100
    ),
    "a loop in a list": items(
        {**items(INTEGER, 100), "x-kubernetes-validations": [{"rule": "self.all(x, x > 0)"}]}
    ),
    "a loop in a bounded map of lists": entries(
        items({**items(INTEGER, 50), "x-kubernetes-validations": [{"rule": "self.all(x, x > 0)"}]}, 50), 50
    ),
    "a resource in a list": items(
        {
            **FIELDS["embedded"]["items"],
            "x-kubernetes-validations": [{"rule": "self.kind != 'a' && self.kind != 'b' && self.kind != 'c'"}],
        }
    ),
    "no list at all": {"type": "array", "maxItems": 0, "items": items(INTEGER)},
    "many rules that are fine alone": {
        "type": "object",
        "properties": {"a": items(INTEGER, 1000)},
        "x-kubernetes-validations": [{"rule": f"self.a.all(x, self.a.all(y, x > {n}))"} for n in range(15)],
    },
    "too many rules that are fine alone": {
        "type": "object",
        "properties": {"a": items(INTEGER, 1000)},
        "x-kubernetes-validations": [{"rule": f"self.a.all(x, self.a.all(y, x > {n}))"} for n in range(25)],
    },
}


def definition(unique: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    api = promise(unique)["spec"]["api"]
    api["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = spec
    return build_definition("things", api)


def specs() -> dict[str, dict[str, Any]]:
    rules = (*RULES, *(Rules(random.Random(seed)).truth(3) for seed in range(80)))
    whole = {
        rule: {"type": "object", "properties": FIELDS, "x-kubernetes-validations": [{"rule": rule}]}
        for rule in rules
    }
    return whole | {name: {"type": "object", "properties": {"field": schema}} for name, schema in REPEATED.items()}


class Rules:
    """Rules that nobody wrote, of the fields above."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.numbers, self.texts = ["self.number", "3"], ["self.text", "self.short", "'abc'"]

    def truth(self, depth: int) -> str:
        pick, some = self.chance.choice, self.truth
        if depth == 0:
            return f"{pick(self.numbers)} {pick(['<', '<=', '==', '!='])} {pick(self.numbers)}"
        ways: list[Callable[[], str]] = [
            lambda: f"({some(depth - 1)} && {some(depth - 1)} || {some(0)})",
            lambda: f"({some(0)} ? {some(depth - 1)} : {some(depth - 1)})",
            lambda: self.loop(["many", "few", "some", "numbers", "none", "namespace"], self.numbers, depth),
            lambda: self.loop(["shorts", "texts", "colours"], self.texts, depth),
            lambda: f"self.few.map(x{depth}, x{depth} + 1).size() > {pick(self.numbers)}",
            lambda: f"self.{pick(['some', 'many'])}.filter(x{depth}, {some(depth - 1)}).all(y, y > 3)",
            lambda: f"{pick(self.texts)}.{pick(['matches', 'contains', 'startsWith'])}('abcdefghij')",
            lambda: f"{pick(self.texts)} == {pick(self.texts)}.{pick(['trim', 'lowerAscii'])}()",
            lambda: f"{pick(self.numbers)} in self.{pick(['few', 'numbers'])}",
            lambda: f"{pick(self.texts)} in self.{pick(['texts', 'shorts', 'map'])}",
            lambda: f"!({some(depth - 1)})",
        ]
        return pick(ways)()

    def loop(self, lists: list[str], known: list[str], depth: int) -> str:
        name, macro = f"x{depth}{len(known)}", self.chance.choice(["all", "exists", "exists_one"])
        known.append(name)
        inner = self.truth(depth - 1)
        known.remove(name)
        field = self.chance.choice(lists)
        return f"self.{'__namespace__' if field == 'namespace' else field}.{macro}({name}, {inner})"


async def test_a_rule_is_refused_for_its_cost_exactly_when_the_api_server_refuses_it_for_its_cost(
    client: Client, unique: str
) -> None:
    differences, refused = [], 0
    for name, spec in specs().items():
        made = definition(unique, spec)
        ours = next((str(one) for one in definition_refusals(made) if "exceeds" in one.message), "")
        try:
            await client.apply(CUSTOM_RESOURCE_DEFINITION, made, dry_run=True)
            theirs = ""
        except ApiError as error:
            theirs = str(error)
        wanted = re.search(r"exceeds budget by factor of [\w. ]+x|code point size exceeds limit: [\w:, ]+", theirs)
        refused += bool(ours)
        expected = wanted[0] if wanted and name not in LET_THROUGH else ""
        if bool(expected) != bool(ours) or expected not in ours or (name in LET_THROUGH and not wanted):
            differences.append(f"{name}: here {ours!r}, there {theirs[:600]!r}")
    assert refused > 20
    if differences:
        pytest.fail("\n".join(differences))
