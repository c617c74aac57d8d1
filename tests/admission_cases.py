"""Schemas, with values on both sides of every limit of their fields, about which an API server and Troth must agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from troth.authoring.home import load_home
from troth.engine.promises.definitions import build_definition

Schema = dict[str, Any]
Fields = Mapping[str, tuple[Schema, list[Any]]]

STRING: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
ANYTHING: Final[Schema] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _map(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _rules(schema: Schema, *rules: str | Schema) -> Schema:
    listed = [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    return {**schema, "x-kubernetes-validations": listed}


def _texts(*values: str) -> list[Any]:
    return list(values)


def _format(name: str, *values: str) -> tuple[Schema, list[Any]]:
    return {"type": "string", "format": name}, ["", *values, "x", " ", 5, ["a"], {}, True]


MEMBER: Final = _map(key=STRING, port={"type": "integer", "default": 80}, text=STRING)
LIMITED: Final[Schema] = {"type": "string", "maxLength": 20}
LIMITED_LIST: Final = _list(LIMITED, maxItems=5)

CASES: Final[Mapping[str, Fields]] = {
    "scalars": {
        "any": (STRING, ["", "a", 1, 1.5, True, [], {}, None]),
        "length": (
            {"type": "string", "minLength": 2, "maxLength": 4},
            ["", "a", "ab", "abcd", "abcde", "ééé", "éé", "😀"],
        ),
        "pattern": ({"type": "string", "pattern": "^[a-z]+$"}, ["a", "A", "a\n", "", "aé", "ab1"]),
        "inner": ({"type": "string", "pattern": "b"}, ["abc", "ac"]),
        "digits": ({"type": "string", "pattern": r"^\d+$"}, ["12", "\u0661\u0662", "1\n", ""]),
        "words": ({"type": "string", "pattern": r"(?i)^\w+\s\S*\b$"}, ["a b", "é b", "A\u00a0b", "a "]),
        "enum": ({"type": "string", "enum": ["small", "large"]}, ["small", "Small", "", None, 1]),
        "flag": ({"type": "boolean"}, [True, False, "true", 1, 0, None]),
        "count": (INTEGER, [0, -1, 1.0, 1.5, "1", True, 2**53, 2**63 - 1, 2**63, -(2**63), 1e10, 1e30]),
        "bounded": ({"type": "integer", "minimum": 2, "maximum": 5}, [1, 2, 5, 6, 2.0, 5.5]),
        "exclusive": (
            {"type": "integer", "minimum": 2, "maximum": 5, "exclusiveMinimum": True, "exclusiveMaximum": True},
            [2, 3, 4, 5],
        ),
        "fraction": ({"type": "number", "minimum": 0.5, "maximum": 2.5}, [0, 0.4, 0.5, 1, 2, 2.5, 2.6, 3, "1"]),
        "multiple": ({"type": "integer", "multipleOf": 5}, [0, 5, 7, -10, 10.0]),
        "tenth": ({"type": "number", "multipleOf": 0.1}, [0.3, 0.35, 1, 2.5]),
        "int32": ({"type": "integer", "format": "int32"}, [2**31 - 1, 2**31, -(2**31), 5.0, 1.5, "1", {}, []]),
        "int64": ({"type": "integer", "format": "int64"}, [2**31, 2**63, "a", True]),
        "float": ({"type": "number", "format": "float"}, [1.5, 1e39, 3, "3"]),
        "double": ({"type": "number", "format": "double"}, [1.5, 1e300, 3, False]),
        "numbers": ({"type": "integer", "enum": [1, 2]}, [1, 2.0, 3, "1"]),
        "ratio": ({"type": "number", "enum": [1, 2.5]}, [1, 2.5, 1.0, 2]),
        "unknown": ({"type": "string", "format": "no-such-format"}, ["a", 1]),
    },
    "formats": {
        "dateTime": _format(
            "date-time",
            "2024-01-31T10:00:00Z",
            "2024-02-30T10:00:00Z",
            "2024-01-31T10:00:00+02:00",
            "2024-01-31T10:00:00.123Z",
            "2024-01-31T24:00:00Z",
            "2024-01-31 10:00:00Z",
            "2024-01-31t10:00:00z",
            "2024-01-31T10:00:00",
            "2024-01-31T10:00:60Z",
        ),
        "date": _format("date", "2024-02-29", "2023-02-29", "2024-1-1", "2024-01-01T00:00:00Z", "0000-02-29"),
        "duration": _format(
            "duration", "1h30m", "90s", "1.5h", "3 weeks", "-5m", "0", "1", "5 parsecs", "1d", "1h x"
        ),
        "ipv4": _format("ipv4", "1.2.3.4", "1.2.3", "01.2.3.4", "256.1.1.1", "::1", "::ffff:1.2.3.4", "1.2.3.4 "),
        "ipv6": _format("ipv6", "::1", "1.2.3.4", "fe80::1%eth0", "2001:db8::g", "::ffff:1.2.3.4", "1::2::3"),
        "cidr": _format("cidr", "10.0.0.0/8", "10.0.0.1/33", "::/0", "10.0.0.0", "10.0.0.0/08", "10.0.0.0/"),
        "mac": _format(
            "mac", "00:00:5e:00:53:01", "00-00-5e-00-53-01", "0000.5e00.5301", "00:00:5e", "g0:00:5e:00:53:01"
        ),
        "uuid": _format(
            "uuid",
            "123e4567-e89b-12d3-a456-426614174000",
            "123E4567E89B12D3A456426614174000",
            "123e4567-e89b-12d3-a456-42661417400",
        ),
        "uuid3": _format("uuid3", "123e4567-e89b-32d3-a456-426614174000", "123e4567-e89b-42d3-a456-426614174000"),
        "uuid4": _format("uuid4", "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-42d3-c456-426614174000"),
        "uuid5": _format("uuid5", "123e4567-e89b-52d3-a456-426614174000", "123e4567-e89b-42d3-a456-426614174000"),
        "hostname": _format(
            "hostname", "a.example.com", "-a", "a_b", "a.b.", "é.com", "a" * 64, "1.2.3.4", "localhost"
        ),
        "uri": _format(
            "uri",
            "https://a.example/b?c=d#e",
            "a.example",
            "/path",
            "mailto:a@b.c",
            "http://a b/",
            "http://a/%zz",
            "http://[::1]:80/",
            "http://a:b/",
            "./x",
            "http://",
        ),
        "email": _format("email", "a@b.c", "A B <a@b.c>", "a@", "a b@c", "@b.c", "a@b", "a.b+c@d.e"),
        "byte": _format("byte", "YQ==", "YQ", "YWJj", "a-b_", "YQ==\n"),
        "color": _format("hexcolor", "#fff", "fff", "#ffff", "#a1b2c3"),
        "rgb": _format("rgbcolor", "rgb(1, 2,3)", "rgb(256,0,0)", "rgb(01,2,3)"),
        "ssn": _format("ssn", "123-45-6789", "123456789", "123 45 6789"),
        "isbn": _format("isbn", "0321751043", "978-0321751041", "0321751044", "978-0321751042"),
        "card": _format("creditcard", "4111 1111 1111 1111", "4111111111111112"),
        "object": _format("bsonobjectid", "507f1f77bcf86cd799439011", "507f1f77bcf86cd79943901g"),
        "secret": _format("password", "x y"),
        "short": _format("k8s-short-name", "a-b", "A", "a.b", "-a", "a" * 63, "a" * 64),
        "long": _format("k8s-long-name", "a-b.c", "A", "a..b", "a" * 254),
    },
    "choices": {
        "port": ({"x-kubernetes-int-or-string": True}, [1, "http", 1.0, 1.5, True, [], None]),
        "marked": (
            {
                "x-kubernetes-int-or-string": True,
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "pattern": "^[0-9]+%$",
            },
            [5, "5%", "5", "%", False],
        ),
        "listed": ({"x-kubernetes-int-or-string": True, "enum": [1, "two"]}, [1, "1", "two", 2]),
        "either": (
            {"type": "string", "oneOf": [{"pattern": "^a"}, {"pattern": "b$"}]},
            ["a", "b", "ab", "c", 1],
        ),
        "some": ({"type": "integer", "anyOf": [{"maximum": 3}, {"minimum": 8}]}, [1, 5, 9]),
        "every": ({"type": "string", "allOf": [{"minLength": 2}, {"pattern": "^x"}]}, ["x", "xy", "ab", "a"]),
        "never": ({"type": "string", "not": {"enum": ["root"]}}, ["root", "user"]),
        "shape": (
            {
                **_map(one=STRING, two=STRING),
                "oneOf": [{"required": ["one"]}, {"required": ["two"]}],
            },
            [{}, {"one": "a"}, {"two": "a"}, {"one": "a", "two": "b"}, {"one": 1}, {"three": 1}],
        ),
        "inside": (
            {
                **_map(kind=STRING, size=INTEGER),
                "anyOf": [
                    {"properties": {"kind": {"enum": ["big"]}, "size": {"minimum": 10}}, "required": ["kind"]},
                    {"properties": {"kind": {"enum": ["small"]}, "size": {"maximum": 9}}},
                ],
            },
            [
                {},
                {"kind": "big"},
                {"kind": "big", "size": 9},
                {"kind": "small", "size": 9},
                {"kind": "no"},
                {"size": 50},
            ],
        ),
    },
    "defaults": {
        "plain": ({"type": "string", "default": "x"}, ["y", None, "", 1]),
        "nested": (
            {
                "type": "object",
                "default": {},
                "properties": {
                    "a": {"type": "string", "default": "1"},
                    "b": {"type": "object", "properties": {"c": {"type": "integer", "default": 3}}},
                    "d": {
                        "type": "object",
                        "default": {"e": 1},
                        "properties": {"e": INTEGER, "f": {**INTEGER, "default": 2}},
                    },
                },
            },
            [
                {},
                {"b": {}},
                {"d": {}},
                {"a": None},
                {"d": None},
                {"b": None},
                None,
                {"x": 1},
                [],
                {"d": {"e": None, "g": 1}},
            ],
        ),
        "without": (_map(a={"type": "string", "default": "1"}), [{}, None, {"a": None}, {"b": {}}]),
        "items": (
            _list(_map(a={"type": "string", "default": "1"}, b=STRING)),
            [[], [{}], [{"b": "2"}, {"a": "3"}], [None], [1]],
        ),
        "strings": (_list({"type": "string", "default": "x"}), [[None], ["a", None], []]),
        "values": (
            {"type": "object", "additionalProperties": _map(a={"type": "boolean", "default": False})},
            [{}, {"x": {}}, {"x": None}, {"x": {"a": None, "b": 1}}, {"x": 1}],
        ),
        "texts": (
            {"type": "object", "additionalProperties": {**STRING, "default": "d"}},
            [{"a": None}, {"a": "b"}],
        ),
        "zero": ({"type": "integer", "default": 0}, [5, None]),
        "list": ({**_list(STRING), "default": ["a"]}, [[], None, ["b"]]),
    },
    "nullables": {
        "may": ({"type": "string", "nullable": True}, [None, "a", 1]),
        "mayDefault": ({"type": "string", "nullable": True, "default": "x"}, [None, "a"]),
        "mayNot": (STRING, [None]),
        "map": ({**_map(a=STRING), "nullable": True}, [None, {"a": None}, {}]),
        "list": (_list({"type": "string", "nullable": True}), [[None], ["a"], None]),
        "strict": (_list(STRING), [[None], ["a", None]]),
        "enum": ({"type": "string", "nullable": True, "enum": ["a"]}, [None, "a"]),
        "needed": (
            {**_map(a=STRING, b={**STRING, "nullable": True}), "required": ["a", "b"]},
            [{"a": None, "b": "x"}, {"a": "x", "b": None}, {}],
        ),
        "values": ({"type": "object", "additionalProperties": STRING}, [{"a": None}, {"a": "b"}]),
    },
    "unknowns": {
        "all": (ANYTHING, [{}, {"a": {"b": [1, None]}}, None, 1]),
        "some": (
            {**ANYTHING, "properties": {"known": _map(a=STRING)}},
            [{"known": {"a": "x", "b": 1}, "other": {"c": None}}, {"known": {"a": 1}}, {"known": None}],
        ),
        "deep": (_map(a=_map(b=STRING)), [{"x": 1}, {"a": {"x": 1, "b": "y"}}, {"a": 5}]),
        "open": ({"type": "object", "additionalProperties": True}, [{"a": 1, "b": {"c": 1}}, {"a": [{"b": 1}]}]),
        "list": (_list(_map(a=STRING)), [[{"a": "x", "b": 1}], [[1]], ["x"]]),
        "raw": ({"x-kubernetes-preserve-unknown-fields": True}, [1, "a", [None], {"a": {"b": None}}, None, 1.0]),
        "listed": ({**_list(ANYTHING)}, [[{"a": 1}], [{}], [None], [1]]),
        "embedded": (
            {
                "type": "object",
                "x-kubernetes-embedded-resource": True,
                "x-kubernetes-preserve-unknown-fields": True,
            },
            [
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "no": 1}, "data": {"a": "b"}},
                {"apiVersion": "v1", "metadata": {}},
                {"kind": "A b", "apiVersion": "v1"},
                {"kind": "A", "apiVersion": "a/b/c"},
                {"kind": "A", "apiVersion": "v1", "metadata": {"labels": {"a": "-"}}},
                {"kind": "", "apiVersion": "v1"},
                {"kind": "A", "apiVersion": "v1", "metadata": {"name": "Any_Name"}},
            ],
        ),
        "pruned": (
            {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"data": _map(a=STRING)}},
            [{"apiVersion": "v1", "kind": "A", "metadata": {"name": "b"}, "data": {"a": "b", "c": 1}, "other": 1}],
        ),
    },
    "lists": {
        "set": (
            _list(STRING, **{"x-kubernetes-list-type": "set"}),
            [["a", "b"], ["a", "a"], ["a", "b", "a", "a"], []],
        ),
        "map": (
            {
                **_list({**MEMBER, "required": ["key"]}),
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["key"],
            },
            [
                [{"key": "a"}],
                [{"key": "a"}, {"key": "a", "port": 1}],
                [{"port": 1}],
                [{"key": "a"}, {"key": "b"}],
                [1],
                [None],
            ],
        ),
        "pairs": (
            {
                **_list({**MEMBER, "required": ["key"]}),
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["key", "port"],
            },
            [
                [{"key": "a"}, {"key": "a", "port": 81}],
                [{"key": "a"}, {"key": "a", "port": 80}],
                [{"key": "a", "port": 1}, {"key": "b", "port": 1}],
            ],
        ),
        "atomic": (_list(INTEGER, **{"x-kubernetes-list-type": "atomic"}), [[1, 1], [1.0, 2]]),
        "few": (_list(INTEGER, minItems=1, maxItems=2), [[], [1], [1, 2, 3], ["a"], {}, "a"]),
        "keys": (
            {"type": "object", "additionalProperties": INTEGER, "minProperties": 1, "maxProperties": 2},
            [{}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, {"a": "x"}],
        ),
        "nested": (
            _list(_map(tags=_list(STRING, **{"x-kubernetes-list-type": "set"}))),
            [[{"tags": ["a", "a"]}], [{"tags": ["a"]}, {"tags": ["a"]}]],
        ),
        "needed": (
            {**_map(a=STRING, b=_map(c=STRING)), "required": ["a", "b"]},
            [{}, {"a": "x"}, {"a": "", "b": {}}],
        ),
    },
    "texts": {
        "starts": (_rules(LIMITED, "self.startsWith('a')", "!self.endsWith('z')"), _texts("abc", "abz", "b", "")),
        "size": (_rules(LIMITED, "self.size() == 2", "size(self) <= 2"), _texts("éé", "ab", "a", "😀😀")),
        "pattern": (_rules(LIMITED, r"self.matches('^[a-z]\\d$')"), _texts("a1", "a\u0661", "b", "xa1")),
        "contains": (_rules(LIMITED, "self.contains('é') || self == 'x'"), _texts("é", "x", "y")),
        "lower": (_rules(LIMITED, "self.lowerAscii() == self"), _texts("abc", "Abc", "É")),
        "split": (
            _rules(LIMITED, "self.split('-').size() == 2", "self.split('-')[1] != 'x'"),
            _texts("a-b", "a-x", "a", "a-b-c"),
        ),
        "replace": (_rules(LIMITED, "self.replace('a', 'b') == 'bbc'"), _texts("abc", "bbc", "c")),
        "part": (
            _rules(LIMITED, "self.substring(0, 2) == 'ab'", "self.indexOf('c') == 2"),
            _texts("abc", "ab", "a", ""),
        ),
        "trim": (_rules(LIMITED, "self.trim() == self", "self.charAt(0) == 'a'"), _texts("a", " a", "", "b")),
        "number": (_rules(LIMITED, "int(self) > 3"), _texts("4", "3", "x", "")),
        "quantity": (
            _rules(LIMITED, "isQuantity(self) && quantity(self).isGreaterThan(quantity('1Gi'))"),
            _texts("2Gi", "1Mi", "x", "2000M"),
        ),
        "ip": (_rules(LIMITED, "isIP(self)"), _texts("1.2.3.4", "::1", "1.2.3", "01.2.3.4")),
        "range": (_rules(LIMITED, "isCIDR(self)"), _texts("10.0.0.0/8", "10.0.0.0", "::/0", "10.0.0.0/33")),
        "find": (_rules(LIMITED, "self.find('[0-9]+') == '12'"), _texts("a12b", "a", "12")),
        "when": (
            _rules({"type": "string", "format": "date-time"}, "self > timestamp('2024-01-01T00:00:00Z')"),
            _texts("2025-01-01T00:00:00Z", "2023-01-01T00:00:00Z", "x"),
        ),
        "while": (
            _rules({"type": "string", "format": "duration"}, "self < duration('1h')"),
            _texts("30m", "2h", "90s"),
        ),
        "in": (_rules(LIMITED, "self in ['a', 'b']", "type(self) == string"), _texts("a", "c")),
        "ternary": (_rules(LIMITED, "self == 'a' ? true : self.size() > 3"), _texts("a", "b", "abcd")),
        "quoted": (
            _rules(LIMITED, "self != \"it's\" && self != '\\n' && self != r'\\d'"),
            _texts("it's", "\n", "\\d", "a"),
        ),
    },
    "structures": {
        "bounds": (
            _rules(_map(low=INTEGER, high=INTEGER), "self.low <= self.high"),
            [{"low": 1, "high": 2}, {"low": 2, "high": 1}, {"low": 1}, {}],
        ),
        "optional": (
            _rules(
                _map(a=INTEGER, b=_map(c=INTEGER)), "!has(self.a) || self.a > 1", "!has(self.b.c) || self.b.c > 0"
            ),
            [{}, {"a": 1}, {"a": 2}, {"a": 2, "b": {}}, {"a": 2, "b": {"c": 0}}, {"b": {"c": 1}}],
        ),
        "all": (_rules(LIMITED_LIST, "self.all(x, x.size() > 1)"), [[], ["ab"], ["a", "bc"]]),
        "exists": (_rules(LIMITED_LIST, "self.exists(x, x == 'a')"), [[], ["a"], ["b"]]),
        "one": (_rules(LIMITED_LIST, "self.exists_one(x, x == 'a')"), [["a"], ["a", "a"], []]),
        "mapped": (_rules(LIMITED_LIST, "self.map(x, x == 'a') == [true, false]"), [["a", "b"], ["a"]]),
        "filtered": (_rules(LIMITED_LIST, "self.filter(x, x != 'a').size() < 2"), [["a", "b"], ["b", "b"]]),
        "sorted": (_rules(LIMITED_LIST, "self.isSorted()"), [["a", "b"], ["b", "a"], []]),
        "sums": (
            _rules(_list(INTEGER, maxItems=5), "self.sum() < 10", "self.size() == 0 || self.max() < 8"),
            [[], [1, 9], [8, 1], [2]],
        ),
        "first": (_rules(LIMITED_LIST, "self[0] == 'a'"), [["a"], ["b"], []]),
        "keys": (
            _rules(
                {"type": "object", "additionalProperties": LIMITED, "maxProperties": 5},
                "self.all(k, k in ['a', 'b'] && self[k] != '')",
                "'a' in self",
            ),
            [{"a": "x"}, {"a": ""}, {"b": "x"}, {"a": "x", "c": "y"}, {}],
        ),
        "sets": (
            _rules(
                _map(
                    x=_list(LIMITED, maxItems=5, **{"x-kubernetes-list-type": "set"}),
                    y=_list(LIMITED, maxItems=5, **{"x-kubernetes-list-type": "set"}),
                ),
                "self.x == self.y",
            ),
            [{"x": ["a", "b"], "y": ["b", "a"]}, {"x": ["a"], "y": ["b"]}, {"x": []}],
        ),
        "numbers": (_rules(NUMBER, "self < 2.5", "self * 2.0 > 1.0"), [1, 2.5, 0.5, 2]),
        "math": (_rules(INTEGER, "self % 3 == 1", "10 / self >= 1", "-self < 0"), [1, 4, 0, 3, -2]),
        "escaped": (
            _rules(
                {"type": "object", "properties": {"a-b": INTEGER, "if": INTEGER, "c.d": INTEGER, "e__f": INTEGER}},
                "has(self.a__dash__b) ? self.a__dash__b > 0 : has(self.__if__)",
                "!has(self.c__dot__d) || self.c__dot__d > 0",
                "!has(self.e__underscores__f)",
            ),
            [{"a-b": 1}, {"a-b": 0}, {"if": 1}, {"c.d": 0}, {}, {"if": 1, "e__f": 1}],
        ),
        "inner": (
            _list(
                _rules(
                    _map(kind=LIMITED, port=INTEGER),
                    {"rule": "self.kind != 'x' || has(self.port)", "message": "x needs a port"},
                ),
                maxItems=3,
            ),
            [[{"kind": "x"}], [{"kind": "x", "port": 1}, {"kind": "y"}], [{}]],
        ),
        "said": (
            _rules(
                _map(n=INTEGER),
                {
                    "rule": "self.n > 3",
                    "messageExpression": "'it is not ' + 'enough'",
                    "fieldPath": ".n",
                    "reason": "FieldValueForbidden",
                },
            ),
            [{"n": 1}, {"n": 4}, {}],
        ),
        "nulls": (
            _rules(_map(a={**STRING, "nullable": True}), "has(self.a)"),
            [{"a": None}, {"a": "x"}, {}],
        ),
        "port": (
            _rules({"x-kubernetes-int-or-string": True}, "type(self) == int ? self > 0 : string(self) != ''"),
            [1, 0, "a", ""],
        ),
        "words": (_rules(_map(b={"type": "boolean"}), "string(self.b) == 'true'"), [{"b": True}, {"b": False}]),
    },
}

UPDATES: Final[Mapping[str, tuple[Schema, list[Any]]]] = {
    "fixed": (_rules(LIMITED, "self == oldSelf"), ["a", "b"]),
    "growing": (_rules(INTEGER, {"rule": "self >= oldSelf", "message": "cannot shrink"}), [1, 2, 3]),
    "kept": (_rules(_map(a=INTEGER, b=INTEGER), "!has(oldSelf.a) || has(self.a)"), [{}, {"a": 1}, {"b": 1}]),
    "added": (_rules(LIMITED_LIST, "oldSelf.all(x, x in self)"), [[], ["a"], ["a", "b"], ["b"]]),
    "items": (
        {
            **_list(
                {**_map(key=LIMITED, size=_rules(INTEGER, "self >= oldSelf")), "required": ["key"]}, maxItems=3
            ),
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["key"],
        },
        [
            [],
            [{"key": "a", "size": 2}],
            [{"key": "b", "size": 1}, {"key": "a", "size": 3}],
            [{"key": "a", "size": 1}],
        ],
    ),
    "tags": (
        _rules(_list(LIMITED, maxItems=3, **{"x-kubernetes-list-type": "set"}), "self == oldSelf"),
        [["a", "b"], ["b", "a"], ["a"]],
    ),
}


def definition(name: str, group: str, fields: Mapping[str, tuple[Schema, list[Any]]]) -> dict[str, Any]:
    """A definition as the operator builds it, with these fields in its spec."""
    properties = {field: schema for field, (schema, _) in fields.items()}
    return build_definition(
        name,
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{name}.{group}"},
            "spec": {
                "group": group,
                "names": {"kind": name.capitalize(), "plural": name},
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "properties": {"spec": {"type": "object", "properties": properties}},
                            }
                        },
                    }
                ],
            },
        },
    )


def library_definition(name: str) -> dict[str, Any]:
    """The definition of a Promise of the library."""
    promise = load_home(Path(__file__).parent.parent / "promises" / name).promise
    return build_definition(name, promise["spec"]["api"])


def instance(definition: Mapping[str, Any], name: str, namespace: str, spec: Any) -> dict[str, Any]:
    """An object of a definition."""
    group, kind = definition["spec"]["group"], definition["spec"]["names"]["kind"]
    version = definition["spec"]["versions"][0]["name"]
    return {
        "apiVersion": f"{group}/{version}",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
