"""Paths in a state store: Kratix's, and never outside the destination's folder."""

from __future__ import annotations

import posixpath
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from troth.api import InvalidObject
from troth.api.naming import group_id
from troth.api.objects import Destination, ObjectMeta, Workload, WorkPlacement
from troth.api.store_kinds import StoreRef
from troth.engine.placement.layout import (
    Layout,
    aggregate,
    confine,
    destination_files,
    destination_prefix,
    normalise_prefix,
    place,
)


def destination(path: str = "worker-1", mode: str = "nestedByMetadata", **changes: Any) -> Destination:
    facts: dict[str, Any] = {
        "metadata": ObjectMeta("worker-1"),
        "path": path,
        "store": StoreRef("GitStateStore", "main"),
        "strict_match_labels": False,
        "mode": mode,
        "filename": "aggregated.yaml",
        "cleanup": "none",
        "init_workloads": True,
        "status": {},
    }
    return Destination(**{**facts, **changes})


def placement(*paths: str, pipeline: str = "instance", **changes: Any) -> WorkPlacement:
    labels = {"kratix.io/pipeline-name": pipeline} if pipeline else {}
    facts: dict[str, Any] = {
        "metadata": ObjectMeta("redis-cache-instance-1a2b3.worker-1-5058f", "default", labels=labels),
        "destination": "worker-1",
        "promise_name": "redis",
        "resource_name": "cache",
        "group_id": group_id("."),
        "workloads": tuple(Workload(path, f"blob of {path}") for path in paths or ("a.yaml",)),
        "status": {},
    }
    return WorkPlacement(**{**facts, **changes})


# ---- Kratix's paths


def test_a_request_has_a_folder_of_its_own() -> None:
    layout = place(destination(), placement("a.yaml", "backup/b.yaml"), store_path="clusters")

    folder = "clusters/worker-1/resources/default/redis/cache/instance/5058f"
    assert layout == Layout(
        files={f"{folder}/a.yaml": "blob of a.yaml", f"{folder}/backup/b.yaml": "blob of backup/b.yaml"},
        directory=folder,
    )


def test_the_namespace_in_a_path_is_that_of_the_request() -> None:
    kept = ObjectMeta("redis-cache", "pipelines", labels={"kratix.io/resource-namespace": "team-a"})

    assert place(destination(), placement(metadata=kept), store_path="").directory == (
        "worker-1/resources/team-a/redis/cache/5058f"
    )


def test_dependencies_stand_apart_and_static_ones_have_no_pipeline() -> None:
    of_pipeline = place(destination(), placement(resource_name=""), store_path="")
    static = placement("static/redis-dependencies.yaml", pipeline="", resource_name="")

    assert of_pipeline.directory == "worker-1/dependencies/redis/instance/5058f"
    assert set(place(destination(), static, store_path="").files) == {
        "worker-1/dependencies/redis/5058f/static/redis-dependencies.yaml"
    }


def test_mode_none_puts_files_at_the_root_and_remembers_them_in_a_state_file() -> None:
    layout = place(destination(mode="none"), placement("main.tf", "x/y.tf"), store_path="tf")

    assert layout == Layout(
        files={"tf/worker-1/main.tf": "blob of main.tf", "tf/worker-1/x/y.tf": "blob of x/y.tf"},
        state_file="tf/worker-1/.kratix/default-redis-cache-instance-1a2b3.worker-1-5058f.yaml",
    )


def test_mode_aggregated_has_one_file_for_all() -> None:
    layout = place(destination(mode="aggregatedYAML", filename="all.yaml"), placement(), store_path="")

    assert layout == Layout(files={}, aggregate="worker-1/all.yaml")
    contents = {("b", "one"): {"x.yaml": b"x: 1\n"}, ("a", "one"): {"z.yaml": b"z: 1\n", "y.yaml": b"y: 1"}}
    assert aggregate(contents) == b"z: 1\n\n---\ny: 1\n---\nx: 1\n"
    assert aggregate({}) is None
    assert aggregate({("a", "two"): {"x.yaml": b"2"}, ("a", "one"): {"x.yaml": b"1"}}) == b"1\n---\n2"
    assert aggregate({("a", "one"): {}}) is None


@pytest.mark.parametrize(
    ("store", "path", "prefix"),
    [
        ("", "worker-1", "worker-1"),
        ("/", "/", ""),
        ("clusters/", "./worker-1/", "clusters/worker-1"),
        ("/a", "b//c", "a/b/c"),
        ("", ".", ""),
        (".", "...", "..."),
    ],
)
def test_prefixes_are_read_as_people_write_them(store: str, path: str, prefix: str) -> None:
    assert destination_prefix(destination(path), store_path=store) == prefix


def test_a_destination_may_be_the_whole_store() -> None:
    assert place(destination("/", "none"), placement("a"), store_path="/").files == {"a": "blob of a"}
    assert place(destination("/"), placement("a"), store_path="").directory == (
        "resources/default/redis/cache/instance/5058f"
    )


# ---- the destination's own files


def test_canaries_have_kratixs_paths_and_names() -> None:
    nested = destination_files(destination(), store_path="s")
    assert set(nested.files) == {
        "s/worker-1/dependencies/kratix-canary-namespace.yaml",
        "s/worker-1/resources/kratix-canary-configmap.yaml",
    }
    for mode in ("none", "aggregatedYAML"):
        assert set(destination_files(destination(mode=mode), store_path="").files) == {
            "worker-1/kratix-canary-namespace.yaml",
            "worker-1/kratix-canary-configmap.yaml",
        }
    namespace, config_map = (yaml.safe_load(content) for content in nested.files.values())
    assert (namespace["kind"], namespace["metadata"]["name"]) == ("Namespace", "kratix-worker-system")
    assert config_map["metadata"] == {"name": "kratix-info", "namespace": "kratix-worker-system"}
    assert config_map["data"]["canary"]


@pytest.mark.parametrize("mode", ["nestedByMetadata", "none", "aggregatedYAML"])
def test_without_canaries_a_comment_keeps_the_folders(mode: str) -> None:
    on = destination_files(destination(mode=mode), store_path="")
    off = destination_files(destination(mode=mode, init_workloads=False), store_path="")

    folders = {posixpath.dirname(path) for path in off.files}
    nested = {"worker-1/dependencies", "worker-1/resources"}
    assert folders == (nested if mode == "nestedByMetadata" else {"worker-1"})
    assert folders == {posixpath.dirname(path) for path in on.files}
    for path, content in off.files.items():
        assert yaml.safe_load(content) is None
        assert not path.endswith((".yaml", ".yml", ".json"))
    assert set(on.obsolete) == set(off.files)
    assert set(off.obsolete) == set(on.files)


# ---- confinement


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "./",
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "a//b",
        "a/",
        "a\\b",
        "a\nb",
        "a\0",
        "a\x7f",
        "a\x85b",
        "\ud800",
        ".git/config",
        "x/.GIT/hooks/pre-push",
        "x" * 256,
        "/".join(["x" * 200] * 30),
    ],
)
def test_a_path_that_could_leave_or_that_no_store_holds_is_refused_by_its_field(path: str) -> None:
    with pytest.raises(InvalidObject) as error:
        confine(path, "spec.files[0].path")
    assert error.value.field == "spec.files[0].path"
    assert str(error.value).isprintable()
    for mode in ("nestedByMetadata", "none"):
        with pytest.raises(InvalidObject) as error:
            place(destination(mode=mode), placement("ok.yaml", path), store_path="")
        assert error.value.field == "spec.workloads[1].filepath"


@pytest.mark.parametrize(("path", "confined"), [("./a/./b", "a/b"), ("..a/b..", "..a/b.."), (".gitignore",) * 2])
def test_harmless_paths_pass(path: str, confined: str) -> None:
    assert confine(path) == confined


@given(
    st.lists(st.sampled_from(["a", "b", ".", "..", "", "/", "\\", "\n", ".git", "é"]), max_size=6).map("/".join)
)
def test_whatever_is_accepted_stays_inside(path: str) -> None:
    try:
        confined = confine(path)
    except InvalidObject:
        return
    assert posixpath.normpath(posixpath.join("/root", confined)) == f"/root/{confined}"
    assert confine(confined) == confined
    assert not {"..", ".git"} & set(confined.split("/"))


@pytest.mark.parametrize("path", ["..", "a/../..", "a\\b", "a\n", ".git"])
def test_a_prefix_that_leaves_the_store_is_refused(path: str) -> None:
    with pytest.raises(InvalidObject) as error:
        normalise_prefix(path, "spec.path of the state store")
    assert error.value.field == "spec.path of the state store"
    with pytest.raises(InvalidObject, match=r"spec\.path of Destination worker-1"):
        destination_files(destination(path), store_path="")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"promise_name": "../x"}, "spec.promiseName"),
        ({"promise_name": ""}, "spec.promiseName"),
        ({"resource_name": ".."}, "spec.resourceName"),
        ({"pipeline": "a/b"}, "metadata.labels[kratix.io/pipeline-name]"),
        ({"group_id": ""}, "spec.id"),
        ({"group_id": "../.."}, "spec.id"),
    ],
)
def test_a_placement_whose_names_are_no_names_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidObject) as error:
        place(destination(), placement(**changes), store_path="")
    assert error.value.field == field


def test_files_that_exclude_one_another_are_refused() -> None:
    for paths in (("a", "./a"), ("a", "a/b"), ("a/b/c", "a")):
        with pytest.raises(InvalidObject, match=r"occurs twice|both a file and a folder"):
            place(destination(), placement(*paths), store_path="")


def test_the_state_files_of_others_are_out_of_reach() -> None:
    with pytest.raises(InvalidObject, match="reserved"):
        place(destination(mode="none"), placement(".kratix/default-other.yaml"), store_path="")
    place(destination(), placement(".kratix/fine-here.yaml"), store_path="")


def test_a_content_that_cannot_be_read_is_an_error_and_not_an_empty_file() -> None:
    broken = placement(workloads=(Workload("a.yaml", ""),))

    with pytest.raises(InvalidObject) as error:
        place(destination(), broken, store_path="")
    assert error.value.field == "spec.workloads[0].content"


def test_the_aggregate_file_stays_inside() -> None:
    with pytest.raises(InvalidObject) as error:
        place(destination(mode="aggregatedYAML", filename="../x.yaml"), placement(), store_path="")
    assert error.value.field == "spec.filepath.filename"
