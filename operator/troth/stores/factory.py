"""Opens the writer of a state store from its spec and its Secret, with the module for its kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from troth.api.store_kinds import DIRECTORY, GIT, KUBERNETES
from troth.stores.directory_opening import open_directory
from troth.stores.environment import StoreEnvironment
from troth.stores.errors import Reason, StoreError
from troth.stores.git_opening import open_git
from troth.stores.kubernetes_opening import open_kubernetes
from troth.stores.protocol import StateStoreWriter

Open = Callable[
    [str, Mapping[str, Any], Mapping[str, bytes] | None, StoreEnvironment], Awaitable[StateStoreWriter]
]

OPENERS: Final[Mapping[str, Open]] = {
    GIT.kind: open_git,
    KUBERNETES.kind: open_kubernetes,
    DIRECTORY.kind: open_directory,
}
"""The function for each kind, which gets the store's name, its spec, the data of its Secret, and the environment."""


async def open_writer(
    kind: str,
    name: str,
    spec: Mapping[str, Any],
    secret: Mapping[str, bytes] | None,
    environment: StoreEnvironment,
) -> StateStoreWriter:
    """Opens the writer of a state store, without contacting it. Raises StoreError for what cannot work.

    Args:
        kind: the kind's name, one of `troth.api.store_kinds.STORE_KINDS`.
        name: the store's name.
        spec: the store's spec as written.
        secret: the decoded data of the Secret in ``spec.secretRef``; None when the spec does not have a reference.
        environment: the environment of the process.
    """
    if opener := OPENERS.get(kind):
        return await opener(name, spec, secret, environment)
    *others, last = OPENERS
    raise StoreError(
        Reason.NOT_SUPPORTED,
        f"a store of kind {kind} is not supported yet",
        f"use a {', a '.join(others)} or a {last}",
        retryable=False,
    )
