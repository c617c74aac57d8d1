"""The image that ships, built once for a state of the sources, and given once to a node.

A build takes half a minute and an archive has 400 MB, so the newest archive is kept in ``.cache/image/built`` of the
checkout, and no other. Its name is made of what goes into the image: Troth's sources, the commit (the image names it),
and the day, since Debian publishes new packages.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from image.__main__ import UNAVAILABLE
from image.debian import PackagesUnavailable
from tests.node.node import Node
from troth.dev import DevError
from troth.dev.progress import Progress

REPOSITORY = "localhost/troth"
_ROOT = Path(__file__).parents[2]
_BUILT = _ROOT / ".cache/image/built"
_SOURCES = ("crds", "image", "operator", "promises", "pyproject.toml", "requirements/runtime.txt", "README.md")
_TIMEOUT = 1200


def shipped_archive(progress: Progress | None = None) -> Path:
    """The archive of the image, which is built if it is not there; several processes may ask at once.

    Its name without the ending is the tag; `REPOSITORY` is the rest of the image's reference.

    Raises:
        PackagesUnavailable: Debian's packages cannot be had here.
        DevError: the build failed; says why.
    """
    _BUILT.mkdir(parents=True, exist_ok=True)
    with _locked(_BUILT.with_name("built.lock")):
        archive = _BUILT / _tag() / f"{_tag()}.tar"
        if not archive.exists():
            for older in _BUILT.iterdir():
                shutil.rmtree(older)
            with (
                (progress or Progress()).step("building the image that ships", "a minute"),
                tempfile.TemporaryDirectory(dir=_BUILT.parent, prefix="building-") as folder,
            ):
                build_image(Path(folder, "made", archive.name), f"{REPOSITORY}:{archive.stem}")
                Path(folder, "made").rename(archive.parent)
        return archive


def build_image(archive: Path, reference: str) -> None:
    """Build the image without a container engine; its bill of materials stands beside the archive.

    Raises:
        PackagesUnavailable: Debian's packages cannot be had here.
        DevError: the build failed; says why.
    """
    arguments = ("--with", "none", "--reference", reference, "--output", str(archive))
    command = [sys.executable, "-m", "image", "build", *arguments]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, check=False, timeout=_TIMEOUT)
    if done.returncode != 0:
        said = f"the image cannot be built: {done.stderr.decode(errors='replace').strip()[-2000:]}"
        raise PackagesUnavailable(said) if done.returncode == UNAVAILABLE else DevError(said)


def loaded_image(node: Node, archive: Path) -> str:
    """The reference of the image in an archive of `shipped_archive`, which the node has afterwards.

    Raises:
        CommandFailed: the node does not take it.
    """
    loaded = Path(node.kubeconfig).with_name(f"loaded-{archive.stem}")
    with _locked(loaded.with_name("loading.lock")):
        if not loaded.exists():
            node.load_archive(archive)
            loaded.touch()
    return f"{REPOSITORY}:{archive.stem}"


def _tag() -> str:
    digest = hashlib.sha256(f"{_commit()} {datetime.now(UTC).date()}".encode())
    for source in map(_ROOT.joinpath, _SOURCES):
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(_ROOT)} {file.stat().st_mode}".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=_ROOT, capture_output=True, check=False, timeout=30)
    return done.stdout.decode().strip()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
