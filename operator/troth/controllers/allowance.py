"""Whether a Destination allows what a Work would place there, judged before a placement gets it.

What a placement holds has been allowed, so every store writes it without a question, and what a Destination does not
allow any more stays as it was written. The placement notes by which rules it was judged (an annotation), so a restart
judges nothing again; the note is believed for content that the placement has, and never for content that it gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from troth.api import InvalidObject
from troth.api.objects import Destination
from troth.engine.placement.allowing import Violation, fingerprint, judge_files
from troth.engine.placement.work import decode_content


def note_of(destination: Destination | None) -> str | None:
    """What a placement notes of the rules of its Destination; None when it has none."""
    return fingerprint(destination.allow) if destination and destination.allow else None


async def why_forbidden(destination: Destination | None, workloads: Sequence[Mapping[str, str]]) -> str:
    """Why a Destination does not allow files (each with ``filepath`` and encoded ``content``), or ""."""
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
    """Several of them in one."""
    more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
    return f"{min(sentences)}{more}" if sentences else ""
