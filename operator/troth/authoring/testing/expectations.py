"""Compares what a step gave with what is expected, and says what is different and where that was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from troth.authoring.home import Source
from troth.authoring.rendering.requests import Rendering
from troth.authoring.testing.cases import Expectation
from troth.authoring.testing.golden import Golden, compare, golden_folder, read_golden
from troth.authoring.testing.matching import differences, named, rendered_objects, select, selection
from troth.engine.admission.refusals import Refusal
from troth.engine.placement.scheduling import describe_labels

_MOST_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as expected.

    Attributes:
        what: the expectation, such as ``objects[0].spec.instances``.
        message: what is different, in one sentence.
        source: where the expectation is written.
        diff: more lines that show the difference; may be empty.
    """

    what: str
    message: str
    source: Source
    diff: str = ""

    @property
    def sentence(self) -> str:
        """One sentence with the expectation and what is different."""
        return f"{self.what}: {self.message}" if self.what else self.message


def judge(
    expect: Expectation, rendering: Rendering, before: Mapping[str, bytes] | None
) -> tuple[list[Problem], Golden | None]:
    """The problems of a step, and its golden folder if that is different.

    Args:
        expect: what the step must give.
        rendering: what it gave.
        before: the files of the step before; None for the first step.

    Raises:
        HomeError: a golden folder cannot be read.
    """
    if rendering.refusals or expect.refused is not None:
        return _judge_refusal(expect, rendering), None
    if rendering.failure is not None or expect.failure is not None:
        problems = _judge_failure(expect, rendering)
        if not problems and expect.status is not None:
            problems += _partial(expect, "status", expect.status, rendering.status)
        return problems, None
    problems = [
        *_judge_waiting(expect, rendering),
        *_judge_objects(expect, rendering),
        *_judge_files(expect, rendering),
        *_judge_places(expect, rendering),
        *_judge_changes(expect, rendering, before or {}),
    ]
    if expect.status is not None:
        found = _partial(expect, "status", expect.status, rendering.status)
        problems += [replace(one, message=one.message + _unless_containers(rendering)) for one in found]
    if not expect.golden:
        return problems, None
    golden = Golden(golden_folder(expect.source.path, expect.golden), rendering.placed)
    kept = read_golden(golden.folder)
    differing = compare(kept, golden.files)
    where = expect.at("golden")
    if differing and not kept:
        problems.append(
            Problem("golden", f"{golden.folder} is empty or does not exist; write it with --update", where)
        )
    else:
        gone = f"is no longer rendered{_unless_containers(rendering)}"
        words = {"new": "is new", "missing": gone, "changed": "is different"}
        problems += [
            Problem("golden", f"{one.path} {words[one.word]}; if that is right, use --update", where, one.diff)
            for one in differing
        ]
    return problems, golden if differing else None


# ---- refused and failed


def _judge_refusal(expect: Expectation, rendering: Rendering) -> list[Problem]:
    wanted = expect.refused
    said = "; ".join(str(refusal) for refusal in rendering.refusals)
    if wanted is None:
        return [Problem("", f"the API server refuses the request: {said}", expect.source)]
    where = expect.at("refused")
    if not rendering.refusals:
        if rendering.failure is not None:
            return [Problem("refused", f"the API server accepts it, but: {rendering.complaint}", where)]
        return [Problem("refused", "expected a refusal, but the API server accepts the request", where)]

    def meets(refusal: Refusal) -> bool:
        return wanted.field in ("", refusal.field) and wanted.message in str(refusal)

    if any(meets(refusal) for refusal in rendering.refusals):
        return []
    asked = " of ".join(part for part in (f"{wanted.message!r}" if wanted.message else "", wanted.field) if part)
    return [Problem("refused", f"expected the refusal {asked}; it says: {said}", where)]


def _judge_failure(expect: Expectation, rendering: Rendering) -> list[Problem]:
    wanted, failure = expect.failure, rendering.failure
    if wanted is None:
        return [Problem("", f"it cannot be rendered: {rendering.complaint}", expect.source)]
    where = expect.at("failure")
    if failure is None:
        return [Problem("failure", "expected a failure, but everything is rendered", where)]
    problems = []
    if wanted.reason not in ("", failure.reason):
        problems.append(
            Problem(
                "failure.reason",
                f"expected {wanted.reason}, got {failure.reason}: {rendering.complaint}",
                expect.at("failure.reason"),
            )
        )
    if wanted.message not in failure.message:
        problems.append(
            Problem(
                "failure.message",
                f"expected {wanted.message!r} in {failure.message!r}",
                expect.at("failure.message"),
            )
        )
    if wanted.file not in ("", failure.file):
        problems.append(
            Problem("failure.file", f"expected {wanted.file}, got {failure.file}", expect.at("failure.file"))
        )
    return problems


def _judge_waiting(expect: Expectation, rendering: Rendering) -> Iterator[Problem]:
    if expect.unscheduled and not rendering.waiting:
        yield Problem("unscheduled", "expected no destination, but everything has one", expect.at("unscheduled"))
    if rendering.waiting and not expect.unscheduled:
        for wants in rendering.waiting:
            labels = describe_labels(wants)
            what = f"no destination has the labels {labels}" if labels else "no destination matches"
            yield Problem("", f"{what}; if that is right, expect `unscheduled: true`", expect.source)


# ---- what is rendered


def _judge_objects(expect: Expectation, rendering: Rendering) -> Iterator[Problem]:
    if expect.counts is None and not expect.objects and not expect.absent:
        return
    objects = rendered_objects(rendering.files)
    there = _listed(objects) or "nothing"
    for name, number in (expect.counts or {}).items():
        for problem in _judge_count(expect, name, number, objects):
            yield replace(problem, message=problem.message + _unless_containers(rendering))
    for index, wanted in enumerate(expect.objects):
        path = f"objects[{index}]"
        found = select(wanted, objects)
        if len(found) == 1:
            yield from _partial(expect, path, wanted, found[0])
        elif found:
            those = _listed(found)
            message = f"{selection(wanted)} is more than one object: {those}; give its metadata.name"
            yield Problem(path, message, expect.at(path))
        else:
            why = _unless_containers(rendering)
            yield Problem(path, f"there is no {selection(wanted)}; available: {there}{why}", expect.at(path))
    for index, wanted in enumerate(expect.absent):
        path = f"absent[{index}]"
        for obj in objects:
            if not differences(wanted, obj):
                yield Problem(path, f"{named(obj)} is there", expect.at(path))


def _judge_count(
    expect: Expectation, name: str, number: int, objects: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    kind, dot, group = name.partition(".")
    found = [obj for obj in objects if obj.get("kind") == kind]
    groups = sorted({str(obj.get("apiVersion", "")).rpartition("/")[0] for obj in found})
    path = f"counts.{name}"
    if dot:
        found = [obj for obj in found if str(obj.get("apiVersion", "")).rpartition("/")[0] == group]
    elif len(groups) > 1:
        names = ", ".join(f"{kind}.{one}" for one in groups)
        yield Problem(path, f"is of more than one group: {names}; name one", expect.at(path))
        return
    if len(found) != number:
        those = _listed(found)
        kinds = sorted({str(obj.get("kind")) for obj in objects})
        rest = f": {those}" if those else f"; available: {', '.join(kinds)}" if kinds else "; nothing was rendered"
        yield Problem(path, f"expected {number}, found {len(found)}{rest}", expect.at(path))


def _judge_files(expect: Expectation, rendering: Rendering) -> Iterator[Problem]:
    if expect.files is not None:
        yield from _same_paths(expect, "files", expect.files, rendering.files, _unless_containers(rendering))


def _judge_places(expect: Expectation, rendering: Rendering) -> Iterator[Problem]:
    if expect.destinations is None:
        return
    several = len({placement.pipeline for placement in rendering.placements}) > 1 or any(
        path not in rendering.files for placement in rendering.placements for path in placement.contents
    )
    placed: dict[str, list[str]] = {}
    for placement in rendering.placements:
        start = f"{placement.pipeline}/" if several else ""
        placed.setdefault(placement.destination, []).extend(start + path for path in placement.contents)
    for name, paths in expect.destinations.items():
        why = _unless_containers(rendering)
        yield from _same_paths(expect, f"destinations.{name}", paths, placed.get(name, ()), why)


def _judge_changes(expect: Expectation, rendering: Rendering, before: Mapping[str, bytes]) -> Iterator[Problem]:
    if expect.changed is None:
        return
    now = rendering.files
    both = now.keys() & before.keys()
    found = {
        "added": now.keys() - before.keys(),
        "removed": before.keys() - now.keys(),
        "changed": {path for path in both if now[path] != before[path]},
    }
    for word, paths in found.items():
        wanted: tuple[str, ...] | None = getattr(expect.changed, word)
        if wanted is None:
            continue
        for problem in _same_paths(expect, f"changed.{word}", wanted, paths, _unless_containers(rendering)):
            diffs = [_diff(path, before[path], now[path]) for path in sorted(set(paths) - set(wanted) & both)]
            yield Problem(
                problem.what, problem.message, problem.source, "\n".join(diffs) if word == "changed" else ""
            )


def _listed(objects: Sequence[Mapping[str, Any]]) -> str:
    names = [named(obj) for obj in objects[:_MOST_NAMED]]
    more = len(objects) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _diff(path: str, before: bytes, after: bytes) -> str:
    old, new = (content.decode("utf-8", "replace").splitlines() for content in (before, after))
    return "\n".join(difflib.unified_diff(old, new, f"before/{path}", f"after/{path}", lineterm="", n=1))


def _partial(expect: Expectation, path: str, wanted: Any, actual: Any) -> list[Problem]:
    found = []
    for where, problem in differences(wanted, actual):
        full = f"{path}.{where}" if where else path
        found.append(Problem(full, problem, expect.at(full)))
    return found


def _same_paths(
    expect: Expectation, what: str, wanted: Iterable[str], actual: Iterable[str], why: str
) -> Iterator[Problem]:
    """Problems for paths that are missing, with why that may be, and for those that are not expected."""
    asked, there = set(wanted), set(actual)
    missing, extra = sorted(asked - there), sorted(there - asked)
    if missing or extra:
        parts = [
            f"{word} {', '.join(paths)}"
            for word, paths in (("missing:", missing), ("not expected:", extra))
            if paths
        ]
        yield Problem(what, "; ".join(parts) + (why if missing else ""), expect.at(what))


def _unless_containers(rendering: Rendering) -> str:
    """Why something that is expected may be missing here: containers were not run; empty if there are none."""
    return f"; {rendering.unknown}, and a test does not run them" if rendering.runs else ""
