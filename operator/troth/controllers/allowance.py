"""Decides whether a Destination allows the files of a Work, before a placement gets them.

What a placement holds has been allowed, so every store writes it without asking again, and files that a Destination no
longer allows stay as they were written. An annotation of the placement names the rules by which it was judged, so
nothing is judged again after a restart. The annotation is trusted for the content that the placement has, and never for
new content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from troth.api import InvalidObject
from troth.api.objects import Destination
from troth.engine.placement.allowing import Violation, fingerprint, judge_files
from troth.engine.placement.work import decode_content


def note_of(destination: Destination | None) -> str | None:
    """The annotation's value for the rules of a Destination; None when the Destination does not have rules."""
    return fingerprint(destination.allow) if destination and destination.allow else None


async def why_forbidden(destination: Destination | None, workloads: Sequence[Mapping[str, str]]) -> str:
    """Why a Destination does not allow some files; empty when it allows all of them.

    Each file has a ``filepath`` and its encoded ``content``, as in a Work.
    """
    if destination is None or (allow := destination.allow) is None:
        return ""

    def judge() -> Violation | None:
        files: dict[str, bytes] = {}
        for workload in workloads:
            path = workload["filepath"]
            try:
                files[path] = decode_content(workload["content"])
            except InvalidObject as error:
                return Violation(
                    path, "", "", f"it cannot be read, so it cannot be judged by spec.allow ({error})"
                )
        return judge_files(files, allow)

    found = await asyncio.to_thread(judge)
    return found.sentence(destination.name) if found else ""


def summed_up(sentences: Sequence[str]) -> str:
    """Sums up several such reasons in one sentence."""
    more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
    return f"{min(sentences)}{more}" if sentences else ""
