"""How long the CEL rules of an object may be evaluated: in steps, so that the answer is the same on every machine.

Whoever judges many objects would wait for a rule that takes too long time and again. So each time that the steps were
too few, the next object has half of them: all objects that such a rule spoils cost together as much as two. Objects for
which a rule takes few steps are judged as before. Rejected: giving a rule up once it took too long for one object. The
API server takes such rules, and it is for the small objects that they are written.
"""

from __future__ import annotations

from typing import Final

# Nodes of rules that may be visited for one object: two seconds or three.
MOST_STEPS: Final = 60_000
# What an object has however often the steps were too few: some ten milliseconds.
FEWEST_STEPS: Final = 1_000


class OutOfSteps(Exception):
    """The rules of an object took more steps than they may."""


class Steps:
    """How many steps the rules of one object may still take."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int = 1) -> None:
        """Takes steps.

        Raises:
            OutOfSteps: there are not so many left.
        """
        self.left -= count
        if self.left < 0:
            raise OutOfSteps


class Allowance:
    """How many steps the next of some objects has."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = MOST_STEPS

    def settle(self, steps: Steps) -> None:
        """Learns from an object that is done."""
        if steps.left < 0:
            self.steps = max(self.steps // 2, FEWEST_STEPS)
