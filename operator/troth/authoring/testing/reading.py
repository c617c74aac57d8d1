"""Reads PromiseTest files strictly; every error names the file, the line and what to do.

If a misspelled expectation was ignored, the test could not fail, so unknown fields are refused. The JSON Schema next
to this file says the same to editors, and a test checks that they agree. The schema is not used here, since "is not
valid under any of the given schemas" does not help anybody to find a misspelled word.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from troth.api.strict import close_match
from troth.authoring.home import Home, Source, offer_of
from troth.authoring.input_files import HomeError, read_documents, read_objects, read_text
from troth.authoring.rendering.destinations import Destinations, read_destinations
from troth.authoring.testing.cases import (
    API_VERSION,
    KIND,
    Case,
    Changed,
    Expectation,
    Failed,
    Refused,
    Step,
    Suite,
)
from troth.engine.failure import Reason
from troth.engine.yaml.lines import field_lines

_GOLDEN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATH: Final = "write what `troth render` shows, relative to the pipeline's output"

TOP: Final = ("apiVersion", "kind", "metadata", "spec")
SPEC: Final = ("destinations", "cases")
CASE: Final = ("name", "request", "promise", "expect", "steps")
STEP: Final = ("request", "edit", "expect")
EXPECT: Final = (
    "golden",
    "counts",
    "objects",
    "absent",
    "files",
    "status",
    "destinations",
    "unscheduled",
    "refused",
    "failure",
    "changed",
)
REFUSED: Final = ("field", "message")
FAILURE: Final = ("reason", "message", "file")
CHANGED: Final = ("added", "removed", "changed")
REASONS: Final = get_args(Reason)


def read_suites(home: Home) -> tuple[list[Suite], list[HomeError]]:
    """The PromiseTests in a Promise's ``tests`` folder, and the errors of those that cannot be used.

    Raises:
        HomeError: the Promise itself cannot be used.
    """
    suites: list[Suite] = []
    problems: list[HomeError] = []
    reader: SuiteReader | None = None
    for file in home.tests:
        if "golden" in file.relative_to(home.folder).parts[:-1]:
            continue
        try:
            text = read_text(file)
            if KIND not in text and API_VERSION not in text:
                continue
            reader = reader or SuiteReader(home)
            suite = reader.read(file, text)
        except HomeError as error:
            problems.append(error)
        else:
            if suite is not None:
                suites.append(suite)
    return suites, problems


class SuiteReader:
    """Reads the PromiseTest files of one Promise.

    Args:
        home: the Promise.

    Raises:
        HomeError: the Promise cannot be used.
    """

    def __init__(self, home: Home) -> None:
        _, offer = offer_of(home)
        self.folder = home.folder
        self.resource = offer.resource
        self._requests: dict[Path, Mapping[str, Any]] = {}

    def read(self, file: Path, text: str | None = None) -> Suite | None:
        """The cases of a file; None when it is not a PromiseTest.

        Raises:
            HomeError: it is a PromiseTest that cannot be used.
        """
        if not file.resolve().is_relative_to(self.folder.resolve()):
            raise HomeError(file, "is behind a link out of the Promise's folder", "copy it into the tests folder")
        text = read_text(file) if text is None else text
        documents = read_documents(file, text)
        if not any(isinstance(document, dict) and document.get("kind") == KIND for document in documents):
            for document in documents:
                if isinstance(document, dict) and document.get("apiVersion") == API_VERSION:
                    kind = document.get("kind")
                    if isinstance(kind, str) and close_match(kind, (KIND,)):  # otherwise its cases would never run
                        raise HomeError(file, f"kind: is {kind!r}", f"use {KIND}")
            return None
        if len(documents) != 1:
            raise HomeError(file, f"has {len(documents)} documents", "write one PromiseTest in a file")
        places = next((found for found in field_lines(text) if "kind" in found), {})
        return _File(self, file, places).suite(documents[0])

    def request(self, path: Path) -> Mapping[str, Any]:
        """The only request in a file; raises HomeError if there is not exactly one."""
        if path not in self._requests:
            objects = read_objects(path)
            if len(objects) != 1:
                raise HomeError(path, f"has {len(objects)} objects", "a case takes a file with one request")
            self._requests[path] = objects[0]
        return self._requests[path]

    def completed(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A request with what was left out: its type, the name ``test`` and the namespace ``default``."""
        kind = {"apiVersion": self.resource.api_version, "kind": self.resource.kind} if self.resource else {}
        whole = {**kind, **request}
        metadata = whole.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            return whole  # the API server will refuse it
        return {**whole, "metadata": {"name": "test", "namespace": "default", **(metadata or {})}}


@dataclass(frozen=True, slots=True)
class _File:
    """One file that is being read."""

    reader: SuiteReader
    file: Path
    lines: Mapping[str, int]

    # ---- the parts of a file

    def suite(self, document: Mapping[str, Any]) -> Suite:
        self._map(document, "", TOP)
        if document.get("apiVersion") != API_VERSION:
            raise self._error("apiVersion", f"is {document.get('apiVersion')!r}", f"use {API_VERSION}")
        metadata = self._map(document.get("metadata") or {}, "metadata")
        spec = self._map(document.get("spec"), "spec", SPEC)
        cases = self._list(spec.get("cases"), "spec.cases")
        if not cases:
            raise self._error("spec.cases", "is empty", "write a case")
        found: dict[str, Case] = {}
        for index, entry in enumerate(cases):
            case = self._case(entry, f"spec.cases[{index}]")
            if case.name in found:
                earlier = found[case.name].source.line
                raise self._error(
                    f"spec.cases[{index}].name", f"{case.name!r} is the name of the case in line {earlier}, too",
                    "give each case its own",
                )  # fmt: skip
            found[case.name] = case
        return Suite(
            self.file, str(metadata.get("name") or self.file.stem), self._destinations(spec), tuple(found.values())
        )

    def _destinations(self, spec: Mapping[str, Any]) -> Destinations | None:
        if "destinations" not in spec:
            return None
        named = self._map(spec["destinations"], "spec.destinations", ("from",))
        return read_destinations(self._beside(named.get("from"), "spec.destinations.from"))

    def _case(self, value: Any, path: str) -> Case:
        entry = self._map(value, path, CASE)
        name = self._text(entry.get("name"), f"{path}.name")
        if "promise" in entry:
            return Case(name, self._at(path), (self._own(entry, path),))
        if "steps" not in entry:
            if "request" not in entry:
                raise self._error(path, "asks for nothing", "give it a request, or steps, or promise: true")
            steps = [self._step(entry, path, known=CASE, is_last=True)]
        else:
            for key in ("request", "expect"):
                if key in entry:
                    raise self._error(f"{path}.{key}", "stands beside steps", "move it into the first step")
            values = self._list(entry["steps"], f"{path}.steps")
            if not values:
                raise self._error(f"{path}.steps", "is empty", "the first step is a request")
            last = len(values) - 1
            steps = [
                self._step(step, f"{path}.steps[{index}]", is_last=index == last)
                for index, step in enumerate(values)
            ]
        if steps[0].edit is not None:
            raise self._error(f"{path}.steps[0].edit", "has nothing to edit", "the first step is a request")
        if steps[0].expect.changed is not None:
            where = f"{path}.steps[0]" if "steps" in entry else path
            raise self._error(
                f"{where}.expect.changed", "has no step before to compare with", "use it from the second step on"
            )
        return Case(name, self._at(path), tuple(steps))

    def _step(self, value: Any, path: str, *, is_last: bool, known: tuple[str, ...] = STEP) -> Step:
        entry = self._map(value, path, known)
        if ("request" in entry) == ("edit" in entry):
            both = "request" in entry
            raise self._error(
                path,
                "has a request and an edit" if both else "has neither a request nor an edit",
                "make two steps of it" if both else "write one of them",
            )
        expect = self._expectation(entry.get("expect"), f"{path}.expect", is_needed=is_last)
        if "request" in entry:
            return Step(self._at(path), expect, request=self._request(entry["request"], f"{path}.request"))
        edit = self._map(entry["edit"], f"{path}.edit")
        for key in ("apiVersion", "kind"):
            if key in edit:
                raise self._error(f"{path}.edit.{key}", "cannot be edited", "write a request of its own")
        metadata = edit.get("metadata")
        if isinstance(metadata, dict) and {"name", "namespace"} & metadata.keys():
            raise self._error(f"{path}.edit.metadata", "cannot rename", "write a request of its own")
        return Step(self._at(path), expect, edit=edit)

    def _own(self, entry: Mapping[str, Any], path: str) -> Step:
        for key in ("request", "steps"):
            if key in entry:
                raise self._error(f"{path}.{key}", "stands beside promise", "make two cases of it")
        if not self._flag(entry["promise"], f"{path}.promise"):
            raise self._error(f"{path}.promise", "is false", "write true, or a request instead")
        expect = self._expectation(entry.get("expect"), f"{path}.expect", is_needed=True)
        for key, given in (("refused", expect.refused), ("changed", expect.changed)):
            if given is not None:
                raise self._error(f"{path}.expect.{key}", "is for requests", "troth build says what is refused")
        return Step(self._at(path), expect, own=True)

    def _request(self, value: Any, path: str) -> Mapping[str, Any]:
        if self.reader.resource is None:
            raise self._error(
                path, "asks for what the Promise does not offer: it has no spec.api", "write promise: true"
            )
        entry = self._map(value, path)
        if "from" in entry:
            self._map(entry, path, ("from",))
            request = self.reader.request(self._beside(entry["from"], f"{path}.from"))
        else:
            request = entry
        return self.reader.completed(request)

    # ---- what is expected

    def _expectation(self, value: Any, path: str, *, is_needed: bool) -> Expectation:
        if value is None and not is_needed:
            return Expectation(self._at(path))
        if not value:
            raise self._error(path, "expects nothing", f"write at least one of {', '.join(EXPECT)}")
        entry = self._map(value, path, EXPECT)
        refused, failure = self._refused(entry, path), self._failure(entry, path)
        others = sorted(set(entry) - ({"refused"} if refused else {"failure", "status"}))
        if (refused or failure) and others:
            word = "refused" if refused else "failure"
            raise self._error(f"{path}.{others[0]}", f"stands beside {word}", "then there is nothing to look at")
        start = len(path) + 1
        return Expectation(
            source=self._at(path),
            golden=self._golden(entry, path),
            counts=self._counts(entry, path),
            objects=self._objects(entry, f"{path}.objects", "objects"),
            absent=self._objects(entry, f"{path}.absent", "absent"),
            files=self._paths(entry["files"], f"{path}.files") if "files" in entry else None,
            status=self._map(entry["status"], f"{path}.status") if "status" in entry else None,
            destinations=self._places(entry, path),
            unscheduled=self._flag(entry.get("unscheduled", False), f"{path}.unscheduled"),
            refused=refused,
            failure=failure,
            changed=self._changed(entry, path),
            lines={name[start:]: line for name, line in self.lines.items() if name.startswith(f"{path}.")},
        )

    def _golden(self, entry: Mapping[str, Any], path: str) -> str:
        if "golden" not in entry:
            return ""
        name = self._text(entry["golden"], f"{path}.golden")
        if not _GOLDEN_NAME.fullmatch(name):
            raise self._error(
                f"{path}.golden", f"{name!r} is not a valid folder name", "use letters, digits, . _ and -"
            )
        return name

    def _counts(self, entry: Mapping[str, Any], path: str) -> Mapping[str, int] | None:
        if "counts" not in entry:
            return None
        counts = self._map(entry["counts"], f"{path}.counts")
        for kind, number in counts.items():
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                raise self._error(f"{path}.counts.{kind}", "is not a number of objects", "write 0, 1, 2…")
        return counts

    def _objects(self, entry: Mapping[str, Any], path: str, key: str) -> tuple[Mapping[str, Any], ...]:
        if key not in entry:
            return ()
        found = []
        for index, value in enumerate(self._list(entry[key], path)):
            if not value:
                raise self._error(f"{path}[{index}]", "selects nothing", "give at least a kind")
            wanted = self._map(value, f"{path}[{index}]")
            metadata = wanted.get("metadata")
            self._map({} if metadata is None else metadata, f"{path}[{index}].metadata")
            found.append(wanted)
        return tuple(found)

    def _places(self, entry: Mapping[str, Any], path: str) -> Mapping[str, tuple[str, ...]] | None:
        if "destinations" not in entry:
            return None
        where = f"{path}.destinations"
        return {
            name: self._paths(paths, f"{where}.{name}")
            for name, paths in self._map(entry["destinations"], where).items()
        }

    def _refused(self, entry: Mapping[str, Any], path: str) -> Refused | None:
        if "refused" not in entry:
            return None
        words = self._words(entry["refused"], f"{path}.refused", REFUSED)
        return Refused(**words)

    def _failure(self, entry: Mapping[str, Any], path: str) -> Failed | None:
        if "failure" not in entry:
            return None
        words = self._words(entry["failure"], f"{path}.failure", FAILURE)
        if words.get("reason", REASONS[0]) not in REASONS:
            raise self._error(
                f"{path}.failure.reason",
                f"{words['reason']!r} is not one of the reasons",
                _nearest(words["reason"], REASONS),
            )
        return Failed(**words)

    def _words(self, value: Any, path: str, known: tuple[str, ...]) -> dict[str, str]:
        if value is True:
            return {}
        if not isinstance(value, dict):
            raise self._error(path, "is neither true nor a map", f"write true, or some of {', '.join(known)}")
        entry = self._map(value, path, known)
        return {key: self._text(word, f"{path}.{key}") for key, word in entry.items()}

    def _changed(self, entry: Mapping[str, Any], path: str) -> Changed | None:
        if "changed" not in entry:
            return None
        value, where = entry["changed"], f"{path}.changed"
        if value == "nothing":
            return Changed((), (), ())
        if not isinstance(value, dict) or not value:
            raise self._error(where, "is neither nothing nor a map", f"write some of {', '.join(CHANGED)}")
        lists = self._map(value, where, CHANGED)
        return Changed(**{key: self._paths(paths, f"{where}.{key}") for key, paths in lists.items()})

    # ---- shapes

    def _map(self, value: Any, path: str, known: Iterable[str] = ()) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._error(
                path, "is missing" if value is None else "is not a map", "write `key: value` below it"
            )
        known = tuple(known)
        for key in value if known else ():
            if key not in known:
                raise self._error(
                    f"{path}.{key}" if path else str(key), "is not known here", _nearest(str(key), known)
                )
        return value

    def _list(self, value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise self._error(
                path, "is missing" if value is None else "is not a list", "write `- ` before each entry"
            )
        return value

    def _text(self, value: Any, path: str) -> str:
        if not isinstance(value, str) or not value:
            problem = "is missing" if value is None else "is empty" if value == "" else "is not a text"
            raise self._error(path, problem, "write a text, and put it in quotes")
        return value

    def _flag(self, value: Any, path: str) -> bool:
        if not isinstance(value, bool):
            raise self._error(path, "is neither true nor false", "write one of them")
        return value

    def _paths(self, value: Any, path: str) -> tuple[str, ...]:
        found = tuple(self._text(entry, f"{path}[{index}]") for index, entry in enumerate(self._list(value, path)))
        for index, entry in enumerate(found):
            if entry in found[:index]:
                raise self._error(f"{path}[{index}]", f"{entry} occurs twice", "write it once")
            if entry.startswith("/") or ".." in entry.split("/"):
                raise self._error(f"{path}[{index}]", f"{entry!r} is not the path of a rendered file", _PATH)
        return found

    # ---- places

    def _beside(self, relative: Any, path: str) -> Path:
        """A file that is named relative to this one. After links are followed, it must be in the Promise's folder."""
        text = self._text(relative, path)
        root = self.reader.folder.resolve()
        try:
            found = (self.file.parent / text).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            raise self._error(path, f"there is no file {text!r}", "paths are relative to this file") from None
        if not found.is_relative_to(root):
            raise self._error(path, f"{text!r} leaves the Promise's folder", "copy the file into it")
        return self.reader.folder / found.relative_to(root)

    def _at(self, path: str) -> Source:
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return Source(self.file, self.lines.get(path, 1))

    def _error(self, path: str, problem: str, remedy: str = "") -> HomeError:
        return HomeError(self.file, problem, remedy, line=self._at(path).line, field=path)


def _nearest(word: str, known: Iterable[str]) -> str:
    known = tuple(known)
    found = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {found[0]}?" if found else f"there are {', '.join(known)}"
