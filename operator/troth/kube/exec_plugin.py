"""Runs a credential plugin of a kubeconfig (client.authentication.k8s.io, an ``exec`` section).

`kubernetes.aio.config` can do this too, but logs a failure and goes on without credentials, has no deadline and ignores
``provideClusterInfo``; a person then reads "Unauthorized" although the cause is "aws: command not found".
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from troth.child_process import ChildProcess
from troth.kube.errors import CredentialsError

DEADLINE: Final = 60.0
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True, repr=False)
class ExecCredential:
    """The answer of a plugin: a token, or a certificate with its key, and when it expires, if the plugin says so."""

    token: str | None
    certificate: bytes | None
    key: bytes | None
    expires: datetime | None


async def run_exec_plugin(
    section: Mapping[str, Any],
    *,
    folder: Path,
    cluster: Mapping[str, Any],
    environ: Mapping[str, str],
    deadline: float = DEADLINE,
) -> ExecCredential:
    """Runs the plugin and reads its answer.

    Args:
        section: the user's ``exec`` section.
        folder: the folder of the kubeconfig; a command with a slash is relative to it.
        cluster: the cluster as plugins see it (``spec.cluster``), sent if the plugin asks for it.
        environ: the environment that the plugin inherits.
        deadline: seconds that it may take.

    Raises:
        CredentialsError: the plugin does not exist, failed, took too long, or its answer is not an ExecCredential.
    """
    command = str(section.get("command") or "")
    name = f"the credential plugin {command!r}"
    if not command:
        raise CredentialsError("the kubeconfig's exec section does not name a command")
    if section.get("interactiveMode") == "Always":
        raise CredentialsError(f"{name} needs to ask a person; use one that does not")
    if "/" in command and not Path(command).is_absolute():
        command = str(folder / command)
    version = str(section.get("apiVersion") or "")
    output = await _run(
        [command, *(str(argument) for argument in section.get("args") or ())],
        _environment(section, version, cluster, environ),
        name,
        str(section.get("installHint") or ""),
        deadline,
    )
    return _read(output, version, name)


def _environment(
    section: Mapping[str, Any], version: str, cluster: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, str]:
    spec: dict[str, Any] = {"interactive": False}
    if section.get("provideClusterInfo"):
        spec["cluster"] = dict(cluster)
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    extra = {str(item["name"]): str(item["value"]) for item in section.get("env") or ()}
    return {**environ, **extra, "KUBERNETES_EXEC_INFO": orjson.dumps(info).decode()}


async def _run(command: list[str], environment: Mapping[str, str], name: str, hint: str, deadline: float) -> bytes:
    try:
        process = await ChildProcess.start(*command, environment=environment, group=True)
    except OSError as error:
        # The kubeconfig's own hint (installHint) is meant for this case.
        raise CredentialsError(f"{name} cannot be run: {os.strerror(error.errno or 0)}. {hint}".strip()) from error
    try:
        async with asyncio.timeout(deadline):
            output, words = await process.communicate()
    except TimeoutError:
        raise CredentialsError(f"{name} did not answer within {deadline:g} s") from None
    finally:
        code = await process.end()
    if code:
        said = words[-_LONGEST_WORDS:].decode("utf-8", "replace").strip()
        raise CredentialsError(f"{name} failed with exit code {code}: {said}")
    return output


def _read(output: bytes, version: str, name: str) -> ExecCredential:
    # Never quote the output: an answer that is almost right holds a token.
    try:
        answer = orjson.loads(output)
    except orjson.JSONDecodeError:
        raise CredentialsError(f"{name} answered something that is not JSON") from None
    if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
        raise CredentialsError(f"{name} did not answer with an ExecCredential")
    if answer.get("apiVersion") != version:
        raise CredentialsError(f"{name} answered in {answer.get('apiVersion')}, the kubeconfig says {version}")
    status = answer.get("status") or {}
    token = status.get("token") or None
    certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
    if not token and not (certificate and key):
        raise CredentialsError(f"{name} gave neither a token nor a certificate with its key")
    return ExecCredential(
        token=token,
        certificate=certificate.encode() if certificate and key else None,
        key=key.encode() if certificate and key else None,
        expires=_time(status.get("expirationTimestamp")),
    )


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
