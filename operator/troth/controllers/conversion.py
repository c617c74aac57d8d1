"""How the API server reaches the operator's conversion webhook, for the definitions that need it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class ConversionEndpoint:
    """Where objects are converted.

    Attributes:
        service: the name of the Service; "" when the API server connects to ``address``.
        namespace: the namespace of the Service.
        address: the host to which the API server connects without a Service; "" for none.
        port: its port.
        authority: the certificate, in PEM, by which the API server recognises the webhook; empty until it is known.
    """

    service: str = ""
    namespace: str = ""
    address: str = ""
    port: int = 0
    authority: bytes = b""

    @property
    def is_served(self) -> bool:
        """Whether objects are converted at all."""
        return bool((self.service or self.address) and self.authority)

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which the API server connects."""
        if self.service:
            name = f"{self.service}.{self.namespace}.svc"
            return (name, f"{name}.cluster.local")
        return (self.address,)

    def client(self, definition: str) -> dict[str, Any]:
        """Returns the ``clientConfig`` of the definition of this name."""
        path = f"/convert/{definition}"
        bundle = base64.b64encode(self.authority).decode()
        if self.service:
            service = {"name": self.service, "namespace": self.namespace, "path": path, "port": 443}
            return {"caBundle": bundle, "service": service}
        host = f"[{self.address}]" if ":" in self.address else self.address
        return {"caBundle": bundle, "url": f"https://{host}:{self.port}{path}"}
