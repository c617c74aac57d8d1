"""What a kubeconfig may not do, and what a person reads when it cannot be used."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from troth.kube import CredentialsError, from_kubeconfig_dict, load_credentials
from troth.kube.exec_plugin import run_exec_plugin

SECRET = "s3cr3t-t0k3n"


def kubeconfig(user: dict[str, Any], **cluster: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }


async def authorization(document: dict[str, Any]) -> str:
    credentials = await from_kubeconfig_dict(document)
    return (await credentials.headers()).get("Authorization", "")


async def test_a_token_becomes_a_bearer_header() -> None:
    assert await authorization(kubeconfig({"token": SECRET})) == f"Bearer {SECRET}"


async def test_a_name_and_a_password_become_a_basic_header() -> None:
    header = await authorization(kubeconfig({"username": "ann", "password": "p:w"}))
    assert header == "Basic " + base64.b64encode(b"ann:p:w").decode()


async def test_no_user_is_nobody() -> None:
    assert await authorization(kubeconfig({})) == ""


@pytest.mark.parametrize(
    "document",
    [
        kubeconfig({"exec": {"command": "/bin/true", "apiVersion": "client.authentication.k8s.io/v1"}}),
        kubeconfig({"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/true"}}}),
        kubeconfig({"tokenFile": "/etc/passwd"}),
        kubeconfig({"client-certificate": "/etc/passwd"}),
        kubeconfig({"client-key": "/etc/passwd"}),
        kubeconfig({}, **{"certificate-authority": "/etc/passwd"}),
        kubeconfig({}, **{"insecure-skip-tls-verify": True}),
    ],
)
async def test_a_kubeconfig_out_of_a_secret_may_not_touch_this_machine(document: dict[str, Any]) -> None:
    with pytest.raises(CredentialsError, match="from a Secret must not"):
        await from_kubeconfig_dict(document)


async def test_a_trusted_document_may_name_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    credentials = await from_kubeconfig_dict(kubeconfig({"tokenFile": str(tmp_path / "token")}), trusted=True)
    assert (await credentials.headers())["Authorization"] == f"Bearer {SECRET}"


async def test_the_document_is_left_as_it_was() -> None:
    document = kubeconfig({"token": SECRET})
    before = yaml.safe_dump(document)
    await from_kubeconfig_dict(document)
    assert yaml.safe_dump(document) == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"users:\n- user: {{token: {SECRET}\n", "not YAML, see line"),
        (f"token: {SECRET}\n", "does not name a current-context: it has no context at all"),
        ("contexts: 5\ncurrent-context: c\n", "contexts is a number, and must be a list"),
        (
            yaml.safe_dump(kubeconfig({"token": SECRET}) | {"clusters": []}),
            "has no cluster 'c', which its context",
        ),
        (yaml.safe_dump(kubeconfig({"token": SECRET}) | {"users": []}), "no user 'u'"),
        (yaml.safe_dump(kubeconfig({"token": SECRET}, server="")), "does not name a server"),
        (yaml.safe_dump(kubeconfig({"client-key-data": "abc", "token": SECRET})), "base64"),
    ],
)
async def test_what_cannot_be_used_is_named_without_its_secrets(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(CredentialsError, match=says) as caught:
        await load_credentials(path)
    assert SECRET not in str(caught.value)
    assert str(path) in str(caught.value) or "base64" in says


NOT_KUBECONFIGS = {
    "": "is empty",
    "# nothing\n": "is empty",
    "~\n": "is empty",
    "- a\n": "is a list and not a kubeconfig",
    "hello\n": "is a text and not a kubeconfig",
    "3\n": "is a number and not a kubeconfig",
    "\0": "is not YAML",
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n": "holds a Pod and not a kubeconfig",
    "kind: [a]\n": "holds a manifest and not a kubeconfig",
}
CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"current-context": None}, "does not name a current-context: it has c"),
    ({"current-context": ""}, "does not name a current-context: it has c"),
    ({"current-context": "z"}, "has no context 'z': it has c"),
    ({"current-context": ["c"]}, "current-context is a list"),
    ({"contexts": None}, "has no context 'c': it has no context at all"),
    ({"contexts": {"c": 1}}, "contexts is a map, and must be a list"),
    ({"contexts": [None]}, "contexts\\[0\\] is missing, and must be a map"),
    ({"contexts": [{"context": {}}]}, "contexts\\[0\\].name is missing"),
    ({"contexts": [{"name": "c"}]}, "its context 'c' is empty"),
    ({"contexts": [{"name": "c", "context": "x"}]}, "contexts\\[0\\].context is a text, and must be a map"),
    ({"contexts": [{"name": "c", "context": {"user": "u"}}]}, "its context 'c' does not name a cluster"),
    ({"contexts": [{"name": "c", "context": {"cluster": 3}}]}, "context.cluster is a number"),
    ({"contexts": [{"name": "c", "context": {"cluster": "z"}}]}, "has no cluster 'z'.*: it has c"),
    ({"contexts": [{"name": "c", "context": {"cluster": "c", "user": "z"}}]}, "has no user 'z'.*: it has u"),
    ({"clusters": "x"}, "clusters is a text, and must be a list"),
    ({"clusters": [{"name": "c", "cluster": None}]}, "its cluster 'c' is empty"),
    ({"clusters": [{"name": "c", "cluster": {}}]}, "does not name a server"),
    ({"clusters": [{"name": "c", "cluster": {"server": 3}}]}, "cluster.server is a number"),
    ({"clusters": [{"name": "c", "cluster": {"server": "x"}}]}, "not an address: write https://"),
    ({"clusters": [{"name": "c", "cluster": {"server": "https://x:y"}}]}, "not an address: write https://"),
    ({"clusters": [{"name": "c", "cluster": {"server": "http://x", "extensions": [3]}}]}, "extensions must be"),
    ({"users": [{"name": "u", "user": SECRET}]}, "users\\[0\\].user is a text, and must be a map"),
    ({"users": [{"name": "u", "user": {"exec": SECRET}}]}, "user.exec is a text, and must be a map"),
    ({"users": [{"name": "u", "user": {"client-key-data": 5}}]}, "client-key-data is a number"),
    ({"users": [{"name": "u", "user": {"client-key": "/none"}}]}, "file that cannot be read: /none: No such file"),
    ({"users": [{"name": "u", "user": {"tokenFile": "/none"}}]}, "file that cannot be read: /none: No such file"),
]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        *NOT_KUBECONFIGS.items(),
        *((yaml.safe_dump(kubeconfig({"token": SECRET}) | change), says) for change, says in CHANGES),
    ],
)
async def test_a_broken_kubeconfig_is_told_in_words_that_name_the_field_and_no_secret(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(CredentialsError, match=says) as caught:
        await load_credentials(path)
    assert str(path) in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "object" not in str(caught.value)


async def test_devices_folders_and_bytes_are_no_kubeconfigs(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for path, says in (("/dev/null", "is empty"), (tmp_path, "Is a directory"), (tmp_path / "bytes", "UTF-8")):
        with pytest.raises(CredentialsError, match=says):
            await load_credentials(path)


async def test_of_several_files_the_first_that_says_something_wins(tmp_path: Path) -> None:
    second = kubeconfig({"token": "second"}) | {"current-context": "z"}
    for name, text in (
        ("empty", ""),
        ("first", yaml.safe_dump(kubeconfig({"token": "first"}))),
        ("second", yaml.safe_dump(second)),
    ):
        (tmp_path / name).write_text(text)
    paths = ":".join(str(tmp_path / name) for name in ("none", "empty", "first", "second"))
    assert (await (await load_credentials(paths)).headers())["Authorization"] == "Bearer first"


async def test_a_user_who_says_nothing_is_nobody() -> None:
    document = kubeconfig({}) | {"users": [{"name": "u", "user": None}]}
    assert await authorization(document) == ""


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="does not exist"):
        await load_credentials(tmp_path / "nothing")


async def test_a_certificate_that_cannot_be_used_is_an_error_and_no_question_on_the_terminal() -> None:
    pem = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nnonsense\n").decode()
    document = kubeconfig({"client-certificate-data": pem, "client-key-data": pem}, server="https://127.0.0.1:1")
    with pytest.raises(CredentialsError, match="cannot be used"):
        await from_kubeconfig_dict(document)


async def run(tmp_path: Path, script: str, deadline: float = 10.0, **section: Any) -> Any:
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!/bin/sh\n{script}\n")
    plugin.chmod(0o700)
    section = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", **section}
    cluster = {"server": "https://x"}
    return await run_exec_plugin(
        section, folder=tmp_path, cluster=cluster, environ={"PATH": "/bin:/usr/bin"}, deadline=deadline
    )


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (f"echo {SECRET}; echo 'please log in' >&2; exit 3", "exit code 3: please log in"),
        (f"echo {SECRET}", "not JSON"),
        (f'echo \'{{"kind": "Pod", "token": "{SECRET}"}}\'', "ExecCredential"),
        (
            'echo \'{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1beta1"}\'',
            "v1beta1, the kubeconfig says client.authentication.k8s.io/v1",
        ),
        (
            'echo \'{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {}}\'',
            "neither a token nor a certificate",
        ),
    ],
)
async def test_a_plugin_that_fails_says_why_and_not_what_it_printed(
    tmp_path: Path, script: str, says: str
) -> None:
    with pytest.raises(CredentialsError, match=says) as caught:
        await run(tmp_path, script)
    assert SECRET not in str(caught.value)


async def test_a_plugin_that_hangs_is_killed(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"within 0\.2 s"):
        await run(tmp_path, "sleep 100", deadline=0.2)


async def test_a_plugin_that_is_not_installed_is_named_with_the_hint_of_the_author(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"no-such-program.*No such file.*brew install it"):
        await run(tmp_path, "", command="no-such-program", installHint="brew install it")


async def test_a_plugin_that_wants_a_person_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="ask a person"):
        await run(tmp_path, "", interactiveMode="Always")


async def test_a_plugin_learns_of_the_cluster_if_it_wants_to(tmp_path: Path) -> None:
    script = (
        'test "$(printf %s "$KUBERNETES_EXEC_INFO" | grep -c https://x)" = 1 && '
        'echo \'{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", '
        '"status": {"token": "t"}}\''
    )
    given = await run(tmp_path, script, provideClusterInfo=True)
    assert given.token == "t"
    with pytest.raises(CredentialsError, match="exit code 1"):
        await run(tmp_path, script)
