"""Write the reduced schemas of Kubernetes' own kinds beside this file.

    PYTHONPATH=operator python operator/troth/engine/kinds/data/reduce.py v1.36.3

The source is the Go module k8s.io/kubernetes (Apache-2.0) of that version. What validation needs is kept: types,
fields, required fields and formats from the published schemas, enums from the Go source of the API server's own schemas
(the published ones do not have them), and ranges and patterns that only the validation code has (`fixed.py`).
Descriptions are dropped. The same version gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

from troth.engine.kinds.data.fixed import FIXED
from troth.engine.kinds.openapi import fix, reduce_openapi

MODULE = "k8s.io/kubernetes"
PUBLISHED = "api/openapi-spec/swagger.json"
GENERATED = "pkg/generated/openapi/zz_generated.openapi.go"


def read_enums(source: str) -> dict[str, list[str]]:
    """Reads enums from the generated Go source, by ``DEFINITION/property``, with ``/*`` for items and map values."""
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


def main(version: str) -> None:
    """Write `kubernetes.json.gz`."""
    download = ["go", "mod", "download", "-json", f"{MODULE}@{version}"]
    module = json.loads(subprocess.run(download, check=True, capture_output=True, text=True).stdout)
    reduced = reduce_openapi([json.loads(Path(module["Dir"], PUBLISHED).read_text("utf-8"))])
    definitions = reduced["definitions"]
    for place, members in read_enums(Path(module["Dir"], GENERATED).read_text("utf-8")).items():
        if place not in FIXED:
            fix(definitions, place, {"enum": members})
    absent = [place for place in FIXED if not fix(definitions, place, FIXED[place])]
    if absent:
        sys.exit(f"{version} has no {', '.join(absent)}")
    document = {"module": MODULE, "version": version, "kinds": reduced["kinds"], "definitions": definitions}
    content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    path = Path(__file__).with_name("kubernetes.json.gz")
    path.write_bytes(gzip.compress(content, mtime=0))
    sys.stdout.write(f"{path.name}: {len(reduced['kinds'])} kinds, {len(definitions)} definitions\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
