"""Formats results for people, for continuous integration, and for code review."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as Xml

from troth.authoring.output import json_text
from troth.authoring.testing.coverage import shown
from troth.authoring.testing.running import GENERATED, CaseResult
from troth.authoring.testing.session import Session

_COLOURS: Final = {"FAIL": "31", "ok": "32", "-": "31", "+": "32", "@": "36"}
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_text(session: Session, *, colour: bool = False, verbose: bool = False) -> str:
    """One line for each file, and each failed case with what is different."""
    lines: list[str] = []
    for where, results in _by_file(session.results):
        failed = sum(bool(result.problems) for result in results)
        counts = f"{len(results) - failed} passed" + (f", {failed} failed" if failed else "")
        word = "FAIL" if failed else "ok"
        lines.append(f"{_paint(f'{word:4}', word, colour)} {_plain(where)}: {counts}")
        for result in results:
            if result.problems:
                lines += _failed(result, colour)
            elif verbose:
                lines.append(
                    f"  {_paint('ok', 'ok', colour)}   {_plain(result.name)} ({result.seconds * 1000:.0f} ms)"
                )
    for rule in dict.fromkeys(rule for result in session.results for rule in result.unchecked):
        lines.append(f"unchecked: {_plain(rule)}")
    for promise, pipelines in _unrun(session).items():
        names = ", ".join(f"{name} (in {_cases(count)})" for name, count in pipelines.items())
        lines.append(f"{_plain(promise)}: not run, since they need containers: {_plain(names)}")
    for name, report in session.coverage:
        words = report.as_text().rstrip()
        if name in session.caseless and report.percent < 100:
            none = "none was chosen" if session.deselected else "there are none"
            words = f"{words.splitlines()[0]}; only the cases in tests/ count, and {none}"
        lines.append(f"{_plain(name)}: {words}")
    return "".join(f"{line}\n" for line in lines)


def summary(session: Session) -> str:
    """A sentence that says how many cases passed and failed, and how long it took."""
    failed = len(session.failed)
    parts = [f"{len(session.results) - failed} passed"]
    if failed:
        parts.append(f"{failed} failed")
    unrun = sum(len(result.unrun) for result in session.results)
    if unrun:
        parts.append(f"{unrun} container {'step' if unrun == 1 else 'steps'} not run")
    if session.deselected:
        parts.append(f"{session.deselected} not chosen")
    return f"{', '.join(parts)} in {session.seconds:.2f} s"


def too_low(session: Session, least: float) -> list[str]:
    """A sentence for each Promise whose coverage is less than ``least``, in percent."""
    return [
        f"the coverage of {name} is {shown(report.percent)}, below {least:g} %"
        for name, report in session.coverage
        if report.percent < least
    ]


def as_json(session: Session) -> str:
    """A map with ``passed``, ``failed``, ``notChosen``, ``notRun``, ``seconds``, ``cases`` and ``coverage``."""
    document: dict[str, Any] = {
        "passed": len(session.results) - len(session.failed),
        "failed": len(session.failed),
        "notChosen": session.deselected,
        "notRun": sum(len(result.unrun) for result in session.results),
        "seconds": round(session.seconds, 3),
        "cases": [_fields(result) for result in session.results],
    }
    if session.coverage:
        document["coverage"] = [
            {
                "promise": name,
                "percent": round(report.percent, 2),
                "files": [
                    {
                        "path": _shown(file.path),
                        "lines": len(file.lines),
                        "missedLines": list(file.missed_lines),
                        "branches": len(file.branches),
                        "missedBranches": [
                            {"line": branch.line, "what": branch.words} for branch in file.missed_branches
                        ],
                    }
                    for file in report.files
                ],
            }
            for name, report in session.coverage
        ]
    return json_text(document)


def as_github(session: Session) -> str:
    """Workflow commands, which become annotations of a pull request."""
    return "".join(
        f"::error file={_property(_shown(problem.source.path))},line={problem.source.line},"
        f"title={_property(result.name)}::{_command(_told(problem.sentence, problem.diff))}\n"
        for result in session.failed
        for problem in result.problems
    )


def as_junit(session: Session) -> str:
    """JUnit XML as CI systems read it, with a suite for each file."""
    root = Xml.Element(
        "testsuites", {"name": "troth test", "time": f"{session.seconds:.3f}", **_counts(session.results)}
    )
    for where, results in _by_file(session.results):
        seconds = sum(result.seconds for result in results)
        suite = Xml.SubElement(
            root, "testsuite", {"name": _xml(where), "time": f"{seconds:.3f}", **_counts(results)}
        )
        for result in results:
            case = Xml.SubElement(
                suite,
                "testcase",
                classname=_xml(f"{result.promise}.{result.suite}"),
                name=_xml(result.name),
                file=_xml(_shown(result.source.path)),
                line=str(result.source.line),
                time=f"{result.seconds:.3f}",
            )
            if result.problems:
                first = _xml(result.problems[0].sentence)
                failure = Xml.SubElement(case, "failure", message=first, type="expectation")
                failure.text = _xml(
                    "\n".join(
                        f"{_shown(one.source.path)}:{one.source.line}: {_told(one.sentence, one.diff)}"
                        for one in result.problems
                    )
                )
            if result.unrun:
                Xml.SubElement(case, "system-out").text = _xml(f"not run: {', '.join(result.unrun)}")
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _failed(result: CaseResult, colour: bool) -> list[str]:
    lines = [f"  {_paint('FAIL', 'FAIL', colour)} {_plain(result.name)}"]
    for problem in result.problems:
        place = f"{_shown(problem.source.path)}:{problem.source.line}"
        lines.append(f"       {_plain(place)}: {_plain(problem.sentence)}")
        lines += [f"         {_paint(_plain(line), line[:1], colour)}" for line in problem.diff.splitlines()]
    return lines


def _by_file(results: Sequence[CaseResult]) -> list[tuple[str, list[CaseResult]]]:
    found: defaultdict[str, list[CaseResult]] = defaultdict(list)
    for result in results:
        place = _shown(result.file)
        found[f"{place}: {GENERATED}" if result.suite == GENERATED else place].append(result)
    return list(found.items())


def _unrun(session: Session) -> dict[str, Counter[str]]:
    """The pipelines of containers that were not run, for each Promise, with the number of cases that have them."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for result in session.results:
        found[result.promise].update(result.unrun)
    return {promise: counts for promise, counts in found.items() if counts}


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _shown(path: Path) -> str:
    """A path as one would type it in the current folder."""
    if not path.is_absolute():
        return str(path)
    short = os.path.relpath(path)
    return str(path) if short.startswith("..") else short


def _counts(results: Sequence[CaseResult]) -> dict[str, str]:
    failed = sum(bool(result.problems) for result in results)
    return {"tests": str(len(results)), "failures": str(failed), "errors": "0", "skipped": "0"}


def _fields(result: CaseResult) -> dict[str, Any]:
    return {
        "promise": result.promise,
        "file": _shown(result.file),
        "line": result.source.line,
        "suite": result.suite,
        "name": result.name,
        "outcome": result.outcome,
        "seconds": round(result.seconds, 4),
        "problems": [
            {
                "expectation": problem.what,
                "message": problem.message,
                "file": _shown(problem.source.path),
                "line": problem.source.line,
                "diff": problem.diff,
            }
            for problem in result.problems
        ],
        "unchecked": list(result.unchecked),
        "notRun": list(result.unrun),
    }


def _told(sentence: str, diff: str) -> str:
    return f"{sentence}\n{diff}" if diff else sentence


def _paint(text: str, word: str, colour: bool) -> str:
    return f"\x1b[{_COLOURS[word]}m{text}\x1b[0m" if colour and word in _COLOURS else text


def _plain(text: str) -> str:
    """The text without control characters that a terminal would act on."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _xml(text: str) -> str:
    return _NOT_XML.sub("?", text)


def _command(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _command(text).replace(":", "%3A").replace(",", "%2C")
