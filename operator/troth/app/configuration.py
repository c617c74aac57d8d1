"""Keeps those settings up to date that may change while the operator runs.

They have two sources: the file of ``--config``, which is the chart's ConfigMap, and the ConfigMap ``kratix`` in the
operator's namespace, which whoever comes from Kratix has. What the second says takes precedence, and is about
container pipelines and the reconciliation interval. Both are looked at every few seconds.

A source that cannot be read or used changes nothing: what applied before still applies, and a log line and an Event
on the ConfigMap say why. Runs that have begun are not changed by a new configuration; the next ones are.

Rejected: a watch of the ConfigMap (one more connection and right for something that changes once a month); mounting it
(the kubelet needs a minute to bring a change, and nothing is mounted where the operator runs outside of a cluster);
applying the valid half of a document (nobody could tell what applies).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import yaml

from troth.api import InvalidObject
from troth.api.intervals import SHORTEST_INTERVAL
from troth.api.kratix_configuration import KEY, NAME, KratixConfiguration, read_kratix_configuration
from troth.api.objects import read_metadata
from troth.api.resources import CONFIG_MAP
from troth.api.typed import read_map, read_text
from troth.app.logs import set_level
from troth.app.settings import InvalidSettings, Settings, fields, flag_of
from troth.controllers.platform import ControllerSettings, Platform
from troth.engine.jobs.runs import PodSettings
from troth.engine.promises.reach import Reach, read_namespaces
from troth.engine.rendering.durations import parse_duration
from troth.kube import Forbidden, KubeError, NotFound, ObjectReference

logger = logging.getLogger(__name__)

INTERVAL: Final = 5.0
"""Seconds between two looks at the sources."""

_LARGEST_DOCUMENT: Final = 256 * 1024
_NOTHING: Final = KratixConfiguration()


def controller_settings(settings: Settings, kratix: KratixConfiguration = _NOTHING) -> ControllerSettings:
    """Returns what the reconcilers go by, from the operator's settings and Kratix's configuration."""
    pods = PodSettings(
        settings.adapter_image,
        pull_secret=settings.adapter_pull_secret,
        backoff_limit=kratix.backoff_limit,
        object_in_annotation=settings.object_in_annotation,
    )
    if kratix.pull_policy is not None:
        pods = replace(pods, pull_policy=kratix.pull_policy)
    if kratix.security_context is not None:
        pods = replace(pods, security_context=kratix.security_context)
    if kratix.resources is not None:
        pods = replace(pods, resources=kratix.resources, own_resources=kratix.resources)
    found = ControllerSettings(
        system_namespace=settings.system_namespace,
        store_poll_seconds=settings.store_poll,
        failing_store_poll_seconds=settings.failing_store_poll,
        reach=Reach(settings.system_namespace, read_namespaces(settings.pipeline_namespaces)),
        flat_workflow_status=settings.flat_workflow_status,
        reconciliation_interval=settings.reconciliation_interval,
        reconcile_after_failure=settings.reconcile_after_failure,
        pods=pods,
        pod_ttl_seconds=kratix.pod_ttl,
    )
    if kratix.reconciliation_interval is not None:
        found = replace(found, reconciliation_interval=parse_duration(kratix.reconciliation_interval))
    if kratix.reconcile_after_failure is not None:
        found = replace(found, reconcile_after_failure=kratix.reconcile_after_failure)
    if kratix.pins_requests is not None:
        found = replace(found, pins_requests=kratix.pins_requests)
    return found if kratix.jobs_kept is None else replace(found, jobs_kept=kratix.jobs_kept)


class Configuration:
    """Reads both sources again and again, and gives the platform what they say."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings] | None, platform: Platform) -> None:
        """Begins with the settings of the start; `look` and `run` bring the rest.

        Args:
            settings: the settings with which the operator started.
            reread: reads the flags, the variables and the file again; None where there is no file.
            platform: its `Platform.settings` are replaced when something changes.
        """
        self._settings = settings
        self._reread = reread
        self._platform = platform
        self._kratix = _NOTHING
        self._seen = ""
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Looks at the sources for as long as the operator runs."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except KubeError as error:
                self._tell(
                    "kratix", f"the ConfigMap {NAME} cannot be read: {error}; what it said before still applies"
                )

    async def look(self) -> None:
        """Reads both sources, and lets what has changed take effect.

        Raises:
            KubeError: the API server did not answer.
        """
        await self._read_file()
        await self._read_kratix()
        wanted = controller_settings(self._settings, self._kratix)
        if wanted != self._platform.settings:
            self._platform.settings = wanted
            logger.info("the configuration applies: %s", _summary(wanted))

    async def _read_file(self) -> None:
        if self._reread is None:
            return
        try:
            found = await asyncio.to_thread(self._reread)
        except InvalidSettings as error:
            self._tell("file", f"{error}; what it said before still applies")
            return
        changed = [item for item in fields() if _differ(found, self._settings, item.name)]
        late = sorted(flag_of(item.name) for item in changed if not item.metadata["live"])
        self._tell(
            "file", f"these settings take effect when the operator starts again: {', '.join(late)}" if late else ""
        )
        live = {item.name: getattr(found, item.name) for item in changed if item.metadata["live"]}
        if live:
            self._settings = replace(self._settings, **live)
            set_level(self._settings.log_level)

    async def _read_kratix(self) -> None:
        namespace = self._platform.settings.system_namespace
        try:
            obj = await self._platform.client.get(CONFIG_MAP, NAME, namespace)
        except NotFound:
            self._kratix, self._seen = _NOTHING, ""
            self._tell("kratix", "")
            return
        except Forbidden as error:
            self._tell(
                "kratix",
                f"the ConfigMap {NAME} cannot be read: {error.message}; what it said before still applies. "
                f"Allow the operator to get it in the namespace {namespace}",
            )
            return
        meta = read_metadata(obj)
        if meta.resource_version == self._seen:
            return
        self._seen = meta.resource_version
        reference = ObjectReference(CONFIG_MAP.api_version, CONFIG_MAP.kind, NAME, namespace, meta.uid)
        try:
            found = await asyncio.to_thread(read_document, read_text(read_map(obj.get("data")).get(KEY)))
        except InvalidObject as error:
            self._complain(
                f"the ConfigMap {NAME} cannot be used: {error}; what applied before still applies", reference
            )
            return
        self._kratix = found
        if found.unknown:
            self._complain(
                f"the ConfigMap {NAME} has unknown keys, which are ignored: {', '.join(found.unknown)}", reference
            )
        else:
            self._tell("kratix", "")

    def _complain(self, message: str, reference: ObjectReference) -> None:
        self._tell("kratix", message)
        self._platform.events.record(
            reference, type="Warning", reason="InvalidConfiguration", message=message, action="Configure"
        )

    def _tell(self, source: str, message: str) -> None:
        """Logs a problem once, for as long as it stays the same."""
        if message and self._told.get(source) != message:
            logger.warning("%s", message)
        self._told[source] = message


def read_document(text: str) -> KratixConfiguration:
    """Reads the document in Kratix's ConfigMap.

    Raises:
        InvalidObject: it is not YAML, or a value cannot be used.
    """
    if len(text) > _LARGEST_DOCUMENT:
        raise InvalidObject(KEY, f"is longer than {_LARGEST_DOCUMENT} characters")
    try:
        document: Any = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidObject(KEY, f"is not YAML: {' '.join(str(error).split())[:300]}") from None
    found = read_kratix_configuration(document)
    _check_interval(found.reconciliation_interval)
    return found


def _check_interval(written: str | None) -> None:
    if written is None:
        return
    remedy = "write a duration of one minute (1m) or more, such as 10h or 1h30m"
    try:
        seconds = parse_duration(written)
    except ValueError as error:
        raise InvalidObject("reconciliationInterval", str(error), remedy) from None
    if seconds < SHORTEST_INTERVAL:
        raise InvalidObject("reconciliationInterval", f"{written!r} is shorter than one minute", remedy)


def _differ(found: Settings, current: Settings, name: str) -> bool:
    return bool(getattr(found, name) != getattr(current, name))


def _summary(settings: ControllerSettings) -> str:
    pods = settings.pods
    parts: Sequence[str] = (
        f"workflows run again after {settings.reconciliation_interval:g} s",
        f"store poll {settings.store_poll_seconds:g} s",
        f"{settings.jobs_kept} Jobs of each pipeline are kept",
        "" if settings.pod_ttl_seconds is None else f"their Pods for {settings.pod_ttl_seconds} s",
        "" if pods.backoff_limit is None else f"backoff limit {pods.backoff_limit}",
        f"pull policy {pods.pull_policy}" if pods.pull_policy else "",
    )
    return ", ".join(filter(None, parts))
