"""What a PromiseTest says, once it is read: cases, their steps, and what is expected of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from troth.authoring.home import Source
from troth.authoring.rendering.destinations import Destinations

API_VERSION: Final = "troth.dev/v1alpha1"
KIND: Final = "PromiseTest"


@dataclass(frozen=True, slots=True)
class Refused:
    """The API server does not take the request; with "" any field, any words."""

    field: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """A template fails; with "" whatever the reason, the words and the file."""

    reason: str = ""
    message: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """The paths that a step adds, removes and changes; None: not looked at."""

    added: tuple[str, ...] | None = None
    removed: tuple[str, ...] | None = None
    changed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a step must give. What is None, or "", is not looked at.

    Attributes:
        source: where it is written.
        golden: name of the folder that holds what is written to the stores.
        counts: ``Kind`` or ``Kind.group`` to how many objects there are.
        objects: each must match one object.
        absent: none may match an object.
        files: exactly these paths.
        status: what the request's status must hold.
        destinations: the paths that each destination gets.
        unscheduled: whether something has no place to go.
        refused: the API server's refusal.
        failure: a template's failure.
        changed: what is different from the step before.
        lines: paths below ``expect``, such as ``objects[1].spec``, to their lines.
    """

    source: Source
    golden: str = ""
    counts: Mapping[str, int] | None = None
    objects: tuple[Mapping[str, Any], ...] = ()
    absent: tuple[Mapping[str, Any], ...] = ()
    files: tuple[str, ...] | None = None
    status: Mapping[str, Any] | None = None
    destinations: Mapping[str, tuple[str, ...]] | None = None
    unscheduled: bool = False
    refused: Refused | None = None
    failure: Failed | None = None
    changed: Changed | None = None
    lines: Mapping[str, int] = field(default_factory=dict)

    def at(self, path: str) -> Source:
        """Where a path below ``expect`` is written; of what is not, where its parent is."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return Source(self.source.path, self.lines.get(path, self.source.line))


@dataclass(frozen=True, slots=True)
class Step:
    """A request, an edit of the request before, or the Promise itself; and what is expected then.

    Attributes:
        source: where it is written.
        request: the whole request; None for anything else.
        edit: a JSON merge patch on the request before; None for anything else.
        own: it is the Promise itself that is applied: its dependencies and its own workflow.
        expect: what it must give.
    """

    source: Source
    expect: Expectation
    request: Mapping[str, Any] | None = None
    edit: Mapping[str, Any] | None = None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One test: one step or several."""

    name: str
    source: Source
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of one file.

    Attributes:
        file: where they are written.
        name: that of the PromiseTest.
        destinations: where files may go; None for one destination that matches all.
        cases: in their order.
    """

    file: Path
    name: str
    destinations: Destinations | None
    cases: tuple[Case, ...]
