"""Formats findings for people, for programs, and for code review."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from troth.authoring.lint.findings import Finding
from troth.authoring.output import json_text
from troth.engine.linting.remarks import CODES

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_PAGE: Final = "docs/reference/lint.md"
_LEVELS: Final = {"error": "error", "warning": "warning", "note": "note"}
_GITHUB: Final = {"error": "error", "warning": "warning", "note": "notice"}
_COLOURS: Final = {"error": "31", "warning": "33", "note": "36"}


def as_text(findings: Sequence[Finding], *, colour: bool = False) -> str:
    """One line for each finding: ``file:line:column: severity CODE: message; fix``."""
    lines = []
    for finding in findings:
        what = f"{finding.severity} {finding.code}"
        if colour:
            what = f"\x1b[{_COLOURS[finding.severity]}m{what}\x1b[0m"
        lines.append(f"{_plain(finding.place)}: {what}: {_sentence(finding)}\n")
    return "".join(lines)


def as_json(findings: Sequence[Finding]) -> str:
    """A list of maps, one for each finding."""
    return json_text([_fields(finding) for finding in findings])


def as_sarif(findings: Sequence[Finding], version: str) -> str:
    """SARIF 2.1.0, which code review tools show next to the line."""
    used = sorted({finding.code for finding in findings})
    rules = [
        {
            "id": code,
            "shortDescription": {"text": CODES[code].title},
            "help": {"text": f"See {_PAGE}#{code.lower()}"},
            "defaultConfiguration": {"level": _LEVELS[CODES[code].severity]},
        }
        for code in used
    ]
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "troth lint", "version": version, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, used.index(finding.code)) for finding in findings],
            }
        ],
    }
    return json_text(log)


def as_github(findings: Sequence[Finding]) -> str:
    """Workflow commands, which become annotations of a pull request."""
    return "".join(
        f"::{_GITHUB[finding.severity]} file={_property(finding.file)},line={finding.line},col={finding.column},"
        f"title={finding.code}::{_command(_sentence(finding))}\n"
        for finding in findings
    )


def summary(findings: Sequence[Finding]) -> str:
    """A sentence that says how many findings of each severity there are."""
    counts = []
    for severity in ("error", "warning", "note"):
        number = sum(finding.severity == severity for finding in findings)
        if number:
            counts.append(f"{number} {severity}{'s' if number > 1 else ''}")
    return ", ".join(counts) or "nothing found"


def _sentence(finding: Finding) -> str:
    text = f"{finding.message}; {finding.fix}" if finding.fix else finding.message
    return _plain(" ".join(text.split()))


def _plain(text: str) -> str:
    """The text without control characters that a terminal would act on."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _fields(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
        "fix": finding.fix,
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": _sentence(finding)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.file)},
                    "region": {"startLine": finding.line, "startColumn": finding.column},
                }
            }
        ],
    }


def _uri(file: str) -> str:
    """The URI of a file (SARIF 3.4.3). It is relative if the path is; characters with a meaning in URIs are quoted."""
    path = PurePosixPath(file.replace("\\", "/"))
    return path.as_uri() if path.is_absolute() else PurePosixPath("/", path).as_uri().removeprefix("file:///")


def _command(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _command(text).replace(":", "%3A").replace(",", "%2C")
