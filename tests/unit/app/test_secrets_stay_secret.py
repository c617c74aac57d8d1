"""Whatever is broken in the Secret of a store, the message says where, and holds nothing of what stands there."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from troth.app.secret_kubeconfig import read_kubeconfig
from troth.kube import Client, from_kubeconfig_dict
from troth.kube.errors import without_login
from troth.stores import StoreEnvironment, StoreError, open_writer
from troth.stores.git_command import Scrubber
from troth.stores.git_remote import BasicAuth, SshKey, open_remote
from troth.stores.kubernetes_client import KubernetesClient

MARKER = "Xq7MARKER9vL2pTz0"
WHOLE = """\
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u, namespace: n}}]
clusters: [{name: k, cluster: {server: 'https://127.0.0.1:1', proxy-url: 'http://127.0.0.1:1', \
certificate-authority-data: YQ==, tls-server-name: h}}]
users: [{name: u, user: {token: t, client-certificate-data: YQ==, client-key-data: YQ==}}]
"""
BROKEN = ["!{0}", "!!float {0}", "!!int {0}", "'{0}", '"{0}\\q"', "*{0}", "[{0}", "{{{0}: 1, {0}: 2}}", "[{0}]", "{0}",
          "!!binary {0}", "'{0}\\n'", '"{0}\\nx"', '"{0}é"', "&a {0} {0}", "@{0}"]  # fmt: skip
PLACES = ["kind: Config", "current-context: c", "contexts: [{name: c", "cluster: k,", "user: u,", "namespace: n",
          "name: k", "server: 'https://127.0.0.1:1'", "proxy-url: 'http://127.0.0.1:1'", "tls-server-name: h",
          "certificate-authority-data: YQ==", "name: u", "token: t", "client-certificate-data: YQ==",
          "client-key-data: YQ=="]  # fmt: skip


def shapes(marker: str) -> set[str]:
    """How a marker may be repeated: as it is, backwards, in base64 at any offset, and cut short."""
    encoded = {base64.b64encode(b" " * shift + marker.encode()).decode()[4:16] for shift in range(3)}
    return {marker[:12], marker[::-1][:12], *encoded}


def kubeconfigs() -> Iterator[str]:
    for place in PLACES:
        start, _, value = place.rpartition(" ")
        end = "," if value.endswith(",") else ""
        for form in BROKEN:
            yield WHOLE.replace(place, f"{start} {form.format(MARKER)}{end}", 1)
    yield WHOLE.replace("token: t", f"username: {MARKER}, password: [{MARKER}]")
    yield WHOLE.replace("https://127", f"https://a:{MARKER}@x@127")
    yield WHOLE.replace("https://127", f"http://a:{MARKER}/@127")
    yield WHOLE.replace("http://127", f"http://a:{MARKER}@x@127")
    yield WHOLE.replace("token: t", f"exec: {{command: {MARKER}}}")
    yield WHOLE.replace("token: t", f"auth-provider: {{name: {MARKER}}}")
    yield WHOLE.replace("token: t", f"tokenFile: /{MARKER}")
    yield MARKER
    yield f"- {MARKER}"
    yield f"{MARKER}: {MARKER}\n{MARKER}: 1"
    yield "x: &a [" + MARKER + "]\n" + "y: [" + "*a," * 20_000 + "]"
    yield "[" * 5000 + MARKER


async def connect(kubeconfig: bytes) -> KubernetesClient:
    return cast("KubernetesClient", Client(await from_kubeconfig_dict(read_kubeconfig(kubeconfig))))


def environment(tmp_path: Path) -> StoreEnvironment:
    return StoreEnvironment(
        workspace=tmp_path, local_root=None, cluster=cast("KubernetesClient", None), connect=connect,
        parse=lambda _: [], surroundings={},
    )  # fmt: skip


async def what_is_said(kind: str, spec: Mapping[str, Any], secret: Mapping[str, bytes], where: Path) -> str:
    try:
        writer = await open_writer(kind, "s", spec, secret, environment(where))
    except StoreError as error:
        return f"{error} {error.hint} {error.__cause__} {error!r}"
    try:
        await writer.check()
    except StoreError as error:
        return str(error)
    finally:
        await writer.close()
    return ""


async def test_no_broken_kubeconfig_is_quoted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reference = {"secretRef": {"name": "s", "namespace": "d"}}
    told = 0
    for text in kubeconfigs():
        said = ""
        try:
            await open_writer(
                "KubernetesStateStore", "s", reference, {"kubeconfig": text.encode()}, environment(tmp_path)
            )
        except StoreError as error:
            said = f"{error} {error.__cause__}"
            told += 1
            assert "the key kubeconfig of the Secret d/s" in said
        assert not [shape for shape in shapes(MARKER) if shape in said + caplog.text], (text, said)
    assert told > 150


async def test_what_is_wrong_in_a_kubeconfig_is_told_by_its_line(tmp_path: Path) -> None:
    text = WHOLE.replace("token: t", f"token: !{MARKER}")
    said = await what_is_said(
        "KubernetesStateStore", {"secretRef": {"name": "s"}}, {"kubeconfig": text.encode()}, tmp_path
    )
    assert "see its line 6" in said


@pytest.mark.parametrize("server", ["http://example.com", "http://10.0.0.1:8080"])
async def test_a_token_out_of_a_secret_does_not_travel_in_the_clear(tmp_path: Path, server: str) -> None:
    text = "\n".join(
        ["current-context: c", "contexts: [{name: c, context: {cluster: k, user: u}}]",
         f"clusters: [{{name: k, cluster: {{server: '{server}'}}}}]", "users: [{name: u, user: {token: t}}]"]
    )  # fmt: skip
    said = await what_is_said(
        "KubernetesStateStore", {"secretRef": {"name": "s"}}, {"kubeconfig": text.encode()}, tmp_path
    )
    assert "unencrypted" in said


@pytest.mark.parametrize(
    ("method", "url", "secret"),
    [
        ("ssh", "ssh://git@127.0.0.1:1/a", {"sshPrivateKey": MARKER, "knownHosts": MARKER}),
        ("ssh", "ssh://git@127.0.0.1:1/a", {"sshPrivateKey": MARKER + "\xff", "knownHosts": f"@{MARKER} x"}),
        ("ssh", f"ssh://git:{MARKER}@127.0.0.1:1/a", {"sshPrivateKey": "k", "knownHosts": MARKER}),
        ("basicAuth", "https://127.0.0.1:1/a", {"username": MARKER, "password": MARKER}),
        ("basicAuth", "https://127.0.0.1:1/a", {"username": f"a\n{MARKER}", "password": f"{MARKER}\nb: c"}),
        ("basicAuth", "https://127.0.0.1:1/a", {"username": "a", "password": MARKER, "ca.crt": MARKER}),
        ("basicAuth", f"https://a:{MARKER}@b@127.0.0.1:1/a", {"ca.crt": MARKER}),
        ("basicAuth", f"https://a:{MARKER}/b@127.0.0.1:1/a", {"ca.crt": MARKER}),
        ("basicAuth", f"http://a:{MARKER}@example.com/a", {"ca.crt": MARKER}),
        ("basicAuth", f"ftp://a:x@{MARKER}@example.com/a", {"ca.crt": MARKER}),
    ],
)
async def test_no_broken_git_secret_is_quoted(
    tmp_path: Path, method: str, url: str, secret: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    spec = {"url": url, "authMethod": method, "secretRef": {"name": "s", "namespace": "d"}}
    content = {key: value.encode("latin-1") for key, value in secret.items()}
    said = await what_is_said("GitStateStore", spec, content, tmp_path)
    assert said
    assert not [shape for shape in shapes(MARKER) if shape in said + caplog.text], said


def test_what_a_server_repeats_of_a_key_or_a_login_is_taken_out() -> None:
    key = SshKey(f"-----BEGIN-----\n{MARKER}\n-----END-----", f"host ssh-rsa {MARKER}")
    scrub = Scrubber(open_remote("ssh://git@example.com/a", key).secrets())
    assert MARKER not in scrub(f"remote: {MARKER}")
    assert MARKER not in Scrubber(open_remote("https://h/a", BasicAuth("u", "pp")).secrets())(
        f"https://a:b@{MARKER}@h"
    )


def test_a_login_in_an_address_is_not_shown_whatever_it_holds() -> None:
    said = without_login("407, url='http://a:b@c@proxy:1/x' and https://d@e:f")
    assert said == "407, url='http://proxy:1/x' and https://e:f"
