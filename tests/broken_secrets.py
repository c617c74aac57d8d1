"""Secrets of stores that are wrong in all possible ways, each with a marker that must not appear anywhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from troth.api import Resource
from troth.api.resources import GIT_STATE_STORE, KUBERNETES_STATE_STORE

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
    """The forms in which a text might appear: unchanged, backwards, in base64 at any offset, and cut short."""
    encoded = {base64.b64encode(b" " * shift + text.encode()).decode()[4:16] for shift in range(3)}
    return {text[:12], text[::-1][:12], *encoded}


def broken() -> list[tuple[Resource, Mapping[str, Any], Mapping[str, str]]]:
    """Stores with broken Secrets: the kind, the spec and the Secret, each with a different marker."""
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
