"""From rendered files to a Work and back (kratix-api.md 1.6, 4.1): contents, workload groups, names.

A Work holds each file as gzip in base64. Inside the operator a file is its Git blob id: two renders are compared
by ids, a store is compared by ids, and ten thousand Works fit in memory because their contents are dropped on
the way in. Rejected: comparing the encoded text (two compressors give two texts for one content) and keeping
contents (a Work of one Helm chart is 100 KB, and each placement holds it again).

Contents come from the API server, where anybody with the right to write Works may have put them: decoding is
bounded, and one that cannot be decoded is marked, so that an informer never dies of it.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api import InvalidObject
from troth.api.naming import deterministic_name, digest, group_id
from troth.api.objects import (
    Selector,
    Work,
    Workload,
    WorkloadGroup,
    WorkPlacement,
    read_metadata,
    read_selectors,
)
from troth.api.pipelines import DestinationRule

LARGEST_CONTENT: Final = 32 * 1024 * 1024
"""Bytes that one file may have once decoded."""

SOURCE_PROMISE: Final = "promise"
ROOT: Final = "."

_COMPRESSION = 6
_GZIP = 31  # window bits: the largest window, and a gzip header with its checksum
_MOST_MEMBERS = 16
_LONGEST_LABEL = 63
_LONGEST_NAME = 253
_LONG_SUFFIX = 16

Digest = Callable[[str], tuple[str, int]]
"""From an encoded content to the blob id and the size of what it holds; ``("", 0)`` when it is unreadable."""


@dataclass(frozen=True, slots=True)
class GroupContent:
    """A workload group with its contents: files (by their path in the output) that go to the same destinations."""

    directory: str
    id: str
    selectors: tuple[Selector, ...]
    files: Mapping[str, bytes]


def encode_content(content: bytes) -> str:
    """The content as a Work holds it. The same bytes give the same text on the same machine."""
    return base64.b64encode(gzip.compress(content, compresslevel=_COMPRESSION, mtime=0)).decode("ascii")


def decode_content(encoded: str, *, limit: int = LARGEST_CONTENT) -> bytes:
    """The content that a Work holds; an empty text is an empty file.

    Raises:
        InvalidObject: it is not gzip in base64, or larger than ``limit`` bytes; never more than that is unpacked.
    """
    if not encoded:
        return b""
    try:
        packed = base64.b64decode(encoded.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidObject("content", f"is not base64 ({error})") from None
    parts: list[bytes] = []
    left = limit
    while packed.strip(b"\0"):
        if len(parts) == _MOST_MEMBERS:
            raise InvalidObject("content", f"has more than {_MOST_MEMBERS} gzip members", "compress it as one")
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(packed, left + 1)
        except zlib.error as error:
            raise InvalidObject("content", f"is not gzip ({error})") from None
        if len(part) > left:
            raise InvalidObject(
                "content", f"unpacks to more than {limit} bytes", "split the file into smaller ones"
            )
        if not member.eof:
            raise InvalidObject("content", "is gzip that ends too early")
        parts.append(part)
        left -= len(part)
        packed = member.unused_data
    if not parts:
        raise InvalidObject("content", "is not gzip (it is empty)")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def blob_id(content: bytes) -> str:
    """The id that Git gives this content."""
    header = f"blob {len(content)}\0".encode("ascii")
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def digest_content(encoded: str) -> tuple[str, int]:
    """Blob id and size of an encoded content; ``("", 0)`` when it cannot be read."""
    try:
        content = decode_content(encoded)
    except InvalidObject:
        return "", 0
    return blob_id(content), len(content)


class ContentDigests:
    """`digest_content` that remembers: a Work and its placements carry one content, which is unpacked once.

    Keyed by a hash of the encoded text; holds the newest ``limit`` answers, of about 300 bytes each.
    """

    def __init__(self, *, limit: int = 50_000) -> None:
        self._limit = limit
        self._known: OrderedDict[bytes, tuple[str, int]] = OrderedDict()

    def __call__(self, encoded: str) -> tuple[str, int]:
        """Blob id and size, from memory if that content was seen lately."""
        key = hashlib.blake2b(encoded.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        answer = self._known[key] = digest_content(encoded)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        return answer


def read_work(obj: Mapping[str, Any], digest: Digest = digest_content) -> Work:
    """The view of a Work, with blob ids in the place of contents."""
    spec = obj.get("spec") or {}
    return Work(
        metadata=read_metadata(obj),
        promise_name=spec.get("promiseName", ""),
        resource_name=spec.get("resourceName", ""),
        groups=tuple(
            WorkloadGroup(
                id=group.get("id") or group_id(group.get("directory") or ROOT),
                directory=group.get("directory") or ROOT,
                selectors=read_selectors(group.get("destinationSelectors")),
                workloads=_read_workloads(group.get("workloads"), digest),
            )
            for group in spec.get("workloadGroups") or ()
        ),
        status=obj.get("status") or {},
    )


def read_work_placement(obj: Mapping[str, Any], digest: Digest = digest_content) -> WorkPlacement:
    """The view of a WorkPlacement, with blob ids in the place of contents."""
    spec = obj.get("spec") or {}
    return WorkPlacement(
        metadata=read_metadata(obj),
        destination=spec.get("targetDestinationName", ""),
        promise_name=spec.get("promiseName", ""),
        resource_name=spec.get("resourceName", ""),
        group_id=spec.get("id", ""),
        workloads=_read_workloads(spec.get("workloads"), digest),
        status=obj.get("status") or {},
    )


def build_groups(
    files: Mapping[str, bytes],
    rules: Sequence[DestinationRule],
    promise_selectors: Mapping[str, str],
    source: str,
) -> tuple[GroupContent, ...]:
    """The workload groups of a pipeline's output (kratix-api.md 4.1).

    Each directory with a rule is a group of its own that only its rule speaks for; all else is the group ``.``,
    for which the rule of ``.`` and the Promise speak. Without files there is no group.

    Args:
        files: the output, path to content.
        rules: the pipeline's destination rules.
        promise_selectors: the Promise's ``destinationSelectors``, squashed.
        source: who speaks through the rules: ``resource-workflow`` or ``promise-workflow``.

    Raises:
        InvalidObject: a rule without labels, two for one directory, one for a sub-directory, or one for a
            directory in which there is no file; the field is ``destinations[i]…``.
    """
    labels = _read_rules(rules)
    grouped: dict[str, dict[str, bytes]] = {directory: {} for directory in labels}
    for path in sorted(files):
        top, slash, _ = path.partition("/")
        directory = top if slash and top in grouped else ROOT
        grouped.setdefault(directory, {})[path] = files[path]
    groups = []
    for directory in sorted(grouped):
        content = grouped[directory]
        if directory == ROOT and not content:
            continue
        if not content:
            index = next(i for i, rule in enumerate(rules) if _clean(rule.directory) == directory)
            raise InvalidObject(
                f"destinations[{index}].directory",
                f"no file of the output is in the directory {directory}",
                "write a file there, or remove this entry",
            )
        selectors = [Selector(labels[directory], source)] if directory in labels else []
        if directory == ROOT and promise_selectors:
            selectors.append(Selector(dict(promise_selectors), SOURCE_PROMISE))
        groups.append(GroupContent(directory, group_id(directory), tuple(selectors), content))
    return tuple(groups)


def work_name(*, promise: str, pipeline: str, resource: str = "", resource_namespace: str = "") -> str:
    """The name of the Work of one pipeline of one owner, at most 63 characters (it becomes a label, too).

    Args:
        promise: the Promise.
        pipeline: the pipeline; empty for the Promise's static dependencies.
        resource: the request; empty for a Promise's own Work.
        resource_namespace: the request's namespace, when the Work lives in another one.
    """
    parts = (promise, resource, resource_namespace, pipeline or "static-deps")
    base = "-".join(part for part in parts if part)
    identity = f"{promise}/{resource}/{resource_namespace}/{pipeline}"
    name = deterministic_name(base, identity)
    if len(base) + 6 <= _LONGEST_LABEL:
        return name
    # What was cut off may be all that tells two owners apart: five characters of a hash are too few then.
    return _shorten(base.lower(), identity, _LONGEST_LABEL)


def placement_name(work: str, destination: str, short_id: str) -> str:
    """The name of a WorkPlacement: ``<work>.<destination>-<short_id>``, within 253 characters.

    ``short_id`` is the first five characters of the group's id (kratix-api.md 4.2).
    """
    name = f"{work}.{destination}-{short_id}"
    return name if len(name) <= _LONGEST_NAME else _shorten(name, name, _LONGEST_NAME)


def _shorten(name: str, identity: str, longest: int) -> str:
    cut = name[: longest - _LONG_SUFFIX - 1]
    while cut and not cut[-1].isalnum():
        cut = cut[:-1]
    return f"{cut}-{digest(identity)[:_LONG_SUFFIX]}"


def _read_workloads(workloads: Sequence[Mapping[str, Any]] | None, digest: Digest) -> tuple[Workload, ...]:
    return tuple(
        Workload(workload.get("filepath", ""), *digest(workload.get("content") or ""))
        for workload in workloads or ()
    )


def _read_rules(rules: Sequence[DestinationRule]) -> dict[str, Mapping[str, str]]:
    labels: dict[str, Mapping[str, str]] = {}
    for index, rule in enumerate(rules):
        where = f"destinations[{index}]"
        directory = _clean(rule.directory)
        if directory.startswith("/") or directory == ".." or "/" in directory:
            raise InvalidObject(
                f"{where}.directory",
                f"{rule.directory} is not a directory at the top of the output",
                "name one top-level directory, such as backup",
            )
        if directory in labels:
            what = "the rest of the output" if directory == ROOT else f"the directory {directory}"
            raise InvalidObject(f"{where}.directory", f"there is a second entry for {what}", "merge the two")
        if not rule.match_labels:
            raise InvalidObject(
                f"{where}.matchLabels",
                "is empty",
                "say which labels a destination must have, or remove this entry",
            )
        for label, value in rule.match_labels.items():
            if not isinstance(value, str):
                raise InvalidObject(f"{where}.matchLabels.{label}", "a label is text", "put the value in quotes")
        labels[directory] = dict(rule.match_labels)
    return labels


def _clean(directory: str) -> str:
    """``foo/`` and ``./foo`` are ``foo``; empty is ``.``."""
    segments = [segment for segment in directory.split("/") if segment not in {"", ROOT}]
    return ("/" if directory.startswith("/") and segments else "") + "/".join(segments) or ROOT
