"""From rendered files to a Work and back (kratix-compatibility.md#works): contents, workload groups, names.

A Work holds each file as gzip in base64. Inside the operator a file is represented by its Git blob id: renderings and
stores are compared by ids, and ten thousand Works fit into memory because their contents are dropped when they are
read. Rejected: comparing the encoded text (two compressors give two texts for one content) and keeping contents (a Work
of one Helm chart is 100 KB, and each placement holds it again).

Contents come from the API server, where anybody with the right to write Works may have put them, and a kilobyte of gzip
may unpack to a megabyte. So a Work has a budget for all of its files together. Their size is counted while they are
unpacked in pieces, without holding a whole file in memory. A file that cannot be decoded or exceeds the budget is
marked, so that an informer never fails because of it.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api import InvalidObject
from troth.api.naming import deterministic_name, group_id, shortened_name
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
from troth.api.statuses import read_status
from troth.api.typed import read_map, read_maps, read_text
from troth.engine.placement.plain_secrets import SecretScan, may_hold_secrets

LARGEST_WORK: Final = 32 * 1024 * 1024
"""The most bytes that all files of a Work, or of a WorkPlacement, may have together after decoding."""

MOST_RULES: Final = 100
"""The most directories with destinations of their own that one pipeline may have."""

SOURCE_PROMISE: Final = "promise"
ROOT: Final = "."

_COMPRESSION = 6
_GZIP = 31  # window bits: the largest window, and a gzip header with its checksum
_MOST_MEMBERS = 16
_PIECE = 256 * 1024
_LIGHT = 256 * 1024
_HEAVY = 1024 * 1024
_LONGEST_LABEL = 63
_LONGEST_NAME = 253

Digest = Callable[[str, int], tuple[str, int, bool]]
"""From an encoded content and the most bytes that it may have to the blob id, the size, and whether there may be a
Secret in plain text.

When the content is unreadable or too large, the id is empty, and the size is how many bytes were unpacked to find that
out.
"""


@dataclass(frozen=True, slots=True)
class Packed:
    """A content as a Work holds it. Rendering processes pack their results, so that nothing is kept unpacked.

    Attributes:
        blob: the id that Git gives the content.
        size: bytes of the content.
        encoded: the content as gzip in base64.
        component: whether it may contain a request of another Promise.
        may_hold_secrets: whether it may contain a Secret in plain text.
    """

    blob: str
    size: int
    encoded: str
    component: bool = False
    may_hold_secrets: bool = False

    @property
    def content(self) -> bytes:
        """The content, which is unpacked at each access."""
        return decode_content(self.encoded)


@dataclass(frozen=True, slots=True)
class GroupContent:
    """A workload group with its contents: files, by their path in the output, that go to the same destinations."""

    directory: str
    id: str
    selectors: tuple[Selector, ...]
    files: Mapping[str, bytes | Packed]

    def contents(self) -> dict[str, bytes]:
        """Returns the unpacked files in the order of their paths."""
        return {
            path: content.content if isinstance(content, Packed) else content
            for path, content in sorted(self.files.items())
        }


def pack_content(content: bytes, *, component: bool = False) -> Packed:
    """Packs a content as a Work holds it. This takes a while for a large one."""
    return Packed(blob_id(content), len(content), encode_content(content), component, may_hold_secrets(content))


def encode_content(content: bytes) -> str:
    """Encodes a content as a Work holds it. The same bytes give the same text on the same machine."""
    return base64.b64encode(gzip.compress(content, compresslevel=_COMPRESSION, mtime=0)).decode("ascii")


def decode_content(encoded: str, *, limit: int = LARGEST_WORK) -> bytes:
    """Decodes a content from a Work; an empty text is an empty file.

    Raises:
        InvalidObject: it is not gzip in base64, or is larger than ``limit`` bytes; never more than that is unpacked.
    """
    return b"".join(_unpack(_packed(encoded), limit))


def decode_contents(workloads: Iterable[Mapping[str, Any]], *, limit: int = LARGEST_WORK) -> dict[str, bytes]:
    """Decodes the files of an object of the API server, and returns their contents by path.

    Raises:
        InvalidObject: a file cannot be decoded, or they are larger than ``limit`` bytes together.
    """
    contents: dict[str, bytes] = {}
    for workload in workloads:
        content = decode_content(workload.get("content") or "", limit=limit)
        contents[workload.get("filepath") or ""] = content
        limit -= len(content)
    return contents


def declared_size(encoded: str) -> int:
    """Returns the size that is recorded at the end of an encoded content, in bytes, without unpacking it."""
    try:
        return int.from_bytes(base64.b64decode(encoded.rstrip()[-8:])[-4:], "little")
    except ValueError:
        return 0


def _packed(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidObject("content", f"is not base64 ({error})") from None


def _unpack(packed: bytes, limit: int) -> Iterator[bytes]:
    """Unpacks gzip in pieces. Raises InvalidObject for invalid data, and before it yields more than ``limit`` bytes."""
    members = 0
    while packed.strip(b"\0"):
        members += 1
        if members > _MOST_MEMBERS:
            raise InvalidObject("content", f"has more than {_MOST_MEMBERS} gzip members", "compress it as one")
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            try:
                piece = member.decompress(packed, _PIECE)
            except zlib.error as error:
                raise InvalidObject("content", f"is not gzip ({error})") from None
            if not piece and not member.eof:
                raise InvalidObject("content", "is gzip that ends too early")
            limit -= len(piece)
            if limit < 0:
                raise InvalidObject(
                    "content",
                    "makes the files of this object larger than they may be together once unpacked "
                    f"({LARGEST_WORK >> 20} MiB)",
                    "divide them among several pipelines",
                )
            if piece:
                yield piece
            packed = member.unconsumed_tail
        packed = member.unused_data
    if not members and packed:
        raise InvalidObject("content", "is not gzip (it is empty)")


def blob_id(content: bytes) -> str:
    """Returns the id that Git gives this content."""
    return _blob_id([content], len(content))


def _blob_id(pieces: Iterable[bytes], size: int) -> str:
    found = hashlib.sha1(f"blob {size}\0".encode("ascii"), usedforsecurity=False)
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def digest_content(encoded: str, limit: int = LARGEST_WORK) -> tuple[str, int, bool]:
    """Computes the `Digest` of an encoded content, without holding all of it unpacked in memory."""
    size = 0
    scan = SecretScan()

    def counted() -> Iterator[bytes]:
        nonlocal size
        for piece in _unpack(packed, limit):
            size += len(piece)
            scan.feed(piece)
            yield piece

    try:
        packed = _packed(encoded)
        declared = declared_size(encoded)
        blob = _blob_id(counted(), declared)
        # With several gzip members only the size of the last was recorded. Now the size of all is known.
        blob = blob if size == declared else _blob_id(_unpack(packed, limit), size)
    except InvalidObject:
        return "", size, False
    return blob, size, scan.found


class ContentDigests:
    """`digest_content` with a memory, so that the content which a Work and its placements share is unpacked once.

    The key is a hash of the encoded text. The newest ``limit`` answers are kept, of about 300 bytes each. It is safe to
    use from several threads.
    """

    def __init__(self, *, limit: int = 50_000) -> None:
        self._limit = limit
        self._known: OrderedDict[bytes, tuple[str, int, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, encoded: str, limit: int = LARGEST_WORK) -> tuple[str, int, bool]:
        """Returns the answer of `digest_content`, from memory if that content was seen lately."""
        key = _key(encoded)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
        if known is None:
            if declared_size(encoded) > limit:
                return "", limit + 1, False
            known = digest_content(encoded, limit)
            if known[1] > limit:
                return known
            self._keep(key, known)
        return known if known[1] <= limit else ("", known[1], False)

    def learn(self, encoded: str, blob: str, size: int, may_hold_secrets: bool) -> None:
        """Remembers the answer for a content that was packed here, so that it need not be unpacked."""
        self._keep(_key(encoded), (blob, size, may_hold_secrets))

    def is_heavy(self, obj: Mapping[str, Any]) -> bool:
        """Whether reading a Work or a placement would unpack so much that it must be done in a thread."""
        spec = read_map(obj.get("spec"))
        lists = [
            spec.get("workloads"),
            *(group.get("workloads") for group in read_maps(spec.get("workloadGroups"))),
        ]
        unknown = 0
        for workload in (workload for workloads in lists for workload in read_maps(workloads)):
            encoded = read_text(workload.get("content"))
            declared = declared_size(encoded)
            if declared < _LIGHT or _key(encoded) not in self._known:
                unknown += declared
        return unknown > _HEAVY

    def _keep(self, key: bytes, known: tuple[str, int, bool]) -> None:
        with self._lock:
            self._known[key] = known
            if len(self._known) > self._limit:
                self._known.popitem(last=False)


def _key(encoded: str) -> bytes:
    return hashlib.blake2b(encoded.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def read_work(obj: Mapping[str, Any], digest: Digest = digest_content) -> Work:
    """Returns the view of a Work, with blob ids in place of contents."""
    spec = read_map(obj.get("spec"))
    allowance = _Allowance(digest)
    return Work(
        metadata=read_metadata(obj),
        promise_name=read_text(spec.get("promiseName")),
        resource_name=read_text(spec.get("resourceName")),
        groups=tuple(
            WorkloadGroup(
                id=read_text(group.get("id")) or group_id(read_text(group.get("directory")) or ROOT),
                directory=read_text(group.get("directory")) or ROOT,
                selectors=read_selectors(group.get("destinationSelectors")),
                workloads=allowance.read(group.get("workloads")),
            )
            for group in read_maps(spec.get("workloadGroups"))
        ),
        status=read_status(obj),
    )


def work_group(group: WorkloadGroup | GroupContent, contents: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Returns a group as the spec of a Work has it; ``contents`` are its paths, each with an encoded content."""
    return {
        "id": group.id,
        "directory": group.directory,
        "destinationSelectors": [
            {"matchLabels": dict(selector.match_labels), "source": selector.source} for selector in group.selectors
        ],
        "workloads": [{"filepath": path, "content": encoded} for path, encoded in contents],
    }


def read_work_placement(obj: Mapping[str, Any], digest: Digest = digest_content) -> WorkPlacement:
    """Returns the view of a WorkPlacement, with blob ids in place of contents."""
    spec = read_map(obj.get("spec"))
    return WorkPlacement(
        metadata=read_metadata(obj),
        destination=read_text(spec.get("targetDestinationName")),
        promise_name=read_text(spec.get("promiseName")),
        resource_name=read_text(spec.get("resourceName")),
        group_id=read_text(spec.get("id")),
        workloads=_Allowance(digest).read(spec.get("workloads")),
        status=read_status(obj),
    )


def build_groups(
    files: Mapping[str, bytes | Packed],
    rules: Sequence[DestinationRule],
    promise_selectors: Mapping[str, str],
    source: str,
) -> tuple[GroupContent, ...]:
    """Divides a pipeline's output into workload groups (kratix-compatibility.md#works).

    Each directory with a rule is a group of its own, for which only its rule counts. All other files are the group
    ``.``, for which the rule of ``.`` and the Promise's selectors count. Without files there is no group.

    Args:
        files: the output, from path to content.
        rules: the pipeline's destination rules.
        promise_selectors: the Promise's ``destinationSelectors``, merged.
        source: the source of the rules: ``resource-workflow`` or ``promise-workflow``.

    Raises:
        InvalidObject: there are more than `MOST_RULES` rules, a rule without labels, two for one directory, one for a
            sub-directory, or one for a directory without files; the field is ``destinations[i]…``.
    """
    labels = _read_rules(rules)
    grouped: dict[str, dict[str, bytes | Packed]] = {directory: {} for directory in labels}
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
    """Returns the name of the Work of one pipeline of one owner, of at most 63 characters, as it is also a label.

    Args:
        promise: the Promise.
        pipeline: the pipeline; empty for the Promise's static dependencies.
        resource: the name of the request; empty for a Promise's own Work.
        resource_namespace: the request's namespace, if the Work is in another one.
    """
    parts = (promise, resource, resource_namespace, pipeline or "static-deps")
    base = "-".join(part for part in parts if part)
    identity = f"{promise}/{resource}/{resource_namespace}/{pipeline}"
    name = deterministic_name(base, identity)
    if len(base) + 6 <= _LONGEST_LABEL:
        return name
    # What was cut off may be the only difference between two owners, for which five characters of a hash are too few.
    return shortened_name(base.lower(), identity, _LONGEST_LABEL)


def placement_name(work: str, destination: str, short_id: str) -> str:
    """Returns the name of a WorkPlacement: ``<work>.<destination>-<short_id>``, within 253 characters.

    ``short_id`` is the first five characters of the group's id (kratix-compatibility.md#scheduling).
    """
    name = f"{work}.{destination}-{short_id}"
    return name if len(name) <= _LONGEST_NAME else shortened_name(name, name, _LONGEST_NAME)


class _Allowance:
    """Reads the files of one object until their budget of unpacked bytes is used up; the rest counts as unreadable."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest
        self._left = LARGEST_WORK

    def read(self, workloads: Any) -> tuple[Workload, ...]:
        return tuple(self._read(workload) for workload in read_maps(workloads))

    def _read(self, workload: Mapping[str, Any]) -> Workload:
        blob, size, suspect = "", 0, False
        if self._left >= 0:
            blob, size, suspect = self._digest(read_text(workload.get("content")), self._left)
            self._left -= size
        return Workload(read_text(workload.get("filepath")), blob, size if blob else 0, suspect and bool(blob))


def _read_rules(rules: Sequence[DestinationRule]) -> dict[str, Mapping[str, str]]:
    if len(rules) > MOST_RULES:
        raise InvalidObject(
            "destinations",
            f"has {len(rules)} entries, and {MOST_RULES} are allowed: each of them is a WorkPlacement",
            "give directories that go to the same destinations one entry, or divide them among several pipelines",
        )
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
    """Normalises a directory: ``foo/`` and ``./foo`` become ``foo``, and an empty one ``.``."""
    segments = [segment for segment in directory.split("/") if segment not in {"", ROOT}]
    return ("/" if directory.startswith("/") and segments else "") + "/".join(segments) or ROOT
