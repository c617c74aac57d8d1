"""Where files stand in a state store: Kratix's paths, byte for byte (kratix-compatibility.md#paths-in-a-state-store).

A running Flux or Argo CD must notice nothing when Troth takes over, so the paths are not ours to choose. Ours is
the confinement: every path that comes from a person is normalised and checked here, once, before it meets a
store, and what would leave the destination's folder is an error that names its field. A prefix (the ``path`` of
a store or a Destination) is read as leniently as Kratix reads it: ``/``, ``clusters/`` and ``./clusters`` are
fine; the path of a file is not corrected, only accepted or refused.

Git forgets an empty folder. Flux then reports "path not found" and prunes nothing, so the last request of a
destination would never go away. While a Destination has no canaries, a placeholder keeps its folders: a dot file
that no YAML reader picks up, with one comment in it in case one does.

Everything works on blob ids; contents are somebody else's concern.
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
    """Where one placement's files stand in its store.

    Attributes:
        files: path in the store to blob id; empty when they are part of the aggregate.
        directory: the folder that is the placement's alone (nestedByMetadata), or None.
        state_file: the file that records what the placement has in a shared folder (none), or None.
        aggregate: the one file of the destination (aggregatedYAML), or None.
    """

    files: Mapping[str, str]
    directory: str | None = None
    state_file: str | None = None
    aggregate: str | None = None


@dataclass(frozen=True, slots=True)
class DestinationFiles:
    """A Destination's own files: canaries, or the placeholders that keep its folders.

    Attributes:
        files: path in the store to content.
        obsolete: paths that may hold own files of an earlier setting and must not hold them now.
    """

    files: Mapping[str, bytes]
    obsolete: tuple[str, ...] = field(default=())


def place(destination: Destination, placement: WorkPlacement, *, store_path: str) -> Layout:
    """Where a placement's files stand.

    Args:
        destination: the Destination; its mode decides.
        placement: the WorkPlacement.
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
    """Where the one file of a Destination with the mode aggregatedYAML is; raises InvalidObject."""
    prefix = destination_prefix(destination, store_path=store_path)
    return _join(prefix, confine(destination.filename, "spec.filepath.filename"))


def aggregate(contents: Mapping[tuple[str, str], Mapping[str, bytes]]) -> bytes | None:
    """The content of a destination's one file in the mode aggregatedYAML, or None when there is to be none.

    Args:
        contents: for each placement of the destination that is not being deleted, by its name and namespace (two
            namespaces may have placements of one name): path to content, in the order of its workloads. Files that
            hold no manifests are left out: joined with others, their text would be read as YAML.
    """
    parts = [
        content for key in sorted(contents) for path, content in contents[key].items() if holds_manifests(path)
    ]
    return _SEPARATOR.join(parts) if parts else None


def destination_files(destination: Destination, *, store_path: str) -> DestinationFiles:
    """The canaries of a Destination, or, without init workloads, what keeps its folders from vanishing.

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

    In a cluster that is written to directly they would be for nobody: no GitOps tool waits for them, no folder can
    vanish, and two Destinations of one cluster would quarrel over them.
    """
    return destination.store.holds_files


def destination_prefix(destination: Destination, *, store_path: str) -> str:
    """The folder of a Destination in its store, without slashes around it; empty for the whole store.

    Raises:
        InvalidObject: a path leaves the store.
    """
    return _join(
        normalise_prefix(store_path, "spec.path of the state store"),
        normalise_prefix(destination.path, f"spec.path of Destination {destination.name}"),
    )


def normalise_prefix(path: str, where: str) -> str:
    """A folder as people write it, without slashes around it; ``/``, ``.`` and empty are the whole store.

    Raises:
        InvalidObject: it leaves the store, or no store can hold it; the field is ``where``.
    """
    segments = [segment for segment in path.split("/") if segment not in {"", "."}]
    return confine("/".join(segments), where) if segments else ""


def confine(path: str, where: str = "path") -> str:
    """The path of a file, relative to a folder that it provably stays in; ``./`` is dropped.

    Raises:
        InvalidObject: it is absolute, empty, has ``..``, an empty segment, a backslash or a control character, or
            is one that no store can hold (``.git``, too long); the field is ``where``.
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
            # Works of several namespaces may be kept in one, where equal names of requests must not meet.
            _segment(
                placement.metadata.labels.get(names.RESOURCE_NAMESPACE) or placement.metadata.namespace,
                "metadata.namespace",
            ),
            promise,
            _segment(placement.resource_name, "spec.resourceName"),
        ]
    else:
        parts = [DEPENDENCIES, promise]
    # Static dependencies come from no pipeline, and have no segment for one.
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
