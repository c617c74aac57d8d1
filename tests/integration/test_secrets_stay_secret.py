"""Broken Secrets of stores, in a running operator: neither its log nor a condition nor an Event quotes them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.operators import OperatorProcess
from tests.platforms import Platform, events_of
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import GIT_STATE_STORE, KUBERNETES_STATE_STORE, SECRET
from troth.kube import Client


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    platform = Platform(client)
    yield platform
    await platform.clean()


KUBECONFIG = """\
current-context: c
contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
clusters: [{{name: k, cluster: {{server: 'https://127.0.0.1:1', certificate-authority-data: {ca}}}}}]
users: [{{name: u, user: {{token: {token}, client-key-data: {key}}}}}]
"""


def kubeconfig(*, ca: str = "YQ==", token: str = "t", key: str = "YQ==") -> dict[str, str]:
    return {"kubeconfig": KUBECONFIG.format(ca=ca, token=token, key=key)}


def marker(number: int) -> str:
    return f"Xq7Marker{number:02}vL2pTz0"


def shapes(text: str) -> set[str]:
    """As it is, backwards, in base64 at any offset, and cut short."""
    encoded = {base64.b64encode(b" " * shift + text.encode()).decode()[4:16] for shift in range(3)}
    return {text[:12], text[::-1][:12], *encoded}


def broken() -> list[tuple[Resource, Mapping[str, Any], Mapping[str, str]]]:
    """A store's kind, its spec and its Secret, each with a marker of its own."""
    forms = ["!{}", "!!float {}", "!!int {}", "*{}", "[{}]", "'{}", "{{{0}: 1, {0}: 2}}", '"{}\\nx"']
    kubeconfigs = [kubeconfig(token=form.format(marker(number))) for number, form in enumerate(forms)]
    kubeconfigs += [
        kubeconfig(ca=marker(8) + "!"),
        kubeconfig(key=f"[{marker(9)}]"),
        {"kubeconfig": f"kind: {marker(10)}"},
        {"kubeconfig": f"current-context: {marker(11)}"},
        {"kubeconfig": marker(12)},
        {"kubeconfig": kubeconfig()["kubeconfig"].replace("//", f"//a:{marker(13)}@b@")},
    ]
    found: list[tuple[Resource, Mapping[str, Any], Mapping[str, str]]] = [
        (KUBERNETES_STATE_STORE, {}, secret) for secret in kubeconfigs
    ]
    ssh, https = {"url": "ssh://git@127.0.0.1:1/a", "authMethod": "ssh"}, {"url": "https://127.0.0.1:1/a"}
    found += [
        (GIT_STATE_STORE, ssh, {"sshPrivateKey": marker(14), "knownHosts": "x"}),
        (GIT_STATE_STORE, ssh, {"sshPrivateKey": "x", "knownHosts": f"@{marker(15)}"}),
        (GIT_STATE_STORE, ssh, {"sshPrivateKey": f"-----BEGIN {marker(16)}-----\nx"}),
        (GIT_STATE_STORE, https, {"username": "a", "password": marker(17)}),
        (GIT_STATE_STORE, https, {"username": f"a\n{marker(18)}", "password": "x"}),
        (GIT_STATE_STORE, https, {"username": "a", "password": "x", "ca.crt": marker(19)}),
    ]
    return found


async def test_no_broken_secret_of_a_store_is_quoted_in_the_log_a_condition_or_an_event(
    operator: Callable[..., OperatorProcess], platform: Platform, client: Client, namespace: str, tmp_path: Path
) -> None:
    stores = []
    for number, (resource, spec, secret) in enumerate(broken()):
        name = f"{namespace}-{number}"
        data = {key: base64.b64encode(value.encode()).decode() for key, value in secret.items()}
        metadata = {"name": name, "namespace": namespace}
        await client.apply(SECRET, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
        reference = {"secretRef": {"name": name, "namespace": namespace}}
        store = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name},
            "spec": {**spec, **reference},
        }
        stores.append((resource, await platform.make(resource, store)))
    running = await asyncio.to_thread(operator, "--local-stores", tmp_path, TMPDIR=str(tmp_path))
    said: list[str] = []

    async def told() -> bool:
        said.clear()
        for resource, store in stores:
            live = await client.get(resource, store["metadata"]["name"])
            events = await events_of(client, live)
            if (live.get("status") or {}).get("status") != "NotReady" or not events:
                return False
            said.extend([str(live["status"]), *(str(event) for event in events)])
        return True

    await eventually(told, "every store says what is wrong with it", within=60, every=0.5)
    text = "\n".join([*said, running.text()])
    assert not [shape for number in range(20) for shape in shapes(marker(number)) if shape in text]
