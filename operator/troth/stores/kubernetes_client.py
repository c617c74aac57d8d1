"""The part of an API server's client that the Kubernetes store needs, as a protocol.

Stores and the API server's client do not import each other, so errors are distinguished by types that both import: a
`ServerRefusal` has the HTTP status of the answer, and a `NoAnswer` says that there was no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from troth.api import Resource, ServerRefusal
from troth.stores.errors import Reason, StoreError

Object = Mapping[str, Any]


class KubernetesListing(Protocol):
    """The answer to a list."""

    @property
    def items(self) -> Sequence[Object]:
        """The objects."""


class KubernetesClient(Protocol):
    """An API server. Methods raise a TrothError: ServerRefusal for a refusal, NoAnswer if there is no answer."""

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """One object."""

    async def list(
        self, resource: Resource, namespace: str = "", *, label_selector: str = "", limit: int = 500
    ) -> KubernetesListing:
        """All objects of a kind, in one namespace or in all."""

    async def apply(
        self,
        resource: Resource,
        obj: Object,
        *,
        field_manager: str = "troth",
        force: bool = True,
        dry_run: bool = False,
    ) -> Object:
        """Apply an object on the server. Returns the object as it is afterwards."""

    async def merge_patch(
        self,
        resource: Resource,
        name: str,
        patch: Object,
        *,
        namespace: str = "",
        resource_version: str | None = None,
    ) -> Object:
        """Apply a merge patch if the object still has this resource version. Returns the object after it."""

    async def delete(
        self, resource: Resource, name: str, namespace: str = "", *, uid: str | None = None
    ) -> Object:
        """Delete an object if it still has this uid."""

    async def find_resource(self, api_version: str, kind: str, *, refresh: bool = False) -> Resource | None:
        """The resource of a kind; None when the server does not serve it now.

        The result may come from a cache, unless ``refresh`` is set.
        """

    async def close(self) -> None:
        """Close the connections."""


def status_of(error: Exception) -> int:
    """The HTTP status of an answer; 0 when there was none."""
    return error.status if isinstance(error, ServerRefusal) else 0


def is_missing(error: Exception) -> bool:
    """Whether the object or its kind does not exist."""
    return status_of(error) == 404


def explain_refusal(error: Exception, *, doing: str) -> StoreError:
    """The error for a call about the store itself, not about one object of a claim."""
    status = status_of(error)
    if status in {401, 403}:
        return StoreError(
            Reason.AUTHENTICATION_REFUSED,
            f"the cluster does not allow {doing}: {error}",
            "give the account of the kubeconfig the right to get, list, patch and delete what is placed there",
        )
    if status:
        return StoreError(Reason.OBJECTS_REFUSED, f"{doing} failed: {error}")
    return StoreError(
        Reason.UNREACHABLE,
        f"the cluster cannot be reached: {error}",
        "Troth tries again; check whether the API server is up and the network lets the operator through",
    )
