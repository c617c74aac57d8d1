"""Generates Promises and requests as people might write them. The same number always gives the same ones.

These things vary: the schema (enums, defaults on several levels, lists and maps, CEL rules, patterns, formats), the
number of pipelines and what they read, files by ``forEach`` and ``when``, partials, rules for destinations, the
Promise's own workflow and dependencies, and requests that the API server prunes, completes or refuses, or with which a
template fails.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.platforms import Object, promise

SEED = 20261123
MODES = ("nestedByMetadata", "aggregatedYAML", "none")

BODIES = (
    "kind: ConfigMap\nname: {{ name }}\nnamespace: {{ namespace }}\nlabels: {{ labels }}\ndata: {{ spec }}\n",
    "a: {{ spec.size }}\nb: '{{ spec.size }}'\nversion: {{ promise.version }}\nlabels: {{ promise.labels }}\n",
    "table: {{ table }}\nsum: {{ table.z + spec.count }}\ngeneration: {{ request.metadata.generation }}\n",
    "{% for zone in spec.zones %}---\nkind: Zone\nname: {{ zone.name }}\nweight: {{ zone.weight }}\n{% endfor %}",
    "{% include 'head' %}\nspec: {{ spec.zones }}\nmissing: {{ spec.none | default('no') }}\n",
    "kind: A\n{% if spec.size == 'large' %}{{ fail('nobody needs ' ~ spec.size) }}{% endif %}\nready: {{ spec.on }}\n",
    "# a comment goes\nratio: {{ spec.ratio }}\nhalf: {{ spec.ratio / 2 }}\nyes: 'yes'\nport: '8080'\n",
    "{% import 'names' as names %}\nkind: {{ names.kind(spec.size) }}\nnested: {{ spec.store.backup.keep }}\n",
    (
        "kind: Nested\nstore: {{ spec.store }}\ntags: {{ spec.tags }}\n"
        "{% for k, v in spec.tags | dictsort %}{{ k }}: x{{ v }}\n{% endfor %}"
    ),
    "kind: Odd\nodd: {{ 12 / (spec.count - 7) }}\nport: {{ spec.port }}\n",
    "kind: Broken\nvalue: {{ spec.size }}\n{% if spec.count == 5 %}  worse: x\n{% endif %}",
    "kind: Strict\nvalue: {{ spec.free.deep.value if spec.free else '-' }}\n",
    "text: {{ spec.text | default('') }}\nblock: |\n  {{ spec.text | default('none') }}\n  end\n",
    'kind: Sum\ntotal: {{ spec.zones | map(attribute="weight") | sum }}\nfirst: "{{ spec.zones[0].name }}-x"\n',
)
PARTIALS = {
    "head": "kind: Head\nname: {{ name }}\n",
    "names": "{% macro kind(size) %}Kind-{{ size }}{% endmacro %}",
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "maxLength": 9, "enum": ["small", "medium", "large"]},
        "count": {"type": "integer", "default": 3, "minimum": 1, "maximum": 40},
        "ratio": {"type": "number", "default": 1.5},
        "on": {"type": "boolean", "default": True},
        "port": {"x-kubernetes-int-or-string": True, "default": 8080},
        "text": {"type": "string", "maxLength": 40, "nullable": True},
        "day": {"type": "string", "format": "date"},
        "tags": {
            "type": "object",
            "default": {"team": "none"},
            "maxProperties": 3,
            "additionalProperties": {"type": "string", "pattern": "^[a-z]+[0-9]*$"},
        },
        "free": {"type": "object", "default": {}, "x-kubernetes-preserve-unknown-fields": True},
        "store": {
            "type": "object",
            "default": {},
            "properties": {
                "class": {"type": "string", "default": "ssd", "enum": ["ssd", "hdd"]},
                "backup": {
                    "type": "object",
                    "default": {},
                    "properties": {"keep": {"type": "integer", "default": 7}, "at": {"type": "string"}},
                },
            },
        },
        "zones": {
            "type": "array",
            "default": [{"name": "one"}],
            "maxItems": 4,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "weight": {"type": "integer", "default": 7}},
            },
        },
    },
}
RULES: tuple[Mapping[str, str], ...] = (
    {"rule": "self.size != 'small' || self.count < 5", "message": "small has fewer than 20"},
    {"rule": "self.zones.all(z, z.weight > 0)", "message": "weights are above zero"},
    {"rule": "!has(self.text) || !self.text.startsWith('x')"},
    {
        "rule": "self.store.backup.keep <= self.count * 10",
        "messageExpression": "'less for ' + self.size",
    },
)
EDITS: tuple[Mapping[str, Any], ...] = (
    {},
    {"unknown": "is pruned", "store": {"unknown": 1}},
    {"count": 1},
    {"count": 5.0},
    {"count": 7},
    {"zones": [{"name": f"z{index}"} for index in range(3)]},
    {"zones": [{"name": "b", "weight": 2}, {"name": "a"}]},
    {"tags": {"b": "two2", "a": "one"}},
    {"store": {"backup": {"at": "noon", "keep": 3}}},
    {"free": {"deep": {"value": [1, 2.0, {"b": None, "a": "x"}]}, "z": 1e3}},
    {"ratio": 2},
    {"ratio": 3.0},
    {"ratio": 0.1},
    {"ratio": -1.25e-7},
    {"ratio": 1e21},
    {"on": False},
    {"on": "yes"},
    {"port": "http"},
    {"port": 443},
    {"port": True},
    {"text": None},
    {"text": "yes"},
    {"text": "007"},
    {"text": "multi\nline: {{ name }}"},
    {"text": "ünïcödé ☃ \u2028 #"},
    {"text": "x marks"},
    {"text": "long" * 11},
    {"day": "2026-11-23"},
    {"day": "someday"},
    {"tags": {"b": "two2", "a": "one"}},
    {"tags": {}},
    {"tags": {"a": "Not This"}},
    {"tags": dict.fromkeys("abcd", "x")},
    {"free": {"deep": {"value": [1, 2.0, {"b": None, "a": "x"}]}, "z": 1e3}},
    {"free": {"deep": {}}},
    {"store": {"backup": {"at": "noon", "keep": 3}}},
    {"store": {"backup": {"keep": 400}}},
    {"store": {"class": "tape"}},
    {"count": 0},
    {"count": 33},
    {"count": "3"},
    {"store": None},
    {"zones": [{"name": "b", "weight": 2}, {"name": "a", "weight": 0}]},
    {"zones": []},
    {"zones": [{"name": "same"}, {"name": "same"}]},
    {"zones": [{"weight": 3}]},
    {"zones": "none"},
)
NAMES = (*["orders-{}"] * 22, *["a.b-{}"] * 3, "Orders-{}", "x" * 60 + "-{}", "-{}")


@dataclass(frozen=True)
class Pair:
    """A Promise and one of its requests."""

    promise: Object
    request: Object

    @property
    def api(self) -> str:
        """The Promise's name."""
        name: str = self.promise["metadata"]["name"]
        return name


@dataclass
class Family:
    """A Promise and its requests."""

    promise: Object
    requests: list[Object] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The Promise's name."""
        name: str = self.promise["metadata"]["name"]
        return name


def generate(number: int, unique: str, namespaces: tuple[str, str], *, requests: int) -> Family:
    """A Promise with this number of requests."""
    choose = random.Random(SEED + number)
    mode = MODES[number % len(MODES)]
    name = f"{unique}x{number}"
    first, *others = (
        _pipeline(choose, f"p{index}-{number}", unique) for index in range(choose.choice((1, 1, 2, 3)))
    )
    schema: dict[str, Any] = {**SCHEMA}
    rules = [rule for rule in RULES if choose.random() < 0.4]
    if rules:
        schema["x-kubernetes-validations"] = [dict(rule) for rule in rules]
    made = promise(
        name,
        files=first["spec"].pop("files"),
        pipeline=first["spec"],
        selectors={"for": f"{unique}-{mode.lower()}"},
        spec_schema=schema,
    )
    made["spec"]["workflows"]["resource"]["configure"][0]["metadata"] = first["metadata"]
    made["spec"]["workflows"]["resource"]["configure"] += others
    if choose.random() < 0.5:
        made["metadata"]["labels"] = {"kratix.io/promise-version": f"v1.{number}.0", "team": "platform"}
    if choose.random() < 0.6:
        made["spec"]["dependencies"] = _dependencies(choose, name)
    if choose.random() < 0.6:
        made["spec"]["workflows"]["promise"] = {
            "configure": [
                _own_pipeline(choose, f"own{index}-{number}", unique) for index in range(choose.choice((1, 1, 2)))
            ]
        }
    return Family(made, [_request(choose, name, index, namespaces) for index in range(requests)])


def _pipeline(choose: random.Random, name: str, unique: str) -> Object:
    prefix = f"{{{{ namespace }}}}-{{{{ promise.name }}}}-{name}-{{{{ name }}}}"
    files: list[dict[str, Any]] = [
        {"path": f"{prefix}-{index}.yaml", "template": choose.choice(BODIES)}
        for index in range(choose.randint(1, 3))
    ]
    if choose.random() < 0.4:
        files.append(
            {
                "path": f"{prefix}-zones/{{{{ item.name }}}}.json",
                "template": '{"weight": {{ item.weight }}, "index": {{ index }}}',
                "forEach": "{{ spec.zones }}",
            }
        )
    if choose.random() < 0.4:
        files.append({"path": f"{prefix}.txt", "template": "on since {{ name }}\n", "when": "{{ spec.on }}"})
    if choose.random() < 0.05:
        files.append({"path": f"{prefix}-{{{{ spec.text }}}}.yaml", "template": "kind: P\nname: {{ name }}\n"})
    spec: dict[str, Any] = {
        "files": files,
        "values": {
            "table": {"z": choose.choice([1, 2.0, 2.5]), "b": ["x", None, True], "a": {"y": 1, "x": "2"}},
            "twice": "{{ table.z * 2 }}",
        },
        "partials": PARTIALS,
        "status": {
            "message": "{{ name }} is {{ spec.size }}",
            "count": "{{ spec.count }}",
            "twice": "{{ twice }}",
        },
    }
    rules: list[dict[str, Any]] = []
    if choose.random() < 0.4:
        files.append({"path": f"far-{name}/{prefix}.yaml", "template": "far: {{ name }}\n"})
        where = "{{ 'nowhere' if spec.size == 'small' else 'far' }}" if choose.random() < 0.6 else "far"
        rules.append({"directory": f"far-{name}", "matchLabels": {"region": f"{unique}-{where}"}})
    if choose.random() < 0.2:
        rules.append({"directory": ".", "matchLabels": {"number": "0"}})
    if rules:
        spec["destinations"] = rules
    return _jinja(name, spec)


def _own_pipeline(choose: random.Random, name: str, unique: str) -> Object:
    files: list[dict[str, Any]] = [
        {
            "path": f"{unique}-{name}-own.yaml",
            "template": "kind: Own\nname: {{ name }}\nlabels: {{ labels }}\nnamespace: '{{ namespace }}'\n"
            "group: {{ promise.spec.api.spec.group }}\nselectors: {{ promise.spec.destinationSelectors }}\n",
        },
        {
            "path": f"{unique}-{name}-{{{{ item.name }}}}.yaml",
            "template": "version: {{ item }}\n",
            "forEach": "{{ promise.spec.api.spec.versions }}",
        },
    ]
    spec: dict[str, Any] = {"files": files, "status": {"message": "{{ name }} is there"}}
    if choose.random() < 0.4:
        files.append({"path": f"far-{name}/{unique}-{name}.yaml", "template": "far: {{ name }}\n"})
        spec["destinations"] = [{"directory": f"far-{name}", "matchLabels": {"region": f"{unique}-far"}}]
    return _jinja(name, spec)


def _jinja(name: str, spec: dict[str, Any]) -> Object:
    return {
        "apiVersion": "troth.dev/v1alpha1",
        "kind": "JinjaPipeline",
        "metadata": {"name": name},
        "spec": spec,
    }


def _dependencies(choose: random.Random, name: str) -> list[Object]:
    return [
        {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"name": f"{name}-{index}", "namespace": "default", "creationTimestamp": None},
            "data": {
                "zeros": "007",
                "yes": "yes",
                "text": "a\n  b\n",
                "number": choose.choice(["1", "1e3", "0x1f"]),
            },
        }
        for index in range(choose.randint(1, 3))
    ]


def _request(choose: random.Random, promise_name: str, index: int, namespaces: tuple[str, str]) -> Object:
    spec: dict[str, Any] = {"size": choose.choice(["small", "medium", "medium", "large"])}
    for _ in range(choose.randint(0, 2)):
        spec |= choose.choice(EDITS if choose.random() < 0.5 else EDITS[:16])
    if choose.random() < 0.04:
        spec["size"] = choose.choice(["huge", 3, None])
    if choose.random() < 0.02:
        del spec["size"]
    # Two requests have the same name, in two namespaces.
    metadata: dict[str, Any] = {
        "name": choose.choice(NAMES).format(index // 2),
        "namespace": namespaces[index % 2],
        "labels": {"b": "two", "a": "1"},
    }
    if choose.random() < 0.05:
        metadata["labels"]["bad"] = "no spaces here"
    if choose.random() < 0.1:
        metadata["annotations"] = {"note": "kept: yes"}
    return {
        "apiVersion": f"{promise_name}.example.com/v1",
        "kind": f"Kind{promise_name}",
        "metadata": metadata,
        "spec": spec,
    }
