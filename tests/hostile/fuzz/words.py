"""Checks the messages of errors, and has the tokens of the formats that others write."""

from __future__ import annotations

import re
from typing import Final

CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MARKER: Final = "TR0TH-FUZZ-MARKER"
COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
YAML_TOKENS: Final = [
    *(
        b"- ",
        b": ",
        b"[",
        b"]",
        b"{",
        b"}",
        b"&a ",
        b"*a",
        b"!!int ",
        b"!x ",
        b"<<",
        b"|",
        b">",
        b"? ",
        b"#",
        b"%",
    ),
    *(b"---\n", b"...\n", b"\t", b"'", b'"', b"\\x00", b"\\ud800", b"2024-99-99", b"~", b"0x1", b"1e999", b".nan"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", "\u2028\u202e\u00e9".encode()),
]


def require_good_words(error: BaseException) -> None:
    """Checks that a message can be put into a condition and a log: short, on one line, and without the secret."""
    text = str(error)
    assert text
    assert not CONTROL.search(text), text
    assert len(text) < 3000
    text.encode()  # a lone surrogate could not be written into a condition
    at: BaseException | None = error
    while at is not None:
        assert MARKER not in f"{at} {at!r}"
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
