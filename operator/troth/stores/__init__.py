"""The state stores, to which manifests are written: Git, Kubernetes, and directories.

All of them implement one protocol, and each store has one task that writes.
"""

from troth.stores.environment import StoreEnvironment
from troth.stores.errors import Reason, StoreError
from troth.stores.factory import open_writer
from troth.stores.protocol import Claim, Former, Load, StateStoreWriter, Written
from troth.stores.workspace import temporary_workspace

__all__ = [
    "Claim",
    "Former",
    "Load",
    "Reason",
    "StateStoreWriter",
    "StoreEnvironment",
    "StoreError",
    "Written",
    "open_writer",
    "temporary_workspace",
]
