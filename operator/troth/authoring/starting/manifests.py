"""Turns existing manifests into templates: one for each file, with parameters in the places of values.

Comments and layout are not kept: a file is read as Kubernetes reads it, and written as Troth always writes YAML. Every
value is kept, and this is checked by rendering the templates (`start`).
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from troth.authoring.input_files import HomeError, read_documents
from troth.authoring.starting.errors import CannotStart
from troth.authoring.starting.escaping import escape
from troth.authoring.starting.parameters import REQUEST_NAME, Hole, Parameter, Parameters
from troth.authoring.starting.shapes import Path as Place
from troth.engine.placement.plain_secrets import plain_secrets_of
from troth.engine.promises.definitions import LONGEST_REQUEST_NAME
from troth.engine.rendering.limits import Limits
from troth.engine.yaml.emit import TooDeep, dump_document, dump_documents

MOST_BYTES: Final = 1024 * 1024
"""The largest size of all manifests in bytes: they become one Promise, and the API server accepts 1.5 MiB."""

_YAML: Final = (".yaml", ".yml", ".json")
_MOST_ENTRIES: Final = 5000
_HOLE: Final = re.compile(r"(?P<brace>\{?)TROTH0HOLE(?P<number>[0-9]+)Z")
_FOR_TOOLS: Final = ("Kustomization", "Component")
_BY_CLUSTER: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Template:
    """A manifest that became a template.

    Attributes:
        path: the path of the file that it renders.
        text: the template.
        documents: the objects in the manifest. The items of a ``List`` are given one by one.
    """

    path: str
    text: str
    documents: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Templates:
    """All manifests of a folder as templates. ``left_out`` says what is not in them, and why."""

    templates: tuple[Template, ...]
    parameters: Parameters
    left_out: tuple[str, ...]


def read_manifests(folder: Path, parameters: Sequence[Parameter]) -> Templates:
    """The manifests below a folder as templates.

    Raises:
        HomeError: a file cannot be used.
        CannotStart: a parameter does not find a value, or finds different ones.
    """
    sources, left_out = _files(folder)
    search = Parameters(parameters)
    templates: list[Template] = []
    number = size = 0
    for relative, file in sources:
        objects = []
        for given in _objects(file, read_documents(file)):
            obj, dropped = _as_written(given)
            objects.append(obj)
            if dropped:
                left_out.append(f"{', '.join(dropped)} of {obj['kind']}/{_name_of(obj)}: a cluster has written it")
        if any(obj["kind"] in _FOR_TOOLS and "kustomize" in obj["apiVersion"] for obj in objects):
            left_out.append(f"{relative}: is for kustomize; give the manifests that it makes")
            continue
        if not objects:
            left_out.append(f"{relative}: is empty")
            continue
        for obj in objects:
            if number + len(objects) > Limits().documents:
                raise HomeError(folder, "has more than 1000 manifests", "split them between several Promises")
            if next(plain_secrets_of(obj), None) is not None:
                raise HomeError(
                    file,
                    f"the Secret {_name_of(obj)} would go to the store in plain text",
                    "take it out, and let External Secrets or an operator of the destination make it",
                )
        text, number = _template(file, objects, search, number)
        size += len(text.encode())
        if len(text) > Limits().source_bytes:
            raise HomeError(file, "gives a template of more than 256 KiB", "split the file")
        if size > MOST_BYTES:
            raise HomeError(folder, "has more than 1 MiB of manifests", "split them between several Promises")
        templates.append(Template(_output(relative, templates), text, tuple(objects)))
    if not templates:
        raise HomeError(folder, "has no manifests", "name a folder with YAML files")
    search.check()
    templates = [replace(template, text=_filled(template.text, search)) for template in templates]
    return Templates(tuple(templates), search, tuple(left_out))


def _files(folder: Path) -> tuple[list[tuple[str, Path]], list[str]]:
    """The manifests below the folder, and a sentence for everything else in it."""
    if not folder.is_dir():
        raise HomeError(folder, "is not a folder", "name the folder of the manifests")
    sources: list[tuple[str, Path]] = []
    left_out: list[str] = []
    entries = 0
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError):
        raise HomeError(folder, "cannot be read") from None
    for where, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if Path(where, name).is_symlink():
                raise HomeError(
                    Path(where, name), "is a link to a folder", "copy the folder, or take the link away"
                )
        for name in sorted(names):
            entries += 1
            if entries > _MOST_ENTRIES:
                raise HomeError(folder, f"has more than {_MOST_ENTRIES} files", "name the folder of the manifests")
            file = Path(where, name)
            relative = file.relative_to(folder).as_posix()
            if name.startswith(".") or file.suffix not in _YAML:
                left_out.append(f"{relative}: is not YAML")
                continue
            if file.is_symlink() and not _resolves_inside(file, root):
                raise HomeError(file, "is a link out of the folder", "copy the file")
            if re.search(r"[{}\\\x00-\x1f\x7f]", relative):
                raise HomeError(file, "has a name that no template can have", "rename the file")
            sources.append((relative, file))
    return sources, left_out


def _unreadable(error: OSError) -> None:
    raise HomeError(Path(error.filename or "."), f"cannot be read: {error.strerror}")


def _resolves_inside(file: Path, root: Path) -> bool:
    try:
        return file.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _objects(file: Path, documents: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The objects of a file. The items of lists are returned one by one."""
    objects: list[Mapping[str, Any]] = []
    for document in documents:
        if not (
            isinstance(document, dict)
            and all(isinstance(document.get(key), str) and document[key] for key in ("apiVersion", "kind"))
        ):
            raise HomeError(
                file,
                "something in it is not an object: apiVersion or kind is missing",
                "give manifests that a cluster accepts; for a Helm chart, the output of helm template",
            )
        items = document.get("items")
        if document["kind"].endswith("List") and isinstance(items, list):
            objects += _objects(file, items)
        else:
            objects.append(document)
    return objects


def _as_written(obj: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """The object as people wrote it, and the names of what a cluster has added to it.

    A uid or a resourceVersion shows that it was read from a cluster; another cluster would refuse it with these.
    """
    metadata = obj.get("metadata")
    if not isinstance(metadata, Mapping) or not {"uid", "resourceVersion"} & metadata.keys():
        return obj, []
    dropped = [f"metadata.{name}" for name in _BY_CLUSTER if name in metadata]
    kept = {name: value for name, value in metadata.items() if name not in _BY_CLUSTER}
    annotations = metadata.get("annotations")
    if isinstance(annotations, Mapping) and _LAST_APPLIED in annotations:
        kept["annotations"] = {name: value for name, value in annotations.items() if name != _LAST_APPLIED}
        dropped.append(f"the annotation {_LAST_APPLIED}")
        if not kept["annotations"]:
            del kept["annotations"]
    written = {name: kept if name == "metadata" else value for name, value in obj.items() if name != "status"}
    return written, dropped + (["status"] if "status" in obj else [])


def _name_of(obj: Mapping[str, Any]) -> str:
    metadata = obj.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""


def _template(
    file: Path, objects: Sequence[Mapping[str, Any]], search: Parameters, number: int
) -> tuple[str, int]:
    """The template of a file's objects, and the number of the next object."""
    try:
        plain = dump_documents(objects)
    except (TooDeep, ValueError) as error:
        raise HomeError(file, str(error)) from None
    if _HOLE.search(plain):
        raise HomeError(file, "holds a word of the form TROTH0HOLE0Z, which init needs for itself", "change it")
    texts: list[str] = []
    for obj in objects:
        changed = copy.deepcopy(dict(obj))
        for place, holes in search.find(number, obj).items():
            _put(changed, place, holes, list(search.found))
        texts.append(escape(dump_document(changed), _HOLE))
        number += 1
    return "---\n".join(texts), number


def _filled(template: str, search: Parameters) -> str:
    """The template with an expression in each hole."""
    names = list(search.found)
    shortest = min((limit for name, limit in search.name_limits.items() if name == REQUEST_NAME), default=63)
    request = "name" if shortest >= LONGEST_REQUEST_NAME else f"name | dns_label({shortest})"

    def expression(match: re.Match[str]) -> str:
        name = names[int(match["number"])]
        brace = "{{ '{' }}" if match["brace"] else ""  # a brace before the expression would be read as part of it
        return brace + "{{ " + (request if name == REQUEST_NAME else f"spec.{name}") + " }}"

    return _HOLE.sub(expression, template)


def _put(obj: Any, place: Place, holes: Sequence[Hole], names: Sequence[str]) -> None:
    """Puts holes into a value: in the place of all of it, or of some parts of a text."""
    if not place:
        raise CannotStart("--param: a whole manifest cannot be a field; name a value in it")
    for step in place[:-1]:
        obj = obj[step]
    for hole in sorted(holes, key=lambda hole: hole.span or (0, 0), reverse=True):
        value, word = obj[place[-1]], f"TROTH0HOLE{names.index(hole.name)}Z"
        obj[place[-1]] = word if hole.span is None else value[: hole.span[0]] + word + value[hole.span[1] :]


def _output(relative: str, before: Sequence[Template]) -> str:
    """The path of the rendered file: the manifest's, but always with the ending of YAML, and unique."""
    base, suffix = os.path.splitext(relative)  # noqa: PTH122 - of a path with slashes, on any system
    path = f"{base}.yml" if suffix == ".yml" else f"{base}.yaml"
    taken = {template.path for template in before}
    number = 2
    while path in taken:
        path = f"{base}-{number}.yaml"
        number += 1
    return path
