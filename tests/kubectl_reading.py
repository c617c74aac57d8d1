"""Reads texts with the real kubectl, without a cluster, and hundreds of texts in one process."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

MARK = "read-by-kubectl"
HEAD = "apiVersion: v1\nkind: Thing\nmetadata: {name: thing}\n"


@dataclass(frozen=True, slots=True)
class Refused:
    """kubectl refuses a text; has kubectl's own message."""

    words: str


def objects_by_kubectl(kubectl: Path, texts: Sequence[str]) -> list[list[dict[str, Any]] | Refused]:
    """The objects in each text as kubectl would send them, or `Refused`."""
    with TemporaryDirectory() as folder:
        for index, text in enumerate(texts):
            Path(folder, f"{index:06}-a.yaml").write_text(text, newline="")
            # The objects come in the order of the files, but without their names; this object marks the end of a file.
            Path(folder, f"{index:06}-b.json").write_text(json.dumps({**_END, "index": index}))
        answer = subprocess.run(
            [kubectl, "label", "--local", "-f", folder, "-o", "json", f"{MARK}=yes"],
            capture_output=True,
            text=True,
            timeout=120,
            env={"HOME": folder, "KUBECONFIG": "/dev/null"},
            check=False,
        )
    refused = {int(match[1]): Refused(match[2]) for match in _REFUSAL.finditer(answer.stderr)}
    read: dict[int, list[dict[str, Any]]] = {}
    current: list[dict[str, Any]] = []
    for document in _documents(answer.stdout):
        if document["kind"] == _END["kind"]:
            read[document["index"]], current = current, []
        else:
            current.append(_without_mark(document))
    assert read.keys() == set(range(len(texts))), answer.stderr
    return [refused.get(index, read[index]) for index in range(len(texts))]


_END: Mapping[str, Any] = {"apiVersion": "v1", "kind": "EndOfText", "metadata": {"name": "end"}}
_REFUSAL = re.compile(r"(\d+)-a\.yaml\"?: (.*)")


def _documents(text: str) -> list[dict[str, Any]]:
    decoder = json.JSONDecoder()
    found = []
    at = 0
    while at < len(text.rstrip()):
        document, at = decoder.raw_decode(text, at)
        found.append(document)
        at += 1
    return found


def _without_mark(document: dict[str, Any]) -> dict[str, Any]:
    labels = document["metadata"]["labels"]
    del labels[MARK]
    if not labels:
        del document["metadata"]["labels"]
    return document
