"""The demo, which shows everything that Troth does within a minute."""

from troth.dev.demo.errors import DemoFailed
from troth.dev.demo.screen import Screen
from troth.dev.demo.stage import Stage
from troth.dev.demo.tour import Tour

__all__ = ["DemoFailed", "Screen", "Stage", "Tour"]
