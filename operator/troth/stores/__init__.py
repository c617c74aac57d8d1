"""Where manifests go: Git, Kubernetes, a directory; one protocol, one writer task each."""

from troth.stores.errors import Reason, StoreError
from troth.stores.protocol import Claim, Load, StateStoreWriter, Written

__all__ = ["Claim", "Load", "Reason", "StateStoreWriter", "StoreError", "Written"]
