"""Events on a real API server, as people see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from troth.api.resources import CONFIG_MAP, EVENT
from troth.dev import CommandResult, ControlPlane
from troth.kube import Client, EventRecorder, ObjectReference, load_credentials

pytestmark = pytest.mark.integration


async def test_kubectl_describe_shows_an_event_once_with_its_count(
    client: Client, namespace: str, kubectl: Callable[..., Awaitable[CommandResult]]
) -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "orders", "namespace": namespace}}
    made = await client.create(CONFIG_MAP, obj)
    events = EventRecorder(client, instance="test")
    regarding = ObjectReference("v1", "ConfigMap", "orders", namespace, made["metadata"]["uid"])
    for _ in range(3):
        events.record(
            regarding,
            type="Warning",
            reason="PipelineFailed",
            message="cluster.yaml:12: no such size",
            action="Render",
        )
        await events.flush()
    (event,) = (await client.list(EVENT, namespace)).items
    assert event["series"]["count"] == 3
    seen = await kubectl("get", "events", "-n", namespace)
    assert seen.stdout.count("PipelineFailed") == 1
    described = await kubectl("describe", "configmap", "orders", "-n", namespace)
    assert "cluster.yaml:12: no such size" in described.stdout
    assert "x3" in described.stdout


async def test_an_event_of_an_object_without_a_namespace_is_found(
    client: Client, unique: str, kubectl: Callable[..., Awaitable[CommandResult]]
) -> None:
    events = EventRecorder(client, instance="test")
    regarding = {"apiVersion": "platform.kratix.io/v1alpha1", "kind": "Promise", "name": unique, "uid": unique}
    events.record(regarding, type="Normal", reason="Available", message="the API is served", action="Install")
    await events.flush()
    seen = await kubectl("get", "events", "-n", "default", "--field-selector", f"involvedObject.name={unique}")
    assert "the API is served" in seen.stdout


async def test_who_may_not_write_events_is_not_disturbed_and_says_so_once(
    control_plane: ControlPlane, client: Client, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "troth.kube.events")
    path = control_plane.kubeconfig_for("powerless")
    async with Client(await load_credentials(path)) as poor:
        events = EventRecorder(poor, instance="test")
        regarding = ObjectReference("v1", "ConfigMap", "orders", namespace)
        for message in ("hello", "again"):
            events.record(regarding, type="Normal", reason="Tested", message=message, action="Test")
        await events.flush()
    assert (await client.list(EVENT, namespace)).items == []
    told = [entry for entry in caplog.records if entry.name == "troth.kube.events"]
    assert [entry.levelname for entry in told] == ["DEBUG", "WARNING", "DEBUG"]
    assert "Events cannot be written" in told[1].getMessage()
    assert "forbidden" in told[1].getMessage()
