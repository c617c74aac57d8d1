"""Opens the writer of a DirectoryStateStore from its spec."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from troth.stores.directory import DirectoryWriter, directory_root
from troth.stores.environment import StoreEnvironment


async def open_directory(
    _name: str, spec: Mapping[str, Any], _secret: Mapping[str, bytes] | None, environment: StoreEnvironment
) -> DirectoryWriter:
    """Opens the writer of a folder. Raises StoreError for a spec that cannot work."""
    path = str(spec.get("path") or "")
    root = await asyncio.to_thread(directory_root, path, local_root=environment.local_root)
    return DirectoryWriter(root, ownership=environment.ownerships.at(str(root)), parse=environment.parse)
