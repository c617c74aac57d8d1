"""The image that ships, as `make image` builds it where there is no container engine, on a real node."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.node.node import Node
from tests.node.shipped_image import REPOSITORY, build_image
from troth import __version__

_ROOT = Path(__file__).parents[2]
_PACKAGES = "/opt/troth/lib/python3.11/site-packages"
pytestmark = [
    pytest.mark.usefixtures("node"),  # where there is no node, nothing is built
    pytest.mark.timeout(1200),
]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _bill(archive: Path) -> Path:
    return archive.with_suffix(".sbom.cdx.json")


def test_two_builds_are_of_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    reference, first, second = f"{REPOSITORY}:{archive.stem}", archive, tmp_path / "second.tar"
    build_image(second, reference)
    if _bill(second).read_bytes() != _bill(first).read_bytes():  # Debian has published packages since then
        first = tmp_path / "first.tar"
        build_image(first, reference)
    assert _bill(first).read_bytes() == _bill(second).read_bytes()
    digests = {_digest(built) for built in (first, second)}
    for built in tmp_path.glob("*.tar"):
        built.unlink()  # each has 400 MB, and pytest keeps the folders of three runs
    assert len(digests) == 1


def test_the_bill_beside_the_archive_lists_the_whole_lock(archive: Path) -> None:
    bill = json.loads(_bill(archive).read_text())
    listed = {component["purl"].partition("?")[0] for component in bill["components"]}
    locked = [
        line.split()[0] for line in (_ROOT / "requirements/runtime.txt").read_text().splitlines() if "==" in line
    ]
    assert len(locked) > 40
    assert {f"pkg:pypi/{name.replace('==', '@')}" for name in locked} <= listed
    assert {f"pkg:pypi/troth@{__version__}"} <= listed
    assert {name.split("@")[0] for name in listed} >= {"pkg:deb/debian/git", "pkg:deb/debian/libc6"}


def test_the_programs_run_in_a_pod_that_may_do_nothing_and_write_only_to_tmp(
    node: Node, namespace: str, shipped_image: str
) -> None:
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
        "test": {"args": ["test", ".", "--jobs", "1"], "workingDir": f"{_PACKAGES}/troth/promises/redis"},
        "shell": {"command": ["/bin/sh", "-ec", script]},
    }
    common = {
        "image": shipped_image,
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
        *("wait", "job/image", "-n", namespace, "--for=condition=Complete", "--timeout=300s"),
        check=False,
        timeout=310,
    )
    logs = {
        name: node.kubectl("logs", "job/image", "-n", namespace, "-c", name, check=False).stdout for name in calls
    }
    assert done.code == 0, f"{done.stderr} {logs}"
    assert logs["version"].strip() == f"troth {__version__}"
    assert "status-writer" in logs["adapter"]
    assert "coverage: 100 %" in logs["test"]
    user, git, ssh, authorities = logs["shell"].splitlines()
    assert user == "65532"
    assert git.startswith("git version 2.")
    assert ssh.startswith("OpenSSH_9.")
    assert int(authorities.split()[0]) > 100
