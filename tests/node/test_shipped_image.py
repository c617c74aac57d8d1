"""The image that ships, as `make image` builds it where there is no container engine, on a real node.

Two builds are compared, which are both made now: Debian may publish other packages between two days.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.node import Node
from troth import __version__

_ROOT = Path(__file__).parents[2]
_IMAGE = "troth:built-by-hand"
_PACKAGES = "/opt/troth/lib/python3.11/site-packages"
_BUILD_TIMEOUT = 1200
pytestmark = pytest.mark.timeout(2 * _BUILD_TIMEOUT)


def _build(folder: Path) -> Path:
    archive = folder / "troth.tar"
    arguments = ("--with", "none", "--reference", _IMAGE, "--output", str(archive))
    command = [sys.executable, "-m", "image", "build", *arguments]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, check=False, timeout=_BUILD_TIMEOUT)
    assert done.returncode == 0, done.stderr.decode()
    return archive


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def archive(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    built = _build(tmp_path_factory.mktemp("image"))
    yield built
    built.unlink()  # it has 400 MB, and pytest keeps the folders of three runs


def test_two_builds_are_of_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    again = _build(tmp_path)
    digests = [
        [_digest(built.with_suffix(f".{suffix}")) for suffix in ("tar", "sbom.cdx.json")]
        for built in (archive, again)
    ]
    again.unlink()
    assert digests[0] == digests[1]


def test_the_bill_beside_the_archive_lists_the_whole_lock(archive: Path) -> None:
    bill = json.loads(archive.with_suffix(".sbom.cdx.json").read_text())
    listed = {component["purl"].partition("?")[0] for component in bill["components"]}
    locked = [
        line.split()[0] for line in (_ROOT / "requirements/runtime.txt").read_text().splitlines() if "==" in line
    ]
    assert len(locked) > 40
    assert {f"pkg:pypi/{name.replace('==', '@')}" for name in locked} <= listed
    assert {f"pkg:pypi/troth@{__version__}"} <= listed
    assert {name.split("@")[0] for name in listed} >= {"pkg:deb/debian/git", "pkg:deb/debian/libc6"}


def test_the_programs_run_in_a_pod_that_may_do_nothing_and_write_only_to_tmp(
    node: Node, namespace: str, archive: Path
) -> None:
    node.load_archive(archive)
    script = """
        id -u
        cd /
        ! touch /opt/x /workspace/x /var/x 2>/dev/null
        git --version
        ssh -V 2>&1
        python -c 'import ssl; print(len(ssl.create_default_context().get_ca_certs()), "authorities")'
    """
    confined = {
        "runAsNonRoot": True,  # and no runAsUser: the image's own user has to be a number
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    calls: dict[str, dict[str, Any]] = {
        "version": {"args": ["--version"]},
        "adapter": {"args": ["adapter", "--help"]},
        # Its templates are rendered by confined workers, with all of Python's extension modules.
        "test": {"args": ["test", "."], "workingDir": f"{_PACKAGES}/troth/promises/redis"},
        "shell": {"command": ["/bin/sh", "-ec", script]},
    }
    common = {
        "image": _IMAGE,
        "securityContext": confined,
        "env": [{"name": "HOME", "value": "/tmp"}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": name, **common, **call} for name, call in calls.items()],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "image"},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }
    node.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(job))
    done = node.kubectl(
        *("wait", "job/image", "-n", namespace, "--for=condition=Complete", "--timeout=120s"),
        check=False,
        timeout=130,
    )
    logs = {
        name: node.kubectl("logs", "job/image", "-n", namespace, "-c", name, check=False).stdout for name in calls
    }
    assert done.code == 0, f"{done.stderr} {logs}"
    assert logs["version"].strip() == f"troth {__version__}"
    assert "work-writer" in logs["adapter"]
    assert "coverage: 100 %" in logs["test"]
    user, git, ssh, authorities = logs["shell"].splitlines()
    assert user == "65532"
    assert git.startswith("git version 2.")
    assert ssh.startswith("OpenSSH_9.")
    assert int(authorities.split()[0]) > 100
