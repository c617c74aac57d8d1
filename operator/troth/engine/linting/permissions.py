"""Finds mistakes in the rules that a pipeline of containers asks for in ``rbac.permissions``.

A rule that Kubernetes refuses is an error, because no request is carried out until it is corrected: the Role is applied
before the Job. Source: ``pkg/apis/rbac/validation/validation.go`` of Kubernetes 1.36.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from troth.api.container_pipelines import Permission
from troth.api.typed import read_list
from troth.engine.jobs.access import make_own_access
from troth.engine.jobs.runs import PipelineRun
from troth.engine.kinds.schemas import Schemas
from troth.engine.linting.remarks import Remark

Object = Mapping[str, Any]

_ALL: Final = "*"
_FIELD: Final = "spec.rbac.permissions"
_PARTS: Final = ("apiGroups", "resources", "verbs")
_RULE: Final = re.compile(r"rules\[0\]\.?(.*)", re.DOTALL)


def check_permissions(run: PipelineRun, field: str, schemas: Schemas) -> Iterator[Remark]:
    """Finds mistakes in the rules of a pipeline.

    Args:
        run: a run of the pipeline.
        field: the path of the pipeline in the Promise.
        schemas: the schemas of Kubernetes.
    """
    own = [rule for _, obj in make_own_access(run) for rule in obj.get("rules") or ()]
    for index, permission in enumerate(run.pipeline.permissions):
        where = f"{field}.{_FIELD}[{index}]"
        refused = list(_refusals(permission, schemas))
        for part, problem, fix in refused:
            yield Remark("T401", f"{where}.{part}", problem, fix)
        if refused:
            continue
        rule = permission.rule
        if all(_ALL in read_list(rule.get(part)) for part in _PARTS):
            scope = (
                "everywhere" if permission.namespace == _ALL else f"in {permission.namespace or 'its namespace'}"
            )
            message = f"the containers may do everything with everything {scope}, Secrets and Roles included"
            yield Remark("T408", where, message, "name the groups, resources and verbs that they need")
        elif not permission.namespace and any(_covers(given, rule) for given in own):
            kinds = ", ".join(read_list(rule.get("resources")))
            message = f"every pipeline of this Promise may do that with {kinds} without asking"
            yield Remark("T409", where, message, "remove the rule")


def _refusals(permission: Permission, schemas: Schemas) -> Iterator[tuple[str, str, str]]:
    """Yields the field of each mistake in the rule, what is wrong, and what to do."""
    rule = permission.rule
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "x"},
        "rules": [rule],
    }
    for field, problem in schemas.problems(role) or ():
        match = _RULE.fullmatch(field)
        if match is not None and not (problem == "is required" and match[1] == "verbs"):
            yield match[1], problem, ""
    urls = rule.get("nonResourceURLs")
    if not rule.get("verbs"):
        yield (
            "verbs",
            "the rule has no verbs, so it allows nothing, and Kubernetes refuses it",
            "write verbs: [get], say",
        )
    if not urls:
        for part, example in (("apiGroups", '[""] for the core group'), ("resources", "[configmaps], say")):
            if not rule.get(part):
                yield part, f"the rule has no {part}, and Kubernetes refuses it", f"write {part}: {example}"
    elif any(rule.get(part) for part in ("apiGroups", "resources", "resourceNames")):
        yield "nonResourceURLs", "a rule cannot have both resources and nonResourceURLs", "write two rules"
    elif permission.namespace != _ALL:
        message = "nonResourceURLs belong to no namespace, and this rule is for one"
        yield "nonResourceURLs", message, f'write resourceNamespace: "{_ALL}"'


def _covers(given: Object, asked: Object) -> bool:
    """Whether one rule of a Role allows everything that another one does."""
    return not asked.get("nonResourceURLs") and all(
        _includes(read_list(given.get(part)), read_list(asked.get(part))) for part in _PARTS
    )


def _includes(given: Sequence[Any], asked: Sequence[Any]) -> bool:
    return _ALL in given or set(asked) <= set(given)
