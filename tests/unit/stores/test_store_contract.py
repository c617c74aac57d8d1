"""The promises of every store, kept by a folder and by a Git repository on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.file_stores import DirectoryStore, GitStore
from tests.store_contract import StoreContract, claims

__all__ = ["claims"]


class TestDirectoryStore(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[DirectoryStore]:
        store = DirectoryStore(tmp_path)
        yield store
        await store.close()


class TestGitStore(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[GitStore]:
        store = GitStore(tmp_path)
        yield store
        await store.close()
