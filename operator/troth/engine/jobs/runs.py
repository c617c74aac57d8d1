"""One run of one pipeline of containers: what it is for, and what its objects are called and labelled.

The same run always has the same names, so a run that was interrupted between any two writes is found again and never
created twice. In Kratix the end of a Job's name is random, and it sleeps for a second so that the newest Job can be
recognised by its time. Here the name is computed from the run, and the runner asks for the Job of that name.

Names are Kratix's for a Promise without a version. Its id of a pipeline is ``<promise>-<type>-<action>-<pipeline>``,
and its webhook ensures that this has at most 60 characters. All versions of a Promise share that id in Kratix, so a run
of one version takes away the rights of another (https://github.com/syntasso/kratix/issues/948). Here the id of a
Promise with a version is cut to 40 characters and gets 16 hex characters of a hash of all that it is made of, the
version included. The same is done to an id that is too long, that Kubernetes would not take for a name, or that two
different pipelines could have (that of the pipeline ``b-resource-delete-c`` of the Promise ``a``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from troth.api import labels as names
from troth.api.container_pipelines import ContainerPipeline
from troth.api.naming import deterministic_name, shortened_name
from troth.api.objects import Selector
from troth.api.pipelines import Action
from troth.api.resources import Resource

Object = Mapping[str, Any]
WorkflowType = Literal["resource", "promise"]

LONGEST_NAME: Final = 63
"""Of every name here: that of a Job becomes a label of its Pods, and the others keep the same bound."""

LONGEST_ID: Final = 60
"""Of the id of a pipeline; Kratix refuses a Promise with a longer one."""

_HASHED_ID: Final = 57  # leaves room for the six characters that `deterministic_name` adds
_SHORT_SUFFIX: Final = 6
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_UNFIT: Final = re.compile(r"[^a-z0-9-]+")
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_MIDDLE: Final = re.compile(r"(?=-(?:resource|promise)-(?:configure|delete)-)")

_DEFAULT_RESOURCES: Final[Object] = {
    "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "128Mi"},
    "limits": {"cpu": "200m", "memory": "256Mi", "ephemeral-storage": "256Mi"},
}
_OWN_RESOURCES: Final[Object] = {
    "requests": _DEFAULT_RESOURCES["requests"],
    "limits": {**_DEFAULT_RESOURCES["limits"], "cpu": "1"},  # with Kratix's 200m, a start takes five times as long
}


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What the platform decides for the Pods of all pipelines.

    Attributes:
        image: of the operator, whose commands read the object and write Works and statuses.
        pull_secret: name of the Secret to pull that image with; "" for none.
        pull_policy: of the operator's containers, and of an author's that says nothing; "" leaves it to Kubernetes.
        security_context: of an author's container that has none.
        resources: of an author's container that has none. Kratix's figures by default.
        own_resources: of the operator's containers. Kratix's figures by default, with a whole CPU as the limit.
        backoff_limit: of a pipeline that names none; None leaves it to Kubernetes.
        object_in_annotation: whether the object may stand in an annotation of a Pod (`troth.engine.jobs.inputs`).
    """

    image: str
    pull_secret: str = ""
    pull_policy: str = ""
    security_context: Object = field(default_factory=dict)
    resources: Object = field(default_factory=lambda: _DEFAULT_RESOURCES)
    own_resources: Object = field(default_factory=lambda: _OWN_RESOURCES)
    backoff_limit: int | None = None
    object_in_annotation: bool = True


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """One run of one pipeline, for one request or Promise.

    Attributes:
        pipeline: what runs.
        type: whether it is of a request's workflow (``resource``) or of the Promise's own.
        action: what happens to the object.
        promise: name of the Promise.
        version: of the Promise for which it runs; "" for a Promise without one.
        resource: the kind of the object that it runs for: of the request, or of Promises.
        name: of that object.
        uid: of that object.
        object_namespace: of that object; "" for a Promise.
        namespace: where the Job runs.
        separate: that is the namespace that the Promise names (``pipelineNamespace``).
        hash: of the specs for which it runs (`troth.engine.workflow.progress.workflow_hash`).
        attempt: counts the runs of this pipeline for that hash. Whoever wants another run takes the next number, and
            whoever looks for one that was begun takes the same, so it has to be recorded before the Job is made.
        last: it is the last pipeline of its workflow.
        dry_run: its output is only looked at.
        selectors: the Promise's, for what the pipeline does not direct elsewhere.
        trace: annotations of OpenTelemetry that the object has, by their names there.
    """

    pipeline: ContainerPipeline
    type: WorkflowType
    action: Action
    promise: str
    version: str
    resource: Resource
    name: str
    uid: str
    object_namespace: str
    namespace: str
    hash: str
    attempt: int = 1
    separate: bool = False
    last: bool = True
    dry_run: bool = False
    selectors: tuple[Selector, ...] = ()
    trace: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_versioned(self) -> bool:
        """Whether the Promise has a version of its own."""
        return self.version not in ("", names.VERSION_NOT_SET)


def pipeline_id(run: PipelineRun) -> str:
    """Returns the id of a run's pipeline, after which its account and its roles are named; at most 60 characters."""
    plain = plain_pipeline_id(run)
    certain = len(_MIDDLE.findall(plain)) == 1
    if not run.is_versioned and certain and len(plain) <= LONGEST_ID and _NAME.fullmatch(plain):
        return plain
    parts = (run.promise, run.type, run.action, run.pipeline.name, run.version if run.is_versioned else "")
    return shortened_name(_fit(plain), "/".join(parts), _HASHED_ID)


def plain_pipeline_id(run: PipelineRun) -> str:
    """Returns the id of a run's pipeline as Kratix forms it, which may be too long or not a valid name."""
    return f"{run.promise}-{run.type}-{run.action}-{run.pipeline.name}"


def suffixed_name(base: str) -> str:
    """Returns Kratix's deterministic name of ``base``; if it has to be cut, a longer suffix keeps it unique."""
    if len(base) + _SHORT_SUFFIX <= LONGEST_NAME:
        return deterministic_name(base)
    return shortened_name(base, f"{base}/suffixed", LONGEST_NAME)  # not what `bounded_name` makes of it


def bounded_name(base: str) -> str:
    """Returns ``base`` if it is a valid name of at most 63 characters, else a unique name that is."""
    if len(base) <= LONGEST_NAME and _NAME.fullmatch(base):
        return base
    return shortened_name(_fit(base), base, LONGEST_NAME)


def job_name(run: PipelineRun) -> str:
    """Returns the name of a run's Job: it begins as Kratix's, and ends in 16 hex characters of a hash of the run."""
    parts = ["kratix", run.promise]
    if run.type == "resource":
        parts += [run.name, run.object_namespace] if run.separate else [run.name]
    parts.append(run.pipeline.name)
    identity = (run.uid, run.promise, run.type, run.action, run.pipeline.name, run.hash, str(run.attempt))
    return shortened_name(_fit("-".join(parts)), "/".join(identity), LONGEST_NAME)


def selectors_name(run: PipelineRun) -> str:
    """Returns the name of the ConfigMap with the Promise's destination selectors."""
    base = f"destination-selectors-{run.promise}"
    return (
        shortened_name(_fit(base), f"{base}/{run.version}", LONGEST_NAME)
        if run.is_versioned
        else bounded_name(base)
    )


def promise_labels(run: PipelineRun) -> dict[str, str]:
    """Returns the labels of everything that belongs to the run's version of its Promise."""
    return {
        names.PROMISE_NAME: label_value(run.promise),
        names.PROMISE_VERSION: label_value(run.version or names.VERSION_NOT_SET),
    }


def workflow_labels(run: PipelineRun) -> dict[str, str]:
    """Returns the labels that say to which pipeline of which workflow something belongs."""
    return {
        **promise_labels(run),
        names.WORKFLOW_TYPE: run.type,
        names.WORKFLOW_ACTION: run.action,
        names.PIPELINE_NAME: label_value(run.pipeline.name),
    }


def job_labels(run: PipelineRun) -> dict[str, str]:
    """Returns the labels of a run's Job and Pod.

    The Pipeline's own labels are added, but cannot replace one of these, as they can in Kratix: the operator would not
    find the Job again.
    """
    labels = {**run.pipeline.labels, **workflow_labels(run), names.MANAGED_BY: names.MANAGED_BY_KRATIX}
    if run.type == "resource":
        labels[names.RESOURCE_NAME] = label_value(run.name)
        if run.separate:
            labels[names.RESOURCE_NAMESPACE] = label_value(run.object_namespace)
    labels[names.HASH] = label_value(run.hash)
    return labels


def label_value(text: str) -> str:
    """Returns ``text`` if it is a valid label value, else a unique one that is."""
    if len(text) <= LONGEST_NAME and _LABEL.fullmatch(text):
        return text
    return shortened_name(_fit(text), text, LONGEST_NAME)


def _fit(text: str) -> str:
    """Returns ``text`` with only the characters that any name may contain; never empty."""
    return _UNFIT.sub("-", text.lower()).strip("-") or "x"
