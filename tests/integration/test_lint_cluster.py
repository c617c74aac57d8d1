"""`troth lint` reads schemas and an earlier API of a real API server, and the bundled schemas are that server's."""

from __future__ import annotations

import asyncio
import copy
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.platforms import Platform, Repository, promise
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION
from troth.authoring.lint import Known, known_from
from troth.dev import ControlPlane
from troth.kube import Client

pytestmark = pytest.mark.integration

SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {"size": {"type": "string"}, "more": {"type": "string"}},
}
TEMPLATE = (
    "apiVersion: {api}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{size: 5}}\n"
    "# {{{{ spec.size }}}}{{{{ spec.more }}}}\n"
)


async def troth_lint(plane: ControlPlane, *arguments: object) -> tuple[int, list[dict[str, Any]], str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "troth.cli",
        "lint",
        *map(str, arguments),
        "--format",
        "json",
        env={**plane.environment(), "KUBECONFIG": str(plane.kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    findings = json.loads(out or b"[]")
    # The tests' own Promises describe nothing, and that is not what is looked at here.
    return process.returncode or 0, [each for each in findings if each["code"] != "T112"], err.decode()


def written(folder: Path, obj: Mapping[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj))
    return folder


def required(obj: dict[str, Any]) -> dict[str, Any]:
    schema = obj["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["required"] = ["spec"]
    return obj


async def test_the_bundled_schemas_are_those_of_the_server(client: Client) -> None:
    served = known_from([await client.openapi()]).kubernetes
    bundled = Known().kubernetes
    bundled.problems({})
    differing = [
        name
        for kind, name in bundled._kinds.items()
        if kind in served._kinds and served._definitions[name] != bundled._definitions[name]
    ]
    assert differing == []
    assert len(bundled._kinds.keys() & served._kinds.keys()) > 50


async def test_objects_are_held_against_the_definitions_of_the_cluster(
    control_plane: ControlPlane, platform: Platform, repository: Repository, unique: str, tmp_path: Path
) -> None:
    other = promise(unique, spec_schema=SPEC)
    await platform.publish(other)
    name = f"{unique}x"
    template = TEMPLATE.format(api=f"{unique}.example.com/v1", kind=f"Kind{unique}")
    spec = {**SPEC, "required": ["size", "more"]}
    home = written(tmp_path / "home", required(promise(name, template=template, spec_schema=spec)))
    code, findings, _ = await troth_lint(control_plane, home)
    assert (code, [finding["code"] for finding in findings]) == (0, ["T201"])
    code, findings, _ = await troth_lint(control_plane, home, "--schemas", "cluster")
    assert (code, [finding["code"] for finding in findings]) == (1, ["T202"])
    assert "spec.size" in findings[0]["message"]


async def test_an_api_is_compared_with_that_of_the_cluster(
    control_plane: ControlPlane,
    client: Client,
    platform: Platform,
    repository: Repository,
    unique: str,
    tmp_path: Path,
) -> None:
    template = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '{{ spec.size }}{{ spec.more }}'}\n"
    )
    spec = {**SPEC, "required": ["size", "more"]}
    obj = required(promise(unique, template=template, spec_schema=spec))
    home = written(tmp_path / "home", obj)
    code, findings, err = await troth_lint(control_plane, home, "--against", "cluster")
    assert (code, findings) == (0, [])
    assert "nothing to compare with" in err

    await platform.publish(obj)
    code, findings, _ = await troth_lint(control_plane, home, "--against", "cluster")
    assert (code, findings) == (0, [])

    newer = copy.deepcopy(obj)
    schema = newer["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    schema["properties"]["size"]["enum"] = ["small"]
    written(home, newer)
    code, findings, _ = await troth_lint(control_plane, home, "--against", "cluster")
    assert (code, [finding["code"] for finding in findings]) == (1, ["T302"])

    # A cluster may have the definition without the Promise.
    installed = obj["spec"]["api"]["metadata"]["name"]
    assert await client.get(CUSTOM_RESOURCE_DEFINITION, installed)
    newer["metadata"]["name"] = f"{unique}-renamed"
    written(home, newer)
    code, findings, _ = await troth_lint(control_plane, home, "--against", "cluster")
    assert (code, [finding["code"] for finding in findings]) == (1, ["T302"])


async def test_requests_of_the_cluster_that_would_no_longer_fit_are_told_before_it_is_applied(
    control_plane: ControlPlane,
    platform: Platform,
    repository: Repository,
    unique: str,
    namespace: str,
    tmp_path: Path,
) -> None:
    template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '{{ spec.size }}'}\n"
    loose = {"type": "object", "properties": {"size": {"type": "string", "default": "small"}}}
    await platform.publish(promise(unique, template=template, spec_schema=loose))
    for name, spec in (("a", {}), ("b", {"size": "huge"}), ("c", {"size": "small"}), ("d", {"size": "odd"})):
        await platform.ask(unique, name, namespace, **spec)
    tight = promise(
        unique,
        template=template,
        spec_schema={**loose, "properties": {"size": {"type": "string", "maxLength": 3}}},
    )
    home = written(tmp_path / "home", tight)
    code, findings, _ = await troth_lint(control_plane, home, "--against", "cluster")
    told = [finding["message"] for finding in findings if finding["code"] == "T308"]
    assert code == 1
    assert len(told) == 1
    assert told[0].startswith("3 of 4 requests in the cluster do not fit this API: ")
    assert f"{namespace}/b (spec.size: Too long: may not be more than 3 bytes)" in told[0]
    assert f"{namespace}/d" not in told[0]
    assert "refuse every write" not in told[0]

    closed = promise(unique, template=template.replace("{{ spec.size }}", "x"), spec_schema={"type": "object"})
    written(home, closed)
    code, findings, _ = await troth_lint(control_plane, home, "--against", "cluster")
    told = [finding["message"] for finding in findings if finding["code"] == "T309"]
    assert code == 1
    assert len(told) == 1
    assert "4 of 4 requests use what the new API takes away: spec.size (4)" in told[0]


async def test_a_context_is_named_behind_a_colon(control_plane: ControlPlane, tmp_path: Path) -> None:
    home = written(tmp_path / "home", required(promise("a", spec_schema=SPEC)))
    code, _, err = await troth_lint(control_plane, home, "--schemas", "cluster:nowhere")
    assert code == 2
    assert "nowhere" in err
    assert err.count("\n") == 1
