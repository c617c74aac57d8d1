"""Comments that silence one code on one line, with a reason: ``# troth:ignore T107 the portal shows it``.

In a template it is a comment of Jinja, ``{# troth:ignore T103 it is text in old requests #}``. A comment that stands
alone on its line speaks for the next one. A reason is required: whoever reads the line next asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.authoring.lint.findings import Finding
from troth.authoring.lint.places import Files, shown
from troth.engine.linting.remarks import CODES

_COMMENT: Final = re.compile(r"(\{#-?|(?<!\S)#)\s*troth:ignore\b[ \t]*(\S*)[ \t]*(.*?)\s*(-?#\}|$)")
_FIX: Final = "write # troth:ignore CODE reason"


@dataclass(slots=True)
class _Comment:
    line: int
    column: int
    code: str
    reason: str
    for_line: int
    used: bool = False


def silence(findings: Sequence[Finding], paths: Iterable[Path], files: Files, families: str) -> list[Finding]:
    """The findings that nothing silences, and what is wrong with the comments.

    Args:
        findings: all findings.
        paths: the files whose comments count.
        files: reads them.
        families: the hundreds of codes that were looked for (``"012"``): only of these a comment can be stale.
    """
    left: list[Finding] = []
    by_file: dict[str, list[_Comment]] = {}
    for path in paths:
        comments = list(_comments(files.lines(path)))
        by_file[shown(path)] = comments
        left.extend(_faulty(shown(path), comments))
    for finding in findings:
        silencing = [
            comment
            for comment in by_file.get(finding.file, ())
            if comment.code == finding.code and comment.for_line == finding.line and comment.reason
        ]
        for comment in silencing:
            comment.used = True
        if not silencing:
            left.append(finding)
    for file, comments in by_file.items():
        for comment in comments:
            if comment.code in CODES and comment.reason and not comment.used and comment.code[1] in families:
                message = f"there is no {comment.code} to silence here"
                left.append(Finding("T003", file, comment.line, comment.column, message, "remove it", "warning"))
    return left


def _comments(lines: Sequence[str]) -> Iterable[_Comment]:
    for number, line in enumerate(lines, start=1):
        if "troth:ignore" not in line:
            continue
        for match in _COMMENT.finditer(line):
            alone = not line[: match.start()].strip() and not line[match.end() :].strip()
            yield _Comment(number, match.start() + 1, match[2], match[3], number + 1 if alone else number)


def _faulty(file: str, comments: Iterable[_Comment]) -> Iterable[Finding]:
    for comment in comments:
        if comment.code not in CODES:
            message = f"{comment.code!r} is no code of lint" if comment.code else "the comment names no code"
        elif not comment.reason:
            message = f"the comment does not say why {comment.code} is silenced"
        else:
            continue
        yield Finding("T002", file, comment.line, comment.column, message, _FIX, "error")
