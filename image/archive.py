"""An OCI archive of a folder: the same folder and time give the same bytes.

Entries are sorted, owned by root (but the home, by the image's user), and have one time. Layers are not compressed:
compressed bytes depend on the version of zlib, and registries' clients compress what they push. A `manifest.json` as
`docker save` writes it lies beside the OCI index, because `docker load` before version 25 reads only that.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from image.root import BILL, HOME, TROTH, USER

SETTINGS: Mapping[str, Any] = {
    "User": f"{USER}:{USER}",
    "ExposedPorts": {"8080/tcp": {}, "8081/tcp": {}},
    "Env": ["PATH=/opt/troth/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"],
    "Entrypoint": ["tini", "--", "troth"],
    "Cmd": ["operator"],
    "WorkingDir": f"/{HOME}",
}
_LABELS = {
    "org.opencontainers.image.title": "Troth",
    "org.opencontainers.image.description": "A Kubernetes operator for internal developer platforms: Promises, kept.",
    "org.opencontainers.image.licenses": "Apache-2.0",
}
_OCI = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True)
class Naming:
    """What an image says of itself.

    Attributes:
        reference: repository and tag.
        version: Troth's.
        revision: the commit, or ``unknown``.
        epoch: the time of the image and of all its files, in seconds since 1970.
        architecture: as Go names it, such as ``amd64``.
    """

    reference: str
    version: str
    revision: str
    epoch: int
    architecture: str


@dataclass(frozen=True, slots=True)
class _Blob:
    media_type: str
    digest: str
    file: Path | None
    content: bytes
    size: int

    def describe(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": f"sha256:{self.digest}", "size": self.size}


def write_archive(root: Path, path: Path, naming: Naming) -> None:
    """Write the image whose file system is in a folder.

    Args:
        root: the folder.
        path: the archive; it appears when it is complete.
        naming: what the image says of itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    layers: list[_Blob] = []
    try:
        # What Debian brings changes seldom, so it is a layer of its own, which nodes have already at an upgrade.
        for index, chosen in enumerate((_is_debians, _is_ours)):
            layers.append(_write_layer(root, partial.with_name(f"{partial.name}.{index}"), naming.epoch, chosen))
        with partial.open("wb") as stream:
            _write_index(stream, layers, naming)
        partial.replace(path)
    finally:
        for leftover in path.parent.glob(f"{partial.name}*"):
            leftover.unlink()


def layer(root: Path, stream: IO[bytes], epoch: int, chosen: Callable[[PurePosixPath], bool]) -> None:
    """Write the entries of a folder that are chosen as a tar file, sorted by name.

    Args:
        root: the folder.
        stream: where the tar file is written.
        epoch: the time of all entries.
        chosen: whether an entry belongs to this layer.
    """
    first_names: dict[tuple[int, int], str] = {}
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in _sorted_entries(root):
            name = PurePosixPath(path.relative_to(root))
            if not chosen(name):
                continue
            status = path.lstat()
            member = tarfile.TarInfo(str(name))
            member.mtime, member.mode = epoch, status.st_mode & 0o1777
            if name.is_relative_to(HOME):
                member.uid = member.gid = USER
            if path.is_symlink():
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
                archive.addfile(member)
            elif path.is_dir():
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            elif (first := first_names.setdefault((status.st_dev, status.st_ino), str(name))) != str(name):
                member.type, member.linkname = tarfile.LNKTYPE, first
                archive.addfile(member)
            else:
                member.size = status.st_size
                with path.open("rb") as content:
                    archive.addfile(member, content)


def configuration(diff_ids: Iterable[str], naming: Naming) -> dict[str, Any]:
    """The configuration of the image; the Dockerfile says the same in its last stage.

    Args:
        diff_ids: the hashes of the layers, the lowest first.
        naming: what the image says of itself.
    """
    created = datetime.fromtimestamp(naming.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = {
        **_LABELS,
        "org.opencontainers.image.version": naming.version,
        "org.opencontainers.image.revision": naming.revision,
    }
    return {
        "architecture": naming.architecture,
        "os": "linux",
        "created": created,
        "config": {**SETTINGS, "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in diff_ids]},
    }


def read_bill(archive: Path) -> bytes:
    """The bill of materials in an archive of Troth's image, whoever wrote it: this module, Docker or buildah.

    Raises:
        FileNotFoundError: there is none in it.
    """
    with tarfile.open(archive) as outer:
        for member in outer.getmembers():
            blob = outer.extractfile(member) if member.isfile() else None
            try:
                with tarfile.open(fileobj=blob) as inner:
                    found = inner.extractfile(str(BILL))
                    if found is not None:
                        return found.read()
            except (tarfile.TarError, KeyError, ValueError, EOFError):
                continue  # it is not a layer, or not the one that holds it
    raise FileNotFoundError(f"{archive} has no {BILL}")


def _is_ours(name: PurePosixPath) -> bool:
    return name.is_relative_to(TROTH)


def _is_debians(name: PurePosixPath) -> bool:
    return not _is_ours(name)


def _sorted_entries(root: Path) -> list[Path]:
    return sorted(root.rglob("*"), key=lambda path: path.relative_to(root).parts)


def _write_layer(root: Path, file: Path, epoch: int, chosen: Callable[[PurePosixPath], bool]) -> _Blob:
    with file.open("wb") as stream:
        layer(root, stream, epoch, chosen)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return _Blob(f"{_OCI}.layer.v1.tar", digest, file, b"", file.stat().st_size)


def _json_blob(media_type: str, content: Any) -> _Blob:
    encoded = json.dumps(content, sort_keys=True).encode()
    return _Blob(media_type, hashlib.sha256(encoded).hexdigest(), None, encoded, len(encoded))


def _write_index(stream: IO[bytes], layers: list[_Blob], naming: Naming) -> None:
    config = _json_blob(f"{_OCI}.config.v1+json", configuration([blob.digest for blob in layers], naming))
    manifest = _json_blob(
        f"{_OCI}.manifest.v1+json",
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": config.describe(),
            "layers": [blob.describe() for blob in layers],
        },
    )
    names = {
        "io.containerd.image.name": full_reference(naming.reference),
        "org.opencontainers.image.ref.name": naming.reference.rpartition(":")[2],
    }
    index = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.index.v1+json",
        "manifests": [{**manifest.describe(), "annotations": names}],
    }
    docker = [
        {
            "Config": f"blobs/sha256/{config.digest}",
            "RepoTags": [naming.reference],
            "Layers": [f"blobs/sha256/{blob.digest}" for blob in layers],
        }
    ]
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for blob in sorted((*layers, config, manifest), key=lambda blob: blob.digest):
            member = tarfile.TarInfo(f"blobs/sha256/{blob.digest}")
            member.mtime, member.size = naming.epoch, blob.size
            with blob.file.open("rb") if blob.file else io.BytesIO(blob.content) as content:
                archive.addfile(member, content)
        for name, value in (
            ("index.json", index),
            ("manifest.json", docker),
            ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
        ):
            encoded = json.dumps(value, sort_keys=True).encode()
            member = tarfile.TarInfo(name)
            member.mtime, member.size = naming.epoch, len(encoded)
            archive.addfile(member, io.BytesIO(encoded))


def full_reference(reference: str) -> str:
    """The name that containerd and Kubernetes use for a reference: with a registry, Docker's if it names none."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return reference
    return f"docker.io/{reference}" if slash else f"docker.io/library/{reference}"
