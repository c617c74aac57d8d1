"""Docker and buildah, which build the image from the Dockerfile where one of them works."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from image.archive import Naming
from troth.dev import DevError
from troth.dev.progress import Progress

ENGINES = ("docker", "buildah")
_PROBE_TIMEOUT = 20
_BUILD_TIMEOUT = 3600


def usable_engine() -> str | None:
    """The first engine that is installed and answers; Docker without its daemon does not."""
    return next((engine for engine in ENGINES if _works(engine)), None)


def build_with(engine: str, source: Path, output: Path, naming: Naming, progress: Progress) -> None:
    """Build the image with an engine, leave it there under its reference, and write an archive of it.

    Raises:
        DevError: the engine is not installed, or fails; then its own output has been shown.
    """
    if shutil.which(engine) is None:
        raise DevError(f"{engine} is not installed")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    build = (
        *("build", "--tag", naming.reference, "--build-arg", f"VERSION={naming.version}"),
        *("--build-arg", f"REVISION={naming.revision}", "--build-arg", f"SOURCE_DATE_EPOCH={naming.epoch}"),
        str(source),
    )
    save = {
        "docker": ("save", "--output", str(output), naming.reference),
        "buildah": ("push", naming.reference, f"oci-archive:{output}:{naming.reference}"),
    }[engine]
    for arguments in (build, save):
        with progress.step(f"{engine} {arguments[0]}"):
            done = subprocess.run([engine, *arguments], check=False, timeout=_BUILD_TIMEOUT)
        if done.returncode != 0:
            raise DevError(f"{engine} {arguments[0]} ended with code {done.returncode}")


def _works(engine: str) -> bool:
    if shutil.which(engine) is None:
        return False
    question = "info" if engine == "docker" else "version"
    try:
        done = subprocess.run([engine, question], capture_output=True, check=False, timeout=_PROBE_TIMEOUT)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
