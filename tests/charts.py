"""Renders the Helm chart with the real helm."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "charts" / "troth"
SYSTEM_NAMESPACE = "kratix-platform-system"


def run_helm(
    helm: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run helm with an empty home, so that the user's settings and plug-ins are not used."""
    with tempfile.TemporaryDirectory(prefix="troth-helm-") as home:
        homes = {f"HELM_{name}_HOME": f"{home}/{name}" for name in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [helm, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **(environment or {}), **homes, "HOME": home},
        )


def render(
    helm: Path,
    values: Mapping[str, Any] | None = None,
    *,
    release: str = "troth",
    namespace: str = SYSTEM_NAMESPACE,
    chart: Path = CHART,
) -> list[dict[str, Any]]:
    """The objects that the chart makes with these values.

    Raises:
        AssertionError: helm has failed; the message is helm's.
    """
    # A flag is used, since helm would wait for standard input if there is none.
    done = run_helm(
        helm, "template", release, chart, "--namespace", namespace, "--set-json", json.dumps(values or {})
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def rights(objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rendered objects that say what the operator may do and for whom, and those that limit it."""
    kinds = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    kinds |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    return [entry for entry in objects if entry["kind"] in kinds]
