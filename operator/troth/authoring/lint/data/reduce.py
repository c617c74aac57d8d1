"""Write the reduced schemas of Kubernetes' own kinds beside this file.

    python operator/troth/authoring/lint/data/reduce.py v1.36.3

They come out of the Go module k8s.io/kubernetes (Apache-2.0) of that version. Kept is what validation needs: types,
fields, required fields and formats from the published schemas, enums from the Go source that the API server's own
schemas are made of (the published ones are written without), and ranges and patterns that only the validation code has
(`fixed.py`). Descriptions go. The same version gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from troth.authoring.lint.data.fixed import FIXED, REQUIRED

MODULE = "k8s.io/kubernetes"
PREFIX = "#/definitions/"
PUBLISHED = "api/openapi-spec/swagger.json"
GENERATED = "pkg/generated/openapi/zz_generated.openapi.go"
FORMATS = ("int32", "int64", "byte", "date-time")
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
# What the published schema describes as text, or not at all, and what it is in JSON.
SPECIAL: dict[str, dict[str, Any]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "quantity"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "int-or-string"},
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps": {"type": "object"},
}


def reduce(schema: dict[str, Any], needed: list[str]) -> dict[str, Any]:
    """A schema without descriptions; the definitions that it refers to are noted."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(PREFIX)
        needed.append(name)
        return {"$ref": name}
    kept: dict[str, Any] = {key: schema[key] for key in ("type", "required", "enum") if key in schema}
    if schema.get("format") in FORMATS:
        kept["format"] = schema["format"]
    if "properties" in schema:
        kept["properties"] = {name: reduce(value, needed) for name, value in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = reduce(schema["additionalProperties"], needed)
    if "items" in schema:
        kept["items"] = reduce(schema["items"], needed)
    return kept


def read_enums(source: str) -> dict[str, list[str]]:
    """The enums of the generated Go source: ``DEFINITION/property``, with ``/*`` for items and the values of maps."""
    enums: dict[str, list[str]] = {}
    definition = field = ""
    for line in source.split("\n"):
        if match := re.match(r"func schema_(\w+)\(", line):
            definition = "io." + match[1].replace("k8sio_", "k8s.", 1).replace("_", ".")
        elif match := re.match(r'\t{5}"([\w$-]+)": \{$', line):
            field = match[1]
        elif match := re.match(r"(\t+)Enum: +\[\]interface\{\}\{(.*)\},", line):
            inner = "" if len(match[1]) == 7 else "/*"
            enums[f"{definition}/{field}{inner}"] = json.loads(f"[{match[2]}]")
    return enums


def fix(definitions: dict[str, Any], path: str, values: dict[str, Any]) -> bool:
    """Puts values into the schema of ``DEFINITION/property`` or ``DEFINITION/property/*``; whether there is one."""
    definition, _, rest = path.partition("/")
    schema = definitions.get(definition, {}).get("properties", {}).get(rest.partition("/")[0])
    if schema is not None and rest.endswith("/*"):
        schema = schema.get("items") or schema.get("additionalProperties")
    if schema is None:
        return False
    schema.update(values)
    return True


def reduced(version: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The definitions of all kinds, and the definition of each kind by ``group/version/Kind``."""
    download = ["go", "mod", "download", "-json", f"{MODULE}@{version}"]
    module = json.loads(subprocess.run(download, check=True, capture_output=True, text=True).stdout)
    published = json.loads(Path(module["Dir"], PUBLISHED).read_text("utf-8"))["definitions"]
    kinds: dict[str, str] = {}
    for name, schema in published.items():
        if (schema.get("properties") or {}).get("metadata", {}).get("$ref") == PREFIX + META:
            for entry in schema.get("x-kubernetes-group-version-kind", ()):
                group = f"{entry['group']}/" if entry["group"] else ""
                kinds[f"{group}{entry['version']}/{entry['kind']}"] = name
    needed = list(kinds.values())
    definitions: dict[str, Any] = {}
    while needed:
        name = needed.pop()
        if name not in definitions:
            definitions[name] = SPECIAL.get(name) or reduce(published[name], needed)
    for path, members in read_enums(Path(module["Dir"], GENERATED).read_text("utf-8")).items():
        fix(definitions, path, {"enum": members})
    for path, values in FIXED.items():
        if not fix(definitions, path, values):
            sys.exit(f"{path}: {version} has no such field")
    for name, fields in REQUIRED.items():
        definitions[name]["required"] = sorted({*definitions[name].get("required", ()), *fields})
    return definitions, kinds


def main(version: str) -> None:
    """Write `kubernetes.json.gz`."""
    definitions, kinds = reduced(version)
    document = {"module": MODULE, "version": version, "kinds": kinds, "definitions": definitions}
    content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    path = Path(__file__).with_name("kubernetes.json.gz")
    path.write_bytes(gzip.compress(content, mtime=0))
    sys.stdout.write(f"{path.name}: {len(kinds)} kinds, {len(definitions)} definitions\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
