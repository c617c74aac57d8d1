"""Where a server sends its clients is read from any trace, and is an address without a login, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.stores.git_errors import quote
from troth.stores.git_redirect import is_same_server, new_address

URL = "https://git.example.com/team/state.git"


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("https://b.example.com/x.git/info/refs?service=git-upload-pack", "https://b.example.com/x.git"),
        ("/team/new.git/info/refs?service=git-upload-pack", "https://git.example.com/team/new.git"),
        ("https://user:secret@b.example.com/x.git/info/refs", "https://b.example.com/x.git"),
        ("https://b.example.com:x/", ""),
        ("file:///etc/passwd", ""),
        ("https://b.example.com/\x1b[31m", ""),
        ("https://b.example.com/" + "x" * 400, ""),
    ],
)
def test_an_address_is_read_or_nothing(location: str, address: str) -> None:
    trace = f"http.c:679 <= Recv header, 0000000050 bytes (0x32)\nhttp.c <= Recv header: location: {location}\r\n"
    assert new_address(trace, url=URL) == address


@given(st.text(max_size=60))
def test_any_location_gives_a_printable_address_or_none(location: str) -> None:
    found = new_address(f"<= Recv header: location: {location}", url=URL)
    assert not found or (found.isascii() and found.isprintable() and "@" not in found.split("/")[2])
    assert is_same_server(found, found)


@given(st.text(max_size=600))
def test_what_a_server_says_is_short_and_without_control_characters(said: str) -> None:
    words = quote("".join(f"remote: {line}\n" for line in said.splitlines()))
    assert len(words) <= 400
    assert not [character for character in words if ord(character) < 32 or 0x7F <= ord(character) < 0xA0]


def test_what_would_move_a_terminal_is_left_out() -> None:
    assert quote("remote: \x1b[31mno\x1b[0m \u202ethanks\x07\n") == "no thanks"
