"""A step of the demo that did not happen is a failure, and the failure says what was expected."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

import troth.dev.demo
from troth.cli import main
from troth.dev.demo import DemoFailed
from troth.dev.demo.commands import Commands
from troth.dev.demo.evidence import Branch, Journal, wait_for
from troth.dev.demo.stage import Stage
from troth.dev.git_server import create_repository, git
from troth.dev.progress import Progress

SEED = Path(__file__).parents[2] / "data" / "seed-promise.yaml"


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def commands(tmp_path: Path, shown: list[str]) -> Commands:
    def announce(words: Sequence[str]) -> None:
        shown.append("$ " + " ".join(words))

    return Commands(
        folder=tmp_path,
        environment={"GIT_DIR": "elsewhere"},
        progress=Progress(),
        announce=announce,
        show=shown.append,
    )


def _python(program: str) -> tuple[str, str, str]:
    return (sys.executable, "-c", program)


def test_a_command_is_shown_before_its_output(commands: Commands, shown: list[str]) -> None:
    said = commands.run(*_python("print(1 + 1)"))
    assert said == "2\n"
    assert shown == [f"$ {sys.executable} -c 'print(1 + 1)'", "2\n"]


def test_a_pipe_feeds_each_command_with_what_the_one_before_said(commands: Commands, shown: list[str]) -> None:
    said = commands.run(
        *_python("print('a')"), feeding=[_python("print(input() * 3)"), _python("print(input() + 'b')")]
    )
    assert said == "aaab\n"
    assert shown[0].count(" | ") == 2


def test_troth_is_the_one_that_runs_the_demo(commands: Commands, shown: list[str]) -> None:
    assert commands.run("troth", "--version").startswith("troth")
    assert shown[0] == "$ troth --version"


def test_quotes_are_where_people_put_them(commands: Commands, shown: list[str]) -> None:
    commands.run(*_python("pass"), "--for=jsonpath={.a}=b", "--all", '{"a":1}')
    assert shown[0].endswith("""--for=jsonpath='{.a}'=b --all '{"a":1}'""")


def test_a_surrounding_git_does_not_reach_the_commands(commands: Commands) -> None:
    assert commands.run(*_python("import os; print(os.environ.get('GIT_DIR'))")) == "None\n"


@pytest.mark.parametrize("feeding", [(), (_python("input()"),)])
def test_a_command_that_fails_ends_the_demo_with_what_it_said(
    commands: Commands, feeding: tuple[tuple[str, ...], ...]
) -> None:
    with pytest.raises(DemoFailed, match=r"should have ended with code 0, not 3: (.|\n)*\nno luck$"):
        commands.run(*_python("import sys; print('no luck', file=sys.stderr); sys.exit(3)"), feeding=feeding)


def test_a_command_that_was_to_be_refused_and_is_not_ends_the_demo(commands: Commands) -> None:
    with pytest.raises(DemoFailed, match="should have ended with another code than 0, not 0"):
        commands.run(*_python("pass"), refused=True)
    assert commands.run(*_python("import sys; sys.exit('refused')"), refused=True) == "refused\n"


def test_a_missing_program_is_named(commands: Commands) -> None:
    with pytest.raises(DemoFailed, match="no-such-program cannot be run: No such file or directory"):
        commands.run("no-such-program", "--help")


def test_waiting_ends_and_says_for_what() -> None:
    with pytest.raises(DemoFailed, match="waited 0 s in vain for better times"):
        wait_for("better times", lambda: None, check=lambda: None, within=0.0)


def test_waiting_ends_when_it_is_in_vain() -> None:
    def check() -> None:
        raise DemoFailed("the operator has ended")

    with pytest.raises(DemoFailed, match="the operator has ended"):
        wait_for("better times", lambda: None, check=check)


def test_a_branch_remembers_when_it_got_a_commit(tmp_path: Path) -> None:
    path = tmp_path / "a.git"
    create_repository(path)
    with Branch(path) as branch:
        first = branch.head
        tree = git(path, "rev-parse", "main^{tree}").decode().strip()
        second = git(path, "commit-tree", tree, "-p", first, "-m", "x").decode().strip()
        with pytest.raises(DemoFailed, match="never had the commit"):
            branch.arrival(second)
        git(path, "update-ref", "refs/heads/main", second)
        assert branch.arrival(second) >= branch.arrival(first)
        assert branch.arrival_of_file("README.md") == branch.arrival(first)
        assert branch.changed(first, second) == []


def test_the_journal_tells_kubectl_and_the_operator_apart(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.touch()
    journal = Journal(path)
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    agents = ["kubectl/v1.36.3 (linux/amd64)", "troth", "troth-dev", "troth"]
    with path.open("w") as file:
        for second, agent in enumerate(agents):
            event = {
                "verb": "patch",
                "userAgent": agent,
                "requestURI": "/",
                "objectRef": {"resource": "promises", "name": "one"},
                "responseStatus": {"code": 200},
                "stageTimestamp": f"2026-01-01T00:00:0{second}.000000Z",
            }
            file.write(json.dumps(event) + "\n")
    assert journal.asked("promises", "one", start) == start
    assert journal.first_answer("promises", "one", start) == start + 1
    assert journal.last_answer("promises", "one", start) == start + 3


def test_the_demo_shows_the_seed_unmodified() -> None:
    shipped = Path(troth.dev.demo.__file__).with_name("files") / "seed-promise.yaml"
    assert shipped.read_bytes() == SEED.read_bytes()


@pytest.fixture
def signals() -> Iterator[None]:
    """The command answers to signals in its own way; afterwards they are pytest's again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_failure_ends_the_command_with_1_and_the_end_of_the_operators_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Failing:
        def __init__(self, *_: object) -> None:
            pass

        def run(self) -> None:
            raise DemoFailed("waited 30 s in vain for a commit")

    monkeypatch.setattr(troth.dev.demo, "Tour", Failing)
    monkeypatch.setattr(Stage, "operator_log", "pushing was refused")
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 1
    assert "troth demo: waited 30 s in vain for a commit" in result.output
    assert "The operator said last:\npushing was refused" in result.output
