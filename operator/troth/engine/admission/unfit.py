"""Live requests that no longer fit their API, and the sentences about requests. `promises.fitting` finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_MOST_NAMES: Final = 3


@dataclass(frozen=True, slots=True)
class Unfit:
    """A request that does not fit its API.

    Attributes:
        namespace: the namespace of the request.
        name: the name of the request.
        problem: the first thing that is wrong with it, in the API server's words.
        held: whether the API server refuses every write of it, so that it cannot be deleted either.
        generation: the generation of the request that was judged.
    """

    namespace: str
    name: str
    problem: str
    held: bool
    generation: int = 0


def counted(some: int, judged: int) -> str:
    """Returns how many of all requests it is, such as ``2 of 40 requests``; ``some`` is at least 1."""
    return "the only request" if judged == 1 else f"{some} of {judged} requests"


def named(unfit: Sequence[Unfit]) -> str:
    """Names the first three requests, each with what is wrong with it."""
    ordered = sorted(unfit, key=lambda one: (not one.held, one.namespace, one.name))
    said = [f"{one.namespace}/{one.name} ({one.problem})" for one in ordered[:_MOST_NAMES]]
    more = len(unfit) - len(said)
    return ", ".join(said) + (f", and {more} more" if more else "")


def consequence(unfit: Sequence[Unfit]) -> str:
    """Says what follows for requests that cannot be written at all; "" when there are none."""
    held = sum(one.held for one in unfit)
    if not held:
        return ""
    which = "it" if len(unfit) == 1 else "them" if held == len(unfit) else f"{held} of them"
    return f"the API server refuses every write of {which}, so nobody can delete {which} either"
