"""Checks in the API server and in the repository that what the demo shows is true.

Every wait has a deadline, checks meanwhile that the programs are running, and says what it waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, TypeVar

from troth.api.statuses import OwnStatus, read_own, read_status
from troth.dev.demo.errors import DemoFailed
from troth.dev.demo.evidence import Branch, wait_for
from troth.dev.demo.stage import Stage

T = TypeVar("T")

_REQUESTS = "/apis/database.example.com/v1/namespaces/default/postgresqls"
_FOLDER = "worker/resources/default/postgresql"


class Proof:
    """Makes the checks of one demo.

    Args:
        stage: the programs that run.
        branch: the branch to which the operator writes.
    """

    def __init__(self, stage: Stage, branch: Branch) -> None:
        self._stage = stage
        self._branch = branch

    def require(self, holds: bool, otherwise: str) -> None:
        """Raises DemoFailed, with the message ``otherwise``, when something is not true."""
        if not holds:
            raise DemoFailed(otherwise)

    def wait(self, what: str, look: Callable[[], T | None]) -> T:
        """Wait until ``look`` returns something other than None, and return that.

        Raises:
            DemoFailed: it did not do so within 30 s.
            ProcessFailed: one of the programs has ended meanwhile.
        """
        with self._stage.progress.step(f"waiting for {what}"):
            return wait_for(what, look, check=self._stage.check)

    def wait_gone(self, what: str, path: str) -> None:
        """Wait until the API server has nothing at a URL path."""
        self.wait(f"{what} to be gone", lambda: self.find(path) is None or None)

    def wait_settled(self, what: str, path: str, condition: str) -> None:
        """Wait until a condition of the object at a URL path is True for its present generation."""

        def look() -> bool | None:
            found = self.find(path) or {}
            status = found.get("status") or {}
            current = status.get("observedGeneration") == (found.get("metadata") or {}).get("generation")
            return (current and _is_true(status, condition)) or None

        self.wait(f"{what} to be {condition}", look)

    def find(self, path: str) -> Mapping[str, Any] | None:
        """The object at a URL path; None when it does not exist."""
        try:
            status, answer = self._stage.plane.api.request("GET", path)
        except (OSError, HTTPException) as error:
            self._stage.check()
            raise DemoFailed(f"the API server does not answer to GET {path}: {error}") from error
        if status == HTTPStatus.NOT_FOUND:
            return None
        self.require(status == HTTPStatus.OK, f"the API server answers {status} to GET {path}")
        found: Mapping[str, Any] = answer
        return found

    # ---- PostgreSQL requests

    def status(self, name: str) -> OwnStatus:
        """``status.troth`` of a request."""
        return read_own(read_status(self.find(f"{_REQUESTS}/{name}") or {}))

    def commit(self, name: str, *, after: str = "") -> str:
        """Wait until a request's status names another commit than ``after``, and return that commit."""

        def look() -> str | None:
            placements = self.status(name).placements or [{}]
            version: str = placements[0].get("version") or ""
            written = placements[0].get("state") == "Written" and version != after
            return version if written and version else None

        return self.wait(f"PostgreSQL {name} to name the commit of its files", look)

    def manifest(self, name: str) -> str:
        """The path of a request's first manifest in the repository."""
        return f"{_FOLDER}/{name}/instance/5058f/cluster.yaml"

    def require_files(self, name: str, files: list[str], commit: str) -> None:
        """Checks that a commit has exactly these files of a request, at Kratix's path."""
        wanted = [f"{_FOLDER}/{name}/instance/5058f/{file}" for file in files]
        self.require(self.files(name, commit) == wanted, f"{commit} was to hold {', '.join(wanted)}")

    def files(self, name: str, commit: str = "main") -> list[str]:
        """The paths of a request's files in a commit."""
        return [path for path in self._branch.files(commit) if path.startswith(f"{_FOLDER}/{name}/")]

    def require_no_commit(self, since: str) -> None:
        """Checks that the branch has not moved."""
        head = self._branch.head
        self.require(head == since, f"no file differs, so there should be no commit, but there is {head}")


def _is_true(status: Mapping[str, Any], condition: str) -> bool:
    return any(item["type"] == condition and item["status"] == "True" for item in status.get("conditions") or ())
