"""Reads from the environment of a container for which object its pipeline runs (Kratix's variables)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from troth.api import Resource, TrothError


class InvalidEnvironment(TrothError):
    """A variable is missing or has another value than it can have; one sentence."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that a pipeline runs for.

    Attributes:
        promise: name of the Promise.
        resource: its kind.
        name: of the object.
        namespace: of the object; empty at cluster scope.
        action: ``configure`` or ``delete``.
        workflow_type: ``resource`` or ``promise``.
        pipeline: the name of the pipeline.
    """

    promise: str
    resource: Resource
    name: str
    namespace: str
    action: str
    workflow_type: str
    pipeline: str


def read_subject(environ: Mapping[str, str]) -> Subject:
    """Reads the subject from the variables ``KRATIX_…``.

    Raises:
        InvalidEnvironment: one is missing, or has a value that it cannot have.
    """
    cluster_scoped = _one_of(environ, "KRATIX_CLUSTER_SCOPED", ("true", "false")) == "true"
    return Subject(
        promise=_required(environ, "KRATIX_PROMISE_NAME"),
        resource=Resource(
            environ.get("KRATIX_OBJECT_GROUP", ""),
            _required(environ, "KRATIX_OBJECT_VERSION"),
            _required(environ, "KRATIX_CRD_PLURAL"),
            _required(environ, "KRATIX_OBJECT_KIND"),
            namespaced=not cluster_scoped,
        ),
        name=_required(environ, "KRATIX_OBJECT_NAME"),
        namespace="" if cluster_scoped else _required(environ, "KRATIX_OBJECT_NAMESPACE"),
        action=_one_of(environ, "KRATIX_WORKFLOW_ACTION", ("configure", "delete")),
        workflow_type=_one_of(environ, "KRATIX_WORKFLOW_TYPE", ("resource", "promise")),
        pipeline=_required(environ, "KRATIX_PIPELINE_NAME"),
    )


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise InvalidEnvironment(f"the variable {name} is not set")
    return value


def _one_of(environ: Mapping[str, str], name: str, known: tuple[str, str]) -> str:
    value = environ.get(name, "")
    if value not in known:
        raise InvalidEnvironment(f"the variable {name} is {value!r}, neither {known[0]} nor {known[1]}")
    return value
