"""The fields of an object that its schema does not know, and what each was probably meant to be.

The API server drops such fields in silence, also from an object that it refuses. Then the message is about the field
that is missing ("spec.title: Required value"), and only the misspelled one explains it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api.strict import close_match
from troth.engine.admission.structure import Schema, dropped_fields, prune, wire_value

_METADATA: Final = ("annotations", "labels", "name", "namespace")


@dataclass(frozen=True, slots=True)
class UnknownField:
    """A field that the API server drops.

    Attributes:
        path: the path of the field, such as ``spec.pgaes``.
        meant: the name of a field in the same place that is similar; empty if there is none.
    """

    path: str
    meant: str = ""

    @property
    def question(self) -> str:
        """``did you mean pages?``; empty if no field is similar."""
        return f"did you mean {self.meant}?" if self.meant else ""


def find_unknown(
    obj: Mapping[str, Any], schema: Schema, stored: Mapping[str, Any] | None = None
) -> tuple[UnknownField, ...]:
    """The unknown fields of an object, which is not changed.

    Args:
        obj: the object as it was written.
        schema: the schema of its version.
        stored: the object as the API server would store it; None if it would refuse it.
    """
    if stored is None:
        stored = wire_value(obj)
        prune(stored, schema, is_root=True)
    found = []
    for path in dropped_fields(obj, stored):
        parent, _, name = path.rpartition(".")
        known = _METADATA if parent == "metadata" else declared_fields(schema, parent)
        found.append(UnknownField(path, close_match(name, known)))
    return tuple(found)


def declared_fields(schema: Schema, path: str) -> Sequence[str]:
    """The names of the fields that a schema declares below a path such as ``spec.ports[0]``."""
    node: Any = schema
    for part in re.findall(r"[^.\[\]]+", path):
        if part.isdigit() and "items" in node:
            node = node["items"]
        else:
            node = (node.get("properties") or {}).get(part, node.get("additionalProperties"))
        if not isinstance(node, Mapping):
            return ()
    return list(node.get("properties") or {})
