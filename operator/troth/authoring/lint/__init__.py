"""Finds mistakes in a Promise before anybody makes a request."""

from troth.authoring.known_kinds import Known, known_from, read_schemas
from troth.authoring.lint.findings import Finding
from troth.authoring.lint.linting import Earlier, Live, lint
from troth.engine.linting.remarks import CODES, Code

__all__ = ["CODES", "Code", "Earlier", "Finding", "Known", "Live", "known_from", "lint", "read_schemas"]
