"""Lints one Promise: runs all checks, and returns the findings in one list, sorted by place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from troth.api import InvalidObject, Promise
from troth.authoring.home import Home, RefusedPromise, load_home, offer_of, refused
from troth.authoring.known_kinds import Known
from troth.authoring.lint.breaking import check_against
from troth.authoring.lint.earlier import earlier_api
from troth.authoring.lint.findings import Finding
from troth.authoring.lint.live import check_losses, check_requests
from troth.authoring.lint.places import Files, place, shown
from troth.authoring.lint.readme import check_readme
from troth.authoring.lint.silencing import silence
from troth.authoring.lint.subject import subject_of
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.linting.booleans import check_booleans
from troth.engine.linting.columns import check_columns
from troth.engine.linting.containers import check_containers
from troth.engine.linting.descriptions import check_descriptions
from troth.engine.linting.intervals import check_interval
from troth.engine.linting.objects import check_objects
from troth.engine.linting.paths import check_paths
from troth.engine.linting.remarks import CAUSES, CONSEQUENCE, Remark
from troth.engine.linting.versions import check_versions
from troth.engine.promises.conversion.completeness import check_conversions

_LOSING: Final = frozenset(("T005", "T008"))

Earlier = Callable[[Home], Mapping[str, Any] | None]
"""Finds an earlier API of a Promise: a CustomResourceDefinition, or None when it did not have one."""

Live = Callable[[Home], Sequence[Mapping[str, Any]]]
"""Finds the live requests of a Promise."""


def lint(
    path: Path, *, against: str | Earlier = "", requests: Live | None = None, known: Known | None = None
) -> list[Finding]:
    """What is wrong with the Promise in a folder or a file.

    Args:
        path: the folder of a Promise, or a file with a whole Promise.
        against: a file or a Git revision with an earlier API to compare with, or a function that finds one. Empty to
            skip the comparison.
        requests: finds live requests, which are then also validated against the API.
        known: schemas of objects beside those that come with Troth or with the Promise.

    Raises:
        HomeError: a file cannot be used.
    """
    home = load_home(path)
    files = Files()
    families = "0124"
    remarks: list[Remark] = []
    refusals: list[Finding] = []
    losing: list[Remark] = []
    earlier: Mapping[str, Any] | None = None
    if against:
        earlier = earlier_api(home, against) if isinstance(against, str) else against(home)
        api = home.promise["spec"].get("api")
        if earlier is not None and isinstance(api, dict):
            remarks.extend(check_against(earlier, api))
        families += "3"
    try:
        promise, offer = offer_of(home, losing=True)
        if requests is not None and offer.definition is not None:
            live, written = requests(home), home.promise["spec"]["api"]
            remarks.extend(check_requests(written, offer.definition, live))
            if earlier is not None:
                remarks.extend(check_losses(earlier, written, live))
        with BoundedWorker() as worker:
            failure = worker.check(offer.pipelines)
            if failure is not None:
                raise refused(home, failure)
            remarks.extend(check_versions(home.promise))
            losing.extend(_refuse_losing(promise))
            remarks.extend(check_paths(home.promise, offer))
            remarks.extend(check_booleans(home.promise, home.lines))
            remarks.extend(check_columns(home.promise, offer))
            remarks.extend(check_descriptions(home.promise, offer))
            remarks.extend(check_interval(promise))
            subject = subject_of(home, (promise, offer), worker, known)
            remarks.extend(check_containers(home.promise, offer, subject.schemas))
            remarks.extend(check_objects(subject, lengths=True))
    except RefusedPromise as error:
        refusals.append(_refusal(error))
        families = ""  # a comment cannot be stale if nothing was looked for
    findings = [*refusals, *place(home, remarks, files), *check_readme(home)]
    left = without_consequences(silence(findings, _written(home), files, families))
    if not any(finding.code in _LOSING for finding in left):  # a comment does not make the operator accept it
        left.extend(place(home, losing, files))
    return sorted(left, key=lambda finding: finding.order)


def without_consequences(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, without requests that only fail because of a line that is in the findings already."""
    causes = {(finding.file, finding.line) for finding in findings if finding.code in CAUSES}
    return [
        finding
        for finding in findings
        if finding.code != CONSEQUENCE or finding.unbounded or (finding.file, finding.line) not in causes
    ]


def _refuse_losing(promise: Promise) -> Iterator[Remark]:
    """Yields why the operator refuses the versions of the API."""
    try:
        check_conversions(promise.spec.api)
    except InvalidObject as error:
        yield Remark("T001", error.field, f"{error.field}: {error.problem}", error.remedy)


def _refusal(error: RefusedPromise) -> Finding:
    message = f"{error.field}: {error.problem}" if error.field else error.problem
    return Finding("T001", shown(error.file), error.line or 1, 1, message, error.remedy, "error")


def _written(home: Home) -> list[Path]:
    """The files that the author of the Promise writes."""
    paths = [home.file, *(source.path for source in home.sources.values())]
    return list(dict.fromkeys(paths))
