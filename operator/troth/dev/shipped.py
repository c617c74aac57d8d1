"""Where the folders are that ship with the package, for commands that say so in their own kind of error."""

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
