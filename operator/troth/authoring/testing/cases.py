"""The content of a PromiseTest: cases, their steps, and what is expected of each."""

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
    """The API server is expected to refuse the request. An empty field or text stands for any."""

    field: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """A template is expected to fail. An empty reason, text or file stands for any."""

    reason: str = ""
    message: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """The paths that a step is expected to add, remove and change. None is not checked."""

    added: tuple[str, ...] | None = None
    removed: tuple[str, ...] | None = None
    changed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a step must give. Whatever is None or empty text is not checked.

    Attributes:
        source: where it is written.
        golden: the name of the folder with what is written to the stores.
        counts: the number of objects by ``Kind`` or ``Kind.group``.
        objects: partial objects, each of which must match a rendered object.
        absent: partial objects, none of which may match a rendered object.
        files: the exact paths that are rendered.
        status: what the request's status must contain.
        destinations: the paths that each Destination gets.
        unscheduled: whether there are files for which there is not a Destination.
        refused: the API server's refusal.
        failure: a template's failure.
        changed: what is different from the step before.
        lines: the line of each path below ``expect``, such as ``objects[1].spec``.
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
        """Where a path below ``expect`` is written. If it is not written, the place of its parent."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return Source(self.source.path, self.lines.get(path, self.source.line))


@dataclass(frozen=True, slots=True)
class Step:
    """A request, an edit of the request before, or the Promise itself, with what is expected of it.

    Attributes:
        source: where it is written.
        request: the whole request; None for anything else.
        edit: a JSON merge patch for the request before; None for anything else.
        own: whether the Promise itself is applied, with its dependencies and its own workflow.
        expect: what it must give.
    """

    source: Source
    expect: Expectation
    request: Mapping[str, Any] | None = None
    edit: Mapping[str, Any] | None = None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One test, with one or several steps."""

    name: str
    source: Source
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of one file.

    Attributes:
        file: where they are written.
        name: the name of the PromiseTest.
        destinations: where files may go; None for one Destination that matches everything.
        cases: the cases, in their order.
    """

    file: Path
    name: str
    destinations: Destinations | None
    cases: tuple[Case, ...]
