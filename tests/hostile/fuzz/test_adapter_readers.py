"""What the containers of a pipeline leave beside their output, and how they name it: a value, or a sentence."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.fuzz.fuzzing import fuzz
from tests.hostile.fuzz.names import NAMES
from troth.adapter.control import Control, read_control
from troth.adapter.documents import read_document
from troth.adapter.errors import Unusable
from troth.adapter.files import list_files
from troth.adapter.groups import make_groups, read_rules, read_scheduling
from troth.adapter.statuses import make_report, patch_status, read_status_document
from troth.engine.placement.work import pack_content

TOKENS = (b"- ", b": ", b"{", b"[", b"&a ", b"*a", b"'", b'"', b"\n  ", b"null", b"1", b"true", b"kratix", b"type")


def _status(document: Any) -> None:
    for kind in ("resource", "promise"):
        said = read_status_document(document, "file", workflow_type=kind)
        report = make_report(said, Control())
        old = {"conditions": [{"type": "Up"}], "a": {"b": 1}, "troth": {"workflows": {"configure": {}}}}
        patch_status(old, said, report, action="configure", pipeline="p", now="2026-11-30T12:00:00Z")


def _rules(document: Any) -> None:
    files = {path: pack_content(b"") for path in ("a", "b/c")}
    make_groups(files, read_rules(document, "file"), (), "resource-workflow", "file")


READERS: dict[str, tuple[Callable[[Any], object], list[bytes]]] = {
    "status": (_status, [b"message: a\nconditions:\n- {type: Up, status: 'True'}\n", b"{a: {b: [1, null]}}"]),
    "control": (
        lambda document: read_control(document, "file"),
        [b"suspend: true\nmessage: a\nretryAfter: 10m\n"],
    ),
    "selectors": (_rules, [b"- directory: b\n  matchLabels: {a: b}\n", b"- matchLabels: {a: '1'}\n"]),
    "scheduling": (
        lambda document: read_scheduling(document, "file"),
        [b"- matchlabels: {a: b}\n  source: promise\n"],
    ),
}


def require_one_line(error: Unusable) -> None:
    assert error.file.isprintable(), "a name that a terminal would act on"
    assert error.problem


@pytest.mark.parametrize("reader", sorted(READERS))
def test_a_file_beside_the_output_is_read_or_refused_in_words(reader: str, tmp_path: Path) -> None:
    read, seeds = READERS[reader]

    def check(content: bytes) -> None:
        path = tmp_path / "file"
        path.write_bytes(content)
        try:
            read(read_document(path, "file"))
        except Unusable as error:
            require_one_line(error)

    fuzz(f"adapter-{reader}", check, seeds=seeds, tokens=TOKENS)


@given(names=st.lists(NAMES, max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_name_of_a_file_is_listed_as_it_is_or_refused_in_words(names: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            with open(os.fsencode(folder) + b"/" + name, "wb"):  # noqa: PTH123 - bytes
                pass
        try:
            found = [os.fsencode(file.path) for file in list_files(Path(folder), "/kratix/output")]
        except Unusable as error:
            require_one_line(error)
        else:
            assert sorted(found) == sorted(set(names))
