"""The vocabulary of Troth: kinds, labels, conditions, names and typed, frozen views of the objects.

Everything here is plain data and pure functions, and it imports nothing else of ours: every other package speaks in
these terms, so circular imports cannot arise.
"""

from troth.api.conditions import Condition, find_condition, merge_conditions, set_condition
from troth.api.errors import InvalidObject, NoAnswer, ServerRefusal, TrothError
from troth.api.keys import Key, key_of
from troth.api.objects import Promise, Request
from troth.api.resources import Resource

__all__ = [
    "Condition",
    "InvalidObject",
    "Key",
    "NoAnswer",
    "Promise",
    "Request",
    "Resource",
    "ServerRefusal",
    "TrothError",
    "find_condition",
    "key_of",
    "merge_conditions",
    "set_condition",
]
