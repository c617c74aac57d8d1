"""What the writers of state stores need from the process that they run in."""

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
    """What writers need from the process that they run in.

    Attributes:
        workspace: the private folder for clones, which is created if it is missing.
        local_root: the folder in which local repositories and directories must be; None refuses them.
        cluster: the client of the cluster that the operator works on.
        connect: makes a client from a kubeconfig. Every exception means that the kubeconfig is unusable. The message
            of a TrothError is shown, so it must not quote anything from the kubeconfig.
        parse: reads YAML as Kubernetes does; raises a TrothError.
        inventory_namespace: the namespace on a cluster in which inventories are kept.
        surroundings: the environment from which PATH and proxies are taken.
        ownerships: who owns what in each place, for all stores, because two stores may be the same place.
        budget: the bytes that writers may have loaded and not passed on yet, for all stores together.
        git: the options of Git writers.
        kubernetes: the options of Kubernetes writers.
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
