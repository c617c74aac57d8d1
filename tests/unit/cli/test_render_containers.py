"""`troth render` and pipelines of containers: what is not known is said, and the Jobs are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.container_site import containers, jinja
from tests.platforms import promise
from troth.api.pipelines import JINJA_PIPELINE
from troth.cli import main

NOT_KNOWN = (
    "default/cache: not known: the pipeline shell runs in containers: the files, the status and the destinations that "
    "it writes are only known when it has run"
)


def written(folder: Path, *pipelines: Any) -> Path:
    """The folder of a Promise whose requests are carried out by these pipelines, with a request."""
    obj = promise("caches")
    obj["spec"]["workflows"]["resource"]["configure"] = list(pipelines)
    api = obj["spec"]["api"]["spec"]
    version = f"{api['group']}/{api['versions'][0]['name']}"
    request = {
        "apiVersion": version,
        "kind": api["names"]["kind"],
        "metadata": {"name": "cache"},
        "spec": {"size": "small"},
    }
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj))
    (folder / "request.yaml").write_text(yaml.safe_dump(request))
    return folder


def render(folder: Path, *arguments: object) -> Result:
    return CliRunner().invoke(
        main, ["render", str(folder), "-f", str(folder / "request.yaml"), *map(str, arguments)]
    )


@pytest.mark.parametrize("first", ["containers", "templates"])
def test_templates_are_rendered_and_what_is_not_known_is_said_on_both_streams(tmp_path: Path, first: str) -> None:
    both = [containers("shell"), jinja("roll")]
    result = render(written(tmp_path, *(both if first == "containers" else reversed(both))))
    assert result.exit_code == 0
    assert "# anywhere: " in result.stdout
    assert "kind: Rolled\nname: cache\n" in result.stdout
    assert result.stdout.endswith(f"# {NOT_KNOWN}\n")
    assert result.stderr == f"troth render: {tmp_path / 'request.yaml'}: {NOT_KNOWN}\n"
    assert [doc for doc in yaml.safe_load_all(result.stdout) if doc] == [{"kind": "Rolled", "name": "cache"}]


def test_strict_ends_with_one_where_containers_would_have_to_be_run_and_only_there(tmp_path: Path) -> None:
    assert render(written(tmp_path, containers("shell")), "--strict").exit_code == 1
    plain = render(written(tmp_path, jinja("roll")), "--strict")
    assert (plain.exit_code, plain.stderr) == (0, "")
    assert "not known" not in plain.stdout


def test_files_in_a_folder_are_those_that_are_known(tmp_path: Path) -> None:
    result = render(written(tmp_path, containers("shell"), jinja("roll")), "-o", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*.yaml")] == ["rolled.yaml"]
    assert result.stderr.startswith("wrote 1 file to ")
    assert result.stderr.endswith(f"{NOT_KNOWN}\n")
    assert result.stdout == ""


def test_the_status_says_that_the_containers_have_not_run(tmp_path: Path) -> None:
    result = render(written(tmp_path, containers("shell"), jinja("roll")), "--status")
    documents = [document for document in yaml.safe_load_all(result.stdout) if document]
    status = documents[-1]["status"]
    phases = {entry["name"]: entry["phase"] for entry in status["kratix"]["workflows"]["pipelines"]}
    assert phases == {"shell": "Pending", "roll": "Succeeded"}
    ready = next(entry for entry in status["conditions"] if entry["type"] == "Ready")
    assert ready["status"] != "True"


def test_the_objects_of_each_run_are_printed_in_the_order_in_which_they_are_applied(tmp_path: Path) -> None:
    folder = written(tmp_path, containers("shell"), jinja("roll"), containers("after"))
    result = render(folder, "--jobs", "--adapter-image", "registry.example.com/troth:2")
    objects = [doc for doc in yaml.safe_load_all(result.stdout) if doc and doc["kind"] != "Rolled"]
    kinds = ["ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Job"]
    assert [obj["kind"] for obj in objects] == kinds * 2
    pods = [obj["spec"]["template"]["spec"] for obj in objects if obj["kind"] == "Job"]
    assert [pod["containers"][0]["image"] for pod in pods] == ["registry.example.com/troth:2"] * 2
    last = [pod["containers"][0]["env"][-1] for pod in pods]
    assert last == [{"name": "IS_LAST_PIPELINE", "value": word} for word in ("false", "true")]
    assert render(folder, "--jobs").stdout.count("image: ADAPTER_IMAGE") == 2
    again = render(folder, "--jobs", "--run", 2).stdout
    assert again != result.stdout
    assert 'attempt: "2"' in again


def test_without_containers_there_are_no_jobs(tmp_path: Path) -> None:
    folder = written(tmp_path, jinja("roll"))
    assert render(folder, "--jobs").stdout == render(folder).stdout


def test_a_pipeline_that_the_operator_would_refuse_is_refused_with_its_line(tmp_path: Path) -> None:
    wrong = containers("shell")
    wrong["spec"]["containers"][0]["imgae"] = "x"
    result = render(written(tmp_path, wrong))
    assert result.exit_code == 1
    assert "spec.workflows.resource.configure[0].spec.containers[0].imgae" in result.stderr
    assert "did you mean image?" in result.stderr
    assert jinja("roll")["kind"] == JINJA_PIPELINE
