"""What is wrong with a Promise, found before anybody asks for anything."""

from troth.authoring.lint.findings import CODES, Code, Finding
from troth.authoring.lint.linting import lint

__all__ = ["CODES", "Code", "Finding", "lint"]
