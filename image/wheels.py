"""The Python distributions: the locked wheels for the interpreter of the image, and Troth's own, built here.

They are unpacked as they are. pip would write this machine's interpreter and paths into what it installs, and the
result would depend on where it was built.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from troth.dev import DevError
from troth.dev.progress import Progress

PYTHON = "3.11"
_GLIBC = 36  # bookworm has glibc 2.36: what was built for it or for an older one runs
_ZIP_BEGINS = 315_619_200  # 2 January 1980: a zip file, and so a wheel, cannot name a time before 1980
_TIMEOUT = 1800


@dataclass(frozen=True, slots=True)
class Wheel:
    """One distribution.

    Attributes:
        name: as its file spells it.
        version: of the distribution.
        sha256: of the file, in hexadecimal.
        file: the .whl.
    """

    name: str
    version: str
    sha256: str
    file: Path


def fetch_wheels(requirements: Path, cache: Path, progress: Progress) -> list[Wheel]:
    """Fetch the wheels of a lock for the interpreter and the machine of the image; sorted by name.

    Args:
        requirements: the lock, with hashes.
        cache: a folder for the wheels; what it has already is verified and not fetched again.
        progress: where progress is shown.

    Raises:
        DevError: pip fails; the message has its last lines.
    """
    cache.mkdir(parents=True, exist_ok=True)
    platforms = [part for name in platforms_of(platform.machine()) for part in ("--platform", name)]
    with (
        progress.step("fetching the locked Python distributions", "30 MB, once"),
        tempfile.TemporaryDirectory(dir=cache) as chosen,
    ):
        _pip(
            *("download", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--find-links", str(cache)),
            *("--implementation", "cp", "--python-version", PYTHON, *platforms),
            *("--dest", chosen, "--requirement", str(requirements)),
        )
        wheels = [file.rename(cache / file.name) for file in Path(chosen).iterdir()]
    return sorted((_wheel(file) for file in wheels), key=lambda wheel: wheel.name.lower())


def build_wheel(source: Path, folder: Path, epoch: int, progress: Progress) -> Wheel:
    """Build the wheel of the project in ``source``.

    Raises:
        DevError: it does not build; the message has pip's last lines.
    """
    with progress.step("building Troth's wheel"):
        _pip(
            *("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(source)),
            epoch=max(epoch, _ZIP_BEGINS),
        )
    (file,) = folder.glob("*.whl")
    return _wheel(file)


def platforms_of(machine: str) -> list[str]:
    """The platforms whose wheels run in the image, in the words of their file names, the newest first.

    Args:
        machine: the processor, such as ``x86_64``.
    """
    return [f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC, 4, -1)] + [
        f"{legacy}_{machine}" for legacy in ("manylinux2014", "manylinux2010", "manylinux1", "linux")
    ]


def unpack_wheel(wheel: Wheel, site: Path) -> None:
    """Unpack a wheel into a folder of packages. Its scripts are left out: the image has one program, Troth's.

    Raises:
        DevError: a name in it leads outside of the folder.
    """
    with zipfile.ZipFile(wheel.file) as archive:
        for member in archive.infolist():
            target = _target(PurePosixPath(member.filename))
            if target is None or member.is_dir():
                continue
            if target.is_absolute() or ".." in target.parts:
                raise DevError(
                    f"{wheel.file.name} has a file {member.filename}, which leads outside of its folder"
                )
            path = site / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(member))


def _target(name: PurePosixPath) -> PurePosixPath | None:
    """Where a file of a wheel belongs among the packages, if it belongs there."""
    if not name.parts[0].endswith(".data"):
        return name
    return PurePosixPath(*name.parts[2:]) if name.parts[1] in ("purelib", "platlib") else None


def _wheel(file: Path) -> Wheel:
    name, version = file.name.split("-")[:2]
    return Wheel(name, version, hashlib.sha256(file.read_bytes()).hexdigest(), file)


def _pip(*arguments: str, epoch: int | None = None) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = str(epoch)
    command: Sequence[str] = [sys.executable, "-I", "-m", "pip", "--quiet", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT, env=environment)
    if done.returncode != 0:
        last = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-14:]
        raise DevError("\n  ".join([f"pip {arguments[0]} failed:", *last]))
