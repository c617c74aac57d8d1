"""The root of the exceptions that Troth raises.

    TrothError
    ├── InvalidObject          an object says something that cannot be carried out (api)
    ├── ServerRefusal          a server answered, and the answer is no: its status
    ├── NoAnswer               a server did not answer: whether it may have done what was asked
    ├── KubeError …            the API server (kube/errors.py); most of them are one of the two above, too
    └── StoreError             a state store (stores/errors.py)

Expected outcomes of a reconcile are values, not exceptions; these are for boundaries. Each carries what is
wrong, where, and what to do about it, so that a condition or a terminal can show all three.
"""

from __future__ import annotations


class TrothError(Exception):
    """Base of every exception that is raised on purpose."""


class ServerRefusal(TrothError):
    """A server answered that it does not do what was asked.

    It is defined here so that a store can recognise a refusal without knowing the client that makes its calls.

    Attributes:
        status: the HTTP status of the answer.
    """

    status: int


class NoAnswer(TrothError):
    """A server did not answer.

    Attributes:
        ambiguous: whether the request had been sent, so that a write may have been carried out.
    """

    ambiguous: bool


class InvalidObject(TrothError):
    """An object that a person wrote says something that cannot be carried out.

    Attributes:
        field: path of the wrong field, such as ``spec.workflows.resource.configure[0].spec.files[1].path``.
        problem: what is wrong, in one sentence without a full stop.
        remedy: what to do about it, in one sentence; empty when the problem says it all.
    """

    def __init__(self, field: str, problem: str, remedy: str = "") -> None:
        self.field = field
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{field}: {problem}" + (f"; {remedy}" if remedy else ""))
