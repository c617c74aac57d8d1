"""The audit log is read as it grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from troth.dev.audit import AuditLog


def _line(verb: str, name: str, user: str = "jane") -> str:
    event = {
        "verb": verb,
        "user": {"username": user},
        "userAgent": "kubectl/v1",
        "requestURI": f"/api/v1/namespaces/n/configmaps/{name}",
        "objectRef": {"resource": "configmaps", "namespace": "n", "name": name},
        "responseStatus": {"code": 200},
    }
    return json.dumps(event) + "\n"


def test_each_call_gives_what_was_added_since(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(_line("get", "before"))
    log = AuditLog(path)
    with path.open("a") as file:
        file.write(_line("get", "a") + _line("patch", "b") + _line("create", "c", user="other"))
    assert [(entry.verb, entry.name) for entry in log.writes(by=lambda entry: entry.user == "jane")] == [
        ("patch", "b")
    ]
    assert log.read() == []
    assert [entry.name for entry in AuditLog(path, from_start=True).read()] == ["before", "a", "b", "c"]


def test_a_line_that_is_still_being_written_comes_whole_later(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path)
    assert log.read() == []
    text = _line("update", "x")
    path.write_text(text[:40])
    assert log.read() == []
    path.write_text(text)
    assert [entry.name for entry in log.read()] == ["x"]


@pytest.mark.parametrize("before", ["", _line("get", "before")], ids=["the first line", "a later line"])
@pytest.mark.parametrize("padding", [0, 200_000], ids=["short", "longer than one block"])
def test_a_reader_that_begins_in_the_middle_of_a_line_gets_that_line_whole(
    tmp_path: Path, before: str, padding: int
) -> None:
    path = tmp_path / "audit.log"
    text = _line("update", "x" * (padding + 1))
    path.write_text(before + text[:-20])
    log = AuditLog(path)
    path.write_text(before + text + _line("get", "after"))
    assert [entry.verb for entry in log.read()] == ["update", "get"]
