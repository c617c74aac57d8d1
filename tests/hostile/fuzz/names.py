"""Strange names of files: everything that Git and a file system allow."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

NAMES: Final = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.sampled_from(
        [b"\xff\xfe", b'"', b"\\", b"a\nb", b"a\tb", b" ", b"-x", b"\x01", "\u202e".encode(), b"a" * 255]
    ),
).filter(lambda name: not {0, ord("/")} & set(name) and name not in {b".", b".."})
