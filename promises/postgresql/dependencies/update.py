"""Write CloudNativePG's release manifest into the Promise, as its dependencies.

    python promises/postgresql/dependencies/update.py v1.28.1

The manifest comes out of the Go module of that version, which Go checks against its checksum database. In full it
is 1.2 MB: `kubectl apply` cannot note that much in its annotation (256 KiB), and etcd ends at 1.5 MiB. Nine tenths
of it are the descriptions inside the CRDs' schemas. Those are left out, and the schemas are written in YAML's flow
style. Nothing else changes, and this program checks that: what it wrote, read again, is the release without
descriptions.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

MODULE = "github.com/cloudnative-pg/cloudnative-pg"
PROMISE = Path(__file__).resolve().parent.parent / "promise.yaml"
START = "  dependencies:\n"
MAPS_OF_SCHEMAS = ("properties", "patternProperties", "definitions")
PLAIN_VALUES = ("default", "enum", "example")


class FlowStyle(dict[str, Any]):
    """A mapping that is written on few lines."""


class Dumper(yaml.SafeDumper):
    """Writes `FlowStyle` in flow style, never writes an anchor, and indents a list as Kubernetes does."""

    def ignore_aliases(self, _data: object) -> bool:
        """No anchors: a reader of YAML for Kubernetes may bound how often one is used."""
        return True


Dumper.add_representer(
    FlowStyle,
    lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True),
)


def without_descriptions(schema: Any) -> Any:
    """An OpenAPI schema without its descriptions; a property that is called `description` stays."""
    if isinstance(schema, list):
        return [without_descriptions(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in MAPS_OF_SCHEMAS and isinstance(value, dict):
            kept[key] = {name: without_descriptions(inner) for name, inner in value.items()}
        elif key in PLAIN_VALUES:
            kept[key] = value
        elif key != "description":
            kept[key] = without_descriptions(value)
    return kept


def reduce(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest as the Promise carries it: a CRD's schemas without descriptions, anything else as it is."""
    if manifest["kind"] != "CustomResourceDefinition":
        return manifest
    versions = [
        {
            **version,
            "schema": {"openAPIV3Schema": FlowStyle(without_descriptions(version["schema"]["openAPIV3Schema"]))},
        }
        for version in manifest["spec"]["versions"]
    ]
    return {**manifest, "spec": {**manifest["spec"], "versions": versions}}


def main(version: str) -> None:
    """Replace everything from `dependencies:` to the end of the Promise."""
    module = json.loads(
        subprocess.run(
            ["go", "mod", "download", "-json", f"{MODULE}@{version}"], check=True, capture_output=True, text=True
        ).stdout
    )
    release = Path(module["Dir"]) / "releases" / f"cnpg-{version.removeprefix('v')}.yaml"
    manifests = [reduce(item) for item in yaml.safe_load_all(release.read_text("utf-8")) if item]
    text = yaml.dump(manifests, Dumper=Dumper, sort_keys=False, width=150, allow_unicode=True)
    block = "".join(f"  {line}".rstrip() + "\n" for line in text.splitlines())
    head, _, _ = PROMISE.read_text("utf-8").partition(START)
    note = f"  # CloudNativePG {version}, Apache-2.0, {MODULE}: releases/{release.name},\n"
    note += "  # without the descriptions in the CRDs' schemas.\n"
    written = _without_note(head) + note
    PROMISE.write_text(written + START + block, "utf-8")
    again = yaml.safe_load(PROMISE.read_text("utf-8"))["spec"]["dependencies"]
    if again != json.loads(json.dumps(manifests)):
        sys.exit("what was written reads differently from the release: look at the YAML of the dependencies")
    sys.stdout.write(f"{len(again)} manifests, {PROMISE.stat().st_size} bytes\n")


def _without_note(head: str) -> str:
    lines = head.splitlines(keepends=True)
    while lines and lines[-1].startswith("  # "):
        lines.pop()
    return "".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: update.py VERSION, for example v1.28.1")
    main(sys.argv[1])
