"""Comments that silence are read in templates and in YAML, and however a line is made, in no time."""

from __future__ import annotations

import pytest

from troth.engine.linting.comments import Comment, comments_in


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("# troth:ignore T107 the portal shows it", ("T107", "the portal shows it", 2)),
        ("a: b  # troth:ignore T107 why", ("T107", "why", 1)),
        ("{# troth:ignore T103 old requests #}", ("T103", "old requests", 2)),
        ("{#- troth:ignore T103 old requests -#}", ("T103", "old requests", 2)),
        ("a: {{ b }} {# troth:ignore T103 why #}", ("T103", "why", 1)),
        ("{# troth:ignore T103 why #} a: {{ b }}", ("T103", "why", 1)),
        ("# troth:ignore T107", ("T107", "", 2)),
        ("# troth:ignore", ("", "", 2)),
        ("{# troth:ignore T103 #}", ("T103", "", 2)),
        ("{# troth:ignore T103#} x", ("T103", "", 1)),
        ("#troth:ignore T107 why", ("T107", "why", 2)),
    ],
)
def test_a_comment_is_read(line: str, expected: tuple[str, str, int]) -> None:
    [found] = comments_in([line])
    assert (found.code, found.reason, found.for_line) == expected


@pytest.mark.parametrize(
    "line", ["a: b", "troth:ignore T107 why", "a#troth:ignore T107 why", "# troth:ignored T1"]
)
def test_what_is_no_comment_is_left_alone(line: str) -> None:
    assert list(comments_in([line])) == []


def test_several_comments_may_stand_on_one_line() -> None:
    line = "{# troth:ignore T102 one #}{{ a }}{# troth:ignore T103 two #}"
    assert [(comment.code, comment.reason) for comment in comments_in([line])] == [
        ("T102", "one"),
        ("T103", "two"),
    ]


@pytest.mark.timeout(5)
@pytest.mark.parametrize("filler", [" ", "#", "{#", "-", "# troth:ignore "])
def test_a_hostile_line_costs_no_time(filler: str) -> None:
    line = "# troth:ignore T107 a" + filler * 100_000 + "b"
    assert len(list(comments_in([line]))) >= 1


def test_a_comment_silences_its_code_on_its_line_if_it_says_why() -> None:
    comment = Comment(1, 1, "T102", "why", 2)
    assert comment.silences("T102", 2)
    assert not comment.silences("T102", 1)
    assert not comment.silences("T101", 2)
    assert not Comment(1, 1, "T102", "", 2).silences("T102", 2)
