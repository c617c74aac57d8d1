"""Building programs with Go from a module that pins them, down to the hash of every source they consist of."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from troth.dev.errors import DevError
from troth.dev.processes import Supervised
from troth.dev.progress import Progress

_DEADLINE = 3600.0
_GO_DIRECTIVE = re.compile(r"^go (\d+)\.(\d+)", re.MULTILINE)
_GO_VERSION = re.compile(r"go(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class GoProgram:
    """One program of a module: its file name, its package, and how long it usually takes."""

    name: str
    package: str
    takes: str


@dataclass(frozen=True, slots=True)
class GoModule:
    """Programs that one go.mod and go.sum pin.

    Attributes:
        folder: where go.mod and go.sum are; nothing is written there.
        programs: in the order in which they are built.
        ldflags: for Go's linker.
    """

    folder: Path
    programs: tuple[GoProgram, ...]
    ldflags: str


def build(module: GoModule, folder: Path, environment: Mapping[str, str], progress: Progress) -> None:
    """Build every program of a module into ``folder``.

    Raises:
        DevError: Go is missing or too old, or a build failed; with Go's own words.
    """
    variables = {**environment, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    for name in ("GOOS", "GOARCH"):  # a cross-compiling shell must not give us another machine's programs
        variables.pop(name, None)
    # The module is copied: an installed package may be read-only, and Go wants to lock the folder of a go.mod.
    # Beside the programs, so that it is swept together with them when this process is killed.
    workplace = folder / ".module"
    workplace.mkdir()
    try:
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(module.folder / name, workplace / name)
        go = _find_go(workplace, variables)
        for number, program in enumerate(module.programs, 1):
            output = str(folder / program.name)
            command = [go, "build", "-trimpath", "-ldflags", module.ldflags, "-o", output, program.package]
            what = f"building {program.name} with Go, {number} of {len(module.programs)}"
            with progress.step(what, f"usually {program.takes}"):
                _run(command, workplace, variables)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _find_go(workplace: Path, environment: Mapping[str, str]) -> str:
    go = shutil.which("go", path=environment.get("PATH", os.defpath))
    if go is None:
        raise DevError("no `go` on PATH")
    found = _GO_VERSION.search(_run([go, "env", "GOVERSION"], workplace, environment))
    wanted = _GO_DIRECTIVE.search((workplace / "go.mod").read_text())
    # Go from 1.21 on fetches a newer one of itself where need be, unless somebody has forbidden it.
    may_fetch = environment.get("GOTOOLCHAIN", "auto") != "local"
    if wanted and found and not may_fetch and _numbers(found) < _numbers(wanted):
        raise DevError(f"Go {found[1]}.{found[2]} is older than {wanted[1]}.{wanted[2]}, and GOTOOLCHAIN=local")
    return go


def _numbers(version: re.Match[str]) -> tuple[int, int]:
    return int(version[1]), int(version[2])


def _run(command: Sequence[str], workplace: Path, environment: Mapping[str, str]) -> str:
    """Run Go to its end and return what it said; its compilers end with us, as everything that we start."""
    log = workplace / "log"
    log.unlink(missing_ok=True)
    process = Supervised("go", command, log=log, environment=environment, folder=workplace)
    try:
        code = process.wait(_DEADLINE)
    except subprocess.TimeoutExpired as error:
        raise DevError(f"`go {command[1]}` took longer than an hour") from error
    finally:
        process.kill()
    output = log.read_text(errors="replace")
    if code != 0:
        lines = [line for line in output.splitlines() if line.strip() and "downloading" not in line]
        raise DevError("; ".join(lines[-4:]) or f"go ended with code {code}")
    return output
