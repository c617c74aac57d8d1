"""What to do when the API server refuses to let a request be deleted.

Its finalizers cannot be removed while it does not pass the validation of its API. If the API is being removed as well,
the validation is taken out of it; otherwise somebody has to change something.
"""

from __future__ import annotations

from troth.api import Promise
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION
from troth.controllers.object_writes import patch_object
from troth.controllers.platform import Platform
from troth.controllers.request_apis import RequestApi
from troth.engine.promises.relaxing import relaxing_patch
from troth.kube import Forbidden, Invalid


async def relax(platform: Platform, api: RequestApi, promise: Promise) -> bool:
    """Takes all validation out of an API that is being removed. Returns False when the API is to stay."""
    live = platform.caches.definitions.get("", api.resource.name)
    if live is None or not (promise.metadata.deleting or live.metadata.deleting):
        return False
    patch = relaxing_patch(live)
    if patch is not None:
        definitions = platform.caches.definitions
        await patch_object(platform, definitions, CUSTOM_RESOURCE_DEFINITION, live.metadata, patch)
    return True


def remedy(api: RequestApi, error: Forbidden | Invalid) -> str:
    """What somebody can do about the refusal, as a sentence without a full stop."""
    if isinstance(error, Forbidden):
        return "Allow it in the policy that refuses it; Troth tries again by itself"
    return (
        f"Change this {api.resource.kind} so that it fits its API, which is possible even while it is being deleted, "
        f"or change the API of the Promise {api.promise} so that it allows it; Troth tries again by itself"
    )
