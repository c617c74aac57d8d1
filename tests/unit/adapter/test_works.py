"""A tree of files becomes a Work and is the same tree again; groups, selectors, labels and names are Kratix's."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.adapter.errors import Unusable
from troth.adapter.files import list_files, read_file
from troth.adapter.groups import make_groups, read_rules, read_scheduling
from troth.adapter.works import PipelineRun, is_others, make_work, pack_files, work_patch
from troth.api.naming import group_id
from troth.engine.placement.file_paths import path_problem
from troth.engine.placement.work import decode_contents
from troth.engine.status.patch import apply_patch

RUN = PipelineRun("redis", "instance", "resource", "default", "cache", "default")
RULES = "/kratix/metadata/destination-selectors.yaml"

_names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda name: name not in {".", ".."} and not path_problem(name)
)
_trees = st.recursive(
    st.binary(max_size=200), lambda inner: st.dictionaries(_names, inner, max_size=4), max_leaves=12
).filter(lambda tree: isinstance(tree, dict))


def write(tree: Any, folder: Path) -> dict[str, bytes]:
    """Writes a tree; its files by their paths."""
    files: dict[str, bytes] = {}
    for name, child in tree.items():
        path = folder / name
        if isinstance(child, bytes):
            path.write_bytes(child)
            files[name] = child
        else:
            path.mkdir()
            files |= {f"{name}/{inner}": content for inner, content in write(child, path).items()}
    return files


def work_of(folder: Path, rules: Any = None, scheduling: Any = None, run: PipelineRun = RUN) -> dict[str, Any]:
    found = list_files(folder, "/kratix/output")
    files = pack_files(
        ((file.path, read_file(folder / file.path, file.path, file.size)) for file in found), "/kratix/output"
    )
    groups = make_groups(
        files, read_rules(rules, RULES), read_scheduling(scheduling, "promise-scheduling"), run.source, RULES
    )
    return make_work(run, groups)


def files_of(work: dict[str, Any]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for group in work["spec"]["workloadGroups"]:
        contents = decode_contents(group["workloads"])
        assert not contents.keys() & found.keys(), "a file is in two groups"
        found |= contents
    return found


@given(tree=_trees, data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_tree_of_files_is_the_same_tree_when_the_work_is_decoded(tree: Any, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = write(tree, Path(folder))
        tops = sorted({path.partition("/")[0] for path in files if "/" in path})
        chosen = data.draw(st.lists(st.sampled_from(tops), unique=True)) if tops else []
        rules = [{"directory": f"{top}/", "matchLabels": {"for": "it"}} for top in chosen]
        work = work_of(Path(folder), rules)
    assert files_of(work) == files
    for group in work["spec"]["workloadGroups"]:
        assert group["id"] == group_id(group["directory"])
        inside = {path["filepath"].partition("/")[0] for path in group["workloads"] if "/" in path["filepath"]}
        assert inside <= {group["directory"]} if group["directory"] != "." else not inside & set(chosen)


@given(tree=_trees)
@settings(max_examples=20, deadline=None)
def test_the_same_output_changes_nothing_in_the_work(tree: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(tree, Path(folder))
        assert work_patch(work_of(Path(folder)), work_of(Path(folder))) is None


def test_a_directory_of_its_own_is_only_for_its_rule_and_the_rest_for_the_root_and_the_promise(
    tmp_path: Path,
) -> None:
    write({"a.yaml": b"a", "foo": {"b.yaml": b"b"}, "bar": {"baz": {"c": b"c"}}}, tmp_path)
    rules = [{"directory": "foo/", "matchLabels": {"x": "1"}}, {"matchLabels": {"env": "dev"}}]
    scheduling = [
        {"matchlabels": {"zone": "a"}, "source": "promise"},
        {"matchlabels": {"zone": "b", "team": "t"}, "source": "promise"},
        {"matchlabels": {"p": "w"}, "source": "promise-workflow"},
    ]
    root, foo = work_of(tmp_path, rules, scheduling)["spec"]["workloadGroups"]
    assert (foo["directory"], root["directory"], root["id"][:5]) == ("foo", ".", "5058f")
    assert foo["destinationSelectors"] == [{"matchLabels": {"x": "1"}, "source": "resource-workflow"}]
    assert root["destinationSelectors"] == [
        {"matchLabels": {"env": "dev"}, "source": "resource-workflow"},
        {"matchLabels": {"p": "w"}, "source": "promise-workflow"},
        {"matchLabels": {"zone": "a", "team": "t"}, "source": "promise"},
    ]
    assert [file["filepath"] for file in foo["workloads"]] == ["foo/b.yaml"]
    assert [file["filepath"] for file in root["workloads"]] == ["a.yaml", "bar/baz/c"]


def test_a_pipeline_that_writes_nothing_has_a_work_without_groups(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert work_of(tmp_path, scheduling=[{"matchLabels": {"a": "b"}}])["spec"]["workloadGroups"] == []


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"directory": "foo"}, "is a map, not a list"),
        (["foo"], "[0] is text, not a map"),
        ([{"directory": "foo"}], "[0].matchLabels: is empty; say which labels a destination must have"),
        ([{"directory": "foo", "matchLabels": {}}], "[0].matchLabels: is empty"),
        ([{"directory": "foo", "matchLabels": {"a": 1}}], "[0].matchLabels.a is a number, not text"),
        ([{"directory": "foo", "matchlabel": {"a": "1"}}], "[0].matchlabel is not a known field; did you mean"),
        ([{"directory": "foo", "matchLabels": {"a": "1"}}] * 2, "[1].directory: there is a second entry for"),
        ([{"directory": "foo/bar", "matchLabels": {"a": "1"}}], "foo/bar is not a directory at the top"),
        ([{"directory": "../x", "matchLabels": {"a": "1"}}], "../x is not a directory at the top"),
        ([{"directory": "none", "matchLabels": {"a": "1"}}], "no file of the output is in the directory none"),
        ([{"matchLabels": {"a": "1"}, "MatchLabels": {}}], "[0] has matchLabels twice"),
    ],
)
def test_rules_that_cannot_be_carried_out_are_refused_with_file_and_reason(
    rules: Any, words: str, tmp_path: Path
) -> None:
    write({"foo": {"bar": {"a": b""}}}, tmp_path)
    with pytest.raises(Unusable) as refused:
        work_of(tmp_path, rules)
    assert str(refused.value).startswith(f"{RULES}: ")
    assert words in str(refused.value)


def test_files_that_no_api_server_takes_are_refused_with_the_largest_of_them() -> None:
    noise = bytes(range(256)) * 40
    with pytest.raises(Unusable, match=r"^/kratix/output: .*the largest so far is b\.bin with 10240 bytes"):
        pack_files([("a", b"a"), ("b.bin", noise), ("c", b"c")], "/kratix/output", most=300)


def test_labels_and_names_are_those_by_which_the_operator_finds_the_work() -> None:
    assert RUN.labels == {
        "kratix.io/promise-name": "redis",
        "kratix.io/work-type": "resource",
        "kratix.io/pipeline-name": "instance",
        "kratix.io/resource-name": "cache",
    }
    assert RUN.work_name.startswith("redis-cache-instance-")
    elsewhere = PipelineRun("redis", "instance", "resource", "platform", "cache", "default")
    assert elsewhere.labels["kratix.io/resource-namespace"] == "default"
    assert elsewhere.work_name.startswith("redis-cache-default-instance-")
    promise = PipelineRun("redis", "setup", "promise", "kratix-platform-system")
    assert promise.labels == {
        "kratix.io/promise-name": "redis",
        "kratix.io/work-type": "promise",
        "kratix.io/pipeline-name": "setup",
    }
    assert promise.selector.endswith(",!kratix.io/resource-name,!kratix.io/resource-namespace")


def test_a_patch_makes_an_edited_or_retired_work_what_the_pipeline_left(tmp_path: Path) -> None:
    write({"a": b"new"}, tmp_path)
    wanted = work_of(tmp_path)
    edited = apply_patch(
        wanted,
        {
            "metadata": {"labels": {"kratix.io/pipeline-name": "other", "troth.dev/retired": "true", "mine": "1"}},
            "spec": {"workloadGroups": [], "promiseName": "x"},
        },
    )
    patch = work_patch(edited, wanted)
    mended = apply_patch(edited, patch)
    assert mended["spec"] == wanted["spec"]
    assert mended["metadata"]["labels"] == {**RUN.labels, "mine": "1"}


def test_a_work_of_somebody_else_is_told_from_one_whose_labels_are_gone() -> None:
    assert is_others({"metadata": {"labels": {**RUN.labels, "kratix.io/resource-name": "other"}}}, RUN)
    assert not is_others({"metadata": {"labels": {}}}, RUN)
    assert not is_others({"metadata": {"labels": RUN.labels}}, RUN)
