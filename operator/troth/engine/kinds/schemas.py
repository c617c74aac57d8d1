"""Validates objects against the known CustomResourceDefinitions and against Kubernetes' own schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.admission.structure import dropped_fields
from troth.engine.kinds.former import in_version_1
from troth.engine.kinds.kubernetes import Kubernetes

_DEFINITION: Final = "CustomResourceDefinition"
_DROPPED: Final = "is not a field of it: the API server drops it"
_MOST_PROBLEMS: Final = 10


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
        self._admissions: dict[tuple[str, str], Admission] = {}
        self._useless: dict[str, str] = {}
        self._kubernetes = kubernetes or Kubernetes()
        for definition in definitions:
            self._add(definition)

    def _add(self, obj: Any) -> None:
        if not isinstance(obj, Mapping) or obj.get("kind") != _DEFINITION:
            return
        try:
            spec = in_version_1(obj)["spec"]
            self._definitions[spec["group"], spec["names"]["kind"]] = in_version_1(obj)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            named = _kind_of(obj)
            if named:
                lacks = f": it lacks {error.args[0]}" if isinstance(error, KeyError) else ""
                self._useless[named] = f"its CustomResourceDefinition is malformed{lacks}"

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
        try:
            admission = self._admissions.get((group, kind)) or Admission(definition)
            self._admissions[group, kind] = admission
            answer = admission.admit(obj)
        except (KeyError, TypeError, AttributeError, ValueError):
            return Judgement(None, useless="its CustomResourceDefinition has a schema that cannot be used")
        if isinstance(answer, Admitted):
            unchecked = tuple(dict.fromkeys((rule.field, rule.rule) for rule in answer.unchecked))
            return Judgement([(path, _DROPPED) for path in dropped_fields(obj, answer.object)], unchecked)
        return Judgement([(refusal.field, refusal.message) for refusal in answer[:_MOST_PROBLEMS]])


def _kind_of(definition: Mapping[str, Any]) -> str:
    spec = definition.get("spec")
    names = spec.get("names") if isinstance(spec, Mapping) else None
    kind = names.get("kind") if isinstance(names, Mapping) else None
    return kind if isinstance(kind, str) else ""
