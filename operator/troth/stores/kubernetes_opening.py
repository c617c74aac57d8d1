"""Opens the writer of a KubernetesStateStore from its spec and its Secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from troth.api import TrothError
from troth.api.store_kinds import read_kubeconfig_key
from troth.stores.environment import StoreEnvironment
from troth.stores.errors import Reason, StoreError
from troth.stores.kubernetes import KubernetesWriter
from troth.stores.secret_keys import read_key, secret_name


async def open_kubernetes(
    name: str, spec: Mapping[str, Any], secret: Mapping[str, bytes] | None, environment: StoreEnvironment
) -> KubernetesWriter:
    """Opens the writer of the cluster in the Secret's kubeconfig, or of the operator's own. Raises StoreError."""
    client = environment.cluster
    owns = secret is not None or bool(spec.get("secretRef"))
    if owns:
        key = read_kubeconfig_key(spec)
        kubeconfig = read_key(spec, secret, key)
        try:
            client = await environment.connect(kubeconfig.encode())
        except Exception as error:  # noqa: BLE001 - a library's words quote what they are about: here, a secret
            said = str(error) if isinstance(error, TrothError) else "it is not what kubectl reads"
            raise StoreError(
                Reason.INVALID_STORE,
                f"the kubeconfig in the key {key} of the Secret {secret_name(spec)} cannot be used: {said}",
                "put a kubeconfig there that holds everything itself: certificates and token as data",
            ) from None
    return KubernetesWriter(
        client,
        store=name,
        parse=environment.parse,
        namespace=environment.inventory_namespace,
        owns_client=owns,
        settings=environment.kubernetes,
    )
