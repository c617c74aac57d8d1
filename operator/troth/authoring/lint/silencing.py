"""Removes the findings that a comment silences, and finds mistakes in these comments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from troth.authoring.lint.findings import Finding
from troth.authoring.lint.places import Files, shown
from troth.engine.linting.comments import FIX, Comment, comments_in


def silence(findings: Sequence[Finding], paths: Iterable[Path], files: Files, families: str) -> list[Finding]:
    """The findings that are not silenced, and findings about the comments themselves.

    Args:
        findings: all findings.
        paths: the files whose comments count.
        files: reads the files.
        families: the first digits of the codes that were looked for, such as ``"0124"``. Only a comment about one of
            these can be stale.
    """
    left: list[Finding] = []
    by_file: dict[str, list[Comment]] = {}
    by_line: dict[tuple[str, int], list[Comment]] = {}
    for path in paths:
        comments = list(comments_in(files.lines(path)))
        by_file[shown(path)] = comments
        for comment in comments:
            by_line.setdefault((shown(path), comment.for_line), []).append(comment)
        left.extend(_faulty(shown(path), comments))
    for finding in findings:
        silencing = [
            comment
            for comment in by_line.get((finding.file, finding.line), ())
            if comment.silences(finding.code, finding.line)
        ]
        for comment in silencing:
            comment.used = True
        if not silencing:
            left.append(finding)
    for file, comments in by_file.items():
        for comment in comments:
            if not comment.problem and not comment.used and comment.code[1] in families:
                message = f"there is no {comment.code} to silence here"
                left.append(Finding("T003", file, comment.line, comment.column, message, "remove it", "warning"))
    return left


def _faulty(file: str, comments: Iterable[Comment]) -> Iterable[Finding]:
    for comment in comments:
        if comment.problem:
            yield Finding("T002", file, comment.line, comment.column, comment.problem, FIX, "error")
