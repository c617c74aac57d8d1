"""`troth build` and `troth render` as people use them: what is printed, what is written, and the exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.platforms import destination, git_store, promise, request
from troth.cli import main

LIBRARY = Path(__file__).parents[3] / "promises"
POSTGRESQL = LIBRARY / "postgresql"


def troth(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def things(tmp_path: Path) -> Path:
    folder = tmp_path / "things"
    folder.mkdir()
    (folder / "promise.yaml").write_text(yaml.safe_dump(promise("things")), encoding="utf-8")
    return folder


def wanted(folder: Path, *names: str, **spec: Any) -> Path:
    file = folder / "requests.yaml"
    file.write_text(yaml.safe_dump_all([request("things", name, "team", **spec) for name in names]), "utf-8")
    return file


def test_a_rendered_request_is_a_yaml_stream_that_says_where_each_file_goes() -> None:
    result = troth("render", POSTGRESQL, "-f", POSTGRESQL / "examples" / "medium.yaml")
    assert result.exit_code == 0
    kinds = [document["kind"] for document in yaml.safe_load_all(result.stdout)]
    assert kinds == ["Cluster", "Pooler"]
    assert "# anywhere: resources/default/postgresql/shop/instance/5058f/cluster.yaml\n" in result.stdout
    assert result.stderr == ""


def test_the_status_is_printed_when_asked_for() -> None:
    result = troth("render", POSTGRESQL, "-f", POSTGRESQL / "examples" / "medium.yaml", "--status")
    *_, last = yaml.safe_load_all(result.stdout)
    assert last["status"]["port"] == 5432


def test_a_folder_of_requests_is_written_as_the_stores_would_hold_it(things: Path, tmp_path: Path) -> None:
    (tmp_path / "requests").mkdir()
    wanted(tmp_path / "requests", "orders", "billing")
    platform = tmp_path / "platform.yaml"
    platform.write_text(
        yaml.safe_dump_all(
            [
                git_store("git", "https://example.com/x", path="fleet"),
                destination("near", store="git", labels={"for": "things"}),
            ]
        ),
        "utf-8",
    )
    out = tmp_path / "out"
    result = troth("render", things, "-f", tmp_path / "requests", "--destinations", platform, "-o", out)
    assert result.exit_code == 0, result.output
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found == [
        f"near/fleet/near/resources/team/things/{name}/instance/5058f/object.yaml"
        for name in ("billing", "orders")
    ]
    assert result.stdout == ""
    assert "wrote 2 files" in result.stderr


def test_a_folder_with_something_in_it_is_not_written_to_unless_forced(things: Path, tmp_path: Path) -> None:
    asked = wanted(tmp_path, "orders")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("precious")
    (tmp_path / "outside").mkdir()
    assert troth("render", things, "-f", asked, "-o", out).exit_code == 2
    assert [path.name for path in out.iterdir()] == ["mine"]
    assert troth("render", things, "-f", asked, "-o", out, "--force").exit_code == 0
    assert (out / "mine").read_text() == "precious"
    (out / "anywhere").rename(tmp_path / "elsewhere")
    (out / "anywhere").symlink_to(tmp_path / "outside")
    assert troth("render", things, "-f", asked, "-o", out, "--force").exit_code == 2
    assert not [path for path in (tmp_path / "outside").rglob("*") if path.is_file()]


def test_a_refused_request_and_one_without_a_destination_are_findings(things: Path, tmp_path: Path) -> None:
    platform = tmp_path / "platform.yaml"
    platform.write_text(yaml.safe_dump(destination("near", store="git", labels={"for": "others"})), "utf-8")
    result = troth("render", things, "-f", wanted(tmp_path, "orders"), "--destinations", platform)
    assert result.exit_code == 1
    assert "team/orders: waits: no destination has the labels for=things" in result.stderr
    asked = tmp_path / "other.yaml"
    asked.write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n")
    result = troth("render", things, "-f", asked)
    assert result.exit_code == 1
    assert "default/x: refused: apiVersion: v1 Pod is not what the Promise offers" in result.stderr


def test_a_field_that_the_api_does_not_have_is_said_to_be_dropped(things: Path, tmp_path: Path) -> None:
    asked = wanted(tmp_path, "orders")
    obj = yaml.safe_load(asked.read_text("utf-8"))
    obj["metadata"]["lables"] = {"a": "b"}
    asked.write_text(yaml.safe_dump(obj), "utf-8")
    result = troth("render", things, "-f", asked)
    assert result.exit_code == 0
    line = asked.read_text("utf-8").splitlines().index("  lables:") + 1
    said = "metadata.lables is not a field of the API and is dropped; kubectl refuses the request because of it"
    assert result.stderr == f"troth render: {asked}:{line}: team/orders: {said}; did you mean labels?\n"


def test_a_misspelled_field_of_a_refused_request_is_named_with_its_line(things: Path, tmp_path: Path) -> None:
    file = things / "promise.yaml"
    obj = yaml.safe_load(file.read_text("utf-8"))
    (version,) = obj["spec"]["api"]["spec"]["versions"]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"] = {
        "type": "object",
        "required": ["title"],
        "properties": {"title": {"type": "string"}, "ports": {"type": "array", "items": {
            "type": "object", "properties": {"port": {"type": "integer"}}}}},
    }  # fmt: skip
    file.write_text(yaml.safe_dump(obj), "utf-8")
    asked = wanted(tmp_path, "orders")
    item = {**yaml.safe_load(asked.read_text("utf-8")), "spec": {"tilte": "x", "ports": [{"prot": 1}]}}
    several = {"apiVersion": "v1", "kind": "List", "items": [{**item, "spec": {"title": "x"}}, item]}
    for document, start in ((item, ""), (several, "- ")):
        asked.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
        result = troth("render", things, "-f", asked)
        assert result.exit_code == 1
        lines = {text.strip(): number for number, text in enumerate(asked.read_text("utf-8").splitlines(), 1)}
        here = f"troth render: {asked}:"
        words = "is not a field of the API and is dropped; kubectl refuses the request because of it"
        assert result.stderr.splitlines() == [
            f"{here}{lines['spec:']}: team/orders: refused: spec.title: Required value",
            f"{here}{lines['tilte: x']}: team/orders: spec.tilte {words}; did you mean title?",
            f"{here}{lines['- prot: 1']}: team/orders: spec.ports[0].prot {words}; did you mean port?",
        ], start


@pytest.mark.parametrize(
    "content",
    [b"\xff\x00\xfe", b"a: [", b"[[1]]", b"kind: 7", b"{" * 50_000, b"apiVersion: v1\nkind: A\nmetadata: 7"],
)
def test_a_hostile_request_or_destination_is_told_in_one_line(
    things: Path, tmp_path: Path, content: bytes
) -> None:
    hostile = tmp_path / "hostile.yaml"
    hostile.write_bytes(content)
    several: tuple[list[str | Path], ...] = (
        ["-f", hostile],
        ["-f", wanted(tmp_path, "orders"), "--destinations", hostile],
    )
    for arguments in several:
        result = troth("render", things, *arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
    assert troth("build", hostile).exit_code == 2


def test_what_is_built_can_be_built_again_and_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    once = troth("build", LIBRARY / "environment")
    assert once.exit_code == 0
    file = tmp_path / "built.yaml"
    assert troth("build", LIBRARY / "environment", "-o", file).exit_code == 0
    assert file.read_text("utf-8") == once.stdout
    assert troth("build", file).stdout == once.stdout


def test_a_promise_that_the_operator_would_refuse_is_exit_code_one(things: Path) -> None:
    broken = promise("things", template="{{ nam }}")
    (things / "promise.yaml").write_text(yaml.safe_dump(broken), "utf-8")
    result = troth("build", things)
    assert result.exit_code == 1
    assert "promise.yaml:" in result.stderr
    assert troth("build", things / "nowhere").exit_code == 2


@pytest.mark.slow
def test_rendering_imports_no_library_of_the_operator() -> None:
    program = (
        "import sys; from troth.cli import main\n"
        f"main(['render', {str(POSTGRESQL)!r}, '-f', {str(POSTGRESQL / 'examples')!r}], standalone_mode=False)"
    )
    program = (
        f"import sys\ntry:\n  exec({program!r})\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"asyncio", "kopf", "aiohttp", "kubernetes", "rich"} & set(output.stderr.split())


def test_the_promise_itself_is_rendered_with_its_dependencies_and_the_canaries(tmp_path: Path) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"b": "1", "a": "yes"}}
    own = promise(
        "x",
        files=[
            {"path": "own.yaml", "template": "kind: Own\nname: {{ name }}\nall: {{ promise.spec.api.kind }}\n"}
        ],
    )
    workflows = own["spec"]["workflows"]
    made = promise("things", dependencies=[config])
    made["spec"]["workflows"]["promise"] = workflows["resource"]
    folder = tmp_path / "things"
    folder.mkdir()
    (folder / "promise.yaml").write_text(yaml.safe_dump(made), "utf-8")
    platform = tmp_path / "platform.yaml"
    platform.write_text(yaml.safe_dump(destination("near", store="git", labels={"for": "things"})), "utf-8")
    out = tmp_path / "out"
    result = troth(
        "render",
        folder,
        "--promise",
        "--canaries",
        "--destinations",
        platform,
        "-o",
        out,
        "-f",
        wanted(tmp_path, "orders"),
    )
    assert result.exit_code == 0, result.output
    found = {
        str(path.relative_to(out / "near/near")): path.read_text() for path in out.rglob("*") if path.is_file()
    }
    assert sorted(found) == [
        "dependencies/kratix-canary-namespace.yaml",
        "dependencies/things/5058f/static/things-dependencies.yaml",
        "dependencies/things/instance/5058f/own.yaml",
        "resources/kratix-canary-configmap.yaml",
        "resources/team/things/orders/instance/5058f/object.yaml",
    ]
    assert found["dependencies/things/5058f/static/things-dependencies.yaml"] == (
        'apiVersion: v1\ndata:\n  a: "yes"\n  b: "1"\nkind: ConfigMap\nmetadata:\n  name: a\n'
    )
    assert found["dependencies/things/instance/5058f/own.yaml"] == (
        "kind: Own\nname: things\nall: CustomResourceDefinition\n"
    )


def test_a_promise_that_would_be_refused_is_a_finding_with_its_line(things: Path) -> None:
    text = (things / "promise.yaml").read_text().replace("scope: Namespaced", "scope: Cluster")
    (things / "promise.yaml").write_text(text)
    result = troth("render", things, "--promise")
    assert result.exit_code == 1
    assert "promise.yaml:" in result.stderr


def test_rendering_nothing_is_a_mistake_of_usage(things: Path) -> None:
    assert troth("render", things).exit_code == 2
    assert troth("render", things, "--promise", "--canaries").exit_code == 2


def test_a_file_without_a_request_is_said(things: Path, tmp_path: Path) -> None:
    empty = tmp_path / "requests" / "empty.yaml"
    empty.parent.mkdir()
    empty.write_text("# nothing yet\n---\n", "utf-8")
    for given in (empty, empty.parent):
        result = troth("render", things, "-f", given)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"troth render: {empty}: holds no request; write one, or name another file\n"
    wanted(empty.parent, "orders")
    assert troth("render", things, "-f", empty.parent).exit_code == 0


@pytest.mark.parametrize("policy", ["", "warn", "refuse", "allow"])
def test_secrets_in_the_clear_are_judged_as_the_store_in_the_file_wants(
    things: Path, tmp_path: Path, policy: str
) -> None:
    template = "apiVersion: v1\nkind: Secret\nmetadata: {name: {{ name }}}\nstringData: {password: hunter2}\n"
    (things / "promise.yaml").write_text(yaml.safe_dump(promise("things", template=template)), encoding="utf-8")
    platform = tmp_path / "platform.yaml"
    store = git_store("state", "https://git.example.com/state.git", **({"plainSecrets": policy} if policy else {}))
    one = destination("worker", store="state", labels={"for": "things"})
    platform.write_text(yaml.safe_dump_all([store, one]), encoding="utf-8")
    result = troth("render", things, "-f", wanted(tmp_path, "orders"), "--destinations", platform, "--status")
    said = "Secret orders in object.yaml" in result.stderr
    assert said == (policy != "allow")
    assert ("not written" in result.stderr) == (policy == "refuse")
    assert result.exit_code == (1 if policy == "refuse" else 0)
    assert ("hunter2" in result.stdout) == (policy != "refuse")
    assert "hunter2" not in result.stderr
    *_, last = yaml.safe_load_all(result.stdout)
    conditions = {item["type"]: item for item in last["status"]["conditions"]}
    assert ("PlainSecrets" in conditions) == (policy != "allow")
    assert conditions["Ready"]["status"] == ("False" if policy == "refuse" else "True")
