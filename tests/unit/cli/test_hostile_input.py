"""Hostile input to every command of authoring: a clear message and exit code 2, soon, in little memory, no traceback.

Each command is a process of its own, so that its time and its memory are its own. The seconds and the memory of the
process count together with those of the processes that it started and waited for. The processes are forks of an
interpreter that has imported everything, which saves half of the time; one test compares a fork of each command with a
new interpreter.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

from tests.platforms import promise, request
from tests.waiting import stretched
from tests.warm_commands import WarmCommands
from troth.cli import COMMANDS

pytestmark = pytest.mark.slow

SECONDS = 10.0
BYTES = 1 << 30
LARGE = 100 * 1024 * 1024
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
AUTHORING = [name for name in ("build", "lint", "render", "test") if name in COMMANDS]


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``seconds`` are those that it would have taken on a machine of its own."""

    code: int
    output: str
    errors: str
    seconds: float
    peak: int


def run(commands: WarmCommands, *arguments: str | Path, cwd: Path) -> Ended:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        command = list(map(str, arguments))
        pid = commands.start(command, cwd=cwd, output=output.fileno(), errors=errors.fileno())
        watch = threading.Timer(stretched(3 * SECONDS), os.kill, (pid, signal.SIGKILL))
        watch.start()
        with others_at_work() as stretches:
            code, peak = commands.wait()
        watch.cancel()
        seconds = (time.monotonic() - began) / statistics.mean(stretches)
        printed, said = (beginning(file) for file in (output, errors))
        return Ended(code, printed, said, seconds=seconds, peak=peak)


@contextlib.contextmanager
def others_at_work() -> Iterator[list[float]]:
    """By how much a promise is stretched, looked at all the while: what ran beside a command may end before it."""
    stretches = [stretched(1.0)]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.5):
            stretches.append(stretched(1.0))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield stretches
    finally:
        ended.set()
        looking.join()


def beginning(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(1 << 20).decode("utf-8", "replace")


def check(ended: Ended) -> None:
    """The promise to whoever hands in something hostile."""
    assert ended.code == 2, ended
    assert "Traceback" not in ended.output + ended.errors
    last = ended.errors.strip().splitlines()[-1]
    assert 10 < len(last) < 500, ended.errors
    assert ended.seconds < SECONDS, ended
    assert ended.peak < BYTES, ended


# ---- a home with something hostile in it

Home = Callable[[Path], None]


def at(path: str, content: bytes | str) -> Home:
    def put(folder: Path) -> None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    return put


@functools.cache
def large_file() -> Path:
    """A file of 100 MB, which is written once in a process: the tests get links to it."""
    file = Path(tempfile.mkdtemp(), "large")
    with file.open("wb") as writing:
        writing.write(b"a: ")
        for _ in range(LARGE >> 20):
            writing.write(b"x" * (1 << 20))
    return file


@pytest.fixture(scope="module", autouse=True)
def _the_large_file_is_removed() -> Iterator[None]:
    yield
    if large_file.cache_info().currsize:
        shutil.rmtree(large_file().parent)
        large_file.cache_clear()


def large(path: str) -> Home:
    def put(folder: Path) -> None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.hardlink_to(large_file())

    return put


def link(path: str, to: str) -> Home:
    def put(folder: Path) -> None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(to)

    return put


def pipe(path: str) -> Home:
    def put(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).unlink(missing_ok=True)
        os.mkfifo(folder / path)

    return put


def many(path: str, text: str) -> Home:
    def put(folder: Path) -> None:
        for number in range(1200):
            at(f"{path}/{number}.yaml", text)(folder)

    return put


def exploding(**more: Any) -> dict[str, Any]:
    """A pattern for which most engines of regular expressions try every way."""
    return {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "string", "pattern": "^(a|a)*b$", **more}},
    }


def noise(seed: int, length: int = 20_000) -> bytes:
    return random.Random(seed).randbytes(length)


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join(lines)


def promise_with(**more: Any) -> Home:
    return at("promise.yaml", yaml.safe_dump(promise("things", **more)))


def with_schema(schema: Mapping[str, Any]) -> Home:
    made = promise("things")
    version = made["spec"]["api"]["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"] = schema
    return at("promise.yaml", yaml.safe_dump(made))


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def templated(template: str, **pipeline: Any) -> Home:
    return promise_with(files=[{"path": "a.yaml", "template": template}], pipeline=pipeline)


FILES = {"files": [{"path": "a.yaml", "template": {"from": "templates/a.yaml.j2"}}]}
TEMPLATE = "templates/a.yaml.j2"

# What every command refuses with 2, whichever file of the home it is in.
EVERYWHERE: Mapping[str, list[Home]] = {
    **{f"random bytes {seed}": [at("promise.yaml", noise(seed))] for seed in range(3)},
    "nothing but zeros": [at("promise.yaml", bytes(50_000))],
    "a file of 100 MB": [large("promise.yaml")],
    "brackets without an end": [at("promise.yaml", "[" * 100_000)],
    "braces without an end": [at("promise.yaml", "{a: " * 100_000)],
    "deep blocks": [at("promise.yaml", "".join(f"{' ' * n}a:\n" for n in range(1500)))],
    "aliases that multiply": [at("promise.yaml", bomb())],
    "an alias of itself": [at("promise.yaml", "&a [*a]")],
    "a pipe": [pipe("promise.yaml")],
    "a device without an end": [link("promise.yaml", "/dev/zero")],
    "a link to itself": [link("promise.yaml", "promise.yaml")],
    "a template of 100 MB": [promise_with(**FILES), large(TEMPLATE)],
    "a template of random bytes": [promise_with(**FILES), at(TEMPLATE, noise(7))],
    "a template that is a link out": [promise_with(**FILES), link(TEMPLATE, "/etc/hostname")],
    "a template that is a link to itself": [promise_with(**FILES), link(TEMPLATE, "a.yaml.j2")],
    "a template behind a linked folder": [promise_with(**FILES), link("templates", "/etc")],
    "a template that is a pipe": [promise_with(**FILES), pipe(TEMPLATE)],
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "things"
    (folder / "tests").mkdir(parents=True)
    cases = {"cases": [{"name": "one", "request": {"spec": {}}, "expect": {"files": []}}]}
    suite = {"apiVersion": "troth.dev/v1alpha1", "kind": "PromiseTest", "metadata": {"name": "a"}, "spec": cases}
    (folder / "promise.yaml").write_text(yaml.safe_dump(promise("things")))
    (folder / "tests" / "cases.yaml").write_text(yaml.safe_dump(suite))
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump(request("things", "orders", "team")))
    return folder


def command(commands: WarmCommands, name: str, home: Path) -> Ended:
    return run(commands, *words(name, home), cwd=home.parent)


def words(name: str, home: Path) -> list[str]:
    return [name, str(home), *(["-f", str(home.parent / "asked.yaml")] if name == "render" else [])]


@pytest.mark.parametrize("name", AUTHORING)
def test_a_fork_ends_as_a_new_interpreter_does(commands: WarmCommands, home: Path, name: str) -> None:
    (home / "promise.yaml").write_bytes(noise(1))
    started = subprocess.run(
        [sys.executable, "-m", "troth.cli", *words(name, home)],
        cwd=home.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    ended = command(commands, name, home)
    check(ended)
    assert (ended.code, ended.output, ended.errors) == (started.returncode, started.stdout, started.stderr)


@pytest.mark.parametrize("hostile", EVERYWHERE)
@pytest.mark.parametrize("name", AUTHORING)
def test_a_hostile_home_is_unusable_input(commands: WarmCommands, home: Path, name: str, hostile: str) -> None:
    for put in EVERYWHERE[hostile]:
        put(home)
    check(command(commands, name, home))


# What only those find that render.
RENDERED: Mapping[str, Home] = {
    "endless": templated(ENDLESS),
    "memory": templated(
        "{% set ns = namespace(x='x' * 1000) %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
    ),
    "a loop of includes": templated(
        "{% include 'a' %}", partials={"a": "{% include 'b' %}", "b": "{% include 'a' %}"}
    ),
    "a macro of itself": templated("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
    "much too long": templated("{% for i in range(99999) %}{{ 'y' * 1000 }}{% endfor %}"),
}


@pytest.mark.parametrize("hostile", RENDERED)
@pytest.mark.parametrize("name", [name for name in AUTHORING if name != "build"])
def test_a_template_without_bounds_ends_each_command(
    commands: WarmCommands, home: Path, name: str, hostile: str
) -> None:
    RENDERED[hostile](home)
    check(command(commands, name, home))


# Hostile files beside a Promise that is fine, and the commands that read them.
BESIDE: Mapping[str, tuple[tuple[str, ...], Home]] = {
    "an example of random bytes": (("lint",), at("examples/a.yaml", noise(11))),
    "an example of 100 MB": (("lint",), large("examples/a.yaml")),
    "an example with deep brackets": (("lint",), at("examples/a.yaml", "[" * 100_000)),
    "a schema of random bytes": (("lint", "test"), at("schemas/a.yaml", noise(12))),
    "a schema of 100 MB": (("lint", "test"), large("schemas/a.yaml")),
    "a test of random bytes": (("test",), at("tests/cases.yaml", b"kind: PromiseTest" + noise(13))),
    "a test of 100 MB": (("test",), large("tests/cases.yaml")),
    "a test of aliases that multiply": (("test",), at("tests/cases.yaml", "kind: PromiseTest\n" + bomb())),
    "a test with deep blocks": (
        ("test",),
        at("tests/cases.yaml", "kind: PromiseTest\n" + "".join(f"{' ' * n}a:\n" for n in range(1500))),
    ),
    "an example that is a link out": (tuple(AUTHORING), link("examples/a.yaml", "../../asked.yaml")),
    "examples that are elsewhere": (tuple(AUTHORING), lambda folder: (folder / "examples").symlink_to("..")),
    "a schema that is a link out": (tuple(AUTHORING), link("schemas/a.yaml", "/etc/hostname")),
    "a test that is a link out": (tuple(AUTHORING), link("tests/a.yaml", "../../asked.yaml")),
    "a request of random bytes": (("render",), at("../asked.yaml", noise(14))),
    "a request of 100 MB": (("render",), large("../asked.yaml")),
    "a request with deep brackets": (("render",), at("../asked.yaml", "{a: " * 100_000)),
    "a request that is a device": (("render",), link("../asked.yaml", "/dev/zero")),
    "a request that is a pipe": (("render",), pipe("../asked.yaml")),
}


@pytest.mark.parametrize(
    ("name", "hostile"),
    [(name, hostile) for hostile, (names, _) in BESIDE.items() for name in names if name in AUTHORING],
)
def test_a_hostile_file_beside_a_promise_is_unusable_input(
    commands: WarmCommands, home: Path, name: str, hostile: str
) -> None:
    BESIDE[hostile][1](home)
    check(command(commands, name, home))


# ---- init

DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
STARTS: Mapping[str, Home] = {
    "random bytes": at("in/a.yaml", noise(21)),
    "a file of 100 MB": large("in/a.yaml"),
    "brackets without an end": at("in/a.yaml", "[" * 100_000),
    "deep blocks": at("in/a.yaml", "".join(f"{' ' * n}a:\n" for n in range(1500))),
    "aliases that multiply": at("in/a.yaml", bomb()),
    "an alias of itself": at("in/a.yaml", "&a [*a]"),
    "a pipe": pipe("in/a.yaml"),
    "a device without an end": link("in/a.yaml", "/dev/zero"),
    "a link to itself": link("in/a.yaml", "a.yaml"),
    "nothing": at("in/a.yaml", ""),
}
MANIFESTS: Mapping[str, Home] = {
    **STARTS,
    "a link out": link("in/a.yaml", "/etc/hostname"),
    "a linked folder": link("in/a", "/etc"),
    "a folder of itself": link("in/a", "."),
    "too much of it": at("in/a.yaml", "---\n".join(DEPLOYMENT for _ in range(20_000))),
    "many small files": many("in", DEPLOYMENT),
    "a name that is a template": at("in/{{ 9 ** 9 }}.yaml", DEPLOYMENT),
    "documents without a kind": at("in/a.yaml", "---\na: b\n" * 1000),
}


@pytest.mark.parametrize("hostile", MANIFESTS)
def test_hostile_manifests_start_no_promise(commands: WarmCommands, tmp_path: Path, hostile: str) -> None:
    MANIFESTS[hostile](tmp_path)
    check(run(commands, "init", "new", "--from-manifests", "in", "--param", "n=*/*:metadata.name", cwd=tmp_path))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("hostile", STARTS)
def test_a_hostile_definition_starts_no_promise(commands: WarmCommands, tmp_path: Path, hostile: str) -> None:
    STARTS[hostile](tmp_path)
    check(run(commands, "init", "new", "--from-crd", "in/a.yaml", cwd=tmp_path))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["."],
        ["/"],
        ["../.."],
        ["x" * 5000],
        ["new/\udcff"],
        ["{{ x }}"],
        ["new", "--field", "a" * 50_000],
        ["new", "--field", "a:string:pattern=" + "(" * 5_000],
        ["new", "--field", "a:string:pattern=^(a{1000}){1000}$:required"],
        ["new", "--field", "a:integer:enum=" + ",".join("9" * 400 for _ in range(50))],
        ["new", "--field", "a:string[]:min=999999999:required"],
        ["new", "--group", "a." * 5000],
        ["new", "--kind", "K" * 5000],
        ["/proc/new"],
    ],
    ids=lambda arguments: " ".join(arguments)[:30].replace("/", "|"),
)
def test_hostile_flags_start_no_promise(commands: WarmCommands, tmp_path: Path, arguments: list[str]) -> None:
    ended = run(commands, "init", *arguments, cwd=tmp_path)
    check(ended)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "schema",
    [
        nested(60),
        exploding(),
        {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "minLength": 10**9}}},
        {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": "array", "minItems": 10**9, "items": {"type": "string"}}},
        },
        {"type": "object", "properties": {f"a{n}": {"type": "string"} for n in range(1500)}},
        {"type": "object", "properties": 7},
        {"type": ["string"]},
        7,
    ],
    ids=["deep", "explodes", "long", "many items", "many fields", "no map", "no type", "a number"],
)
def test_a_definition_that_costs_much_ends_soon(commands: WarmCommands, tmp_path: Path, schema: Any) -> None:
    made = promise("things")["spec"]["api"]
    made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = schema
    at("a.yaml", yaml.safe_dump(made))(tmp_path)
    ended = run(commands, "init", "new", "--from-crd", "a.yaml", cwd=tmp_path)
    assert ended.code in (0, 2), ended
    assert "Traceback" not in ended.errors
    assert ended.seconds < SECONDS, ended
    assert ended.peak < BYTES, ended


# What may be refused, or be fine, but ends soon and without a traceback.
BOUNDED: Mapping[str, list[Home]] = {
    "a deep schema": [with_schema(nested(40))],
    "a pattern that explodes": [with_schema(exploding(minLength=50))],
    "brackets in a template": [templated("{{ " + "[" * 50_000)],
    "an expression that nests": [templated("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}")],
    "a power": [templated("a: {{ 9 ** 9 ** 9 ** 9 }}\n")],
    "ten thousand blocks": [templated("{% if spec.size %}a{% endif %}\n" * 6000)],
    "a rule without an end": [
        with_schema(
            {
                "type": "object",
                "properties": {"a": {"type": "array", "maxItems": 1000, "items": {"type": "integer"}}},
                "x-kubernetes-validations": [
                    {"rule": "self.a.all(x, self.a.all(y, self.a.all(z, self.a.all(w, x + y + z + w >= 0))))"}
                ],
            }
        ),
        at("examples/a.yaml", yaml.safe_dump(request("things", "orders", "team", a=list(range(100))))),
        at("../asked.yaml", yaml.safe_dump(request("things", "orders", "team", a=list(range(100))))),
    ],
}


@pytest.mark.parametrize("hostile", BOUNDED)
@pytest.mark.parametrize("name", AUTHORING)
def test_what_costs_much_ends_soon(commands: WarmCommands, home: Path, name: str, hostile: str) -> None:
    for put in BOUNDED[hostile]:
        put(home)
    ended = command(commands, name, home)
    assert ended.code in (0, 1, 2), ended
    assert "Traceback" not in ended.output + ended.errors
    assert ended.seconds < SECONDS, ended
    assert ended.peak < BYTES, ended
