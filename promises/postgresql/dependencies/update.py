"""Write CloudNativePG's release manifest beside this program, as the Promise's dependencies.

    python promises/postgresql/dependencies/update.py v1.28.1

The manifest comes out of the Go module of that version, which Go checks against its checksum database. In full it
is 1.2 MB: `kubectl apply` cannot note that much in its annotation (256 KiB), and etcd ends at 1.5 MiB. Nine tenths
of it are the descriptions inside the CRDs' schemas. Those are left out, and the schemas are written in YAML's flow
style. Nothing else changes, and this program checks that: what it wrote, read again, is the release without
descriptions.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reduce_schemas import Dumper, FlowStyle, Module, folder_of, without_descriptions

MODULE = "github.com/cloudnative-pg/cloudnative-pg"
TARGET = Path(__file__).resolve().with_name("cloudnative-pg.yaml")


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


def text_of(version: str) -> str:
    """The release of that version as the Promise carries it."""
    module = Module(MODULE, version, "releases")
    release = folder_of(module) / module.folder / f"cnpg-{version.removeprefix('v')}.yaml"
    manifests = [reduce(item) for item in yaml.safe_load_all(release.read_text("utf-8")) if item]
    note = f"# CloudNativePG {version}, Apache-2.0, {MODULE}: releases/{release.name},\n"
    note += "# without the descriptions in the CRDs' schemas. Written by update.py.\n"
    text = note + yaml.dump_all(manifests, Dumper=Dumper, sort_keys=False, width=150, allow_unicode=True)
    if list(yaml.safe_load_all(text)) != json.loads(json.dumps(manifests)):
        sys.exit("what was written reads differently from the release: look at its YAML")
    return text


def main(version: str) -> None:
    """Write `cloudnative-pg.yaml`."""
    TARGET.write_text(text_of(version), "utf-8")
    sys.stdout.write(f"{TARGET.name}: {TARGET.stat().st_size} bytes\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: update.py VERSION, for example v1.28.1")
    main(sys.argv[1])
