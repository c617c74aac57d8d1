"""What people are told when git fails."""

from __future__ import annotations

import pytest

from troth.stores.git_errors import explain

REMOTE = "https://git.example.com/gitops.git"


@pytest.mark.parametrize(
    "said",
    [
        "Failed to connect to git.example.com port 443 after {} ms: Couldn't connect to server",
        "Connection timed out after {} milliseconds",
        "Operation timed out after {} milliseconds with 0 bytes received",
        "Operation timed out after {} milliseconds with 17 out of 230 bytes received",
        "Resolving timed out after {} milliseconds",
    ],
)
def test_the_same_failure_is_told_in_the_same_words_however_long_it_took(said: str) -> None:
    first, second = (
        explain(
            f"fatal: unable to access '{REMOTE}/': {said.format(time)}",
            doing="fetching",
            remote=REMOTE,
            branch="main",
        )
        for time in (3, 10042)
    )
    assert str(first) == str(second)
    assert first.reason == "Unreachable"
    assert "unable to access" in str(first)
