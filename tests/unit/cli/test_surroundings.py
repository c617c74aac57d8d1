"""Where somebody works, and what lies there, decides nothing: no module and no program is taken from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.authoring.workers.test_forks import beside_a_thread
from tests.unit.engine.pipelines import context, pipeline
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.authoring.workers.fork_server import server
from troth.dev.git_server import git
from troth.dev.operator_process import OperatorProcess
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Rendered
from troth.engine.workers.pool import RenderPool
from troth.surroundings import (
    absolute_path,
    installed_folders,
    module_folders,
    python,
    python_command,
    python_environment,
)

ROOT = Path(__file__).parents[3]
TROTH = Path(sys.executable).with_name("troth")
MODULES = (
    *("sitecustomize", "usercustomize", "troth", "pip", "conftest"),
    *("prometheus_client", "kopf", "yaml", "jinja2", "orjson", "click", "aiohttp", "re2", "rich", "kubernetes"),
    *("json", "asyncio", "ctypes", "resource", "secrets", "site", "logging", "socket", "tempfile", "typing"),
)
PROGRAMS = ("git", "kubectl", "helm", "go", "ssh", "python", "python3", "sh", "uname", "etcd", "kube-apiserver")


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Path]:
    """A folder full of what must never run; whatever of it runs leaves a file behind."""
    folder, traces = tmp_path / "work", tmp_path / "traces"
    folder.mkdir()
    traces.mkdir()
    shutil.copytree(ROOT / "promises" / "redis", folder / "redis")
    for place in (folder, folder / "redis"):
        for name in MODULES:
            (place / f"{name}.py").write_text(f"open({str(traces / f'{name}.py')!r}, 'w').close()\n")
        for name in PROGRAMS:
            (place / name).write_text(f"#!/bin/sh\n: >{traces / name}\nexit 1\n")
            (place / name).chmod(0o755)
    yield folder
    assert [path.name for path in traces.iterdir()] == []


def installed() -> list[str]:
    """What of the modules' path is there without pytest, which adds the checkout."""
    return [
        path
        for path in sys.path
        if Path(path).is_dir() and any(f"{path}/".startswith(f"{folder}/") for folder in installed_folders())
    ]


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GIT_"))}
    return {**kept, **variables}


@pytest.mark.slow
@pytest.mark.skipif(not TROTH.exists(), reason="troth is not installed as a command")
@pytest.mark.parametrize(
    "arguments",
    [
        ["render", "redis", "redis/examples/cache.yaml"],
        ["test", "redis", "--examples", "3", "--jobs", "2"],
        ["lint", "redis"],
        ["lint", "redis", "--against", "HEAD"],
        ["build", "redis"],
        ["init", "fresh", "--kind", "Fresh"],
        ["operator", "--kubeconfig", "nowhere"],
    ],
    ids=lambda arguments: " ".join(arguments[:4:3]),
)
@pytest.mark.parametrize("path", [".:{}", ":{}", "{}:", "redis:{}"])
def test_no_command_runs_what_lies_in_the_working_folder(planted: Path, arguments: list[str], path: str) -> None:
    if path != ".:{}" and arguments[:2] != ["lint", "redis"]:
        pytest.skip("the programs that are started are the same")
    done = subprocess.run(
        [TROTH, *arguments],
        cwd=planted,
        env=environment(PATH=path.format(os.environ["PATH"])),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in {0, 1, 2, 3}, done.stderr


@pytest.mark.parametrize("asked", ["", ".", "redis", ":", "/nowhere:"])
def test_modules_are_not_looked_for_in_the_working_folder(
    planted: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Not even where this process itself would: `python -m` and pytest put the folder into its path."""
    monkeypatch.chdir(planted)
    monkeypatch.setenv("PYTHONPATH", asked)
    monkeypatch.setattr(sys, "path", ["", str(planted), *installed(), "redis", str(planted / "redis")])
    assert module_folders() == installed()


def test_modules_are_looked_for_where_somebody_asks_for_it(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(planted)
    monkeypatch.setenv("PYTHONPATH", str(planted / "redis"))
    monkeypatch.syspath_prepend(str(planted / "redis"))
    assert module_folders()[0] == str(planted / "redis")


def test_where_python_and_troth_are_installed_may_be_worked_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", installed())
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for place in {place for folder in installed() for place in (Path(folder), *Path(folder).parents)}:
        monkeypatch.chdir(place)
        assert module_folders() == installed()


async def test_the_processes_that_render_take_none(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(planted)
    monkeypatch.syspath_prepend(str(planted))
    monkeypatch.syspath_prepend(str(planted / "redis"))
    pool = RenderPool(size=1, limits=Limits())
    await pool.start()
    try:
        (outcome,) = await pool.render([pipeline("a: {{ spec.n }}\n")], context({"n": 1}))
    finally:
        await pool.close()
    assert isinstance(outcome, Rendered)


@pytest.mark.slow
def test_what_forks_for_a_process_with_threads_takes_none(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if threading.active_count() == 1:
        server().close()  # one that was started elsewhere
    monkeypatch.chdir(planted)
    monkeypatch.syspath_prepend(str(planted))
    with beside_a_thread(), BoundedWorker() as worker:
        (outcome,) = worker.render_now([pipeline("a: {{ spec.n }}\n")], context({"n": 1}))
    server().close()
    assert isinstance(outcome, Rendered)


@pytest.mark.slow
def test_the_operator_of_troth_dev_takes_none(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(planted)
    surroundings = environment(PYTHONPATH=".", PYTHONSTARTUP="sitecustomize.py", PYTHONINSPECT="1")
    log = planted.parent / "log"
    operator = OperatorProcess(kubeconfig=Path("nowhere"), environment=surroundings, log=log)
    assert operator.wait(60) == 3, log.read_text()
    log.unlink()


def test_what_a_python_is_started_with() -> None:
    assert python_command("troth.cli") == [*python(), "-m", "troth.cli"]
    assert "-P" in python()
    given = python_environment({"PYTHONSTARTUP": "x", "PYTHONPATH": "y", "PYTHONHOME": "z", "HOME": "/home/h"})
    assert given == {"HOME": "/home/h", "PYTHONPATH": os.pathsep.join(module_folders())}
    assert all(map(os.path.isabs, module_folders()))


def test_programs_are_looked_for_in_absolute_folders_only() -> None:
    assert absolute_path(".:/usr/bin::bin:../bin:/bin:") == "/usr/bin:/bin"
    assert absolute_path("") == ""


def test_git_of_the_development_plane_is_the_installed_one(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}")
    assert git(planted, "version").startswith(b"git version")


@pytest.mark.slow
def test_a_repository_whose_settings_name_programs_runs_none_when_promises_are_compared(planted: Path) -> None:
    trace = planted.parent / "traces" / "by a setting"
    program = planted.parent / "program"
    program.write_text(f"#!/bin/sh\ntouch '{trace}'\n")
    program.chmod(0o755)
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    (planted / ".gitattributes").write_text("*.yaml diff=evil filter=evil\n")
    git(planted, "init", "-q")
    git(planted, *identity, "add", "redis/promise.yaml", ".gitattributes")
    git(planted, *identity, "commit", "-qm", "x")
    for setting in (
        *("core.fsmonitor", "core.sshCommand", "core.pager", "pager.show", "diff.external", "diff.evil.textconv"),
        *("diff.evil.command", "filter.evil.smudge", "filter.evil.clean", "core.alternateRefsCommand"),
        *("gpg.program", "core.editor", "core.askPass", "credential.helper", "alias.show", "alias.cat-file"),
    ):
        git(planted, "config", setting, f"!{program}" if setting.startswith("alias") else str(program))
    git(planted, "config", "core.hooksPath", str(planted.parent))
    git(planted, "config", "remote.origin.url", "ext::" + str(program))
    git(planted, "config", "remote.origin.promisor", "true")
    git(planted, "config", "extensions.partialClone", "origin")
    done = subprocess.run(
        [TROTH, "lint", "redis", "--against", "HEAD"],
        cwd=planted,
        env=environment(GIT_DIR="/nowhere", GIT_EXTERNAL_DIFF=str(program), GIT_PAGER=str(program)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    gone = git(planted, "rev-parse", "HEAD:redis/promise.yaml").decode().strip()
    (planted / ".git" / "objects" / gone[:2] / gone[2:]).unlink()
    again = subprocess.run(
        [TROTH, "lint", "redis", "--against", "HEAD"],
        cwd=planted,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert again.returncode == 2 or "promise" in again.stdout + again.stderr
