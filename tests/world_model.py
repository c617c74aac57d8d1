"""A small model of a platform: a store, a Destination, a Promise that requires another one, and its requests.

It knows what people and machines can do to each of them, and which ``Ready`` follows for every object when the
operator has finished. docs/reference/status.md has the same as a table. The model does not know how the operator
works.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple

StoreState = Literal["up", "away", "refusing", "deleted"]
DestinationState = Literal["labelled", "unlabelled", "deleted"]
NeededState = Literal["there", "paused", "deleted"]
MOST_REQUESTS = 3


class Told(NamedTuple):
    """What the ``Ready`` condition of an object must be."""

    kind: str
    status: str
    reason: str


@dataclass(slots=True)
class Asked:
    """One request.

    Attributes:
        name: its name.
        content: what it asks for. It is also its generation, as each edit asks for something new.
        fails: whether its template refuses it.
        paused: whether it has the label.
        carried_out: the content that was rendered or refused last; 0 for none.
        failed: whether that was refused.
        untold: whether it was paused since it was last carried out, so that its status does not say anything about
            before.
        placed: the content that its Work has; 0 without a Work.
        bound: whether it has a placement.
        written: the content in the store; 0 for none.
    """

    name: str
    content: int = 1
    fails: bool = False
    paused: bool = False
    carried_out: int = 0
    failed: bool = False
    untold: bool = False
    placed: int = 0
    bound: bool = False
    written: int = 0


@dataclass(slots=True)
class World:
    """The state of the whole model."""

    store: StoreState = "up"
    destination: DestinationState = "labelled"
    needed: NeededState = "there"
    invalid: bool = False
    paused: bool = False
    requests: list[Asked] = field(default_factory=list)

    @property
    def fulfils(self) -> bool:
        """Whether the Promise can fulfil requests."""
        return not self.paused and not self.invalid and self.needed == "there"

    def settle(self) -> None:
        """Does what the operator does, until nothing is left to be done."""
        for asked in self.requests:
            if asked.paused or self.paused:
                asked.untold = True
            elif self.fulfils:
                asked.carried_out, asked.failed, asked.untold = asked.content, asked.fails, False
                if not asked.fails:
                    asked.placed = asked.content
            if asked.placed and not asked.written:
                asked.bound = self.destination == "labelled"  # what is written stays, and the rest goes elsewhere
            if asked.bound and self.destination != "deleted" and self.store == "up":
                asked.written = asked.placed

    # ---- what follows

    def told(self) -> Iterator[tuple[str, Told]]:
        """The name and the ``Ready`` of every object. Works and placements have the name of their request."""
        yield "promise", self._promise()
        if self.needed != "deleted":
            yield "needed", _told("Promise", "PausedReconciliation" if self.needed == "paused" else "")
        if self.store != "deleted":
            yield "store", _told("state store", self._store())
        if self.destination != "deleted":
            yield "destination", _told("Destination", self._destination())
        for asked in self.requests:
            yield asked.name, _told("request", self._request(asked))
            if asked.placed:
                yield asked.name, _told("Work", self._work(asked))
            if asked.bound:
                yield asked.name, _told("WorkPlacement", self._placement(asked))

    def _promise(self) -> Told:
        if self.paused:
            return _told("Promise", "PausedReconciliation")
        if self.invalid:
            return _told("Promise", "InvalidPromise")
        return _told("Promise", "" if self.needed == "there" else "RequirementsNotFulfilled")

    def _is_refused(self) -> bool:
        return self.store == "refusing" and any(self._placement(asked) == _FAILED for asked in self.requests)

    def _store(self) -> str:
        if self.store == "away":
            return "RepositoryMissing"
        return "PushRefused" if self._is_refused() else ""

    def _destination(self) -> str:
        match self.store:
            case "deleted":
                return "StateStoreNotFound"
            case "away":
                return "StateStoreNotReady"
        return "StateStoreWriteFailed" if self._is_refused() else ""

    def _placement(self, asked: Asked) -> str:
        if not asked.bound:
            return ""
        if self.destination == "deleted":
            return "DestinationNotFound"
        if self.store == "deleted" or asked.written != asked.placed:
            return _FAILED
        return "Misplaced" if self.destination == "unlabelled" else ""

    def _work(self, asked: Asked) -> str:
        if not asked.bound:
            return "UnscheduledWorkloads"
        found = self._placement(asked)
        return "WorkplacementsFailing" if found == _FAILED else found

    def _request(self, asked: Asked) -> str:
        if asked.paused or self.paused:
            return "PausedReconciliation"
        if not self.fulfils and (asked.carried_out != asked.content or asked.untold):
            return "PromiseUnavailable" if self.invalid else "PromiseRequirementsNotInstalled"
        if asked.failed:
            return "ConfigureWorkflowFailed"
        found = self._work(asked)
        return {
            "WorkplacementsFailing": "WorksFailing",
            "DestinationNotFound": "WorksMisplaced",
            "Misplaced": "WorksMisplaced",
        }.get(found, found)

    # ---- what can happen

    def possible(self) -> dict[str, Callable[[], None]]:
        """What can happen now, by name. Each changes the model, and the caller does the same to the cluster."""
        found: dict[str, Callable[[], None]] = {}

        def may(name: str, **changes: object) -> None:
            found[name] = partial(_change, self, changes)

        if self.store == "up":
            may("the repository is moved away", store="away")
            may("the repository refuses every push", store="refusing")
            may("the store is deleted", store="deleted")
        else:
            may("the store is well again", store="up")
        for state in ("labelled", "unlabelled", "deleted"):
            if self.destination != state:
                may(f"the destination is {state}", destination=state)
        if self.needed == "there":
            may("the required Promise is paused", needed="paused")
            may("the required Promise is deleted", needed="deleted")
        else:
            may("the required Promise is there", needed="there")
        may("the Promise is mended" if self.invalid else "the Promise is broken", invalid=not self.invalid)
        may("the Promise goes on" if self.paused else "the Promise is paused", paused=not self.paused)
        if len(self.requests) < MOST_REQUESTS:
            found["a request is made"] = partial(self.requests.append, Asked(f"r{len(self.requests)}"))
        for asked in self.requests:
            found[f"{asked.name} is edited"] = partial(_edit, asked, fails=False)
            found[f"{asked.name} is edited to fail"] = partial(_edit, asked, fails=True)
            verb = "goes on" if asked.paused else "is paused"
            found[f"{asked.name} {verb}"] = partial(_change, asked, {"paused": not asked.paused})
        return found

    def heal(self) -> Iterator[str]:
        """The names, as in `possible`, of what must happen until everything is well."""
        if self.store != "up":
            yield "the store is well again"
        if self.destination != "labelled":
            yield "the destination is labelled"
        if self.needed != "there":
            yield "the required Promise is there"
        if self.paused:
            yield "the Promise goes on"
        if self.invalid:
            yield "the Promise is mended"
        for asked in self.requests:
            if asked.paused:
                yield f"{asked.name} goes on"
            if asked.fails:
                yield f"{asked.name} is edited"


_FAILED = "WorkloadsFailedWrite"
_TRUE = {
    "Promise": "Reconciled",
    "request": "Reconciled",
    "Work": "AllWorkplacementsScheduled",
    "WorkPlacement": "WorkloadsWrittenToTargetDestination",
    "Destination": "TestDocumentsWritten",
    "state store": "StateStoreReady",
}


def _told(kind: str, reason: str) -> Told:
    """``Ready``, which is True if there is not a reason against it."""
    return Told(kind, "False", reason) if reason else Told(kind, "True", _TRUE[kind])


def _change(thing: World | Asked, changes: Mapping[str, object]) -> None:
    for name, value in changes.items():
        setattr(thing, name, value)


def _edit(asked: Asked, *, fails: bool) -> None:
    asked.content += 1
    asked.fails = fails


def walk(seed: int, steps: int) -> Iterator[tuple[World, str]]:
    """A random walk. Yields the settled model after each step, and what has happened. At its end all is well."""
    chance = random.Random(seed)
    world = World()
    for number in range(steps):
        happened = "a request is made" if number == 0 else chance.choice(sorted(world.possible()))
        world.possible()[happened]()
        world.settle()
        yield world, happened
    for happened in list(world.heal()):
        world.possible()[happened]()
        world.settle()
        yield world, happened
