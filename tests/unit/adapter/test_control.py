"""``workflow-control.yaml`` is read as Kratix reads it, and a mistake in it is said."""

from __future__ import annotations

from typing import Any

import pytest

from troth.adapter.control import Control, read_control
from troth.adapter.errors import Unusable

FILE = "/kratix/metadata/workflow-control.yaml"


@pytest.mark.parametrize(
    ("document", "control", "stops"),
    [
        (None, Control(), False),
        ({}, Control(), False),
        ({"suspend": False, "message": "all is well"}, Control(message="all is well"), False),
        ({"suspend": True, "message": "wait"}, Control(suspend=True, message="wait"), True),
        ({"retryAfter": "1h30m"}, Control(retry_after="1h30m"), True),
        ({"suspend": None, "retryAfter": ""}, Control(), False),
        ({"retryAfter": "10s", "maxAttempts": 3}, Control(retry_after="10s", max_attempts=3), True),
        ({"suspend": True, "note": 1}, Control(suspend=True, ignored=("note",)), True),
    ],
)
def test_what_a_pipeline_asks_of_its_workflow(document: Any, control: Control, stops: bool) -> None:
    assert read_control(document, FILE) == control
    assert control.stops == stops


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "is a list, not a map"),
        ({"suspend": "yes"}, "suspend is text, not true or false"),
        ({"message": 3}, "message is a number, not text"),
        ({"retryAfter": 10}, "retryAfter is a number, not text"),
        ({"retryAfter": "soon"}, "retryAfter: 'soon' is not a duration; write one such as 30s"),
        ({"retryAfter": "-1m"}, "'-1m' is not a duration"),
        ({"maxAttempts": 0}, "maxAttempts is not a whole number above 0"),
        ({"maxAttempts": True}, "maxAttempts is not a whole number above 0"),
    ],
)
def test_a_mistake_is_refused_with_file_and_reason(document: Any, words: str) -> None:
    with pytest.raises(Unusable) as refused:
        read_control(document, FILE)
    assert str(refused.value).startswith(f"{FILE}: ")
    assert words in str(refused.value)
