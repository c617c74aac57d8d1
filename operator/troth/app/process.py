"""The process: kopf runs its life from the first signal to the last clean-up.

kopf gives us start-up and clean-up in the right order, login, and signals. It watches nothing: its watches end the
whole operator on a lasting 403 or 404, never report what was deleted during a gap, and cost ten times an informer's
event (docs/architecture.md). So it is given no handlers for resources, and its discovery is switched off.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import logging
import resource
from contextlib import suppress
from typing import Any, Final

import kopf

from troth.app.operator import Operator
from troth.app.settings import Settings
from troth.engine.workers.confinement import missing
from troth.kube import Credentials, load_credentials

_PR_SET_DUMPABLE: Final = 4

logger = logging.getLogger(__name__)


async def run_operator(settings: Settings) -> str:
    """Runs until a signal or a failure ends it. Answers why it failed, or ""."""
    keep_memory_private()
    for lacking in missing():
        logger.warning(
            "this system lacks %s: a template that breaks out of the sandbox reaches more than it would elsewhere; "
            "see SECURITY.md",
            lacking,
        )
    credentials = await load_credentials(settings.kubeconfig or None, settings.context or None)
    stop = asyncio.Event()
    failures: list[str] = []

    def failed(reason: str) -> None:
        failures.append(reason)
        stop.set()

    operator = Operator(settings, credentials, failed=failed)
    await kopf.operator(
        registry=_registry(operator, credentials, stop),
        settings=_kopf_settings(settings),
        standalone=True,
        clusterwide=True,
        stop_flag=stop,
    )
    return failures[0] if failures else ""


def keep_memory_private() -> None:
    """No other process of this user reads this one's memory, and no dump of it is written: credentials are in it."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # inherited by git and its like
    with suppress(OSError, AttributeError):  # only Linux has it
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _registry(operator: Operator, credentials: Credentials, ended: asyncio.Event) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, id="login")
    async def login(**_: Any) -> kopf.ConnectionInfo:
        identity = credentials.identity
        scheme, token = [*(identity.authorization or "").split(" ", 1), "", ""][:2]
        return kopf.ConnectionInfo(
            server=identity.server,
            ca_data=base64.b64encode(identity.authority).decode() if identity.authority else None,
            insecure=not identity.verify,
            scheme=scheme or None,
            token=token or None,
            certificate_data=base64.b64encode(identity.certificate).decode() if identity.certificate else None,
            private_key_data=base64.b64encode(identity.key).decode() if identity.key else None,
        )

    @kopf.on.startup(registry=registry, id="start", errors=kopf.ErrorsMode.PERMANENT)
    async def start(**_: Any) -> None:
        await operator.start()

    @kopf.on.cleanup(registry=registry, id="stop")
    async def stop(**_: Any) -> None:
        await operator.stop()
        ended.set()  # after a signal kopf's own waiter for this flag would otherwise be waited for, for 5 s

    return registry


def _kopf_settings(settings: Settings) -> kopf.OperatorSettings:
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.persistence.finalizer = "troth.dev/kopf"
    chosen.process.ultimate_exiting_timeout = settings.shutdown_grace + 10
    return chosen
