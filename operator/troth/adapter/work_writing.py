"""Makes a Work from what a pipeline's containers have written (kratix-compatibility.md#works)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from troth.adapter import control
from troth.adapter.documents import read_document
from troth.adapter.errors import Unusable
from troth.adapter.files import Bounds, FoundFile, list_files, read_file
from troth.adapter.groups import SELECTORS_FILE, make_groups, read_rules, read_scheduling
from troth.adapter.server import AlreadyExists, ApiServer
from troth.adapter.works import PipelineRun, is_others, make_work, pack_files, work_patch
from troth.api.resources import WORK

_OUTPUT: Final = "/kratix/output"
_METADATA: Final = "/kratix/metadata"
_SCHEDULING: Final = "promise-scheduling"


def write_work(server: ApiServer, run: PipelineRun, folder: Path) -> str:
    """Creates or updates the Work of a pipeline. Returns a sentence about what was done.

    Nothing is written if the pipeline asks its workflow to stop, or if the Work is up to date.

    Args:
        server: where Works are.
        run: whose Work.
        folder: with ``input`` (the output), ``metadata`` and ``kratix-system``.

    Raises:
        Unusable: what the containers left cannot be used, or there are several Works of this pipeline.
        ServerError: the Work cannot be read or written.
    """
    seen_as = f"{_METADATA}/{control.FILE}"
    if control.read_control(read_document(folder / "metadata" / control.FILE, seen_as), seen_as).stops:
        return f"the pipeline {run.pipeline} asks its workflow to stop: no Work is written"
    seen_as = f"{_METADATA}/{SELECTORS_FILE}"
    rules = read_rules(read_document(folder / "metadata" / SELECTORS_FILE, seen_as), seen_as)
    mounted = (folder / "kratix-system" / _SCHEDULING).resolve()  # the kubelet makes a link of every mounted file
    scheduling = read_scheduling(read_document(mounted, _SCHEDULING), _SCHEDULING)
    output, bounds = folder / "input", Bounds()
    found = list_files(output, _OUTPUT, bounds)
    files = pack_files(_contents(output, found, bounds), _OUTPUT)
    wanted = make_work(run, make_groups(files, rules, scheduling, run.source, seen_as))
    existing = server.list_labelled(WORK, run.namespace, run.selector, most=2)
    if len(existing) > 1:
        names = " and ".join(str(work["metadata"]["name"]) for work in existing)
        raise Unusable(
            f"namespace {run.namespace}",
            f"{names} are both Works of the pipeline {run.pipeline}; delete one of them",
        )
    if not existing:
        try:
            server.create(WORK, wanted, run.namespace)
        except AlreadyExists:  # somebody has changed its labels, or the answer to an earlier attempt was lost
            existing = [server.get(WORK, run.work_name, run.namespace)]
            if is_others(existing[0], run):
                raise Unusable(
                    f"namespace {run.namespace}",
                    f"the Work {run.work_name} belongs to something else, by its labels; rename the pipeline",
                ) from None
        else:
            return f"created the Work {run.namespace}/{run.work_name} with {len(found)} files"
    name = str(existing[0]["metadata"]["name"])
    patch = work_patch(existing[0], wanted)
    if patch is None:
        return f"the Work {run.namespace}/{name} is up to date"
    server.merge_patch(WORK, name, patch, run.namespace)
    return f"updated the Work {run.namespace}/{name} with {len(found)} files"


def _contents(output: Path, found: Sequence[FoundFile], bounds: Bounds) -> Iterator[tuple[str, bytes]]:
    left = bounds.largest  # what was listed may have grown since
    for file in found:
        content = read_file(output / file.path, f"{_OUTPUT}/{file.path}", min(bounds.largest_file, left))
        left -= len(content)
        yield file.path, content
