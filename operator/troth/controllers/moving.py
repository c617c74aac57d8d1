"""Finds the open stores for the steps of a move (`troth.engine.placement.moves`).

The plan is made from what is known before the first step. By the time a later step is taken, its store may point
somewhere else. So the writer for each step is asked for here, and it is only given if it still writes to the place
where the files are.
"""

from __future__ import annotations

from collections.abc import Iterable

from troth.api.store_kinds import StoreRef
from troth.controllers.platform import Platform
from troth.engine.placement.locations import Location
from troth.engine.placement.moves import Release, Remove, Stores, StoreState, TakeOut, Wait
from troth.stores import StateStoreWriter, StoreError


def states_of(platform: Platform, locations: Iterable[Location]) -> Stores:
    """What is known of the stores of some locations, without those that do not exist."""
    found = {ref: _state_of(platform, ref) for ref in {location.store for location in locations}}
    return {ref: state for ref, state in found.items() if state is not None}


def _state_of(platform: Platform, ref: StoreRef) -> StoreState | None:
    store = platform.open_stores.get(ref)
    if store is None:
        return StoreState() if platform.caches.get_store(ref) is not None else None
    is_ready = store.writer is not None and not store.problem
    return StoreState(store.address, ready=is_ready, problem=store.problem)


def writer_for(platform: Platform, step: Remove | TakeOut) -> StateStoreWriter:
    """The writer that takes a step.

    Raises:
        StoreError: the store is gone, or is not at the planned place any more.
    """
    store = platform.open_stores.get(step.through)
    if store is None or store.writer is None or store.address != step.location.address:
        raise waiting_for(Wait(step.location, step.through, store.problem if store else ""))
    return store.writer


async def release(platform: Platform, step: Release, owner: str) -> None:
    """Makes a store forget an owner. A store that is not open has nothing to forget."""
    store = platform.open_stores.get(step.store)
    if store is not None and store.writer is not None:
        await store.writer.release(owner)


def waiting_for(step: Wait) -> StoreError:
    """The error that is reported while files cannot be removed because their store is missing."""
    return StoreError(
        "StateStoreNotReady",
        f"waiting for state store {step.store} to remove the files in {step.location.path}"
        + (f": {step.problem}" if step.problem else ""),
        retryable=True,
    )
