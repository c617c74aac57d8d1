"""How a Promise is read: what of Kratix's API has a meaning that its schema does not say."""

from __future__ import annotations

from typing import Any

import pytest

from troth.api.objects import read_promise, read_promise_spec


@pytest.mark.parametrize("spec", [{}, {"api": None}, {"api": {}}], ids=["absent", "null", "empty"])
def test_a_promise_without_an_api_may_say_so_in_three_ways(spec: dict[str, Any]) -> None:
    assert read_promise_spec(spec).api is None


def test_of_two_selectors_for_one_label_the_earlier_one_counts() -> None:
    entries = [{"matchLabels": {"a": "first"}}, {"matchLabels": {"a": "second", "b": "only"}}]
    assert read_promise_spec({"destinationSelectors": entries}).destination_selectors == {
        "a": "first",
        "b": "only",
    }


def test_the_version_of_a_promise_is_its_label_and_of_one_without_it_is_empty() -> None:
    labels = {"kratix.io/promise-version": "v1.0.0+beta.1"}
    assert read_promise({"metadata": {"name": "a", "labels": labels}, "spec": {}}).version == "v1.0.0+beta.1"
    assert read_promise({"metadata": {"name": "a"}, "spec": {}}).version == ""
