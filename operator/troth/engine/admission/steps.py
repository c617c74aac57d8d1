"""How long the CEL rules of an object may be evaluated, in steps, so that the result is the same on every machine.

When many objects are judged, a rule that takes too long would take too long for each of them. So each time the steps
run out, the next object gets half as many: all such objects together cost as much as two. Objects for which a rule
needs few steps are judged as before. Rejected: giving up a rule once it took too long for one object. The API server
accepts such rules, and they are written for small objects.
"""

from __future__ import annotations

from typing import Final

# The most nodes of rules that are visited for one object, which takes two or three seconds.
MOST_STEPS: Final = 60_000
# The fewest steps that an object gets, however often they ran out before: some ten milliseconds.
FEWEST_STEPS: Final = 1_000


class OutOfSteps(Exception):
    """The rules of an object need more steps than they may take."""


class Steps:
    """The steps that the rules of one object may still take."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int = 1) -> None:
        """Takes ``count`` steps.

        Raises:
            OutOfSteps: not so many are left.
        """
        self.left -= count
        if self.left < 0:
            raise OutOfSteps


class Allowance:
    """The number of steps for each of several objects, one after another."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = MOST_STEPS

    def settle(self, steps: Steps) -> None:
        """Halves the steps of the next object if this one ran out of them."""
        if steps.left < 0:
            self.steps = max(self.steps // 2, FEWEST_STEPS)
