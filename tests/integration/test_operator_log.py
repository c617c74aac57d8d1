"""The log of an outage, read by somebody at night: one line when a store goes, one when it is back, and who is well."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.operators import OperatorProcess
from tests.platforms import (
    Platform,
    Repository,
    api_of,
    condition,
    destination,
    git_store,
    placements,
    promise,
)
from tests.waiting import eventually
from troth.api.resources import DESTINATION, GIT_STATE_STORE
from troth.dev import ControlPlane
from troth.kube import Client

DOCS = Path(__file__).parents[2] / "docs"
REQUESTS = [f"order-{number}" for number in range(6)]


async def test_an_outage_of_a_store_is_one_line_and_nobody_is_called_well_before_it_is_over(
    client: Client,
    operator: Callable[..., OperatorProcess],
    control_plane: ControlPlane,
    tmp_path: Path,
    namespace: str,
    unique: str,
) -> None:
    running = operator(
        "--local-stores", tmp_path, "--store-poll", "1", "--failing-store-poll", "0.5", "--log-format", "plain"
    )
    repository = Repository(tmp_path / "repository.git")
    platform = Platform(client)
    try:
        await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
        await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
        await platform.publish(promise(unique))
        for name in REQUESTS:
            await platform.ask(unique, name, namespace, size="small")
        for name in REQUESTS:
            live = await platform.ready(unique, name, namespace)
            line = f"{unique}s.{unique}.example.com/{namespace}/{name}: Written to {unique} "
            line += f"({placements(live)[0]['version'][:12]})"
            await logged(running, line)
        assert ready_counts(running, unique) == {("True", "Reconciled"): len(REQUESTS)}
        before = len(running.text())
        away = repository.path.rename(tmp_path / "away.git")
        for name in REQUESTS:
            await platform.ask(unique, name, namespace, size="large")
        for name in REQUESTS:
            await platform.wait(
                api_of(unique),
                name,
                lambda live: condition(live, "Ready").get("reason") == "WorksFailing",
                namespace=namespace,
            )
        during = running.text()[before:]
        assert "succeeded again" not in during, during
        assert len(re.findall(f"{unique}.*not ready", during)) == 1, during
        assert "trying again" not in during, during
        counts = ready_counts(running, unique)
        assert counts == {("False", "WorksFailing"): len(REQUESTS)}
        before = len(running.text())
        away.rename(repository.path)
        for name in REQUESTS:
            await platform.ready(unique, name, namespace)

        def told() -> bool:
            after = running.text()[before:]
            return all(f"/{name}: Written to {unique}" in after for name in REQUESTS)

        await eventually(told, "the log names each request that is well again")
        assert len(re.findall(f"gitstatestores.platform.kratix.io/{unique}: ready", running.text()[before:])) == 1
    finally:
        await platform.clean()


async def test_missing_definitions_are_told_once_with_what_to_do(
    operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    with ControlPlane() as bare:
        running = operator("--workspace", tmp_path, kubeconfig=bare.kubeconfig, wait=False)
        await logged(running, "install the CRDs")
        await eventually(
            lambda: "not listed yet" in running.get("/readyz")[1], "the probe says what is missing", within=30
        )
        assert running.text().count("install the CRDs") == 1
        running.end()


async def logged(running: OperatorProcess, line: str) -> None:
    """Waits until the operator has logged a line."""
    await eventually(lambda: line in running.text(), f"the log says {line}", within=60)


def ready_counts(running: OperatorProcess, unique: str) -> dict[tuple[str, str], int]:
    """The metric ``troth_ready`` of the Promise's API."""
    pattern = rf'^troth_ready{{kind="{unique}s\.[^"]*",ready="(\w+)",reason="(\w*)"}} (\d+)'
    return {
        (status, reason): int(count)
        for status, reason, count in re.findall(pattern, running.metrics(), re.MULTILINE)
    }


async def test_the_alerts_of_the_docs_ask_for_metrics_and_labels_that_there_are(
    client: Client, operator: Callable[..., OperatorProcess], tmp_path: Path, unique: str
) -> None:
    running = operator("--local-stores", tmp_path, "--store-poll", "1")
    platform = Platform(client)
    try:
        await platform.make(GIT_STATE_STORE, git_store(unique, str(tmp_path / "nowhere.git")))
        await platform.wait(
            GIT_STATE_STORE, unique, lambda live: condition(live, "Ready").get("status") == "False"
        )

        def exposed() -> str:
            text = running.metrics()
            return text if 'troth_ready{kind="gitstatestores.platform.kratix.io",ready="False"' in text else ""

        text = await eventually(exposed, "the metrics tell of the store")
    finally:
        await platform.clean()
    page = (DOCS / "how-to" / "run-the-operator.md").read_text()
    block = re.search(r"<!-- foreign: alerts -->\n```yaml\n(.*?)```", page, re.DOTALL)
    assert block
    rules: list[dict[str, Any]] = yaml.safe_load(block[1])["groups"][0]["rules"]
    for rule in rules:
        metrics = re.findall(r"\btroth_\w+", rule["expr"])
        assert metrics
        for metric in metrics:
            assert re.search(rf"^{metric}[ {{]", text, re.MULTILINE), f"{metric} is not among the metrics"
        for label in re.findall(r"(\w+)(?:=~|!~|!=|=)\"", rule["expr"]):
            assert re.search(rf'^troth_ready{{.*\b{label}="', text, re.MULTILINE), f"there is no label {label}"
        for labels in re.findall(r"by \((.*?)\)", rule["expr"]):
            for label in labels.split(", "):
                assert re.search(rf'^{metrics[0]}{{.*\b{label}="', text, re.MULTILINE), rule
