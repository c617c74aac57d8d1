"""What is known of kinds beside what a Promise brings: Kubernetes' own, and definitions out of files or a cluster.

Documents come from whoever asks, so that this needs no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from troth.api import InvalidObject
from troth.authoring.home import Home
from troth.authoring.input_files import (
    LARGEST_FILE,
    HomeError,
    read_documents,
    read_objects,
    read_text,
    yaml_files,
)
from troth.engine.kinds import Kubernetes, Schemas, check_openapi, is_openapi, reduce_openapi

_DEFINITION: Final = "CustomResourceDefinition"
_STRUCTURED: Final = (".yaml", ".yml", ".json")
_SOURCE: Final = "kubectl get crds -o yaml gives the former, kubectl get --raw /openapi/v2 the latter"
_LARGEST: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Known:
    """Schemas that were given.

    Attributes:
        definitions: CustomResourceDefinitions.
        kubernetes: the kinds that an API server has of itself; those that come with Troth, unless others were given.
    """

    definitions: tuple[Mapping[str, Any], ...] = ()
    kubernetes: Kubernetes = field(default_factory=Kubernetes)


def known_from(documents: Iterable[Any]) -> Known:
    """What the documents tell: CustomResourceDefinitions (lists of them, too) and OpenAPI; others are ignored."""
    definitions: list[Mapping[str, Any]] = []
    published: list[Mapping[str, Any]] = []
    for document in documents:
        if is_openapi(document):
            published.append(document)
        elif isinstance(document, Mapping):
            items = document.get("items")
            found = items if isinstance(items, list) else [document]
            definitions.extend(obj for obj in found if isinstance(obj, Mapping) and obj.get("kind") == _DEFINITION)
    return Known(tuple(definitions), Kubernetes(reduce_openapi(published)) if published else Kubernetes())


def schemas_of(home: Home, known: Known | None = None) -> Schemas:
    """What is known to a Promise: the dependencies outweigh what was given, and that outweighs ``schemas/``.

    Raises:
        HomeError: a file of ``schemas/`` cannot be read.
    """
    known = known or Known()
    brought = [obj for path in home.schemas if path.suffix in _STRUCTURED for obj in read_objects(path)]
    dependencies = home.promise["spec"].get("dependencies") or ()
    return Schemas((*brought, *known.definitions, *dependencies), known.kubernetes)


def read_schemas(path: Path) -> list[Any]:
    """The documents of a file, or of the files below a folder.

    Raises:
        HomeError: one cannot be read, or there is nothing that tells of a kind.
    """
    if not path.exists():
        raise HomeError(
            path, "does not exist", "name a file or a folder with CustomResourceDefinitions or OpenAPI"
        )
    documents: list[Any] = []
    for file in yaml_files(path) if path.is_dir() else (path,):
        documents.extend(_documents(file))
    try:
        for document in filter(is_openapi, documents):
            check_openapi(document)
    except InvalidObject as error:
        problem = f"{error.problem}, so this is not OpenAPI as Kubernetes has it"
        raise HomeError(path, problem, _SOURCE, field=error.field) from None
    known = known_from(documents)
    if not known.definitions and not any(is_openapi(document) for document in documents):
        raise HomeError(path, "holds neither a CustomResourceDefinition nor OpenAPI", _SOURCE)
    return documents


def _documents(file: Path) -> list[Any]:
    text = read_text(file, largest=_LARGEST)
    if text[:1] == "{":
        try:
            return [orjson.loads(text)]  # a server's OpenAPI has megabytes, and a reader of YAML takes a minute
        except orjson.JSONDecodeError as error:
            if len(text) > LARGEST_FILE:
                raise HomeError(file, f"is not JSON: {error.msg}", line=error.lineno) from None
    return read_documents(file, read_text(file))
