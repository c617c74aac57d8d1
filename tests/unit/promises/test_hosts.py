"""Whose host a web-app may ask for: that of its namespace, whatever other domains there are."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.promises.library import load_promise, render, request_of
from troth.engine.rendering.render import Failure

pytestmark = pytest.mark.slow

PROMISE = load_promise("web-app")
PARTS = ["a", "b", "apps", "com"]
HOSTS = st.lists(st.sampled_from(PARTS), min_size=2, max_size=5).map(".".join)
NAMESPACES = st.sampled_from(["a", "b", "tenant"])


def with_domains(domains: Mapping[str, str], own: str) -> dict[str, Any]:
    """The Promise of a platform that gives its namespaces these domains."""
    promise = copy.deepcopy(PROMISE)
    (pipeline,) = promise["spec"]["workflows"]["resource"]["configure"]
    pipeline["spec"]["values"].update(domains=dict(domains), ownDomain=own)
    return promise


@settings(max_examples=40)
@given(domains=st.dictionaries(HOSTS, NAMESPACES, max_size=4), host=HOSTS, namespace=NAMESPACES)
def test_a_host_is_that_of_the_longest_domain_around_it_and_no_other_namespace_gets_it(
    domains: dict[str, str], host: str, namespace: str
) -> None:
    promise = with_domains(domains, "{{ namespace }}.apps.example.com")
    around = [domain for domain in domains if host == domain or host.endswith(f".{domain}")]
    owner = domains[max(around, key=len)] if around else None
    outcome = render(promise, request_of(promise, "web", {"image": "example.com/app:1", "host": host}, namespace))
    assert isinstance(outcome, Failure) == (owner != namespace)


@settings(max_examples=40)
@given(host=st.lists(st.sampled_from(PARTS), max_size=3).map(lambda parts: ".".join([*parts, "apps.example.com"])))
def test_the_hosts_below_its_own_domain_are_a_namespaces_and_only_its(host: str) -> None:
    promise = with_domains({}, "{{ namespace }}.apps.example.com")
    for namespace in ("a", "b"):
        outcome = render(
            promise, request_of(promise, "web", {"image": "example.com/app:1", "host": host}, namespace)
        )
        mine = f".{host}".endswith(f".{namespace}.apps.example.com")
        assert isinstance(outcome, Failure) != mine
