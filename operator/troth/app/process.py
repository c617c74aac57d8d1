"""The process: kopf runs its life from the first signal to the last clean-up.

kopf gives us start-up and clean-up in the right order, the handling of signals, and an end in spite of whatever hangs.
It asks the API server nothing (docs/architecture.md): its watches cannot be trusted with what others write, so it is
given no handlers for resources. It would nevertheless read at its start which kinds there are, for itself, and end the
process when that fails for 54 seconds. So it is told that it needs none, and it is not logged in.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import resource
from contextlib import suppress
from typing import Any, Final

import kopf
from kopf._cogs.structs.references import Insights  # `kopf.operator` takes one, and no public module has it

from troth.app.operator import Operator
from troth.app.settings import Settings
from troth.engine.workers.confinement import missing
from troth.kube import load_credentials

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
        registry=_registry(operator, stop),
        settings=_kopf_settings(settings),
        insights=_no_kinds(),
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


def _registry(operator: Operator, ended: asyncio.Event) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, id="login")
    async def login(**_: Any) -> None:
        await asyncio.Event().wait()  # until kopf cancels it at the end

    @kopf.on.startup(registry=registry, id="start", errors=kopf.ErrorsMode.PERMANENT)
    async def start(**_: Any) -> None:
        await operator.start()

    @kopf.on.cleanup(registry=registry, id="stop")
    async def stop(**_: Any) -> None:
        await operator.stop()
        ended.set()  # after a signal kopf's own waiter for this flag would otherwise be waited for, for 5 s

    return registry


def _no_kinds() -> Insights:
    """What kopf is to find out about the cluster: nothing."""
    insights = Insights()
    insights.backbone.selectors.clear()
    return insights


def _kopf_settings(settings: Settings) -> kopf.OperatorSettings:
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.process.ultimate_exiting_timeout = settings.shutdown_grace + 10
    return chosen
