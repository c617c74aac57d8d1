"""The API server's judgement of an object, and of the definition of a kind, without an API server.

`admitting` is what happens to an object; `definitions` what is asked of a definition. The rules in CEL have modules of
their own (`cel` and those that begin so, `cost`, `steps`), which are loaded only where a definition has rules.
"""

from troth.engine.admission.admitting import Admission, Admitted

__all__ = ["Admission", "Admitted"]
