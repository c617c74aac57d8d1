"""The interpreter that commands are forked from, which is started once for each file of tests that needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.warm_commands import WarmCommands


@pytest.fixture(scope="module")
def commands() -> Iterator[WarmCommands]:
    with WarmCommands() as warm:
        yield warm
