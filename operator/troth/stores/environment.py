"""What the writers of state stores need of the process that they run in."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from troth.api import labels as names
from troth.budget import Budget
from troth.stores.git import GitSettings
from troth.stores.kubernetes import KubernetesSettings
from troth.stores.kubernetes_client import KubernetesClient
from troth.stores.kubernetes_objects import Parse
from troth.stores.ownership import Ownerships

Connect = Callable[[bytes], Awaitable[KubernetesClient]]


@dataclass(frozen=True, slots=True)
class StoreEnvironment:
    """What writers need of the process they run in.

    Attributes:
        workspace: a private folder for clones; made if missing.
        local_root: the folder that local repositories and directories must lie in; None refuses them.
        cluster: the client of the cluster that the operator works on.
        connect: makes a client from a kubeconfig; what it raises is an unusable kubeconfig, and the words of a
            TrothError are shown, so they must quote nothing of it.
        parse: reads YAML as Kubernetes does; raises a TrothError.
        inventory_namespace: where inventories are kept on a cluster.
        surroundings: the environment that PATH and proxies are taken from.
        ownerships: who has what in each place, for all stores together: two of them may be one place.
        budget: of what writers load and have not handed on yet, for all stores together.
        git: how Git writers behave.
        kubernetes: how Kubernetes writers behave.
    """

    workspace: Path
    local_root: Path | None
    cluster: KubernetesClient
    connect: Connect
    parse: Parse
    inventory_namespace: str = names.SYSTEM_NAMESPACE
    surroundings: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    ownerships: Ownerships = field(default_factory=Ownerships)
    budget: Budget = field(default_factory=Budget)
    git: GitSettings = field(default_factory=GitSettings)
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)
