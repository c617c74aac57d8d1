"""Finds the folders that ship with the package: its definitions and its library of Promises.

An installed package contains them; in a checkout they are at the top, where people look for them.
"""

from __future__ import annotations

from pathlib import Path

from troth.api import TrothError


class NotShipped(TrothError):
    """A folder that belongs to Troth is missing."""


def shipped_folder(name: str) -> Path:
    """The folder ``crds`` or ``promises``.

    Raises:
        NotShipped: it is in neither of these places.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / name, package.parents[1] / name):
        if folder.is_dir():
            return folder
    raise NotShipped(f"the folder {name}, which belongs to Troth, is missing: reinstall Troth")
