"""Holds objects against the definitions that are known, and against Kubernetes' own schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.engine.admission import Admission, Admitted
from troth.engine.admission.structure import dropped_fields
from troth.engine.kinds.former import in_version_1
from troth.engine.kinds.kubernetes import Kubernetes

_DEFINITION: Final = "CustomResourceDefinition"
_DROPPED: Final = "is not a field of it: the API server drops it"
_MOST_PROBLEMS: Final = 10


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a schema says of an object.

    Attributes:
        problems: field and problem of each thing that is not allowed; None when there is no schema.
        unchecked: field and rule of what could not be evaluated.
        useless: what is wrong with a definition that is there and cannot be used, or "".
    """

    problems: Sequence[tuple[str, str]] | None
    unchecked: tuple[tuple[str, str], ...] = ()
    useless: str = ""


class Schemas:
    """What is known about kinds.

    Args:
        definitions: objects, of which the CustomResourceDefinitions count; a later one outweighs an earlier one.
        kubernetes: the kinds that an API server has of itself; those that come with Troth by default.
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
        """Field and problem of each thing that the schema does not allow; None when there is no schema."""
        return self.judge(obj).problems

    def judge(self, obj: Mapping[str, Any]) -> Judgement:
        """All that its schema says of an object."""
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
