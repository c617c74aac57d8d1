"""A running operator as somebody on its machine sees it: what its processes may do, hold, and take from there."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.operators import OperatorProcess
from tests.unit.authoring.workers.test_forks import descendants
from tests.waiting import eventually_sync
from troth.engine.workers.confinement import missing

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at processes through /proc"),
]
MODULES = (
    "sitecustomize",
    "usercustomize",
    "prometheus_client",
    "kopf",
    "yaml",
    "orjson",
    "aiohttp",
    "click",
    "json",
)
MARKER = "TR0TH-PROCESS-MARKER"


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, full of what must never run; whatever of it runs leaves a file in ``traces``."""
    folder, traces = tmp_path / "work", tmp_path / "traces"
    folder.mkdir()
    traces.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"open({str(traces / name)!r}, 'w').close()\n")
    (folder / "git").write_text(f"#!/bin/sh\n: >'{traces}/git'\n")
    (folder / "git").chmod(0o755)
    monkeypatch.chdir(folder)
    return traces


def field(pid: int, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return found[1] if found else ""


def is_confined(pid: int) -> bool:
    return field(pid, "Seccomp") == "2"


def limit(pid: int, name: str) -> list[str]:
    found = re.search(rf"^{name}\s+(\S+)\s+(\S+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
    assert found
    return [found[1], found[2]]


def workers_of(pid: int) -> list[int]:
    return [
        child
        for child in descendants(pid)
        if b"troth.engine.workers.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def test_the_operator_and_its_workers_keep_to_themselves(
    operator: Callable[..., OperatorProcess], planted: Path
) -> None:
    running = operator(TROTH_NOTHING=MARKER, PYTHONPATH=".", PATH=".:/usr/local/bin:/usr/bin:/bin")
    eventually_sync(lambda: len(workers_of(running.pid)) == 2, "both workers are there")
    assert limit(running.pid, "Max core file size") == ["0", "0"]
    for worker in workers_of(running.pid):
        assert MARKER.encode() not in Path(f"/proc/{worker}/environ").read_bytes()
        assert b"KUBECONFIG" not in Path(f"/proc/{worker}/environ").read_bytes()
        assert Path(f"/proc/{worker}/cwd").readlink() == Path("/")
        assert limit(worker, "Max core file size") == ["0", "0"]
        if not missing():
            eventually_sync(partial(is_confined, worker), "the worker is confined")
            assert field(worker, "NoNewPrivs") == "1"
            assert limit(worker, "Max file size") == ["0", "0"]
            assert limit(worker, "Max processes") == ["0", "0"]
            assert limit(worker, "Max open files") == ["64", "64"]
            assert field(worker, "Umask") == "0077"
        sockets = [path for path in Path(f"/proc/{worker}/fd").iterdir() if "socket" in str(path.readlink())]
        assert len(sockets) <= 3, "its own pipes, which asyncio makes of sockets"
    assert "this system lacks" not in running.text() or missing()
    assert [path.name for path in planted.iterdir()] == []
