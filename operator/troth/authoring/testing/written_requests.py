"""The requests that people wrote for a Promise: its examples, and the requests of its test cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from troth.authoring.home import Home
from troth.authoring.input_files import read_objects
from troth.authoring.merge_patch import merged
from troth.authoring.testing.cases import Case
from troth.authoring.testing.reading import read_suites


def written_requests(home: Home) -> list[Mapping[str, Any]]:
    """The examples, followed by the requests of test cases that are not expected to be refused or to fail.

    All cases count, even if only some are selected to run, because what is generated from them must not depend on the
    selection. A test file that cannot be used is ignored; `troth test` reports it.

    Raises:
        HomeError: an example cannot be read.
    """
    examples = [obj for path in home.examples for obj in read_objects(path)]
    suites, _ = read_suites(home)
    return [*examples, *(request for suite in suites for case in suite.cases for request in _asked(case))]


def _asked(case: Case) -> Iterator[Mapping[str, Any]]:
    held: Mapping[str, Any] | None = None
    for step in case.steps:
        if step.request is not None:
            request = step.request
        elif step.edit is not None and held is not None:
            request = merged(held, step.edit)
        else:
            continue
        if step.expect.refused is None:
            held = request
        if step.expect.refused is None and step.expect.failure is None:
            yield request
