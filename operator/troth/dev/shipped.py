"""Finds the folders that ship with the package, and raises a DevError when one is missing."""

from __future__ import annotations

from pathlib import Path

from troth import shipped
from troth.dev.errors import DevError


def shipped_folder(name: str) -> Path:
    """The folder ``crds`` or ``promises``.

    Raises:
        DevError: it is missing.
    """
    try:
        return shipped.shipped_folder(name)
    except shipped.NotShipped as error:
        raise DevError(str(error)) from None
