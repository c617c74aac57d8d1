"""The schemas of kinds that a Promise does not bring itself: those of Kubernetes, and those from files or a cluster.

The caller passes the documents, so a network is not needed here.
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
    """Schemas that are known beside those of a Promise.

    Attributes:
        definitions: the CustomResourceDefinitions that were given.
        kubernetes: the schemas of the built-in kinds. Unless others were given, these are the ones that Troth ships.
    """

    definitions: tuple[Mapping[str, Any], ...] = ()
    kubernetes: Kubernetes = field(default_factory=Kubernetes)


def known_from(documents: Iterable[Any]) -> Known:
    """Reads CustomResourceDefinitions (also in lists) and OpenAPI from documents, and ignores all others."""
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
    """The schemas that are known for a Promise.

    Its dependencies take precedence over the schemas that were given, and these over the files in ``schemas/``.

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
        HomeError: a file cannot be read, or none of the documents describes a kind.
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
            return [orjson.loads(text)]  # a server's OpenAPI has megabytes, for which a YAML parser takes a minute
        except orjson.JSONDecodeError as error:
            if len(text) > LARGEST_FILE:
                raise HomeError(file, f"is not JSON: {error.msg}", line=error.lineno) from None
    return read_documents(file, read_text(file))
