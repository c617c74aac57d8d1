"""Finds Secrets in plain text in what is placed, and asks the policy of each Destination's store about them.

The caches do not hold contents, but they know of each file whether it may hold a Secret (`Workload.may_hold_secrets`),
which was found out when its content was read. Only the contents of those files are looked at, in a thread and once for
each content. So nothing is read from the API server for a request without Secrets, not even after a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from troth.api import InvalidObject
from troth.api.objects import Workload, WorkloadGroup
from troth.api.statuses import read_own
from troth.controllers.platform import Platform
from troth.engine.placement.plain_secrets import Policy, describe, exposed, find_plain_secrets, policy_of, withheld
from troth.engine.placement.work import decode_content

_MOST: Final = 10_000


@dataclass(slots=True)
class Exposure:
    """The Secrets in plain text of one Work.

    Attributes:
        withheld: by group and Destination, why a store refuses them.
        refused: those of them that were not written for that reason.
        exposed: what is said about those that are written.
    """

    withheld: dict[tuple[str, str], str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    exposed: list[str] = field(default_factory=list)


Load = Callable[[], Awaitable[Mapping[str, bytes]]]
"""The contents of a group of files, by path."""


class PlainSecrets:
    """Looks for Secrets in plain text, and remembers what it found, by content."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._known: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()

    def policy(self, destination: str) -> tuple[Policy, str]:
        """The policy of a Destination's store, and the name of that store. The policy is ``allow`` without a store."""
        target = self._platform.caches.destinations.get("", destination)
        if target is None:
            return "allow", ""
        ref = target.store
        store = self._platform.caches.get_store(ref)
        return (policy_of(ref.kind, store.spec) if store else "allow"), f"{ref.kind} {ref.name}"

    async def expose(
        self, groups: Sequence[WorkloadGroup], places: Mapping[str, Sequence[str]], load: Load
    ) -> Exposure:
        """Decides what becomes of the Secrets in plain text of a Work.

        Args:
            groups: the groups of the Work.
            places: the Destinations of each group, by the id of the group.
            load: loads the contents of all its files.
        """
        exposure = Exposure()
        for group in groups:
            if not any(workload.may_hold_secrets for workload in group.workloads):
                continue
            secrets = await self.describe(group.workloads, load)
            for destination in places.get(group.id, ()) if secrets else ():
                policy, store = self.policy(destination)
                if policy == "refuse":
                    exposure.withheld[group.id, destination] = withheld(secrets, store)
                elif policy == "warn":
                    exposure.exposed.append(exposed(secrets, store))
        return exposure

    async def describe(self, workloads: Sequence[Workload], load: Load) -> str:
        """A clause that names the Secrets in plain text in a group of files, without their values; "" for none."""
        suspects = [workload for workload in workloads if workload.may_hold_secrets]
        if not suspects:
            return ""
        unknown = [each for each in suspects if (each.blob, each.filepath) not in self._known]
        if unknown:
            contents = await load()
            answers = await asyncio.to_thread(
                lambda: [find_plain_secrets(each.filepath, contents.get(each.filepath, b"")) for each in unknown]
            )
            for workload, answer in zip(unknown, answers, strict=True):
                self._known[workload.blob, workload.filepath] = answer
        found: list[tuple[str, str]] = []
        for workload in suspects:
            key = (workload.blob, workload.filepath)
            self._known.move_to_end(key)
            found.extend((secret, workload.filepath) for secret in self._known[key])
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return describe(found)


def said_before(status: Mapping[str, Any]) -> tuple[str, ...]:
    """What the status of a Work already says about Secrets in plain text."""
    ours = read_own(status)
    return ours.text("withheld"), ours.text("exposed")


def decode_readable(groups: Mapping[str, Sequence[Mapping[str, str]]]) -> dict[str, bytes]:
    """The contents of a Work's files by path, without those that cannot be decoded."""
    found: dict[str, bytes] = {}
    for workload in (workload for workloads in groups.values() for workload in workloads):
        with contextlib.suppress(InvalidObject):
            found[workload["filepath"]] = decode_content(workload["content"])
    return found
