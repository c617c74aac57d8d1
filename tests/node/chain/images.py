"""The images of the chain, under the names by which the manifests of their projects ask for them.

A node without a registry takes them from an archive. PostgreSQL's is made of the files of the distribution's package
and of the libraries that these are linked with. Its layout is what CloudNativePG expects: the programs are on PATH, and
the user is 26.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.node.chain.programs import ChainPrograms
from tests.node.images import Image, busybox_links, layer

SOURCE_CONTROLLER = "ghcr.io/fluxcd/source-controller:v1.9.3"
KUSTOMIZE_CONTROLLER = "ghcr.io/fluxcd/kustomize-controller:v1.9.3"
CLOUDNATIVEPG = "ghcr.io/cloudnative-pg/cloudnative-pg:1.28.1"
POSTGRESQL = "ghcr.io/cloudnative-pg/postgresql"
POSTGRES_USER = 26

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_ROOT_FOLDERS = ("bin", "lib", "lib64", "sbin")
_LIBRARY = re.compile(r"(/\S+) \(0x")


def chain_images(programs: ChainPrograms, busybox: Path) -> list[Image]:
    """The images of Flux's two controllers, of CloudNativePG's operator, and of PostgreSQL.

    Args:
        programs: what is in them.
        busybox: a static one, for the shell in PostgreSQL's image.
    """
    machine = platform.machine()
    operator = layer(
        {"manager": programs.cloudnativepg.read_bytes()},
        links={f"operator/manager_{_ARCHITECTURES.get(machine, machine)}": "/manager"},
        folders={"tmp": 0o1777},
    )
    return [
        _controller(SOURCE_CONTROLLER, programs.flux / "source-controller"),
        _controller(KUSTOMIZE_CONTROLLER, programs.flux / "kustomize-controller"),
        Image(CLOUDNATIVEPG, (operator,), entrypoint=("/manager",), user="10001:10001"),
        _postgresql(programs.postgresql, busybox),
    ]


def _controller(reference: str, program: Path) -> Image:
    path = f"usr/local/bin/{program.name}"
    content = layer({path: program.read_bytes()}, folders={"tmp": 0o1777})
    return Image(reference, (content,), entrypoint=(f"/{path}",), user="65534:65534")


def _postgresql(folder: Path, busybox: Path) -> Image:
    version = folder.name
    own = [
        *_files(folder / "bin"),
        *(path for path in _files(folder / "lib") if path.suffix == ".so" and "llvm" not in path.name),
    ]
    data = [
        *_files(Path("/usr/share/postgresql") / version),
        *_files(Path("/usr/share/zoneinfo")),
        *_files(Path("/usr/lib/locale/C.utf8")),
    ]
    programs = {_place(path): path.read_bytes() for path in {*own, *data, *_libraries(own)}}
    programs["usr/bin/busybox"] = busybox.read_bytes()
    users = "root:x:0:0::/:/bin/sh\npostgres:x:26:26::/var/lib/postgresql:/bin/sh\n"
    content = layer(
        programs,
        texts={"etc/passwd": users, "etc/group": "root:x:0:\npostgres:x:26:\n"},
        links={
            **{name: f"usr/{name}" for name in _ROOT_FOLDERS},
            **busybox_links(busybox, "usr/bin", besides=programs),
        },
        folders={
            **dict.fromkeys(("dev", "proc", "sys", *(f"usr/{name}" for name in _ROOT_FOLDERS)), 0o755),
            "tmp": 0o1777,
            "run": 0o1777,
            "var/lib/postgresql": 0o1777,
        },
    )
    return Image(
        f"{POSTGRESQL}:{version}",
        (content,),
        user=str(POSTGRES_USER),
        environment=(f"PATH={folder}/bin:/usr/bin:/bin", "LANG=C.UTF-8"),
    )


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, with what symbolic links lead to; those that lead nowhere are left out."""
    for root, _, names in os.walk(folder):
        yield from (path for name in sorted(names) if (path := Path(root) / name).is_file())


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """The shared libraries that programs are linked with, and the loader."""
    done = subprocess.run(["ldd", *map(str, programs)], capture_output=True, check=False, timeout=120)
    return {Path(found) for found in _LIBRARY.findall(done.stdout.decode())}


def _place(path: Path) -> str:
    """Where a file goes in the image: as on this machine, with the root's ``lib`` and the like below ``usr``."""
    first = path.parts[1]
    return str(Path("usr", *path.parts[1:]) if first in _ROOT_FOLDERS else Path(*path.parts[1:]))
