"""Logs for machines: one JSON object a line, with the fields of the object it is about."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from troth.app.logs import set_up_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_one_object_with_what_it_is_about() -> None:
    stream = io.StringIO()
    set_up_logs("json", "info", stream)
    logging.getLogger("troth.test").warning("two\nlines", extra={"kind": "works", "namespace": "a", "object": "b"})
    [line] = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["message"] == "two\nlines"
    assert (entry["level"], entry["kind"], entry["namespace"], entry["object"]) == ("warning", "works", "a", "b")


def test_an_exception_stays_on_its_line() -> None:
    stream = io.StringIO()
    set_up_logs("json", "info", stream)
    try:
        int("why")
    except ValueError:
        logging.getLogger("troth.test").exception("it failed")
    [line] = stream.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["exception"]


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    set_up_logs("plain", "warning", stream)
    logging.getLogger("troth.test").info("quiet")
    assert stream.getvalue() == ""
