"""Fixtures that several tests of attacks share."""

from __future__ import annotations

import pytest

from tests.forging import Corner
from tests.platforms import Platform, Repository


@pytest.fixture
async def corner(platform: Platform, repository: Repository, namespace: str, unique: str) -> Corner:
    assert namespace == unique
    return Corner(platform, repository, unique)
