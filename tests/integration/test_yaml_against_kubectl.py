"""What kubectl reads is what Troth reads, and what Troth writes is read by kubectl as it was meant.

kubectl reads files by itself and needs no server for it, so hundreds of texts take a second.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from tests.kubectl_reading import HEAD, Refused, objects_by_kubectl
from tests.unit.engine.rendering.test_values import JSON_VALUES
from tests.unit.engine.yaml.test_manifests import TEXTS as TRICKY_TEXTS
from tests.yaml_forms import TEXTS, VALUES, WORDS
from troth.dev import find_binaries
from troth.engine.yaml.manifests import InvalidManifest, dump_document, load_documents

FORMS = (
    *(f"{HEAD}data: {word}\n" for word in WORDS),
    *(f"{HEAD}data:\n  {word}: 1\n" for word in WORDS),
    *(f"{HEAD}data:\n- {word}\n" for word in WORDS),
    *(f"{HEAD}data: [{word}]\n" for word in WORDS),
    *(f"{HEAD}data:\n  k: {value}" for value in VALUES),
    *TEXTS,
)

STRICTER = {
    "the tag": "an unknown tag means something to whoever wrote it",
    "occurs twice": "kubectl takes the last, and the reader of a diff the first that they see",
    "there already": "readers of YAML do not agree on what wins",
    "which kubectl drops": "nobody writes what shall be dropped",
    "'!!binary'": "kubectl makes replacement characters of the bytes",
    "not a number that JSON has": "kubectl makes a key .inf of it",
    "too large for a": "kubectl makes a key .inf of it, or refuses the object later",
    "a key without a name": "kubectl gives another reason",
    "stands for no character": "kubectl makes a replacement character of half of a character",
    "begins with '%'": "kubectl reads it after a '---' that begins the text, and nowhere else",
    "a ':' without a space": "libyaml has another idea of '{a:}'",
    "text after the end of a document": "as kubectl would, were it not for what came first",
    "this line is not indented": "libyaml does not know that a text may be JSON to its middle",
    "this is not a tag: quote": "libyaml lets a tag end with fewer characters than its port",
    "found character": "libyaml and its port differ on what a tab may separate",
    "a control character": "libyaml and its port differ on one",
}
"""Why Troth refuses what kubectl reads, by what Troth says."""

WORD_OR_TEXT = st.sampled_from(WORDS) | TRICKY_TEXTS
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)


ROUNDS = int(os.environ.get("TROTH_YAML_TEXTS", "5"))
"""How many rounds of random texts; many more in `make properties`."""


@pytest.fixture(scope="module")
def kubectl() -> Path:
    return find_binaries().kubectl


def test_each_of_hundreds_of_forms_is_read_as_kubectl_reads_it_or_refused_with_its_line(kubectl: Path) -> None:
    assert len(set(FORMS)) >= 300
    wrong = _differences(kubectl, FORMS)
    assert not wrong, "\n".join(wrong)


@settings(max_examples=12 * ROUNDS)
@given(
    st.lists(
        st.dictionaries(WORD_OR_TEXT, JSON_VALUES | WORD_OR_TEXT, max_size=4),
        min_size=8,
        max_size=8,
    )
)
def test_any_value_written_is_read_by_kubectl_as_this_value(kubectl: Path, values: list[Any]) -> None:
    texts = [HEAD + dump_document({"data": value}) for value in values]
    for text, value, read in zip(texts, values, objects_by_kubectl(kubectl, texts), strict=True):
        assert not isinstance(read, Refused), (text, read)
        assert _comparable(read[0]["data"]) == _comparable(value), text


_PIECES = (
    *"{}[],:-&*!|>'\"%@`#ab1y~0 \n\t.",
    *("a: ", "b: ", " #c", "- ", "\n  ", "\n    ", "&x ", "*x ", "<<: ", "'q'", '"d"', '"\\/"', "\\", ": "),
    *(
        "|\n    ",
        "|-\n    ",
        ">\n    ",
        "\n---\n",
        "!!int ",
        "!!str ",
        "\r\n",
        "1_0",
        "0x1",
        ".5",
        "1e3",
    ),
)


@settings(max_examples=ROUNDS, phases=NO_SHRINKING)
@given(st.integers(0, 1 << 32))
def test_any_text_is_read_as_kubectl_reads_it_or_refused(kubectl: Path, seed: int) -> None:
    note(f"seed {seed}")
    draw = random.Random(seed)
    values = ["".join(draw.choices(_PIECES, k=draw.randint(1, 9))) for _ in range(400)]
    wrong = _differences(kubectl, [f"{HEAD}data:\n  k: {value}\n" for value in values], any_refusal=True)
    assert not wrong, "\n".join(wrong)


def _differences(kubectl: Path, texts: list[str] | tuple[str, ...], *, any_refusal: bool = False) -> list[str]:
    """What is read in another way; a refusal of what kubectl reads counts unless it is one of `STRICTER`, or any."""
    wrong = []
    for text, theirs in zip(texts, objects_by_kubectl(kubectl, texts), strict=True):
        shown = f"{text!r}: kubectl {theirs}"
        try:
            ours = load_documents(text)
        except InvalidManifest as error:
            known = any_refusal or any(words in error.problem for words in STRICTER)
            if not isinstance(theirs, Refused) and not known:
                wrong.append(f"{shown}; Troth refuses: {error}")
            if error.line is None and "\x7f" not in text and "\x07" not in text:
                wrong.append(f"{shown}; Troth does not say where: {error}")
            continue
        if isinstance(theirs, Refused):
            if all(isinstance(document, dict) and document.get("kind") for document in ours):
                wrong.append(f"{shown}; Troth reads {ours}")
        elif _comparable(ours) != _comparable(theirs):
            wrong.append(f"{shown}; Troth reads {ours}")
    return wrong


def _comparable(value: Any) -> Any:
    """The value with its type; a whole number and a fraction are one type in JSON."""
    if isinstance(value, dict):
        return {key: _comparable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_comparable(child) for child in value]
    return ("number", float(value)) if type(value) in (int, float) else (type(value).__name__, value)
