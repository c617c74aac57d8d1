"""These tests have a node of their own, on which the chart is installed."""

from __future__ import annotations

from tests.node.installed.fixtures import node, release, repositories

__all__ = ["node", "release", "repositories"]
