"""Tries a reader: first with the inputs that were kept, then with new ones until the time is over.

A check is a function of bytes that returns if the reader does what it promises, and raises an exception if it does
not. Its inputs are seeds that somebody wrote, which are cut, repeated and mixed with tokens of the format; hypothesis
shrinks the inputs that fail. `make fuzz SECONDS=60` takes this many seconds for each reader, and keeps what it finds
in `tests/data/corpus/<reader>/`, which is tried first from then on.

Rejected: atheris, which measures the coverage of C code and does not have a release for every supported Python; and a
database of hypothesis as the corpus, which another version of hypothesis cannot read.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.hostile.garbage import only_own_garbage

CORPUS: Final = Path(__file__).parents[2] / "data" / "corpus"
_SECONDS: Final = float(os.environ.get("TROTH_FUZZ_SECONDS", "2.5"))
_KEEPS: Final = "TROTH_FUZZ_SECONDS" in os.environ
_ROUND: Final = 100
_LONGEST: Final = 1.0
_MOST_MEMORY: Final = 256 << 20
_NUMEROUS: Final = (1, 1, 1, 2, 3, 20, 3000)

Check = Callable[[bytes], None]


def fuzz(
    reader: str, check: Check, *, seeds: Sequence[bytes], tokens: Sequence[bytes] = (), reads: int = 1
) -> None:
    """Tries a reader, and raises the first exception of its check.

    Args:
        reader: its name, which is also the name of its folder in the corpus.
        check: raises an exception when the reader does not do what it promises with the bytes.
        seeds: the inputs to begin with.
        tokens: texts that have a meaning in the format.
        reads: how many times the check reads the same bytes. Each time may take one second of processor time.
    """
    with only_own_garbage():
        _fuzz(reader, check, seeds, tokens, reads)


def _fuzz(reader: str, check: Check, seeds: Sequence[bytes], tokens: Sequence[bytes], reads: int) -> None:
    kept = sorted((CORPUS / reader).glob("*"))
    for file in kept:
        _try(check, file.read_bytes(), str(file), reads)
    tried: list[bytes] = []

    @settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(_mutated([*seeds, *(file.read_bytes() for file in kept), b""], [*tokens, b"\x00", b"\xff", b"\n"]))
    def try_one(content: bytes) -> None:
        tried[:] = [content]
        _try(check, content, repr(content[:300]), reads)

    for content in seeds:
        _try(check, content, repr(content[:300]), reads)
    end = time.process_time() + _SECONDS
    try:
        while time.process_time() < end:
            try_one()
    except BaseException:
        if _KEEPS and tried:  # the last input is the smallest one
            place = CORPUS / reader / hashlib.sha256(tried[0]).hexdigest()[:16]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(tried[0])
        raise


def _try(check: Check, content: bytes, name: str, reads: int) -> None:
    began, peak = time.process_time(), _peak()
    check(content)
    spent = time.process_time() - began
    assert spent < reads * _LONGEST, f"{spent:.1f} s of a processor for {name}"
    grown = _peak() - peak
    assert grown < _MOST_MEMORY, f"{grown >> 20} MiB for {name}"


def _peak() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used << 10


@st.composite
def _mutated(draw: st.DrawFn, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    content = bytearray(draw(st.one_of(st.sampled_from(seeds), st.binary(max_size=60))))
    piece = st.one_of(st.sampled_from(tokens), st.sampled_from(tokens), st.binary(max_size=4))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(content)))
        change = draw(st.sampled_from(("insert", "insert", "cut", "replace", "repeat")))
        if change == "cut":
            del content[at : at + draw(st.integers(1, 40))]
        elif change == "repeat":
            content[at:at] = bytes(content[at : at + draw(st.integers(1, 40))]) * draw(st.sampled_from(_NUMEROUS))
        else:
            added = draw(piece) * draw(st.sampled_from(_NUMEROUS))
            content[at : at + (len(added) if change == "replace" else 0)] = added
    return bytes(content)
