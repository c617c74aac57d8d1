"""How the steps of a move (`troth.engine.placement.moves`) meet the stores that are open.

The plan is made from what is known before the first step. A store may have become another one until it is that step's
turn; so whoever takes a step asks here for the writer, and gets only one that still is where the files are.
"""

from __future__ import annotations

from collections.abc import Iterable

from troth.api.store_kinds import StoreRef
from troth.controllers.platform import Platform
from troth.engine.placement.locations import Location
from troth.engine.placement.moves import Release, Remove, Stores, StoreState, TakeOut, Wait
from troth.stores import StateStoreWriter, StoreError


def states_of(platform: Platform, locations: Iterable[Location]) -> Stores:
    """What is known of the stores that locations are in, as far as they exist."""
    found = {ref: _state_of(platform, ref) for ref in {location.store for location in locations}}
    return {ref: state for ref, state in found.items() if state is not None}


def _state_of(platform: Platform, ref: StoreRef) -> StoreState | None:
    store = platform.open_stores.get(ref)
    if store is None:
        return StoreState() if platform.caches.get_store(ref) is not None else None
    is_ready = store.writer is not None and not store.problem
    return StoreState(store.address, ready=is_ready, problem=store.problem)


def writer_for(platform: Platform, step: Remove | TakeOut) -> StateStoreWriter:
    """The writer that takes a step; raises StoreError when its store is not there any more as it was planned."""
    store = platform.open_stores.get(step.through)
    if store is None or store.writer is None or store.address != step.location.address:
        raise waiting_for(Wait(step.location, step.through, store.problem if store else ""))
    return store.writer


async def release(platform: Platform, step: Release, owner: str) -> None:
    """Has a store forget an owner. One that is not open knows nobody."""
    store = platform.open_stores.get(step.store)
    if store is not None and store.writer is not None:
        await store.writer.release(owner)


def waiting_for(step: Wait) -> StoreError:
    """What is said while a store is waited for, without which files cannot be removed."""
    return StoreError(
        "StateStoreNotReady",
        f"waiting for state store {step.store} to remove the files in {step.location.path}"
        + (f": {step.problem}" if step.problem else ""),
        retryable=True,
    )
