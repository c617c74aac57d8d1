"""Validates objects against the known CustomResourceDefinitions and against Kubernetes' own schemas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api.errors import InvalidObject
from troth.api.typed import read_map, read_text, require_list, require_map, require_text
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.admission.refusals import Refusal, invalid
from troth.engine.admission.shapes import unreadable_part
from troth.engine.admission.structure import dropped_fields
from troth.engine.kinds.former import in_version_1
from troth.engine.kinds.kubernetes import Kubernetes

_DEFINITION: Final = "CustomResourceDefinition"
_DROPPED: Final = "is not a field of it: the API server drops it"
_MOST_PROBLEMS: Final = 10
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of validating an object by its schema.

    Attributes:
        problems: the field and the problem of everything that is not allowed; None when there is no schema.
        unchecked: the field and the rule of each CEL rule that could not be evaluated.
        useless: why the definition of the kind cannot be used, or "".
    """

    problems: Sequence[tuple[str, str]] | None
    unchecked: tuple[tuple[str, str], ...] = ()
    useless: str = ""


class Schemas:
    """The schemas of all known kinds.

    Args:
        definitions: objects, of which only the CustomResourceDefinitions count; a later one overrides an earlier one.
        kubernetes: the built-in kinds of an API server; by default those that come with Troth.
    """

    def __init__(self, definitions: Iterable[Any] = (), kubernetes: Kubernetes | None = None) -> None:
        self._definitions: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._admissions: dict[tuple[str, str], Admission | Refusal] = {}
        self._useless: dict[str, str] = {}
        self._kubernetes = kubernetes or Kubernetes()
        for definition in definitions:
            self._add(definition)

    def _add(self, obj: Any) -> None:
        if not isinstance(obj, Mapping) or obj.get("kind") != _DEFINITION:
            return
        try:
            definition = in_version_1(obj)
            self._definitions[_group_and_kind(definition)] = definition
        except InvalidObject as error:
            kind = read_text(read_map(read_map(obj.get("spec")).get("names")).get("kind"))
            if kind:
                self._useless[kind] = f"its CustomResourceDefinition is malformed: {error.field} {error.problem}"

    def problems(self, obj: Mapping[str, Any]) -> Sequence[tuple[str, str]] | None:
        """Returns the field and the problem of everything that is not allowed; None when there is no schema."""
        return self.judge(obj).problems

    def judge(self, obj: Mapping[str, Any]) -> Judgement:
        """Validates an object by the schema of its kind."""
        group, kind = str(obj.get("apiVersion")).rpartition("/")[0], str(obj.get("kind"))
        definition = self._definitions.get((group, kind))
        if definition is None:
            problems = self._kubernetes.problems(obj)
            return Judgement(problems, useless=self._useless.get(kind, "") if problems is None else "")
        admission = self._admissions.get((group, kind))
        if admission is None:
            problem = next(_unreadable(definition), None)
            admission = self._admissions[group, kind] = problem or Admission(definition)
        if isinstance(admission, Refusal):
            said = str(admission)
            said = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
            return Judgement(
                None, useless=f"its CustomResourceDefinition has a schema that cannot be used: {said}"
            )
        answer = admission.admit(obj)
        if isinstance(answer, Admitted):
            unchecked = tuple(dict.fromkeys((rule.field, rule.rule) for rule in answer.unchecked))
            return Judgement([(path, _DROPPED) for path in dropped_fields(obj, answer.object)], unchecked)
        return Judgement([(refusal.field, refusal.message) for refusal in answer[:_MOST_PROBLEMS]])


def _group_and_kind(definition: Mapping[str, Any]) -> tuple[str, str]:
    """What a definition defines. Raises InvalidObject when what stands around its schemas cannot be read."""
    spec = require_map(definition.get("spec"), "spec")
    names = require_map(spec.get("names"), "spec.names")
    group, kind = require_text(spec.get("group"), "spec.group"), require_text(names.get("kind"), "spec.names.kind")
    versions = require_list(spec.get("versions"), "spec.versions")
    for field, value in (("spec.group", group), ("spec.names.kind", kind), ("spec.versions", versions)):
        if not value:
            raise InvalidObject(field, "is missing")
    for index, version in enumerate(versions):
        field = f"spec.versions[{index}]"
        if not require_text(require_map(version, field).get("name"), f"{field}.name"):
            raise InvalidObject(f"{field}.name", "is missing")
        require_map(version.get("subresources"), f"{field}.subresources")
    return group, kind


def _unreadable(definition: Mapping[str, Any]) -> Iterator[Refusal]:
    """Why the schemas of a definition cannot judge an object."""
    for index, version in enumerate(definition["spec"]["versions"]):
        field = f"spec.versions[{index}].schema"
        schema = version.get("schema")
        if schema is not None and not isinstance(schema, Mapping):
            yield invalid(field, schema, "must be a map")
        elif schema and schema.get("openAPIV3Schema") is not None:
            problem = unreadable_part(schema["openAPIV3Schema"], f"{field}.openAPIV3Schema")
            if problem is not None:
                yield problem
