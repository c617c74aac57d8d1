"""Runs the operator in a process whose start, signals and end are handled by kopf.

kopf calls start-up and clean-up in the right order, handles signals, and ends the process even if something hangs. It
does not ask the API server for anything (docs/architecture.md): its watches cannot be trusted with what others write,
so it does not get any handlers for resources. It would nevertheless read at its start which kinds there are, and end
the process when that fails for 54 seconds. So it is told that it does not need any kinds, and it is not logged in.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import resource
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import kopf
from kopf._cogs.structs.references import Insights  # `kopf.operator` takes it; it is not public

from troth.app.operator import Operator
from troth.app.settings import Settings
from troth.engine.workers.confinement import missing
from troth.kube import load_credentials

_PR_SET_DUMPABLE: Final = 4

logger = logging.getLogger(__name__)


async def run_operator(settings: Settings, reread: Callable[[], Settings] | None = None) -> str:
    """Runs until a signal or a failure ends it. Returns the reason of the failure; empty after a signal.

    ``reread`` reads the settings again; None where they cannot change.
    """
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

    operator = Operator(settings, credentials, failed=failed, reread=reread)
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
    """Prevents other processes of the user from reading this one's memory, which holds credentials, and core dumps."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # git and other child processes inherit it
    with suppress(OSError, AttributeError):  # it only exists on Linux
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
        ended.set()  # otherwise kopf would wait for 5 s after a signal for its own task that waits for this flag

    return registry


def _no_kinds() -> Insights:
    """The kinds in the cluster as kopf would find them: none, so that it does not look for them."""
    insights = Insights()
    insights.backbone.selectors.clear()
    return insights


def _kopf_settings(settings: Settings) -> kopf.OperatorSettings:
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.process.ultimate_exiting_timeout = settings.shutdown_grace + 10
    return chosen
