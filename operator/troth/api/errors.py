"""The root of the exceptions that Troth raises.

    TrothError
    ├── InvalidObject          an object says something that cannot be carried out (api)
    ├── KubeError …            the API server (kube/errors.py)
    └── StoreError             a state store (stores/errors.py)

Expected outcomes of a reconcile are values, not exceptions; these are for boundaries. Each carries what is
wrong, where, and what to do about it, so that a condition or a terminal can show all three.
"""

from __future__ import annotations


class TrothError(Exception):
    """Base of every exception that is raised on purpose."""


class InvalidObject(TrothError):
    """An object that a person wrote says something that cannot be carried out.

    Attributes:
        field: path of the offending field, such as ``spec.workflows.resource.configure[0].spec.files[1].path``.
        problem: what is wrong, in one sentence without a full stop.
        remedy: what to do about it, in one sentence; empty when the problem says it all.
    """

    def __init__(self, field: str, problem: str, remedy: str = "") -> None:
        self.field = field
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{field}: {problem}" + (f"; {remedy}" if remedy else ""))
