"""The paths of files in a state store, byte for byte as in Kratix (kratix-compatibility.md#paths-in-a-state-store).

A running Flux or Argo CD must not notice it when Troth takes over, so the paths are given by Kratix. What Troth adds is
confinement: every path that a person writes is normalised and checked once, here, before it reaches a store, and a path
that would leave the destination's folder is an error that names its field. A prefix (the ``path`` of a store or a
Destination) is read as leniently as Kratix reads it: ``/``, ``clusters/`` and ``./clusters`` are fine. The path of a
file is not corrected, only accepted or refused.

Git does not keep empty folders. Flux then reports "path not found" and prunes nothing, so the objects of a
destination's last request would never be removed. While a Destination has no canaries, a placeholder keeps its folders:
a dot file that readers of YAML ignore, and that only contains a comment in case they do not.

Everything here works on blob ids, without contents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from troth.api import InvalidObject
from troth.api import labels as names
from troth.api.files import holds_manifests
from troth.api.naming import short_group_id
from troth.api.objects import Destination, Workload, WorkPlacement
from troth.engine.placement.work import LARGEST_WORK

NESTED: Final = "nestedByMetadata"
AGGREGATED: Final = "aggregatedYAML"
NONE: Final = "none"

DEPENDENCIES: Final = "dependencies"
RESOURCES: Final = "resources"
STATE_DIRECTORY: Final = ".kratix"
PLACEHOLDER: Final = ".trothkeep"
CANARY_NAMESPACE: Final = "kratix-canary-namespace.yaml"
CANARY_CONFIG_MAP: Final = "kratix-canary-configmap.yaml"

_SEPARATOR = b"\n---\n"
_LONGEST_SEGMENT = 255
_LONGEST_PATH = 4096

_PLACEHOLDER_CONTENT = b"# Keeps this folder in the repository while nothing else is in it.\n"
_NAMESPACE_CONTENT = b"""\
apiVersion: v1
kind: Namespace
metadata:
  name: kratix-worker-system
"""
_CONFIG_MAP_CONTENT = b"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: kratix-info
  namespace: kratix-worker-system
data:
  canary: this cluster reads what is written to its state store
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one placement's files in its store.

    Attributes:
        files: from the path in the store to the blob id; empty when the files are part of the aggregate.
        directory: the folder that belongs to the placement alone (nestedByMetadata), or None.
        state_file: the file that lists the placement's files in a shared folder (mode ``none``), or None.
        aggregate: the destination's single file (aggregatedYAML), or None.
    """

    files: Mapping[str, str]
    directory: str | None = None
    state_file: str | None = None
    aggregate: str | None = None


@dataclass(frozen=True, slots=True)
class DestinationFiles:
    """A Destination's own files: canaries, or the placeholders that keep its folders.

    Attributes:
        files: from the path in the store to the content.
        obsolete: paths that may hold own files of an earlier setting and must not hold them now.
    """

    files: Mapping[str, bytes]
    obsolete: tuple[str, ...] = field(default=())


def place(destination: Destination, placement: WorkPlacement, *, store_path: str) -> Layout:
    """Returns the paths of a placement's files.

    Args:
        destination: the Destination, whose mode decides.
        placement: the placement.
        store_path: the ``spec.path`` of the state store.

    Raises:
        InvalidObject: a path leaves the destination's folder, is not a path, or occurs twice.
    """
    prefix = destination_prefix(destination, store_path=store_path)
    if destination.mode == AGGREGATED:
        return Layout(files={}, aggregate=aggregate_path(destination, store_path=store_path))
    if destination.mode == NONE:
        name = f"{placement.metadata.namespace}-{placement.metadata.name}.yaml"
        files = _place_files(prefix, placement.workloads)
        reserved = _join(prefix, STATE_DIRECTORY)
        for index, path in enumerate(files):
            if path == reserved or path.startswith(f"{reserved}/"):
                raise InvalidObject(
                    _field_of(index), f"the folder {STATE_DIRECTORY} is reserved", "choose another folder"
                )
        return Layout(files=files, state_file=_join(prefix, STATE_DIRECTORY, _segment(name, "metadata.name")))
    directory = _join(prefix, *_nested_directory(placement))
    return Layout(files=_place_files(directory, placement.workloads), directory=directory)


def aggregate_path(destination: Destination, *, store_path: str) -> str:
    """Returns the path of the single file of a Destination with the mode aggregatedYAML. Raises InvalidObject."""
    prefix = destination_prefix(destination, store_path=store_path)
    return _join(prefix, confine(destination.filename, "spec.filepath.filename"))


def aggregate(contents: Mapping[tuple[str, str], Mapping[str, bytes]]) -> bytes | None:
    """Returns the content of a destination's single file in the mode aggregatedYAML; None if there must be no file.

    Args:
        contents: for each placement of the destination that is not being deleted, by its name and namespace (two
            namespaces may have placements of the same name): from path to content, in the order of its workloads. Files
            without manifests are left out, because their text would be read as YAML together with the others.
    """
    parts = [
        content for key in sorted(contents) for path, content in contents[key].items() if holds_manifests(path)
    ]
    return _SEPARATOR.join(parts) if parts else None


def destination_files(destination: Destination, *, store_path: str) -> DestinationFiles:
    """Returns the canaries of a Destination, or without init workloads the placeholders that keep its folders.

    Raises:
        InvalidObject: the path of the store or of the Destination leaves the store.
    """
    prefix = destination_prefix(destination, store_path=store_path)
    if not has_own_files(destination):
        return DestinationFiles({})
    nested = destination.mode == NESTED
    canaries = {
        _join(prefix, DEPENDENCIES if nested else "", CANARY_NAMESPACE): _NAMESPACE_CONTENT,
        _join(prefix, RESOURCES if nested else "", CANARY_CONFIG_MAP): _CONFIG_MAP_CONTENT,
    }
    folders = (DEPENDENCIES, RESOURCES) if nested else ("",)
    placeholders = {_join(prefix, folder, PLACEHOLDER): _PLACEHOLDER_CONTENT for folder in folders}
    if destination.init_workloads:
        return DestinationFiles(canaries, tuple(placeholders))
    return DestinationFiles(placeholders, tuple(canaries))


def has_own_files(destination: Destination) -> bool:
    """Whether a Destination puts files of its own into its store.

    They would be useless in a cluster that is written to directly: no GitOps tool waits for them, there are no folders,
    and two Destinations of one cluster would compete for them.
    """
    return destination.store.holds_files


def destination_prefix(destination: Destination, *, store_path: str) -> str:
    """Returns the folder of a Destination in its store, without slashes at its ends; empty for the whole store.

    Raises:
        InvalidObject: a path leaves the store.
    """
    return _join(
        normalise_prefix(store_path, "spec.path of the state store"),
        normalise_prefix(destination.path, f"spec.path of Destination {destination.name}"),
    )


def normalise_prefix(path: str, where: str) -> str:
    """Returns a folder that a person wrote without slashes at its ends; empty for ``/``, ``.`` and the empty path.

    Raises:
        InvalidObject: the folder leaves the store, or no store can have it; the field is ``where``.
    """
    segments = [segment for segment in path.split("/") if segment not in {"", "."}]
    return confine("/".join(segments), where) if segments else ""


def confine(path: str, where: str = "path") -> str:
    """Returns the path of a file, which provably stays in the folder that it is relative to; ``./`` is dropped.

    Raises:
        InvalidObject: the path is absolute or empty, has ``..``, an empty segment, a backslash or a control character,
            or no store can have it (``.git``, too long); the field is ``where``.
    """
    if not path:
        raise InvalidObject(where, "is empty", "name a file")
    shown = path if path.isprintable() else ascii(path)
    if path.startswith("/"):
        raise InvalidObject(where, f"{shown} is an absolute path", "leave out the slash at the start")
    if "\\" in path:
        raise InvalidObject(where, f"{shown} has a backslash", "separate folders with /")
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in path):
        raise InvalidObject(where, f"{shown} has a control character", "remove it")
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise InvalidObject(where, f"{shown} is not valid Unicode", "remove the lone surrogate") from None
    if length > _LONGEST_PATH:
        raise InvalidObject(where, f"has {length} bytes, more than {_LONGEST_PATH}", "shorten it")
    segments = [segment for segment in path.split("/") if segment != "."]
    for segment in segments:
        _check_segment(segment, shown, where)
    if not segments:
        raise InvalidObject(where, f"{shown} names a folder", "name a file")
    return "/".join(segments)


def _check_segment(segment: str, shown: str, where: str) -> None:
    if not segment:
        raise InvalidObject(where, f"{shown} has an empty segment", "remove the slash that is too much")
    if segment == "..":
        raise InvalidObject(where, f"{shown} leaves its folder", "remove the ..")
    if segment.lower() == ".git":
        raise InvalidObject(where, f"{shown} is inside .git, which no repository can hold", "choose another name")
    if len(segment.encode()) > _LONGEST_SEGMENT:
        raise InvalidObject(where, f"a name in it is longer than {_LONGEST_SEGMENT} bytes", "shorten it")


def _nested_directory(placement: WorkPlacement) -> list[str]:
    promise = _segment(placement.promise_name, "spec.promiseName")
    if placement.resource_name:
        parts = [
            RESOURCES,
            # Works for several namespaces may be in one namespace, where requests of the same name must not collide.
            _segment(
                placement.metadata.labels.get(names.RESOURCE_NAMESPACE) or placement.metadata.namespace,
                "metadata.namespace",
            ),
            promise,
            _segment(placement.resource_name, "spec.resourceName"),
        ]
    else:
        parts = [DEPENDENCIES, promise]
    # Static dependencies do not come from a pipeline, and do not have a segment for one.
    if pipeline := placement.metadata.labels.get(names.PIPELINE_NAME):
        parts.append(_segment(pipeline, f"metadata.labels[{names.PIPELINE_NAME}]"))
    return [*parts, _segment(short_group_id(placement.group_id), "spec.id")]


def _place_files(folder: str, workloads: Sequence[Workload]) -> dict[str, str]:
    files: dict[str, str] = {}
    for index, workload in enumerate(workloads):
        path = _join(folder, confine(workload.filepath, _field_of(index)))
        if path in files:
            raise InvalidObject(_field_of(index), f"{workload.filepath} occurs twice", "choose another name")
        if not workload.blob:
            raise InvalidObject(
                f"spec.workloads[{index}].content",
                f"the content of {workload.filepath} cannot be read: it is not gzip in base64, or the files of this "
                f"object are larger than {LARGEST_WORK >> 20} MiB together once unpacked",
                "render less, or divide the files among several pipelines",
            )
        files[path] = workload.blob
    for index, path in enumerate(files):
        parent = path
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if parent in files:
                raise InvalidObject(
                    _field_of(index),
                    f"{parent} is both a file and a folder",
                    "choose another name for one of them",
                )
    return files


def _segment(name: str, where: str) -> str:
    if "/" in name or name == ".":
        raise InvalidObject(where, f"{name} cannot be the name of a folder")
    return confine(name, where)


def _field_of(index: int) -> str:
    return f"spec.workloads[{index}].filepath"


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
