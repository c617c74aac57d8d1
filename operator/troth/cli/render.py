"""``troth render``: shows what the operator would render for a request."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from troth.authoring.rendering.requests import Rendering

_EPILOG = """\b
Examples:
  troth render promises/postgresql -f promises/postgresql/examples/medium.yaml --status
  troth render promises/postgresql -f requests/ --destinations platform.yaml -o rendered
  troth render promises/postgresql --promise --destinations platform.yaml --canaries
  troth render redis -f redis/request.yaml --jobs --adapter-image registry.example.com/troth:1

Pipelines of containers are not run, so what they would write is not known: standard error names these pipelines, and
so does a comment at the end of standard output. --jobs prints the objects that the operator would apply to run them.
The name of a Job depends on the uid of the request: take the request from the cluster to get the same one.

\b
Exit codes:
  0  everything was rendered that can be rendered without running containers, and has a place to go
  1  the Promise or a request is refused, a template fails, or no destination matches; standard error says why.
     With --strict also: a pipeline runs in containers
  2  a file or a folder cannot be used, a template or a rule (CEL) never ends, or a template asks for too much memory
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "-f",
    "--filename",
    "requests",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file with requests, or a folder of such files; can be repeated.",
)
@click.option(
    "--destinations", type=click.Path(path_type=Path), help="A file with the platform's Destinations and stores."
)
@click.option("--promise", is_flag=True, help="Render the Promise's own workflow and its dependencies, too.")
@click.option("--canaries", is_flag=True, help="Add the files that the Destinations keep for themselves.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the files into this folder.")
@click.option("--force", is_flag=True, help="Write into the folder even if something is in it.")
@click.option("--status", is_flag=True, help="Print the status of each request, too.")
@click.option("--strict", is_flag=True, help="End with 1 if containers would have to be run to know everything.")
@click.option("--jobs", is_flag=True, help="Print the Jobs of containers, and what they need, too.")
@click.option(
    "--adapter-image",
    metavar="IMAGE",
    default="ADAPTER_IMAGE",
    show_default=True,
    help="The operator's image in these Jobs.",
)
@click.option(
    "--run",
    "attempt",
    metavar="N",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Which run of a pipeline these Jobs are for.",
)
def render(
    folder: Path,
    requests: tuple[Path, ...],
    destinations: Path | None,
    output: Path | None,
    *,
    promise: bool,
    canaries: bool,
    force: bool,
    status: bool,
    strict: bool,
    jobs: bool,
    adapter_image: str,
    attempt: int,
) -> None:
    """Render requests of the Promise in DIR, or the Promise itself: the files, and where each would go.

    Standard output is a YAML stream; above each file stand its destination and its path in the destination's store.
    With -o, the files are written to FOLDER/DESTINATION/PATH instead. Without --destinations `anywhere`
    stands for whichever Destination will match.
    """
    from troth.authoring.home import RefusedPromise
    from troth.authoring.input_files import HomeError
    from troth.authoring.output import printable, write_files
    from troth.authoring.rendering.request_files import render_files
    from troth.authoring.rendering.requests import collect

    if not requests and not promise:
        raise click.UsageError("name requests with -f, or give --promise to render the Promise itself")
    if canaries and destinations is None:
        raise click.UsageError("--canaries needs --destinations: the files are theirs")
    try:
        rendered = render_files(folder, requests, destinations, promise=promise, canaries=canaries)
        placed, quarrels = collect([rendering for _, rendering in rendered])
        if output is not None:
            count = write_files(output, placed, force=force)
            click.echo(f"wrote {count} {'file' if count == 1 else 'files'} to {output}", err=True)
        else:
            click.echo(printable(placed), nl=False)
        if status:
            click.echo(_statuses([rendering for _, rendering in rendered]), nl=False)
        if jobs:
            click.echo(_jobs([rendering for _, rendering in rendered], adapter_image, attempt), nl=False)
    except RefusedPromise as error:
        click.echo(f"troth render: {error}", err=True)
        sys.exit(1)
    except HomeError as error:
        click.echo(f"troth render: {error}", err=True)
        sys.exit(2)
    from troth.engine.linting.booleans import became_boolean

    problems = [line for file, rendering in rendered for line in _problems(file, rendering)] + quarrels
    for problem in problems:
        click.echo(f"troth render: {problem}", err=True)
    for file, rendering in rendered:
        for unknown in rendering.dropped:
            words = "is not a field of the API and is dropped; kubectl refuses the request because of it"
            hint = became_boolean(unknown.path) or (f"; {unknown.question}" if unknown.question else "")
            place = _place(file, rendering, unknown.path)
            click.echo(f"troth render: {place}: {rendering.name}: {unknown.path} {words}{hint}", err=True)
        for words in rendering.exposed:
            click.echo(f"troth render: {file}: {rendering.name}: {words}", err=True)
        for rule in rendering.unchecked:
            click.echo(f"troth render: {file}: {rendering.name}: unchecked: {rule}", err=True)
    partial = [(file, rendering) for file, rendering in rendered if rendering.unknown]
    for file, rendering in partial:
        click.echo(f"troth render: {file}: {rendering.name}: not known: {rendering.unknown}", err=True)
    if output is None:
        for _, rendering in partial:
            click.echo(f"# {rendering.name}: not known: {rendering.unknown}")
    sys.exit(1 if problems or (strict and partial) else 0)


def _problems(file: Path, rendering: Rendering) -> list[str]:
    start = f"{file}: {rendering.name}"
    from troth.engine.linting.booleans import became_boolean, boolean_keys

    found = [
        f"{_place(file, rendering, refusal.field)}: {rendering.name}: refused: {refusal}"
        for refusal in rendering.refusals
    ]
    if rendering.refusals:
        told = {unknown.path for unknown in rendering.dropped}
        fields = [field for field in boolean_keys(rendering.request.get("spec"), "spec") if field not in told]
        found += [f"{start}: {field} is set{became_boolean(field)}" for field in fields]
    if rendering.complaint:
        found.append(f"{start}: {rendering.complaint}")
    found += [f"{start}: {words}" for words in rendering.withheld]
    found += [f"{start}: waits: {_waiting_for(wants)}" for wants in rendering.waiting]
    return found


def _place(file: Path, rendering: Rendering, field: str) -> str:
    """``file:line`` of a field of a request."""
    line = rendering.line_of(field)
    return f"{file}:{line}" if line is not None else str(file)


def _waiting_for(wants: Mapping[str, str]) -> str:
    from troth.engine.placement.scheduling import describe_labels

    labels = describe_labels(wants)
    return f"no destination has the labels {labels}" if labels else "no destination matches"


def _statuses(renderings: Sequence[Rendering]) -> str:
    from troth.engine.yaml.emit import dump_document

    return "".join(
        f"---\n# status of {rendering.name}\n{dump_document({'status': dict(rendering.status)})}"
        for rendering in renderings
        if rendering.status
    )


def _jobs(renderings: Sequence[Rendering], image: str, attempt: int) -> str:
    """The objects that the operator would apply to run the pipelines of containers, in their order.

    Their Jobs hold the object as its file has it. The operator's hold it as the API server has it.
    """
    from troth.engine.jobs.inputs import object_text
    from troth.engine.jobs.objects import make_objects, pod_annotations
    from troth.engine.jobs.runs import PodSettings
    from troth.engine.yaml.emit import dump_document

    return "".join(
        f"---\n# {rendering.name}: {run.pipeline.name}: {resource.kind}\n{dump_document(obj)}"
        for rendering in renderings
        for run in rendering.runs
        for resource, obj in make_objects(
            replace(run, attempt=attempt),
            PodSettings(image=image),
            object_text(rendering.request, pod_annotations(run)),
        ).in_order
    )
