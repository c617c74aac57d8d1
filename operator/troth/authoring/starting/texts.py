"""The texts of a new Promise's folder: promise.yaml, a first template, README.md and CHANGELOG.md."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping, Sequence
from typing import Any, Final

from troth.authoring.starting.definitions import Offered
from troth.engine.yaml.emit import dump_document

FIRST_FILE: Final = "config.yaml"
"""The file that the first template of a Promise renders, when it does not start from manifests."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_KEY: Final = re.compile(r"[^-._a-zA-Z0-9]")


def promise_text(name: str, offered: Offered, files: Sequence[str]) -> str:
    """The text of ``promise.yaml``."""
    promise = {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Promise",
        "metadata": {"name": name, "labels": {"kratix.io/promise-version": "v0.1.0"}},
        "spec": {
            "api": offered.definition,
            "workflows": {
                "resource": {
                    "configure": [
                        {
                            "apiVersion": "troth.dev/v1alpha1",
                            "kind": "JinjaPipeline",
                            "metadata": {"name": "instance"},
                            "spec": {
                                "files": [
                                    {"path": path, "template": {"from": f"templates/{path}.j2"}} for path in files
                                ],
                                "status": {"message": f"{offered.kind} {{{{ name }}}} is rendered"},
                            },
                        }
                    ]
                }
            },
        },
    }
    header = (
        f"# {offered.kind}: what people ask for is under spec.api, what they get is in templates/.\n"
        "#\n"
        "#   troth test && troth lint\n"
        "#   troth build . | kubectl apply --server-side -f -\n"
    )
    return header + dump_document(promise)


def config_template(offered: Offered, either: Container[str]) -> str:
    """The template of a ConfigMap that shows every field of the API, until the author replaces it.

    Args:
        offered: the API.
        either: the fields that one example has and another does not have. Only for these the tests reach both branches
            of an ``if``.
    """
    required = set(offered.spec.get("required") or ())
    lines = [
        "{# Replace this ConfigMap with what people should get. Values need no quotes. #}",
        "apiVersion: v1",
        "kind: ConfigMap",
        "metadata:",
        "  name: {{ name }}",
        "  namespace: {{ namespace }}",
        "data:",
    ]
    properties = offered.spec.get("properties")
    fields = properties if isinstance(properties, Mapping) else {}
    keys: set[str] = set()
    for name, schema in fields.items():
        key = _KEY.sub("-", name)[:200] or "field"
        if key == "imageName":
            key = "image-name"  # lint would take the value of `imageName` for an image
        while key in keys:
            key += "-"
        keys.add(key)
        field = f"spec.{name}" if _IDENTIFIER.fullmatch(name) else f"spec[{json.dumps(name)}]"
        line = f"  {_quoted(key)}: {_as_text(field, schema)}"
        if offered.has_spec and (name in required or "default" in schema):
            lines.append(line)
        elif name not in either:
            lines.append(f"  {_quoted(key)}: {{{{ {field} | default('') | to_json }}}}")
        else:
            lines += [f"{{% if {field} is defined %}}", line, "{% endif %}"]
    if not fields:
        lines.append('  spec: "{{ spec | to_json }}"' if _open(offered.spec) else "  request: {{ name }}")
    return "\n".join((*lines, ""))


def _quoted(key: str) -> str:
    return dump_document({key: 0}).rsplit(":", 1)[0]


def _open(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties"))


def _as_text(field: str, schema: Mapping[str, Any]) -> str:
    """An expression that renders the field as text, since a ConfigMap only holds texts."""
    if schema.get("type") == "string":
        return f"{{{{ {field} }}}}"
    if schema.get("type") in ("integer", "number", "boolean"):
        return f'"{{{{ {field} }}}}"'
    return f"{{{{ {field} | to_json }}}}"


def readme_text(name: str, offered: Offered, files: Sequence[str], origin: str) -> str:
    """The text of ``README.md``."""
    title = offered.kind
    parts = [f"# {title}\n", f"{origin}\n", "## What one can ask for\n", _table(offered)]
    parts.append("## What comes out\n")
    parts.append("\n".join(f"* `{_cell(path)}`, from `templates/{_cell(path)}.j2`" for path in files) + "\n")
    parts.append("## Working on it\n")
    parts.append(
        f"""```sh
troth test                                         # the cases in tests/, and requests of its own
troth lint                                         # what is wrong, without a request
troth render . -f examples/example.yaml --status   # look at what a request gives
troth build . | kubectl apply --server-side -f -
kubectl apply -f examples/example.yaml
kubectl get {offered.plural}
```
"""
    )
    parts.append("## What the destination needs\n")
    parts.append("Say here which operators and which CustomResourceDefinitions a destination must have.\n")
    parts.append("## Limits\n")
    parts.append(f"Say here what {name} does not do.\n")
    return "\n".join(parts)


def _table(offered: Offered) -> str:
    properties = offered.spec.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return "A request has a name, and nothing to choose.\n"
    required = set(offered.spec.get("required") or ())
    rows = ["| Field | What it may be | When it is left out |", "| --- | --- | --- |"]
    for name, schema in properties.items():
        if name in required:
            left_out = "is refused"
        else:
            left_out = f"`{_cell(json.dumps(schema['default']))}`" if "default" in schema else ""
        rows.append(f"| `spec.{_cell(name)}` | {_cell(_described(schema))} | {left_out} |")
    return "\n".join((*rows, ""))


def _described(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        text = ", ".join(f"`{value}`" for value in schema["enum"])
    elif schema.get("type") == "array":
        items = schema.get("items")
        text = f"a list of {items.get('type', 'values')}s" if isinstance(items, Mapping) else "a list"
    else:
        text = {"object": "a map", "string": "text", "boolean": "true or false", "integer": "a whole number"}.get(
            str(schema.get("type")), "a number" if schema.get("type") == "number" else "a value"
        )
    description = schema.get("description")
    return f"{text}; {description}" if isinstance(description, str) and description else text


def _cell(text: str) -> str:
    short = " ".join(text.split())
    return (short if len(short) <= 300 else short[:299] + "…").replace("|", "\\|")


CHANGELOG: Final = """# Changelog

## v0.1.0

* The first version.
"""
