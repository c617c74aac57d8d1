"""The JSON Schema of PromiseTest, a file of this package, for editors."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

FILE: Final = "promise-test.schema.json"


def schema_text() -> str:
    """The schema, draft 7 since that is what editors understand."""
    return files("troth.authoring.testing").joinpath(FILE).read_text("utf-8")
