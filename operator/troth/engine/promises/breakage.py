"""Which live requests use what a change of their API takes away.

`api_changes` compares schemas, and so names all that could break. Whether a rollout has to wait is another question: it
depends on the values that requests have. So each request is read through the old and through the new API as the API
server would read it, and what is lost or refused on the way is named.

A default that changes takes nothing from a request that has a value, so it is not looked at here; lint names it (T304).
The same holds for rules that compare with the value before (``oldSelf``): they can only refuse a later edit.

A request that did not fit the old API either is held against the new one without its rules, and only what was right
before counts: a mistake that has been there already must not hold up the change that mends it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.api import labels as names
from troth.api.typed import read_map, read_maps, read_text
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.admission.refusals import Refusal
from troth.engine.admission.unfit import counted
from troth.engine.promises.api_changes import ChangeKind, compare_apis
from troth.engine.promises.definitions import request_resource
from troth.engine.promises.request_paths import Path, path_words
from troth.engine.status.patch import same

Object = Mapping[str, Any]

_EXAMPLES: Final = 3
_MOST_FIELDS: Final = 5
_LONGEST: Final = 160
_INDEX: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Problem:
    """What a change takes away from one request.

    Attributes:
        kind: ``REMOVED`` (a value is dropped), ``NARROWED`` (the API server would refuse a value), ``UNSERVED`` (the
            request is written in a version that is no longer served) or ``RENAMED`` (it belongs to another API).
        field: the field, such as ``spec.members[].role``, the same for all entries of a list.
        message: what happens to it, in one line without a full stop.
    """

    kind: ChangeKind
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class BrokenRequest:
    """A request that uses what is taken away."""

    namespace: str
    name: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Breakage:
    """What a change of an API takes away from live requests.

    Attributes:
        requests: those that use what is taken away, by namespace and name.
        judged: how many requests there are in all.
    """

    requests: tuple[BrokenRequest, ...]
    judged: int

    def only(self, *kinds: ChangeKind) -> Breakage:
        """Returns what is taken away in these ways, and the requests that use it."""
        kept = [
            BrokenRequest(request.namespace, request.name, problems)
            for request in self.requests
            if (problems := tuple(problem for problem in request.problems if problem.kind in kinds))
        ]
        return Breakage(tuple(kept), self.judged)

    def fields(self) -> dict[str, int]:
        """Returns how many requests use each field that is taken away, those first that most use."""
        used = Counter(
            field for request in self.requests for field in {problem.field for problem in request.problems}
        )
        return dict(sorted(used.items(), key=lambda item: (-item[1], item[0])))

    def sentence(self) -> str:
        """Returns the number of requests, the fields, and three examples in one line; "" when there are none."""
        if not self.requests:
            return ""
        used = [f"{field} ({count})" for field, count in self.fields().items()]
        more = f" and {len(used) - _MOST_FIELDS} more" if len(used) > _MOST_FIELDS else ""
        said = [
            f"{request.namespace}/{request.name} ({request.problems[0].message})"
            for request in self.requests[:_EXAMPLES]
        ]
        verb = "uses" if len(self.requests) == 1 else "use"
        return (
            f"{counted(len(self.requests), self.judged)} {verb} what the new API takes away: "
            f"{', '.join(used[:_MOST_FIELDS])}{more}; for example {', '.join(said)}"
        )


def find_breakage(old: Object, new: Object, requests: Iterable[Object]) -> Breakage:
    """Returns which requests use what is taken away between two APIs.

    Args:
        old: the definition under which the requests were accepted, as `build_definition` makes it or as the API server
            has it. At least one of its versions is served.
        new: the definition that would take its place, of the same form.
        requests: whole requests, as the API server returns them in the version of `request_resource`.
    """
    transition = _Transition(old, new)
    judged = 0
    broken: list[BrokenRequest] = []
    for request in requests:
        judged += 1
        if problems := transition.judge(request):
            metadata = read_map(request.get("metadata"))
            namespace, name = read_text(metadata.get("namespace")), read_text(metadata.get("name"))
            broken.append(BrokenRequest(namespace, name, problems))
    return Breakage(tuple(sorted(broken, key=lambda one: (one.namespace, one.name))), judged)


class _Api:
    """An API, as requests are written to it and read from it."""

    def __init__(self, definition: Object) -> None:
        spec = definition["spec"]
        self.primary = request_resource(definition).version
        self.served = [version["name"] for version in spec["versions"] if version.get("served")]
        self.converts = read_map(spec.get("conversion")).get("strategy") == "Webhook"
        self._storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
        self._group, self._kind = spec["group"], spec["names"]["kind"]
        self._admission = Admission(
            _all_served(definition)
        )  # a request may be stored in a version that is not served
        self._without_rules = Admission(_without_rules(definition))

    def read(self, request: Object, version: str) -> Object:
        """Returns a request as it is read in a version after it has been stored."""
        stored = request if self.converts else self._admission.read(self._in(request, self._storage))
        return self._admission.read(self._in(stored, version))

    def admit(
        self, request: Object, version: str, *, without_rules: bool = False
    ) -> Admitted | tuple[Refusal, ...]:
        """Returns what the API server says to a request in a version."""
        admission = self._without_rules if without_rules else self._admission
        return admission.admit(self._in(request, version))

    def _in(self, request: Object, version: str) -> dict[str, Any]:
        return {**request, "apiVersion": f"{self._group}/{version}", "kind": self._kind}


class _Transition:
    """From one API to the next; the schemas of both are compiled once."""

    def __init__(self, old: Object, new: Object) -> None:
        self._renamed = [change for change in compare_apis(old, new) if change.kind is ChangeKind.RENAMED]
        self._unchanged = same(old["spec"], new["spec"])
        self._old, self._new = _Api(old), _Api(new)

    def judge(self, request: Object) -> tuple[Problem, ...]:
        if self._renamed:
            return tuple(Problem(ChangeKind.RENAMED, "kind", change.message) for change in self._renamed)
        if self._unchanged:
            return ()
        found: dict[tuple[ChangeKind, str], Problem] = {}
        try:
            for problem in self._problems(request):
                found.setdefault((problem.kind, problem.field), problem)
        except RecursionError:
            deep = Problem(ChangeKind.NARROWED, "spec", "spec is nested too deeply to be compared")
            found.setdefault((deep.kind, deep.field), deep)
        return tuple(found.values())

    def _problems(self, request: Object) -> Iterator[Problem]:
        for version in self._old.served:
            before = self._old.read(request, version)
            now = version if version in self._new.served else self._new.primary
            if now != version:
                if version in _written_in(request):
                    message = f"it is written in version {version}, which is no longer served"
                    yield Problem(ChangeKind.UNSERVED, "apiVersion", message)
                if self._new.converts:
                    continue  # a webhook decides what becomes of its fields
            for path, dropped in _differences(_fields(before), _fields(self._new.read(before, now)), ()):
                field = path_words(path)
                yield Problem(ChangeKind.REMOVED, field, f"{field} is {'dropped' if dropped else 'replaced'}")
            yield from self._refused(before, version, now)

    def _refused(self, before: Object, version: str, now: str) -> Iterator[Problem]:
        answer = self._new.admit(before, now)
        earlier = self._old.admit(before, version)
        if isinstance(answer, Admitted):
            if isinstance(earlier, Admitted):
                for unchecked in answer.unchecked:
                    if unchecked not in earlier.unchecked:
                        yield Problem(
                            ChangeKind.NARROWED, _INDEX.sub("[]", unchecked.field), _short(str(unchecked))
                        )
            return
        if not isinstance(earlier, Admitted):
            answer = self._new.admit(before, now, without_rules=True)
            wrong = [refusal.field for refusal in earlier]
            answer = () if isinstance(answer, Admitted) else tuple(_not_below(answer, wrong))
        for refusal in answer:
            yield Problem(ChangeKind.NARROWED, _INDEX.sub("[]", refusal.field), _short(str(refusal)))


def _written_in(request: Object) -> set[str]:
    """Returns the versions in which others write a request; without records, the one in which it was read."""
    records = read_maps(read_map(request.get("metadata")).get("managedFields"))
    written = {
        read_text(record.get("apiVersion"))
        for record in records
        if record.get("manager") != names.FIELD_MANAGER and not record.get("subresource")
    }
    if not records:
        written = {read_text(request.get("apiVersion"))}
    return {text.rpartition("/")[2] for text in written}


def _fields(obj: Object) -> dict[str, Any]:
    return {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata", "status")}


def _differences(before: Any, after: Any, path: Path) -> Iterator[tuple[Path, bool]]:
    """Yields the fields whose value is not the same, and whether there is none any more. New fields do not count."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key, value in before.items():
            if key in after:
                yield from _differences(value, after[key], (*path, str(key)))
            else:
                yield (*path, str(key)), True
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from _differences(one, other, (*path, "[]"))
    elif not same(before, after):
        yield path, False


def _not_below(refusals: Iterable[Refusal], fields: list[str]) -> Iterator[Refusal]:
    """Yields the refusals of fields that are neither among these nor inside of one of them."""
    for refusal in refusals:
        if not any(re.match(rf"{re.escape(field)}($|[.\[])", refusal.field) for field in fields):
            yield refusal


def _all_served(definition: Object) -> dict[str, Any]:
    spec = definition["spec"]
    return {**definition, "spec": {**spec, "versions": [{**each, "served": True} for each in spec["versions"]]}}


def _without_rules(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_rules(item) for key, item in value.items() if key != "x-kubernetes-validations"}
    if isinstance(value, list):
        return [_without_rules(item) for item in value]
    return value


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
