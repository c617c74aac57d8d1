"""What is logged of a key that fails again and again."""

from __future__ import annotations

from troth.api import Key
from troth.controllers.complaints import REMIND_SECONDS, Complaints

KEY = Key("widgets.example.com", "default", "a")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_same_failure_is_said_once_and_again_as_a_reminder_with_the_number_of_the_attempt() -> None:
    clock = Clock()
    complaints = Complaints(clock)
    assert complaints.note(KEY, "no room") == "no room"
    assert [complaints.note(KEY, "no room") for _ in range(9)] == [None] * 9
    clock.now += REMIND_SECONDS
    assert complaints.note(KEY, "no room") == "no room (attempt 11)"
    assert complaints.note(KEY, "no room") is None


def test_another_failure_is_said_at_once() -> None:
    complaints = Complaints(Clock())
    complaints.note(KEY, "no room")
    assert complaints.note(KEY, "no right") == "no right"


def test_each_key_is_said_for_itself() -> None:
    complaints = Complaints(Clock())
    complaints.note(KEY, "no room")
    assert complaints.note(KEY._replace(name="b"), "no room") == "no room"


def test_what_has_succeeded_is_forgotten_and_its_next_failure_is_news() -> None:
    complaints = Complaints(Clock())
    for _ in range(3):
        complaints.note(KEY, "no room")
    assert complaints.settle(KEY) == 3
    assert complaints.settle(KEY) == 0
    assert len(complaints) == 0
    assert complaints.note(KEY, "no room") == "no room"
