"""Write the reduced schemas of Kubernetes' own kinds beside this file.

    python operator/troth/authoring/lint/data/reduce.py v1.36.3

They come out of the Go module k8s.io/kubernetes (Apache-2.0) of that version. Kept is what validation needs: types,
fields, required fields; descriptions go. The published schemas name no enums. The same version gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

MODULE = "k8s.io/kubernetes"
PREFIX = "#/definitions/"
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
    if "properties" in schema:
        kept["properties"] = {name: reduce(value, needed) for name, value in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = reduce(schema["additionalProperties"], needed)
    if "items" in schema:
        kept["items"] = reduce(schema["items"], needed)
    return kept


def main(version: str) -> None:
    """Write `kubernetes.json.gz`."""
    download = ["go", "mod", "download", "-json", f"{MODULE}@{version}"]
    module = json.loads(subprocess.run(download, check=True, capture_output=True, text=True).stdout)
    published = json.loads(Path(module["Dir"], "api/openapi-spec/swagger.json").read_text("utf-8"))["definitions"]
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
    document = {"module": MODULE, "version": version, "kinds": kinds, "definitions": definitions}
    content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    path = Path(__file__).with_name("kubernetes.json.gz")
    path.write_bytes(gzip.compress(content, mtime=0))
    sys.stdout.write(f"{path.name}: {len(kinds)} kinds, {len(definitions)} definitions\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
