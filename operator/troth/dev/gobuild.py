"""Builds programs with Go from a module that pins them by the hash of every source that they consist of."""

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
    """One program of a module: its file name, its package, and how long building it usually takes."""

    name: str
    package: str
    takes: str


@dataclass(frozen=True, slots=True)
class GoModule:
    """Programs that are pinned by a go.mod and a go.sum.

    Attributes:
        folder: the folder of go.mod and go.sum. Nothing is written there.
        programs: the programs, in the order in which they are built.
        ldflags: the flags for Go's linker.
    """

    folder: Path
    programs: tuple[GoProgram, ...]
    ldflags: str


def build(module: GoModule, folder: Path, environment: Mapping[str, str], progress: Progress) -> None:
    """Build every program of a module into ``folder``.

    Raises:
        DevError: Go is missing or too old, or a build failed; the message contains Go's own output.
    """
    variables = {**environment, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    for name in ("GOOS", "GOARCH"):  # the programs are for this machine, even in a cross-compiling shell
        variables.pop(name, None)
    # The module is copied, since an installed package may be read-only, and Go locks the folder of a go.mod. The copy
    # is next to the programs, so that it is removed together with them when this process is killed.
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
    # Since 1.21, Go downloads a newer version of itself when it is needed, unless the user has forbidden that.
    may_fetch = environment.get("GOTOOLCHAIN", "auto") != "local"
    if wanted and found and not may_fetch and _numbers(found) < _numbers(wanted):
        raise DevError(f"Go {found[1]}.{found[2]} is older than {wanted[1]}.{wanted[2]}, and GOTOOLCHAIN=local")
    return go


def _numbers(version: re.Match[str]) -> tuple[int, int]:
    return int(version[1]), int(version[2])


def _run(command: Sequence[str], workplace: Path, environment: Mapping[str, str]) -> str:
    """Run Go to its end and return its output. It ends together with this process, and so do its compilers."""
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
