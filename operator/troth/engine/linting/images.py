"""Which images are fixed: those with a tag other than ``latest``, or with a digest."""

from __future__ import annotations

import re
from typing import Final

FIX_IMAGE: Final = "give it a tag or a digest"
_FIXED: Final = re.compile(r"(@sha256:[0-9a-f]{64}|:(?!latest$)[\w][\w.-]{0,127})$")


def unfixed_image(image: str) -> str:
    """Returns what is wrong with an image that names no version, in a sentence without a full stop; else ""."""
    if _FIXED.search(image):
        return ""
    return f"the image {image} has no fixed tag: what runs changes without a change here"
