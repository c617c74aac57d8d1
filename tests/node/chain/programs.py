"""Where the programs behind Troth come from: Flux's controllers, CloudNativePG's operator, and PostgreSQL.

The first three are built once from Go modules, as the node's own programs are. PostgreSQL is the distribution's.

Rejected: copies of the manifests of Flux in this repository, which would have to be kept up to date; the definitions of
its kinds are read from the same modules that its controllers are built from.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.node.programs import install_packages
from troth.dev.binaries import build_once
from troth.dev.errors import DevError
from troth.dev.gobuild import GoModule, GoProgram
from troth.dev.progress import Progress

_HERE = Path(__file__).parent
_SOURCE = "github.com/fluxcd/source-controller"
_KUSTOMIZE = "github.com/fluxcd/kustomize-controller"
_VERSION = "v1.9.3"
_POSTGRESQL = Path("/usr/lib/postgresql")
_LOOK_UP = 300

FLUX = GoModule(
    folder=_HERE / "flux_module",
    programs=(
        GoProgram("source-controller", _SOURCE, "5 to 10 minutes on two cores, once"),
        GoProgram("kustomize-controller", _KUSTOMIZE, "3 to 5 minutes, once"),
    ),
    ldflags="-s -w",
)
CLOUDNATIVEPG = GoModule(
    folder=_HERE / "cloudnativepg_module",
    programs=(
        GoProgram("manager", "github.com/cloudnative-pg/cloudnative-pg/cmd/manager", "2 to 4 minutes, once"),
    ),
    ldflags="-s -w",
)


@dataclass(frozen=True, slots=True)
class ChainPrograms:
    """All programs of the chain.

    Attributes:
        flux: the folder of ``source-controller`` and ``kustomize-controller``.
        definitions: the files with the definitions of Flux's kinds.
        cloudnativepg: CloudNativePG's operator.
        postgresql: the folder of PostgreSQL's ``bin`` and ``lib``; it is named after the major version.
    """

    flux: Path
    definitions: tuple[Path, ...]
    cloudnativepg: Path
    postgresql: Path


def find_chain_programs(progress: Progress | None = None) -> ChainPrograms:
    """Find, install or build all of them; the first time takes ten to twenty minutes, later ones a second.

    Raises:
        DevError: one cannot be had; the message says why.
    """
    report = progress or Progress()
    return ChainPrograms(
        flux=build_once("flux", FLUX, progress=report),
        definitions=tuple(_definitions()),
        cloudnativepg=build_once("cloudnativepg", CLOUDNATIVEPG, progress=report) / "manager",
        postgresql=_find_postgresql(report),
    )


def _definitions() -> list[Path]:
    found: list[Path] = []
    for module in (_SOURCE, _KUSTOMIZE):
        found += sorted((_module_folder(FLUX, module, _VERSION) / "config" / "crd" / "bases").glob("*.yaml"))
    return found


def _module_folder(pinned: GoModule, name: str, version: str) -> Path:
    """The folder with the sources of a module, which are compared with the hashes in go.sum."""
    go = shutil.which("go")
    if go is None:
        raise DevError(
            "the definitions of Flux's kinds are read from its Go modules, and there is no `go` on PATH"
        )
    with tempfile.TemporaryDirectory() as folder:
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(pinned.folder / file, Path(folder) / file)
        done = subprocess.run(
            [go, "mod", "download", "-json", f"{name}@{version}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_LOOK_UP,
        )
    if done.returncode != 0:
        raise DevError(f"`go mod download {name}@{version}` failed: {done.stderr.decode(errors='replace')[-400:]}")
    return Path(json.loads(done.stdout)["Dir"])


def _find_postgresql(progress: Progress) -> Path:
    """The newest PostgreSQL of this machine. Its package is told not to start a server."""
    if (found := _newest_postgresql()) is None:
        install_packages(["postgresql-common"], progress)
        Path("/etc/postgresql-common/createcluster.conf").write_text("create_main_cluster = false\n")
        install_packages(["postgresql"], progress)
        found = _newest_postgresql()
    if found is None:
        raise DevError(f"there is no PostgreSQL below {_POSTGRESQL} although its package is installed")
    return found


def _newest_postgresql() -> Path | None:
    folders = [folder for folder in _POSTGRESQL.glob("*") if (folder / "bin" / "initdb").exists()]
    return max(folders, key=lambda folder: int(folder.name), default=None)
