"""What an object of a kind may contain: Kubernetes' own kinds, and those of CustomResourceDefinitions.

Data and pure functions, so that the operator and the commands find the same faults in what a Promise renders. The
bundled schemas of Kubernetes (data/) are read when they are first needed.
"""

from troth.engine.kinds.kubernetes import Kubernetes
from troth.engine.kinds.openapi import check_openapi, is_openapi, reduce_openapi
from troth.engine.kinds.schemas import Judgement, Schemas

__all__ = ["Judgement", "Kubernetes", "Schemas", "check_openapi", "is_openapi", "reduce_openapi"]
