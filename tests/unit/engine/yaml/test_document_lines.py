"""Where the documents of a text begin, found without parsing it."""

from __future__ import annotations

from hypothesis import example, given, reject
from hypothesis import strategies as st

from troth.engine.yaml.lines import document_lines, field_lines
from troth.engine.yaml.manifests import InvalidManifest, load_documents

PARTS = st.sampled_from(
    [
        "a: 1\n",
        "# only a comment\n",
        "\n\n# first\nb:\n- 2\n",
        "t: |\n  ---\n  # no\n\n  x\n",
        "'q': \"--- x\"\n",
        "{}\n",
    ]
)
BETWEEN = st.sampled_from(["---\n", "--- # new\n", "---\n\n", "...\n---\n", "---\n---\n"])


@example([("---\n", "{}\n")], True)
@given(st.lists(st.tuples(BETWEEN, PARTS), min_size=1, max_size=6), st.booleans())
def test_the_lines_are_those_that_a_parser_finds(parts: list[tuple[str, str]], bare: bool) -> None:
    text = "".join(between + part for between, part in parts)
    text = text.removeprefix(parts[0][0]) if bare else text
    try:
        documents = load_documents(text)
    except InvalidManifest:
        reject()
    found = [places[""] for places in field_lines(text)]
    if len(found) == len(documents):
        assert document_lines(text, len(documents)) == found
    else:
        assert len(document_lines(text, len(documents))) == len(documents)
