"""Builds the image: ``python -m image build`` for an archive, ``root FOLDER`` for its file system alone.

`make image` calls the first, the Dockerfile the second. Where Debian's packages cannot be had at all, the exit code is
`UNAVAILABLE`, for whoever can do without an image.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from image.archive import Naming, read_bill, write_archive
from image.bill import bill_of_materials
from image.debian import PACKAGES, PackagesUnavailable, fetch_packages, listed_packages
from image.engines import ENGINES, build_with, usable_engine
from image.root import BILL, make_root
from image.wheels import build_wheel, fetch_wheels
from troth.dev import DevError
from troth.dev.cache import this_platform
from troth.dev.progress import Progress

UNAVAILABLE = os.EX_UNAVAILABLE
_SOURCE = Path(__file__).parents[1]


def main() -> int:
    """Do what the arguments say."""
    arguments = _arguments()
    progress = Progress()
    os.umask(0o022)  # the modes of files are part of the image
    try:
        if arguments.command == "root":
            folder = arguments.folder.absolute()  # the loader's answers are compared with it
            folder.mkdir()
            _fill(folder, arguments.cache, progress)
        else:
            _build(arguments, progress)
    except DevError as error:
        print(f"troth: {error}", file=sys.stderr)
        return UNAVAILABLE if isinstance(error, PackagesUnavailable) else 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m image", description="Build the image of Troth.")
    parser.add_argument(
        "--cache",
        type=Path,
        default=_SOURCE / ".cache/image",
        help="folder for what is fetched (default: .cache/image)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="write an archive of the image, and its bill of materials beside it")
    build.add_argument("--reference", default="troth:dev", help="repository and tag (default: troth:dev)")
    build.add_argument("--output", type=Path, help="the archive (default: dist/troth-VERSION.tar)")
    build.add_argument(
        "--with",
        dest="engine",
        choices=("auto", *ENGINES, "none"),
        default="auto",
        help="what builds it; auto takes the first engine that works, none needs no engine (default: auto)",
    )
    root = commands.add_parser("root", help="write the file system of the image into a new folder")
    root.add_argument("folder", type=Path)
    return parser.parse_args()


def _build(arguments: argparse.Namespace, progress: Progress) -> None:
    naming = Naming(
        reference=arguments.reference,
        version=_version(),
        revision=_git("rev-parse", "HEAD") or "unknown",
        epoch=_epoch(),
        architecture=this_platform().partition("-")[2],
    )
    output: Path = (arguments.output or _SOURCE / f"dist/troth-{naming.version}.tar").absolute()
    engine = usable_engine() if arguments.engine == "auto" else arguments.engine
    if engine in ENGINES:
        build_with(engine, _SOURCE, output, naming, progress)
    else:
        with tempfile.TemporaryDirectory(prefix="troth-image-") as folder:
            root = Path(folder, "root")
            root.mkdir(mode=0o755)
            _fill(root, arguments.cache, progress)
            with progress.step("writing the archive"):
                write_archive(root, output, naming)
    bill = output.with_name(f"{output.name.removesuffix('.tar')}.{BILL.name}")
    bill.write_bytes(read_bill(output))
    progress.say(f"{output} is {naming.reference}; {bill.name} beside it says what is in it")


def _fill(root: Path, cache: Path, progress: Progress) -> None:
    packages = fetch_packages(listed_packages(PACKAGES.read_text()), cache / "debian", progress)
    wheels = fetch_wheels(_SOURCE / "requirements/runtime.txt", cache / "wheels", progress)
    with tempfile.TemporaryDirectory(prefix="troth-wheel-") as folder:
        wheels.append(build_wheel(_SOURCE, Path(folder), _epoch(), progress))
        bill = bill_of_materials(packages, wheels, _version(), _epoch())
        with progress.step("making the file system of the image", "half a minute"):
            make_root(root, packages, wheels, bill)


def _version() -> str:
    version: str = tomllib.loads((_SOURCE / "pyproject.toml").read_text())["project"]["version"]
    return version


def _epoch() -> int:
    """SOURCE_DATE_EPOCH, or else the time of the commit, or else 0."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct") or 0)


def _git(*arguments: str) -> str:
    """What git says of this checkout; empty if this is none."""
    try:
        done = subprocess.run(["git", *arguments], cwd=_SOURCE, capture_output=True, check=False, timeout=30)
    except FileNotFoundError:
        return ""
    return done.stdout.decode().strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
