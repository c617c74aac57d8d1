"""The JSON Schema of PromiseTest for editors, which is a file of this package."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

FILE: Final = "promise-test.schema.json"


def schema_text() -> str:
    """The text of the schema. It is draft 7, since editors understand that."""
    return files("troth.authoring.testing").joinpath(FILE).read_text("utf-8")
