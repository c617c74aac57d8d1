"""Renders the requests in files and folders, the Promise itself and the files of Destinations, for one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from troth.api import InvalidObject
from troth.authoring.home import Home, load_home, offer_of, refused
from troth.authoring.input_files import HomeError, object_lines, read_objects, yaml_files
from troth.authoring.rendering.destinations import read_destinations
from troth.authoring.rendering.placement import own_files
from troth.authoring.rendering.promise import render_promise
from troth.authoring.rendering.requests import Rendering, Requests
from troth.authoring.workers.bounded_worker import BoundedWorker


def render_files(
    folder: Path,
    requests: Sequence[Path],
    destinations: Path | None,
    *,
    promise: bool = False,
    canaries: bool = False,
) -> list[tuple[Path, Rendering]]:
    """Renders all requests in files and folders in a worker with limits. Returns each request's file and rendering.

    Args:
        folder: the Promise.
        requests: the files and folders with requests.
        destinations: the file with the platform's Destinations; None for one Destination that matches everything.
        promise: whether to render the Promise's own workflow and dependencies, too, before the requests.
        canaries: whether to add the files that the Destinations have in their stores for themselves, at the end.

    Raises:
        RefusedPromise: the API server or the operator would refuse the Promise.
        HomeError: a file or the Promise cannot be used, or a template exceeds its time or memory limit. Then nothing
        else
            is rendered, since every request would probably exceed it again.
    """
    files = [file for path in requests for file in (yaml_files(path) if path.is_dir() else (path,))]
    found: list[tuple[Path, Rendering]] = []
    with BoundedWorker() as worker:
        worker.start()  # it gets ready while this process reads the files
        home = load_home(folder)
        known = read_destinations(destinations) if destinations is not None else None
        offer = offer_of(home)
        failure = worker.check(offer[1].pipelines)
        if failure is not None:
            raise refused(home, failure)
        if promise:
            found.append((home.file, render_promise(home, offer, destinations=known, render=worker.render_now)))
            _bounded(home, found[-1][1])
        asked = [(file, index, obj) for file in files for index, obj in enumerate(read_objects(file))]
        places: dict[Path, list[Mapping[str, int]]] = {}
        if files and not asked:
            raise HomeError(files[0], "holds no request", "write one, or name another file")
        renderer = Requests(home, destinations=known, offer=offer) if asked else None
        for file, index, obj in asked:
            if renderer is not None:
                rendering = renderer.render_with(worker.render_now, obj)
                if rendering.refusals or rendering.dropped:
                    if file not in places:
                        places[file] = object_lines(file)
                    rendering = replace(rendering, lines=dict(*places[file][index : index + 1]))
                found.append((file, rendering))
                _bounded(home, rendering)
    if canaries and known is not None:
        try:
            found.append((destinations or folder, Rendering({}, own=own_files(known))))
        except InvalidObject as error:
            raise HomeError(destinations or folder, str(error)) from None
    return found


def _bounded(home: Home, rendering: Rendering) -> None:
    if rendering.failure is not None and rendering.failure.is_unbounded:
        raise refused(home, rendering.failure)
