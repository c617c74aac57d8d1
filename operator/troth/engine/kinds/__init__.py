"""What may stand in an object of a kind: Kubernetes' own kinds, and those of CustomResourceDefinitions.

Data and pure functions, so that an operator finds in what a Promise renders what a command finds. The bundled schemas
of Kubernetes (data/) are read when the first object asks for one.
"""

from troth.engine.kinds.kubernetes import Kubernetes
from troth.engine.kinds.openapi import check_openapi, is_openapi, reduce_openapi
from troth.engine.kinds.schemas import Judgement, Schemas

__all__ = ["Judgement", "Kubernetes", "Schemas", "check_openapi", "is_openapi", "reduce_openapi"]
