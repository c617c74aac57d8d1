"""Suggestions for a misspelled word in a template, or for one from another template language.

Authors know Ansible, Helm and other template languages. Tables contain the words that are different there; for other
words the most similar ones are suggested.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Final

INSTEAD: Final = {
    "safe": "values never need it; text of the template is used as it is",
    "e": "values never need escaping",
    "escape": "values never need escaping",
    "quote": "values never need quotes; use string to turn a number into text",
    "squote": "values never need quotes; use string to turn a number into text",
    "toYaml": "use to_yaml, or the value itself: {{ value }}",
    "toJson": "use to_json",
    "fromJson": "use from_json",
    "fromYaml": "use from_yaml",
    "b64enc": "use b64encode",
    "b64dec": "use b64decode",
    "sha256sum": "use sha256",
    "sha1": 'use hash("sha1")',
    "md5": 'use hash("md5")',
    "checksum": 'use hash("sha1")',
    "trunc": "use truncate, or dns_label for names",
    "strip": "use trim",
    "size": "use length",
    "len": "use length",
    "keys": "use list: the list of a map is that of its keys",
    "merge": "use combine",
    "basename": 'use split("/") | last',
    "mandatory": 'a missing value is an error anyway; use fail("…") to say it in your own words',
    "required": 'a missing value is an error anyway; use fail("…") to say it in your own words',
    "to_seconds": "use duration",
    "to_minutes": 'use duration("m")',
    "to_hours": 'use duration("h")',
    "to_days": 'use duration("d")',
    "to_time_unit": 'use duration("m"), with the unit that you want',
    "durationRound": "use duration_text",
    "random": "the same request must give the same manifests; use sha256 of a name instead",
    "shuffle": "the same request must give the same manifests",
    "now": "the same request must give the same manifests",
    "lookup": "a template sees the request and the Promise, nothing else",
    "attr": 'use value.name or value["name"]',
}
"""Hints for filters that authors know from elsewhere and that do not exist here."""

_TESTS_INSTEAD: Final = {
    "startswith": 'use match("…"), a pattern from the start',
    "endswith": 'use search("…$")',
    "regex": 'use match("…") or search("…")',
    "empty": "use length == 0",
    "null": "use none",
}
_TAGS: Final = (
    *("if", "elif", "else", "endif", "for", "endfor", "break", "continue", "set", "endset", "with", "endwith"),
    *("macro", "endmacro", "call", "endcall", "filter", "endfilter", "include", "import", "from"),
    *("block", "endblock", "extends", "raw", "endraw"),
)
_TAGS_INSTEAD: Final = {
    "elseif": "elif", "elsif": "elif", "elsif:": "elif", "fi": "endif", "end": "endif or endfor", "range": "for",
    "done": "endfor", "next": "endfor", "template": "include", "define": "macro", "assign": "set", "let": "set",
    "unless": "if not", "case": "if", "switch": "if", "foreach": "for",
}  # fmt: skip
_STATEMENTS: Final = "statements are if, for, set, macro, call, filter, include, import, with, block"
_MOST: Final = 3


def near(word: str, known: Collection[str]) -> list[str]:
    """Returns the known word that is almost the same, or else at most three similar ones; none if there are none."""
    folded = {name.casefold(): name for name in sorted(known)}
    wanted = word.casefold()
    found = difflib.get_close_matches(wanted, list(folded), n=1, cutoff=0.8)
    found = found or difflib.get_close_matches(wanted, list(folded), n=_MOST, cutoff=0.6)
    if not found and len(wanted) > 1:
        found = [name for name in folded if wanted in name or (len(name) > 3 and name in wanted)][:_MOST]
    return [folded[name] for name in found]


def hint_for(kind: str, word: str, known: Collection[str], others: Collection[str] = ()) -> str:
    """Returns a hint for a filter or a test that does not exist.

    Args:
        kind: ``filter`` or ``test``.
        word: the name that was used.
        known: the existing names of that kind.
        others: the existing names of the other kind, which the author may have had in mind.
    """
    instead = (INSTEAD if kind == "filter" else _TESTS_INSTEAD).get(word)
    if instead is not None:
        return instead
    if word in others:
        return (
            f"{word} is a test: write `is {word}`" if kind == "filter" else f"{word} is a filter: write `| {word}`"
        )
    meant = near(word, known)
    if not meant:
        return f"docs/reference/template.md lists all {kind}s"
    return f"did you mean {_any_of(meant)}?"


def hint_for_tag(message: str) -> str:
    """Returns a hint for a statement that does not exist. ``message`` is Jinja's, in which it is quoted first."""
    word = message.partition("'")[2].partition("'")[0]
    meant = _TAGS_INSTEAD.get(word) or _any_of(near(word, _TAGS)[:1])
    return f"did you mean {meant}?" if meant else _STATEMENTS


def _any_of(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1] if words else "")))
