"""Container images made by hand: what a node without a registry runs.

The format is that of `docker save`: a tar file with a manifest, a configuration for each image, and layers, which
are tar files, too. containerd and kind both read it.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAUSE = "localhost/pause:1"
BUSYBOX = "localhost/busybox:1"
KUBECTL = "localhost/kubectl:1"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_FOREVER = "2147483647"


@dataclass(frozen=True, slots=True)
class Image:
    """One image.

    Attributes:
        reference: name and tag; a tag other than ``latest``, which would be pulled each time.
        layers: tar files, the lowest first.
        entrypoint: what a container runs that names no command.
        user: a number, so that Pods that must not run as root accept it; root when empty.
        environment: the variables of its processes, as ``NAME=value``.
    """

    reference: str
    layers: tuple[bytes, ...]
    entrypoint: tuple[str, ...] = ()
    user: str = ""
    environment: tuple[str, ...] = ("PATH=/bin",)


def basic_images(busybox: Path, kubectl: Path) -> list[Image]:
    """The image of the sandbox of every Pod; busybox; kubectl, with busybox beside it.

    Args:
        busybox: a static one.
        kubectl: a static one, as Go makes them.
    """
    shell = busybox_layer(busybox)
    return [
        Image(PAUSE, (shell,), entrypoint=("/bin/busybox", "sleep", _FOREVER)),
        Image(BUSYBOX, (shell,)),
        Image(KUBECTL, (shell, layer({"bin/kubectl": kubectl.read_bytes()})), entrypoint=("/bin/kubectl",)),
    ]


def layer(
    programs: Mapping[str, bytes],
    *,
    texts: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    folders: Mapping[str, int] | None = None,
) -> bytes:
    """A layer, as a tar file: the same arguments give the same bytes.

    Args:
        programs: path to content; may be executed.
        texts: path to content.
        links: path to target of symbolic links.
        folders: path to mode.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, mode in sorted((folders or {}).items()):
            _add(archive, path, kind=tarfile.DIRTYPE, mode=mode)
        for path, content in sorted(programs.items()):
            _add(archive, path, content=content, mode=0o755)
        for path, text in sorted((texts or {}).items()):
            _add(archive, path, content=text.encode())
        for path, target in sorted((links or {}).items()):
            _add(archive, path, kind=tarfile.SYMTYPE, target=target)
    return buffer.getvalue()


def write_archive(path: Path, images: Sequence[Image]) -> Path:
    """Write images into one file, and return its path."""
    layers = {_digest(content): content for image in images for content in image.layers}
    manifest = []
    with tarfile.open(path, "w") as archive:
        for digest, content in layers.items():
            _add(archive, f"{digest}.tar", content=content)
        for image in images:
            configuration = json.dumps(_configuration(image)).encode()
            name = f"{_digest(configuration)}.json"
            _add(archive, name, content=configuration)
            manifest.append(
                {
                    "Config": name,
                    "RepoTags": [image.reference],
                    "Layers": [f"{_digest(content)}.tar" for content in image.layers],
                }
            )
        _add(archive, "manifest.json", content=json.dumps(manifest).encode())
    return path


def _configuration(image: Image) -> dict[str, Any]:
    machine = platform.machine()
    return {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {
            "Env": list(image.environment),
            "Entrypoint": list(image.entrypoint) or None,
            "User": image.user,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(content)}" for content in image.layers]},
    }


def busybox_links(busybox: Path, folder: str, *, besides: Collection[str] = ()) -> dict[str, str]:
    """The links by which busybox in a folder is called under the names of its programs, but not at ``besides``."""
    listed = subprocess.run([busybox, "--list"], capture_output=True, check=True, timeout=30).stdout.decode()
    paths = {f"{folder}/{name}" for name in listed.split() if name != "busybox"}
    return dict.fromkeys(sorted(paths.difference(besides)), "busybox")


def busybox_layer(busybox: Path) -> bytes:
    """A layer with a shell: busybox under all of its names, and what a shell expects around it."""
    return layer(
        {"bin/busybox": busybox.read_bytes()},
        texts={
            "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
            "etc/group": "root:x:0:\nnobody:x:65534:\n",
        },
        links=busybox_links(busybox, "bin"),
        folders={"bin": 0o755, "dev": 0o755, "etc": 0o755, "proc": 0o755, "sys": 0o755, "tmp": 0o1777},
    )


def _add(
    archive: tarfile.TarFile,
    path: str,
    *,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o644,
    target: str = "",
) -> None:
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.size, member.linkname = kind, mode, len(content), target
    archive.addfile(member, io.BytesIO(content))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
