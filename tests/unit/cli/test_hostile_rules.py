"""CEL rules that hardly ever end, and those that take long: every command is done with them soon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.platforms import promise, request
from tests.unit.cli.test_hostile_input import AUTHORING, BYTES, SECONDS, Ended, check, run
from tests.warm_commands import WarmCommands

REQUESTS = 12
ENDLESS = "self.a.all(x, self.a.all(y, self.a.all(z, self.a.all(w, x + y + z + w >= 0))))"
# An API server takes it: a hundred thousand comparisons at the most are not too many for it.
LONG = "self.a.all(x, self.a.all(y, x <= y || y <= x))"


def api(rule: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = promise("things")["spec"]["api"]
    made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = {
        "type": "object",
        "properties": {"a": {"type": "array", "maxItems": 300, "items": {"type": "integer"}, **more}},
        "x-kubernetes-validations": [{"rule": rule}],
    }
    return made


def home(folder: Path, rule: str, **more: Any) -> Path:
    """A Promise with that rule, as many cases, and as many requests beside it, as one can wait for."""
    numbers = list(range(300))
    (folder / "things" / "tests").mkdir(parents=True)
    (folder / "asked").mkdir()
    made = promise("things")
    made["spec"]["api"] = api(rule, **more)
    (folder / "things" / "promise.yaml").write_text(yaml.safe_dump(made))
    cases = [
        {"name": f"case {n}", "request": {"spec": {"a": numbers}}, "expect": {"files": []}}
        for n in range(REQUESTS)
    ]
    suite = {"apiVersion": "troth.dev/v1alpha1", "kind": "PromiseTest", "metadata": {"name": "a"}}
    (folder / "things" / "tests" / "cases.yaml").write_text(yaml.safe_dump({**suite, "spec": {"cases": cases}}))
    for number in range(REQUESTS):
        asked = request("things", f"orders-{number}", "team", a=numbers)
        (folder / "asked" / f"{number}.yaml").write_text(yaml.safe_dump(asked))
    return folder / "things"


def command(commands: WarmCommands, name: str, folder: Path) -> Ended:
    more: list[str | Path] = ["-f", folder.parent / "asked"] if name == "render" else []
    return run(commands, name, folder, *more, cwd=folder.parent)


@pytest.mark.parametrize("name", AUTHORING)
def test_a_rule_without_an_end_ends_each_command(commands: WarmCommands, tmp_path: Path, name: str) -> None:
    ended = command(commands, name, home(tmp_path, ENDLESS))
    check(ended)
    for said in ("promise.yaml:", "x-kubernetes-validations[0].rule", ENDLESS, "an API server refuses"):
        assert said in ended.errors


@pytest.mark.parametrize("default", [None, list(range(300))])
def test_a_definition_with_a_rule_without_an_end_starts_no_promise(
    commands: WarmCommands, tmp_path: Path, default: Any
) -> None:
    (tmp_path / "crd.yaml").write_text(yaml.safe_dump(api(ENDLESS, minItems=200, default=default)))
    ended = run(commands, "init", "new", "--from-crd", "crd.yaml", cwd=tmp_path)
    check(ended)
    for said in ("crd.yaml:", "x-kubernetes-validations[0].rule", ENDLESS, "an API server refuses"):
        assert said in ended.errors
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", AUTHORING)
def test_a_rule_that_takes_long_is_given_up_for_all_requests_together(
    commands: WarmCommands, tmp_path: Path, name: str
) -> None:
    ended = command(commands, name, home(tmp_path, LONG))
    assert ended.code in (0, 1), ended
    assert "Traceback" not in ended.output + ended.errors
    assert ended.seconds < SECONDS, ended
    assert ended.peak < BYTES, ended
    if name in ("render", "test"):
        assert "too many steps" in ended.output + ended.errors
