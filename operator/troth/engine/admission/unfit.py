"""A live request that no longer fits its API, and how several are told. This travels; the judgement does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_MOST_NAMES: Final = 3


@dataclass(frozen=True, slots=True)
class Unfit:
    """A request that does not fit.

    Attributes:
        namespace: of the request.
        name: of the request.
        problem: the first thing that is wrong with it, in the API server's words.
        held: the API server refuses every write of it, so it cannot be deleted either.
        generation: of the request as it was judged.
    """

    namespace: str
    name: str
    problem: str
    held: bool
    generation: int = 0


def named(unfit: Sequence[Unfit]) -> str:
    """The first three, each with what is wrong with it."""
    ordered = sorted(unfit, key=lambda one: (not one.held, one.namespace, one.name))
    said = [f"{one.namespace}/{one.name} ({one.problem})" for one in ordered[:_MOST_NAMES]]
    more = len(unfit) - len(said)
    return ", ".join(said) + (f", and {more} more" if more else "")


def consequence(unfit: Sequence[Unfit]) -> str:
    """What it means that some cannot be written at all; or nothing."""
    held = sum(one.held for one in unfit)
    if not held:
        return ""
    which = "it" if len(unfit) == 1 else "them" if held == len(unfit) else f"{held} of them"
    return f"the API server refuses every write of {which}, so nobody can delete {which} either"
