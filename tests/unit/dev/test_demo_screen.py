"""The demo is readable: 100 columns, honest about what it leaves out, and colour only for a terminal."""

from __future__ import annotations

import io
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.dev.demo.screen import Screen, excerpt

STATUS = """\
apiVersion: v1
metadata:
  name: orders
  labels:
    message: no
spec:
  size: small
status:
  conditions:
  - message: Reconciled
    type: Ready
  host: there
  message: 'one
    two'
  troth:
    phase: Committed
    placements:
    - destination: worker
      files: 1
    statusKeys:
    - host
"""


def _shown(act: str, *arguments: object, **options: object) -> list[str]:
    stream = io.StringIO()
    getattr(Screen(stream), act)(*arguments, **options)
    return stream.getvalue().splitlines()


def test_an_excerpt_has_the_wanted_lines_and_says_where_it_leaves_some_out() -> None:
    assert excerpt(STATUS, "status.message", "status.troth.placements").splitlines() == [
        "…",
        "status:",
        "  …",
        "  message: 'one",
        "    two'",
        "  troth:",
        "    …",
        "    placements:",
        "    - destination: worker",
        "      files: 1",
        "    …",
    ]


def test_an_excerpt_of_everything_is_everything() -> None:
    whole = excerpt(STATUS, "apiVersion", "metadata", "spec", "status")
    assert whole + "\n" == STATUS


def test_long_output_is_cut_and_says_by_how_much() -> None:
    lines = _shown("output", "\n".join(map(str, range(10))), limit=3)
    assert lines == ["   0", "   1", "   2", "   … 7 more lines"]


def test_a_cut_that_would_save_one_line_is_not_made() -> None:
    assert _shown("output", "a\nb\nc\nd", limit=3) == ["   a", "   b", "   c", "   d"]


def test_an_option_stays_with_its_value_and_a_pipe_whole_where_a_command_is_broken() -> None:
    words = ["kubectl", "apply", *(word for n in range(9) for word in ("-f", f"promises/number-{n}.yaml"))]
    lines = [line.strip() for line in _shown("command", words)[1:]]
    assert len(lines) > 1
    assert not any(line.removesuffix(" \\").endswith("-f") for line in lines)
    piped = [line.strip() for line in _shown("command", ["sed", "x" * 80, "file", "|", "kubectl", "apply"])[1:]]
    assert piped == [f"$ sed {'x' * 80} file \\", "| kubectl apply"]


@given(st.lists(st.text("abc -|=/.'{}", min_size=1, max_size=40).map(shlex.quote), min_size=1, max_size=12))
def test_a_shell_reads_a_broken_command_as_it_was(words: list[str]) -> None:
    lines = _shown("command", words)[1:]
    text = "\n".join(line[5:] for line in lines).replace("\\\n", "")  # "   $ ", and as much before what follows
    assert shlex.split(text) == shlex.split(" ".join(words))


@given(st.lists(st.text("ab c:", max_size=300), max_size=5))
def test_nothing_is_wider_than_a_hundred_columns_or_ends_in_blanks(paragraphs: list[str]) -> None:
    text = "\n".join(paragraphs)
    for act in ("say", "output", "diff"):
        for line in _shown(act, text):
            assert len(line) <= 100
            assert line == line.rstrip()


def test_a_table_sets_its_last_column_to_the_right() -> None:
    assert _shown("table", ["What", "After"], [["an edit", "9 ms"], ["a delete", "1200 ms"]]) == [
        "",
        "   What         After",
        "   an edit       9 ms",
        "   a delete   1200 ms",
    ]


def test_there_is_no_colour_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for act, argument in (("chapter", "One"), ("command", ["kubectl"]), ("diff", "+a\n-b")):
        assert "\x1b" not in "\n".join(_shown(act, argument))
