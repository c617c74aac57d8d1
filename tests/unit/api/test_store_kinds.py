"""A kind of state store is a value that answers whatever is asked of a kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.api import InvalidObject
from troth.api.store_kinds import (
    DIRECTORY,
    GIT,
    KUBERNETES,
    STORE_KINDS,
    StoreKind,
    StoreRef,
    holds_files,
    require_store_kind,
)
from troth.stores.factory import OPENERS

_VALUES = st.one_of(st.none(), st.text(), st.lists(st.text()))
SPECS = st.dictionaries(
    st.sampled_from(["url", "branch", "path", "secretRef", "plainSecrets"]),
    st.one_of(
        st.none(),
        st.text(),
        st.integers(),
        st.dictionaries(
            st.sampled_from(["name", "namespace", "key"]), st.one_of(st.none(), st.text(), st.lists(st.text()))
        ),
    ),
)


def test_each_kind_has_a_writer_and_no_writer_is_without_its_kind() -> None:
    assert OPENERS.keys() == STORE_KINDS.keys()


@pytest.mark.parametrize(
    ("kind", "spec", "address"),
    [
        (GIT, {"url": "https://h/a.git"}, "4557d5062fe1"),
        (GIT, {"url": "https://h/a.git", "branch": "b"}, "b66bcb316013"),
        (DIRECTORY, {"path": "/srv/state"}, "9cc65ce79ef5"),
        (KUBERNETES, {}, "e3b0c44298fc"),
        (KUBERNETES, {"secretRef": {"name": "worker"}}, "7c1ad77218f3"),
        (KUBERNETES, {"secretRef": {"name": "worker", "namespace": "n", "key": "config"}}, "aa3bbf5c69ac"),
    ],
)
def test_an_address_is_the_one_that_the_statuses_of_running_platforms_hold(
    kind: StoreKind, spec: dict[str, Any], address: str
) -> None:
    assert kind.address_of(spec) == address


@given(st.sampled_from(list(STORE_KINDS.values())), SPECS)
def test_every_question_has_an_answer_whatever_a_spec_holds(kind: StoreKind, spec: dict[str, Any]) -> None:
    assert len(kind.address_of(spec)) == 12
    assert kind.place_of("s", spec).name
    assert isinstance(kind.prefix_of(spec), str)


def test_repositories_whose_addresses_differ_only_at_the_end_are_one_place_and_two_branches_are_two() -> None:
    place = GIT.place_of("s", {"url": "https://h/a.git"})
    assert GIT.place_of("t", {"url": "https://h/a/", "branch": "main"}) == place
    assert GIT.place_of("s", {"url": "https://h/a.git", "branch": "next"}) != place


def test_folders_are_in_one_place_and_clusters_each_in_their_own() -> None:
    one, other = (DIRECTORY.place_of("s", {"path": path}) for path in ("/srv/a", "/srv/a/b"))
    assert (one.name, one.folder, other.folder) == (other.name, "/srv/a", "/srv/a/b")
    assert KUBERNETES.place_of("s", {}).name != KUBERNETES.place_of("t", {}).name


def test_the_path_of_a_directory_is_the_store_itself_and_not_a_folder_in_it() -> None:
    assert DIRECTORY.prefix_of({"path": "/srv/state"}) == ""
    assert GIT.prefix_of({"path": "clusters"}) == KUBERNETES.prefix_of({"path": "clusters"}) == "clusters"


def test_only_a_cluster_holds_no_files_and_a_kind_that_nobody_knows_is_taken_to_hold_some() -> None:
    assert [kind.kind for kind in STORE_KINDS.values() if not kind.holds_files] == ["KubernetesStateStore"]
    assert holds_files("BucketStateStore")
    assert holds_files("")
    assert not StoreRef("KubernetesStateStore", "s").holds_files


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("BucketStateStore", "BucketStateStore is not supported yet"),
        ("FtpStateStore", "'FtpStateStore' is not a kind of state store"),
    ],
)
def test_a_kind_without_a_writer_is_refused_with_those_that_there_are(kind: str, problem: str) -> None:
    with pytest.raises(InvalidObject) as caught:
        require_store_kind(kind, "spec.stateStoreRef.kind")
    assert str(caught.value) == (
        f"spec.stateStoreRef.kind: {problem}; use GitStateStore, KubernetesStateStore or DirectoryStateStore"
    )
    assert require_store_kind("GitStateStore", "spec.stateStoreRef.kind") is GIT
