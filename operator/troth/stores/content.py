"""Loads the content of a claim when it is needed, and checks it against the ids in the claim."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping

from troth.stores.errors import Reason, StoreError
from troth.stores.protocol import Claim

_AT_ONCE = 256 * 1024  # bytes that are hashed on the event loop: a fraction of a millisecond


def blob_id(content: bytes) -> str:
    """The id that Git gives a file with this content (SHA-1, as every Git server uses)."""
    return hashlib.sha1(b"blob %d\x00" % len(content) + content, usedforsecurity=False).hexdigest()


def content_version(files: Iterable[tuple[str, str]]) -> str:
    """``sha256:…`` of paths and blob ids in any order: the version for stores that do not have their own versions."""
    total = hashlib.sha256()
    for path, blob in sorted(files):
        total.update(f"{path}\0{blob}\n".encode())
    return f"sha256:{total.hexdigest()}"


async def load_content(claim: Claim, *, timeout: float) -> dict[str, bytes]:
    """Loads the files of a claim. All of them must be there, with the ids that the claim says.

    ``timeout`` is in seconds.

    Raises:
        StoreError: ContentUnavailable. Every exception of `load` becomes this error, so that a claim cannot make
            another one fail.
    """
    try:
        async with asyncio.timeout(timeout):
            loaded = await claim.load()
    except TimeoutError as error:
        raise _unavailable(claim, f"did not come within {timeout:g} s") from error
    except StoreError:
        raise
    except Exception as error:
        raise _unavailable(claim, f"could not be loaded ({type(error).__name__}: {error})") from error
    if sum(map(len, loaded.values())) > _AT_ONCE:
        return await asyncio.to_thread(_checked, claim, loaded)
    return _checked(claim, loaded)


def _checked(claim: Claim, loaded: Mapping[str, bytes]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path, blob in claim.files.items():
        content = loaded.get(path)
        if content is None:
            raise _unavailable(claim, f"lacks {path!r}")
        if blob_id(content) != blob:
            raise _unavailable(claim, f"of {path!r} is no longer what was claimed")
        found[path] = content
    return found


def _unavailable(claim: Claim, problem: str) -> StoreError:
    return StoreError(Reason.CONTENT_UNAVAILABLE, f"the content of {claim.owner} {problem}")
