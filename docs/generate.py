"""Writes the pages of reference that stand elsewhere already: commands (``--help``) and API kinds (``crds/*.yaml``).

``make docs`` runs it. A page that is written by hand beside the code says something else after a month; this one
cannot, since a test compares it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from troth.cli import main

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
WIDTH = 100
_WRITTEN = "<!-- Written by docs/generate.py. Do not edit: run `make docs`. -->"

_ABOUT_KINDS = (
    "From the schemas of the CustomResourceDefinitions, as `kubectl explain` tells them. `[]` stands for each entry of "
    "a list, `{}` for each value of a map; a star marks what is required. [JinjaPipeline](template.md) stands inside a "
    "Promise and has a page of its own."
)


def pages() -> dict[Path, str]:
    """Every generated page and what has to be in it."""
    return {REFERENCE / "cli.md": cli_page(), REFERENCE / "api.md": api_page()}


def cli_page() -> str:
    """All commands, as they explain themselves."""
    parts = [
        _WRITTEN,
        "# Commands",
        "What `troth COMMAND --help` prints. [Exit codes and completion](exit-codes.md) have a page of their own.",
    ]
    with _context(main, "troth", None) as context:
        parts += [f"## troth\n\n```text\n{_help(main, context)}\n```"]
        for path, command, inner in _commands(main, context):
            parts.append(f"## troth {path}\n\n```text\n{_help(command, inner)}\n```")
    return "\n\n".join(parts) + "\n"


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    width = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    return click.Context(command, info_name=name, parent=parent, **{**command.context_settings, **width})


def _help(command: click.Command, context: click.Context) -> str:
    lines = command.get_help(context).rstrip().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        with _context(command, name, context) as inner:
            path = inner.command_path.partition(" ")[2]
            yield path, command, inner
            if isinstance(command, click.Group):
                yield from _commands(command, inner)


def api_page() -> str:
    """All kinds and their fields."""
    definitions = [yaml.safe_load(path.read_text("utf-8")) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    parts = [_WRITTEN, "# Kinds and fields", _ABOUT_KINDS]
    parts += [_kind(definition["spec"]) for definition in definitions]
    return "\n\n".join(parts) + "\n"


def _kind(spec: Mapping[str, Any]) -> str:
    version = spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    names = spec["names"]
    facts = [
        f"`{spec['group']}/{version['name']}`",
        "in a namespace" if spec["scope"] == "Namespaced" else "for the whole cluster",
        f"`kubectl get {names['plural']}`",
    ]
    if names.get("shortNames"):
        facts.append("short " + ", ".join(f"`{name}`" for name in names["shortNames"]))
    rows = [
        _row(path, inner, required=required)
        for path, inner, required in _fields("", schema)
        if path.partition(".")[0] not in ("apiVersion", "kind", "metadata")
    ]
    table = "\n".join(["| Field | Type | Default | Meaning |", "|---|---|---|---|", *rows])
    return f"## {names['kind']}\n\n{_words(schema)}\n\n{' · '.join(facts)}\n\n{table}"


def _row(path: str, schema: Mapping[str, Any], *, required: bool) -> str:
    shown = f"`{json.dumps(schema['default'])}`" if "default" in schema else ""
    star = " *" if required else ""
    return f"| `{path}`{star} | {_type(schema)} | {shown} | {_words(schema)} |"


def _fields(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    needed = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        field = f"{path}.{name}" if path else name
        yield field, inner, name in needed
        if name != "conditions":  # everywhere the same, and Kubernetes'
            yield from _inside(field, inner)


def _inside(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    yield from _fields(path, schema)
    if isinstance(schema.get("items"), dict):
        yield from _inside(f"{path}[]", schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _inside(f"{path}{{}}", schema["additionalProperties"])


def _type(schema: Mapping[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_type(schema['additionalProperties'])}"
    return kind


def _words(schema: Mapping[str, Any]) -> str:
    text = " ".join(str(schema.get("description", "")).split())
    if schema.get("enum"):
        text += f" One of {', '.join(f'`{value}`' for value in schema['enum'])}."
    for rule in schema.get("x-kubernetes-validations", ()):
        if rule.get("message"):
            text += f" Rule: {rule['message']}."
    return text.strip().replace("|", "\\|").replace("<", "&lt;")


def write() -> int:
    """Writes the pages that differ; how many."""
    written = 0
    for path, text in pages().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"written: {path.relative_to(ROOT)}")
            written += 1
    return written


if __name__ == "__main__":
    write()
