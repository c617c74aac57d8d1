"""What is wrong with a Promise, found before anybody asks for anything."""

from troth.authoring.lint.findings import Finding
from troth.authoring.lint.linting import lint
from troth.engine.linting.remarks import CODES, Code

__all__ = ["CODES", "Code", "Finding", "lint"]
