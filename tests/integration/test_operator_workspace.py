"""Where the operator keeps its clones, and what a killed one leaves of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.operators import OperatorProcess
from tests.platforms import Platform, Repository, condition, git_store
from tests.waiting import eventually
from troth.api.resources import GIT_STATE_STORE
from troth.kube import Client


async def test_an_operator_removes_the_clones_of_one_that_was_killed_and_leaves_none_itself(
    operator: Callable[..., OperatorProcess], client: Client, tmp_path: Path, unique: str
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    repository = Repository(tmp_path / "state.git")
    platform = Platform(client)
    flags = ("--local-stores", tmp_path, "--store-poll", "1")

    def start() -> OperatorProcess:
        return operator(*flags, TMPDIR=str(temporary))

    def clones() -> list[Path]:
        """Those of this test's repository: there may be other stores in the cluster."""
        try:
            configs = [path for path in temporary.rglob("config") if str(repository.path) in path.read_text()]
        except FileNotFoundError:
            return []  # one is being removed while it is looked at
        return sorted(path.parent.parent for path in configs)

    async def one() -> list[Path]:
        return clones() if len(clones()) == 1 else []

    try:
        await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
        killed = start()
        await platform.wait(GIT_STATE_STORE, unique, lambda live: condition(live, "Ready").get("status") == "True")
        before = await eventually(one, "the operator has a clone")
        killed.kill()
        living = start()

        async def another() -> bool:
            return len(clones()) == 1 and clones() != before

        await eventually(another, "the clone of the killed one is gone, and the living one has its own")
        assert living.terminate() == 0
        assert list(temporary.iterdir()) == []
    finally:
        await platform.clean()
