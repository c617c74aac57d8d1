"""Every way to log in, against a real API server."""

from __future__ import annotations

import asyncio
import base64
import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.accounts import SERVICE_ACCOUNT, in_cluster_environ, in_cluster_folder, new_token
from tests.faults import FaultProxy
from troth.api import Resource
from troth.api.resources import CONFIG_MAP
from troth.dev import ControlPlane
from troth.kube import (
    Client,
    ConnectionFailed,
    Credentials,
    CredentialsError,
    Forbidden,
    NotFound,
    Unauthorized,
    from_kubeconfig_dict,
    load_credentials,
)
from troth.kube.kubeconfig import InCluster

pytestmark = pytest.mark.integration

REVIEW = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False)


async def who_am_i(credentials: Credentials) -> str:
    async with Client(credentials, deadline=10.0) as client:
        return await ask_who(client)


async def ask_who(client: Client) -> str:
    review = await client.create(REVIEW, {"apiVersion": REVIEW.api_version, "kind": REVIEW.kind})
    name: str = review["status"]["userInfo"]["username"]
    return name


def admin(control_plane: ControlPlane) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(control_plane.kubeconfig.read_text())
    return document


def with_user(control_plane: ControlPlane, user: Mapping[str, Any], **cluster: Any) -> dict[str, Any]:
    """The administrator's kubeconfig, but with another user."""
    document = admin(control_plane)
    document["users"][0]["user"] = dict(user)
    document["clusters"][0]["cluster"].update(cluster)
    return document


def write(path: Path, document: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(document)))
    return path


def write_plugin(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def exec_section(command: str | Path, **more: Any) -> dict[str, Any]:
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(command),
            "interactiveMode": "Never",
            **more,
        }
    }


def credential(**status: Any) -> str:
    body = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return orjson.dumps(body).decode()


async def test_a_client_certificate_inside_the_kubeconfig(control_plane: ControlPlane) -> None:
    path = control_plane.kubeconfig_for("paula")
    assert await who_am_i(await load_credentials(path)) == "paula"


async def test_client_certificates_in_files_beside_the_kubeconfig(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    document = yaml.safe_load(control_plane.kubeconfig_for("quentin").read_text())
    user, cluster = document["users"][0]["user"], document["clusters"][0]["cluster"]
    for section, field, file in (
        (user, "client-certificate", "client.crt"),
        (user, "client-key", "client.key"),
        (cluster, "certificate-authority", "ca.crt"),
    ):
        (tmp_path / file).write_bytes(base64.b64decode(section.pop(f"{field}-data")))
        section[field] = file
    path = write(tmp_path / "config", document)
    assert await who_am_i(await load_credentials(path)) == "quentin"


async def test_no_key_is_left_in_a_file(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    await load_credentials(control_plane.kubeconfig)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_a_context_is_chosen_by_name(control_plane: ControlPlane, tmp_path: Path) -> None:
    document = admin(control_plane)
    other = yaml.safe_load(control_plane.kubeconfig_for("rosa").read_text())
    document["users"].append({"name": "rosa", "user": other["users"][0]["user"]})
    context = {"cluster": document["clusters"][0]["name"], "user": "rosa"}
    document["contexts"].append({"name": "as-rosa", "context": context})
    path = write(tmp_path / "config", document)
    assert await who_am_i(await load_credentials(path, "as-rosa")) == "rosa"
    with pytest.raises(CredentialsError, match="as-nobody"):
        await load_credentials(path, "as-nobody")


async def test_several_files_are_merged_as_kubectl_does(control_plane: ControlPlane, tmp_path: Path) -> None:
    document = yaml.safe_load(control_plane.kubeconfig_for("sam").read_text())
    users = {"apiVersion": "v1", "kind": "Config", "users": document.pop("users")}
    first, second = write(tmp_path / "first", document), write(tmp_path / "second", users)
    environ = {"KUBECONFIG": f"{first}{os.pathsep}{second}"}
    assert await who_am_i(await load_credentials(environ=environ)) == "sam"


async def test_the_kubeconfig_of_the_home_folder_is_the_last_resort(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    with pytest.raises(CredentialsError, match="KUBECONFIG"):
        await load_credentials(environ={"HOME": str(tmp_path)})
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(control_plane.kubeconfig_for("tom").read_text())
    assert await who_am_i(await load_credentials(environ={"HOME": str(tmp_path)})) == "tom"


async def test_a_bearer_token(control_plane: ControlPlane, client: Client, namespace: str) -> None:
    token = await new_token(client, namespace, "app")
    credentials = await from_kubeconfig_dict(with_user(control_plane, {"token": token}))
    assert await who_am_i(credentials) == f"system:serviceaccount:{namespace}:app"


async def test_an_account_that_may_do_nothing_is_forbidden_and_not_unauthorized(
    control_plane: ControlPlane, client: Client, namespace: str
) -> None:
    token = await new_token(client, namespace, "app")
    credentials = await from_kubeconfig_dict(with_user(control_plane, {"token": token}))
    async with Client(credentials) as poor:
        with pytest.raises(Forbidden, match="configmaps"):
            await poor.list(CONFIG_MAP, namespace)


async def test_a_token_file_that_was_rotated_is_read_again_when_the_old_token_is_refused(
    control_plane: ControlPlane, client: Client, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(await new_token(client, namespace, "first"))
    path = write(tmp_path / "config", with_user(control_plane, {"tokenFile": "token"}))
    async with Client(await load_credentials(path)) as rotating:
        assert await ask_who(rotating) == f"system:serviceaccount:{namespace}:first"
        (tmp_path / "token").write_text(await new_token(client, namespace, "second"))
        await client.delete(SERVICE_ACCOUNT, "first", namespace)  # its tokens end with it

        async def ask() -> str:
            return await ask_who(rotating)

        names = await asyncio.gather(*(ask() for _ in range(8)))
        # The server may remember a token that it has seen for some seconds; then the old name is right.
        assert set(names) <= {f"system:serviceaccount:{namespace}:{name}" for name in ("first", "second")}


async def test_a_rotated_token_is_read_in_time_without_a_refusal(
    control_plane: ControlPlane, client: Client, namespace: str, tmp_path: Path
) -> None:
    account = in_cluster_folder(control_plane, tmp_path, await new_token(client, namespace, "first"))
    now = 0.0
    source = InCluster(in_cluster_environ(control_plane), account)
    credentials = Credentials(source, await source.load(), clock=lambda: now)
    async with Client(credentials) as rotating:
        assert await ask_who(rotating) == f"system:serviceaccount:{namespace}:first"
        (account / "token").write_text(await new_token(client, namespace, "second"))
        assert await ask_who(rotating) == f"system:serviceaccount:{namespace}:first"
        now = 61.0
        assert await ask_who(rotating) == f"system:serviceaccount:{namespace}:second"


async def test_the_account_of_a_pod_that_cannot_be_read_says_where(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    with pytest.raises(CredentialsError, match="token file does not exist"):
        await InCluster(environ, tmp_path).load()


async def test_a_plugin_that_gives_a_token(
    control_plane: ControlPlane, client: Client, namespace: str, tmp_path: Path
) -> None:
    token = await new_token(client, namespace, "app")
    (tmp_path / "answer.json").write_text(credential(token=token))
    write_plugin(tmp_path / "plugin", f'test "$1" = get && test "$COLOR" = blue && cat {tmp_path}/answer.json')
    section = exec_section("./plugin", args=["get"], env=[{"name": "COLOR", "value": "blue"}])
    path = write(tmp_path / "config", with_user(control_plane, section))
    assert await who_am_i(await load_credentials(path)) == f"system:serviceaccount:{namespace}:app"


async def test_a_plugin_that_gives_a_certificate(control_plane: ControlPlane, tmp_path: Path) -> None:
    user = yaml.safe_load(control_plane.kubeconfig_for("ursula").read_text())["users"][0]["user"]
    answer = credential(
        clientCertificateData=base64.b64decode(user["client-certificate-data"]).decode(),
        clientKeyData=base64.b64decode(user["client-key-data"]).decode(),
    )
    (tmp_path / "answer.json").write_text(answer)
    plugin = write_plugin(tmp_path / "plugin", f"cat {tmp_path}/answer.json")
    path = write(tmp_path / "config", with_user(control_plane, exec_section(plugin)))
    assert await who_am_i(await load_credentials(path)) == "ursula"


async def test_a_plugin_is_asked_again_before_its_token_expires_and_after_a_refusal(
    control_plane: ControlPlane, client: Client, namespace: str, tmp_path: Path
) -> None:
    expires = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    answers = [
        credential(token="is-refused", expirationTimestamp=expires),
        credential(token=await new_token(client, namespace, "good"), expirationTimestamp=expires),
    ]
    for number, answer in enumerate(answers):
        (tmp_path / f"answer-{number}").write_text(answer)
    runs = tmp_path / "runs"
    plugin = write_plugin(
        tmp_path / "plugin",
        f"echo run >> {runs}; if test $(wc -l < {runs}) -eq 1; then cat {tmp_path}/answer-0; "
        f"else cat {tmp_path}/answer-1; fi",
    )
    path = write(tmp_path / "config", with_user(control_plane, exec_section(plugin)))
    credentials = await load_credentials(path)
    async with Client(credentials) as behind:
        credentials._loaded -= 10  # as if the first answer were older than a moment
        names = await asyncio.gather(*(ask_who(behind) for _ in range(8)))
        assert set(names) == {f"system:serviceaccount:{namespace}:good"}
        assert runs.read_text().count("run") == 2, "one refusal of many calls asks the plugin once"
        credentials._renew_at = 0.0
        assert await ask_who(behind) == f"system:serviceaccount:{namespace}:good"
        assert runs.read_text().count("run") == 3


async def test_a_refused_token_is_unauthorized(control_plane: ControlPlane) -> None:
    credentials = await from_kubeconfig_dict(with_user(control_plane, {"token": "nonsense"}))
    with pytest.raises(Unauthorized):
        await who_am_i(credentials)


async def test_certificates_that_changed_are_used_on_new_connections(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text(control_plane.kubeconfig_for("vera").read_text())
    credentials = await load_credentials(path)
    async with Client(credentials) as client:
        assert await ask_who(client) == "vera"
        path.write_text(control_plane.kubeconfig_for("walter").read_text())
        credentials._loaded -= 10
        await credentials.refresh()
        assert await ask_who(client) == "walter"


async def test_a_server_that_another_authority_signed_is_not_trusted(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    document = admin(control_plane)
    async with FaultProxy(control_plane.kubeconfig, tmp_path, tls=True) as proxy:
        document["clusters"][0]["cluster"]["server"] = proxy.url
        with pytest.raises(ConnectionFailed, match=r"(?i)certificate") as caught:
            await who_am_i(await from_kubeconfig_dict(document))
        assert caught.value.permanent
        assert await who_am_i(await load_credentials(proxy.kubeconfig)) == "troth-dev-admin"


async def test_the_name_in_the_certificate_may_be_another(control_plane: ControlPlane) -> None:
    document = admin(control_plane)
    cluster = document["clusters"][0]["cluster"]
    cluster["tls-server-name"] = "localhost"
    assert await who_am_i(await from_kubeconfig_dict(document))
    cluster["tls-server-name"] = "elsewhere.example.com"
    with pytest.raises(ConnectionFailed):
        await who_am_i(await from_kubeconfig_dict(document))


async def test_a_server_below_a_path_is_reached(control_plane: ControlPlane, tmp_path: Path) -> None:
    async with FaultProxy(control_plane.kubeconfig, tmp_path) as proxy:
        document = yaml.safe_load(proxy.kubeconfig.read_text())
        document["clusters"][0]["cluster"]["server"] = f"{proxy.url}/clusters/one/"
        async with Client(await from_kubeconfig_dict(document)) as client:
            with pytest.raises(NotFound):
                await client.version()
        assert proxy.seen[-1] == ("GET", "/clusters/one/version")
