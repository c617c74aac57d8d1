"""`troth dev` is ready when it says so, and takes everything with it when it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import eventually_sync
from troth.dev import ControlPlane

pytestmark = pytest.mark.integration


@contextmanager
def _troth_dev(plane: ControlPlane, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    environment = plane.environment() | {"KUBEBUILDER_ASSETS": str(plane.binaries.etcd.parent)}
    process = subprocess.Popen(
        [sys.executable, "-m", "troth.cli", "dev", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _ready_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line and process.stderr is not None:
        pytest.fail(f"it ended before it was ready: {process.stderr.read()}")
    return line


def test_it_says_ready_serves_its_destination_and_ends_on_sigterm(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with _troth_dev(control_plane, "--data", data, "--no-operator") as process:
        line = _ready_line(process)
        assert line == f"READY kubeconfig={data}/kubeconfig repository={data}/gitops.git\n"
        got = control_plane.kubectl(
            "get",
            "destination,gitstatestore",
            "--selector=environment=dev",
            "-o",
            "name",
            kubeconfig=data / "kubeconfig",
        )
        assert got.stdout == "destination.platform.kratix.io/local\n"
        store = control_plane.kubectl(
            "get", "gitstatestore", "local", "-o", "jsonpath={.spec.url}", kubeconfig=data / "kubeconfig"
        )
        assert store.stdout == str(data / "gitops.git")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors.endswith("troth: everything has ended\n")
    assert [path.name for path in data.iterdir()] == ["gitops.git"]


def test_two_cannot_use_one_folder(control_plane: ControlPlane, tmp_path: Path) -> None:
    with _troth_dev(control_plane, "--data", tmp_path, "--no-operator") as first:
        _ready_line(first)
        with _troth_dev(control_plane, "--data", tmp_path, "--no-operator") as second:
            _, errors = second.communicate(timeout=30)
            assert second.returncode == 1
            assert f"troth dev: another `troth dev` is using {tmp_path}" in errors
        assert (tmp_path / "kubeconfig").exists()
        first.send_signal(signal.SIGKILL)
        first.wait(10)
        eventually_sync(
            lambda: not (tmp_path / "control-plane").exists(), "even when killed it takes its data along"
        )


def test_kept_data_is_there_again_the_next_time(control_plane: ControlPlane, tmp_path: Path) -> None:
    arguments = ("--data", tmp_path, "--no-operator", "--keep")
    for command in ("create", "get"):
        with _troth_dev(control_plane, *arguments) as process:
            _ready_line(process)
            control_plane.kubectl(command, "namespace", "kept", kubeconfig=tmp_path / "kubeconfig")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
            assert process.returncode == 0


def test_an_operator_that_does_not_come_up_is_shown_with_its_last_words(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TROTH_WORKERS", "many")
    with _troth_dev(control_plane, "--data", tmp_path) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output == ""
    assert "troth dev: troth operator ended with code 2; it said last:" in errors
    assert "TROTH_WORKERS" in errors


def test_with_the_operator_the_destination_becomes_ready(control_plane: ControlPlane, tmp_path: Path) -> None:
    with _troth_dev(control_plane, "--data", tmp_path) as process:
        _ready_line(process)
        control_plane.kubectl(
            "wait",
            "--for=condition=Ready",
            "destination/local",
            "--timeout=10s",
            kubeconfig=tmp_path / "kubeconfig",
        )
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert "Traceback" not in (tmp_path / "operator.log").read_text()
