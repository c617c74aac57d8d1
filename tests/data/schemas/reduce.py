"""Write the reduced schemas of Kubernetes' own kinds that the tests of the Promises need.

    PYTHONPATH=operator python tests/data/schemas/reduce.py v1.36.3

They come out of the Go module k8s.io/kubernetes of that version. Kept is what validation needs: types, required
fields, formats, and the enums and ranges that lint knows; descriptions go. A field that the schema does not name is an
error in a test, so that a typing mistake in a template is found: the API server would drop it with a warning that
nobody sees.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from troth.engine.kinds.data.fixed import FIXED, REQUIRED
from troth.engine.kinds.data.reduce import GENERATED, MODULE, read_enums
from troth.engine.kinds.openapi import fix

KINDS = {
    "v1/ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "v1/LimitRange": "io.k8s.api.core.v1.LimitRange",
    "v1/Namespace": "io.k8s.api.core.v1.Namespace",
    "v1/ResourceQuota": "io.k8s.api.core.v1.ResourceQuota",
    "apps/v1/Deployment": "io.k8s.api.apps.v1.Deployment",
    "networking.k8s.io/v1/NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
    "rbac.authorization.k8s.io/v1/RoleBinding": "io.k8s.api.rbac.v1.RoleBinding",
}
# Kinds of JSON that the published schema describes as text.
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
}
PREFIX = "#/definitions/"


def reduce(schema: dict[str, Any], needed: list[str]) -> dict[str, Any]:
    """A schema without descriptions, closed against unknown fields; the definitions it refers to are noted."""
    if "$ref" in schema:
        needed.append(schema["$ref"].removeprefix(PREFIX))
        return {"$ref": schema["$ref"]}
    kept: dict[str, Any] = {key: schema[key] for key in ("type", "format", "required", "enum") if key in schema}
    if "properties" in schema:
        kept["properties"] = {name: reduce(value, needed) for name, value in schema["properties"].items()}
        kept["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = reduce(schema["additionalProperties"], needed)
    if "items" in schema:
        kept["items"] = reduce(schema["items"], needed)
    return kept


def whole(values: dict[str, Any]) -> dict[str, Any]:
    """The values with a pattern that fits the whole text, which JSON Schema does not ask for by itself."""
    return {**values, "pattern": f"^(?:{values['pattern']})$"} if "pattern" in values else values


def main(version: str) -> None:
    """Write `kubernetes-VERSION.json` beside this file."""
    download = ["go", "mod", "download", "-json", f"{MODULE}@{version}"]
    module = json.loads(subprocess.run(download, check=True, capture_output=True, text=True).stdout)
    published = json.loads(Path(module["Dir"], "api/openapi-spec/swagger.json").read_text("utf-8"))["definitions"]
    needed = list(KINDS.values())
    definitions: dict[str, Any] = {}
    while needed:
        name = needed.pop()
        if name not in definitions:
            definitions[name] = SPECIAL.get(name) or reduce(published[name], needed)
    for path, members in read_enums(Path(module["Dir"], GENERATED).read_text("utf-8")).items():
        fix(definitions, path, {"enum": members})
    for path, values in FIXED.items():
        fix(definitions, path, whole(values))
    for name, fields in REQUIRED.items():
        if name in definitions:
            definitions[name]["required"] = sorted({*definitions[name].get("required", ()), *fields})
    document = {
        "source": f"{MODULE} {version}, api/openapi-spec/swagger.json, reduced",
        "kinds": {kind: PREFIX + name for kind, name in KINDS.items()},
        "definitions": dict(sorted(definitions.items())),
    }
    target = Path(__file__).with_name(f"kubernetes-{version.removeprefix('v')}.json")
    target.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{target.name}: {len(definitions)} definitions, {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: reduce.py VERSION, for example v1.36.3")
    main(sys.argv[1])
