"""Pairs of versions of an API with the declaration of what differs, and objects of these versions, for properties.

The first version is `OLD`, the second is `NEW`, and each declaration is complete: no field is lost by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

OLD, NEW = "v1", "v2"
GROUP = "example.com"

TEXT = {"type": "string", "maxLength": 5}
WHOLE = {"type": "integer", "minimum": 0, "maximum": 9}
PLAIN: tuple[dict[str, Any], ...] = (
    TEXT,
    WHOLE,
    {"type": "boolean"},
    {"type": "string", "nullable": True},
    {"type": "array", "items": WHOLE},
    {"type": "object", "additionalProperties": TEXT},
    {"type": "object", "properties": {"x": TEXT, "y": WHOLE}},
)
QUANTITY = {"type": "string", "pattern": r"^[0-9]{1,3}(\.5)?(Mi|Gi|M)$"}
MEMBERS = (("small", "S"), ("large", "L"), ("large", "XL"), ("huge", "XL"))


@dataclass
class Api:
    """Two versions under construction.

    Attributes:
        schemas: the schema of ``spec`` in each version.
        fields: what is declared.
    """

    schemas: tuple[dict[str, Any], dict[str, Any]]
    fields: list[dict[str, Any]] = field(default_factory=list)

    def definition(self, stored: str) -> dict[str, Any]:
        """Returns ``spec.api``."""
        versions = [
            {
                "name": name,
                "served": True,
                "storage": name == stored,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}},
            }
            for name, schema in zip((OLD, NEW), self.schemas, strict=True)
        ]
        conversions = [{"between": [OLD, NEW], "fields": self.fields}]
        return {"conversions": conversions, "spec": {"group": GROUP, "versions": versions}}


def declare(schema: dict[str, Any], path: list[str], child: dict[str, Any]) -> None:
    """Declares a field below a schema."""
    for name in path[:-1]:
        schema = schema.setdefault("properties", {}).setdefault(name, {"type": "object"})
    schema.setdefault("properties", {})[path[-1]] = child


PLACES = ((), ("shared",), ("shared", "deep"), ("old",), ("old", "deep"), ("new",))


@st.composite
def apis(draw: st.DrawFn, depth: int = 0) -> Api:
    """Draws two versions and what is declared for them."""
    api = Api(({"type": "object"}, {"type": "object"}))
    for number in range(draw(st.integers(1, 5))):
        kind = draw(
            st.sampled_from(
                ["same", "move", "lone", "values", "units", "counts", "entries"][: 7 if depth < 2 else 6]
            )
        )
        paths = [[*draw(st.sampled_from(PLACES)), f"{side}{number}"] for side in ("a", "b")]
        plain = draw(st.sampled_from(PLAIN))
        children = [plain, plain]
        rule: dict[str, Any] = {}
        if kind == "same":
            place = ["shared", f"c{number}"] if draw(st.booleans()) else [f"c{number}"]
            for schema in api.schemas:
                declare(schema, place, plain)
            continue
        if kind == "values":
            children = [{"type": "string", "enum": sorted({pair[side] for pair in MEMBERS})} for side in (0, 1)]
            rule["values"] = [{OLD: old, NEW: new} for old, new in MEMBERS]
        elif kind == "units":
            children = [{"type": "integer", "minimum": 0}, QUANTITY]
            rule["unit"] = {OLD: "Gi"}
        elif kind == "counts":
            children = [{"type": "integer"}, {"type": "number"}]
            rule["unit"] = {OLD: 60, NEW: 1}
        elif kind == "entries":
            inner = draw(apis(depth + 1))
            children = [draw(st.sampled_from([listed, mapped]))(schema) for schema in inner.schemas]
            rule |= {"key": "key", "fields": inner.fields}
        if draw(st.booleans()):
            children.reverse()
            rule = swapped(rule)
        sides = (0, 1) if kind != "lone" else (draw(st.sampled_from((0, 1))),)
        for side in sides:
            declare(api.schemas[side], paths[side], children[side])
            rule[(OLD, NEW)[side]] = ".".join(["spec", *paths[side]] if depth == 0 else paths[side])
        if kind == "lone" and draw(st.booleans()):
            rule["default"] = draw(values(plain))
        api.fields.append(rule)
    return api


def swapped(rule: Any) -> Any:
    """Returns a rule with the versions exchanged."""
    if isinstance(rule, dict):
        return {{OLD: NEW, NEW: OLD}.get(name, name): swapped(child) for name, child in rule.items()}
    return [swapped(child) for child in rule] if isinstance(rule, list) else rule


def listed(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a list of entries."""
    items = {
        **schema,
        "properties": {**schema.get("properties", {}), "key": {"type": "string"}},
        "required": ["key"],
    }
    return {
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["key"],
    }


def mapped(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a map of entries."""
    return {"type": "object", "additionalProperties": schema}


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Returns values that a schema allows."""
    found: st.SearchStrategy[Any]
    kind = schema["type"]
    if "enum" in schema:
        found = st.sampled_from(schema["enum"])
    elif schema == QUANTITY:
        found = st.from_regex(QUANTITY["pattern"], fullmatch=True).filter(lambda text: not text.endswith("\n"))
    elif kind == "string":
        found = st.text(max_size=schema.get("maxLength", 5))
    elif kind == "integer":
        found = st.integers(schema.get("minimum", -5), schema.get("maximum", 300))
    elif kind == "number":
        found = st.integers(-5, 500) | st.floats(-5, 500, allow_nan=False)
    elif kind == "boolean":
        found = st.booleans()
    elif kind == "array" and "x-kubernetes-list-type" in schema:
        found = st.lists(values(schema["items"]), max_size=3, unique_by=lambda item: item["key"])
    elif kind == "array":
        found = st.lists(values(schema["items"]), max_size=3)
    elif "additionalProperties" in schema:
        found = st.dictionaries(st.text(max_size=3), values(schema["additionalProperties"]), max_size=3)
    else:
        required = schema.get("required", ())
        children = {name: values(child) for name, child in schema.get("properties", {}).items()}
        found = st.fixed_dictionaries(
            {name: child for name, child in children.items() if name in required},
            optional={name: child for name, child in children.items() if name not in required},
        )
    return found | st.none() if schema.get("nullable") else found


def objects(api: Api, version: str) -> st.SearchStrategy[dict[str, Any]]:
    """Returns objects that are valid in a version."""
    specs = values(api.schemas[(OLD, NEW).index(version)])
    return specs.map(
        lambda spec: {
            "apiVersion": f"{GROUP}/{version}",
            "kind": "Thing",
            "metadata": {"name": "one", "namespace": "here", "annotations": {"note": "x"}},
            "spec": spec,
            "status": {"ready": True},
        }
    )
