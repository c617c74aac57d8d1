"""Where a kind lives on the API server: no kind's name leads to another place."""

from __future__ import annotations

import pytest

from troth.api import InvalidObject, Resource
from troth.api.resources import CONFIG_MAP, WORK


def test_a_kind_has_a_path() -> None:
    assert CONFIG_MAP.path("n", "c") == "/api/v1/namespaces/n/configmaps/c"
    assert WORK.path("n", "w", "status") == "/apis/platform.kratix.io/v1alpha1/namespaces/n/works/w/status"


@pytest.mark.parametrize(
    "text", ["namespaces/x/secrets", "..", ".", "a/..", "a%2fb", "a?b", "a#b", "a b", "a\n", "é"]
)
def test_what_would_be_the_path_of_something_else_is_refused(text: str) -> None:
    for field, resource in {
        "group": Resource(text, "v1", "widgets", "Widget"),
        "version": Resource("example.com", text, "widgets", "Widget"),
        "plural": Resource("", "v1", text, "Widget"),
    }.items():
        with pytest.raises(InvalidObject, match="cannot be part of a kind's path") as caught:
            resource.path("n", "w")
        assert caught.value.field == field
