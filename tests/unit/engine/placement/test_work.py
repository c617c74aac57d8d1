"""Contents, workload groups and names of Works."""

from __future__ import annotations

import base64
import gzip
import subprocess
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.api import InvalidObject
from troth.api.naming import group_id
from troth.api.objects import Selector, Workload
from troth.api.pipelines import DestinationRule
from troth.engine.placement.work import (
    ContentDigests,
    Digest,
    blob_id,
    build_groups,
    decode_content,
    decode_contents,
    digest_content,
    encode_content,
    placement_name,
    read_work,
    read_work_placement,
    work_name,
)

KRATIX_CONTENT = base64.b64encode(gzip.compress(b"kind: Namespace\n", mtime=1_700_000_000)).decode()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


# ---- contents


@given(st.binary(max_size=2000))
def test_every_content_comes_back_as_it_went_in(content: bytes) -> None:
    assert decode_content(encode_content(content)) == content
    assert encode_content(content) == encode_content(content)


def test_contents_of_other_writers_are_read() -> None:
    assert decode_content(KRATIX_CONTENT) == b"kind: Namespace\n"
    assert decode_content("") == b""
    assert decode_content(b64(gzip.compress(b"a") + gzip.compress(b"b") + b"\0" * 8)) == b"ab"
    wrapped = "\r\n".join(KRATIX_CONTENT[at : at + 8] for at in range(0, len(KRATIX_CONTENT), 8))
    assert decode_content(wrapped) == b"kind: Namespace\n"


@pytest.mark.slow
def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    bomb = b64(gzip.compress(bytes(256 * 1024 * 1024), compresslevel=9))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidObject, match="larger than they may be"):
            decode_content(bomb, limit=1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_the_limit_is_exact_and_counts_all_members() -> None:
    assert len(decode_content(b64(gzip.compress(bytes(100))), limit=100)) == 100
    for packed in (gzip.compress(bytes(101)), gzip.compress(bytes(60)) * 2, gzip.compress(b"") * 1000):
        with pytest.raises(InvalidObject):
            decode_content(b64(packed), limit=100)


@pytest.mark.parametrize(
    ("encoded", "problem"),
    [
        ("%%%", "not base64"),
        ("ü", "not base64"),
        (b64(b"plain text"), "not gzip"),
        (b64(gzip.compress(b"abc" * 100, mtime=0)[:-4]), "ends too early"),
        (b64(gzip.compress(b"abc", mtime=0)[:-8] + bytes(8)), "not gzip"),
        (b64(b"\0\0"), "not gzip"),
        (b64(gzip.compress(b"a", mtime=0) + b"rest"), "not gzip"),
    ],
)
def test_what_is_not_a_content_says_why(encoded: str, problem: str) -> None:
    with pytest.raises(InvalidObject, match=problem):
        decode_content(encoded)
    assert digest_content(encoded)[0] == ""


@pytest.mark.parametrize("content", [b"", b"kind: Namespace\n", bytes(range(256))])
def test_a_blob_id_is_gits(content: bytes) -> None:
    answer = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)

    assert blob_id(content) == answer.stdout.decode().strip()


def test_one_content_is_unpacked_once_however_often_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[str] = []

    def counting(encoded: str, limit: int) -> tuple[str, int, bool]:
        unpacked.append(encoded)
        return digest_content(encoded, limit)

    monkeypatch.setattr("troth.engine.placement.work.digest_content", counting)
    digests = ContentDigests(limit=2)
    contents = [encode_content(b"a"), encode_content(b"b"), encode_content(b"c")]

    assert digests(contents[0]) == digests(contents[0]) == (blob_id(b"a"), 1, False)
    assert unpacked == contents[:1]
    for content in contents:
        digests(content)
    assert len(unpacked) == 3
    digests(contents[0])
    assert len(unpacked) == 4, "the oldest answer was let go"


def work_of(*contents: str) -> dict[str, Any]:
    files = [{"filepath": f"{index}.yaml", "content": content} for index, content in enumerate(contents)]
    return {"metadata": {"name": "w"}, "spec": {"workloadGroups": [{"id": "1", "workloads": files}]}}


def lying(content: bytes, *, says: int) -> str:
    return b64(gzip.compress(content)[:-4] + says.to_bytes(4, "little"))


MEGABYTE = bytes(1 << 20)


@pytest.mark.slow
@pytest.mark.parametrize(
    "bomb",
    [
        encode_content(MEGABYTE * 30),
        b64(gzip.compress(MEGABYTE * 15) * 2),
        lying(MEGABYTE * 30, says=1),
        b64(gzip.compress(MEGABYTE * 30) + gzip.compress(b"")),
        lying(MEGABYTE * 30, says=1 << 31),
    ],
    ids=["one member", "two members", "says less", "an empty member behind", "says more"],
)
@pytest.mark.parametrize("digest", [digest_content, ContentDigests()])
def test_a_work_of_bombs_is_read_within_its_budget(
    bomb: str, digest: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = 0
    real = zlib.decompressobj

    class Counting:
        def __init__(self, bits: int) -> None:
            self._real = real(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal unpacked
            piece = self._real.decompress(data, most)
            unpacked += len(piece)
            return piece

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    monkeypatch.setattr("troth.engine.placement.work.zlib.decompressobj", Counting)
    tracemalloc.start()
    try:
        (group,) = read_work(work_of(encode_content(b"a: 1\n"), *[bomb] * 29), digest).groups
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 3_000_000, "no bomb is held whole"
    assert unpacked < 100 << 20, "one bomb is unpacked twice at most"
    assert group.workloads[0].blob == blob_id(b"a: 1\n")
    assert [file.blob for file in group.workloads[2:]] == [""] * 28, "what passes the budget is unreadable"
    with pytest.raises(InvalidObject, match=r"larger than they may be|not gzip"):
        decode_contents(work_of(*[bomb] * 29)["spec"]["workloadGroups"][0]["workloads"])


def test_what_takes_long_to_unpack_is_told_from_what_does_not() -> None:
    digests = ContentDigests()
    heavy, light = work_of(encode_content(MEGABYTE * 2)), work_of(encode_content(b"a: 1\n"))

    assert digests.is_heavy(heavy)
    assert not digests.is_heavy(light)
    read_work(heavy, digests)
    assert not digests.is_heavy(heavy), "it is remembered"


# ---- reading


def test_a_work_is_read_without_its_contents() -> None:
    selectors = [{"matchLabels": {"environment": "dev"}, "source": "promise"}]
    obj: dict[str, Any] = {
        "metadata": {"name": "w", "namespace": "default", "labels": {"kratix.io/work-type": "promise"}},
        "spec": {
            "promiseName": "redis",
            "resourceName": "cache",
            "workloadGroups": [
                {
                    "id": "5058f1af8388633f609cadb75a75dc9d",
                    "directory": ".",
                    "destinationSelectors": selectors,
                    "workloads": [
                        {"filepath": "a.yaml", "content": KRATIX_CONTENT},
                        {"filepath": "broken.yaml", "content": "%%%"},
                    ],
                }
            ],
        },
    }
    work = read_work(obj)

    assert (work.promise_name, work.resource_name, work.type) == ("redis", "cache", "promise")
    group = work.groups[0]
    assert group.selectors == (Selector({"environment": "dev"}, "promise"),)
    assert [(file.filepath, file.blob, file.size) for file in group.workloads] == [
        ("a.yaml", blob_id(b"kind: Namespace\n"), 16),
        ("broken.yaml", "", 0),
    ]
    assert KRATIX_CONTENT not in repr(work)


def test_a_placement_is_read_and_objects_without_a_spec_are_survived() -> None:
    obj = {
        "metadata": {"name": "w.worker-1-5058f"},
        "spec": {
            "targetDestinationName": "worker-1",
            "promiseName": "redis",
            "resourceName": "cache",
            "id": "5058f1",
            "workloads": [{"filepath": "a.yaml", "content": KRATIX_CONTENT}],
        },
    }
    placement = read_work_placement(obj, ContentDigests())

    assert (placement.destination, placement.group_id) == ("worker-1", "5058f1")
    assert placement.workloads[0].blob == blob_id(b"kind: Namespace\n")
    assert read_work({"metadata": {"name": "w"}}).groups == ()
    assert read_work_placement({"metadata": {"name": "w"}, "spec": {"workloads": None}}).workloads == ()


# ---- groups

FILES = {"cluster.yaml": b"c", "backup/job.yaml": b"j", "backup/deep/x.yaml": b"x"}
PROMISE = {"environment": "dev"}


def test_without_rules_everything_is_one_group_of_the_promise() -> None:
    (group,) = build_groups(FILES, (), PROMISE, "resource-workflow")

    assert group.directory == "."
    assert group.id == "5058f1af8388633f609cadb75a75dc9d"
    assert group.selectors == (Selector(PROMISE, "promise"),)
    assert group.files == FILES


def test_a_directory_with_a_rule_is_a_group_that_the_promise_does_not_speak_for() -> None:
    rules = (DestinationRule("backup/", {"role": "backup"}), DestinationRule(".", {"zone": "a"}))
    root, backup = build_groups(FILES, rules, PROMISE, "resource-workflow")

    assert root.files == {"cluster.yaml": b"c"}
    assert root.selectors == (Selector({"zone": "a"}, "resource-workflow"), Selector(PROMISE, "promise"))
    assert backup.directory == "backup"
    assert backup.id == group_id("backup")
    assert backup.selectors == (Selector({"role": "backup"}, "resource-workflow"),)
    assert set(backup.files) == {"backup/job.yaml", "backup/deep/x.yaml"}


def test_nothing_rendered_is_no_group_and_nobody_asking_is_no_selector() -> None:
    assert build_groups({}, (DestinationRule("", {"a": "b"}),), PROMISE, "resource-workflow") == ()
    assert build_groups({"a": b""}, (), {}, "promise-workflow")[0].selectors == ()


def test_a_file_named_like_a_directory_is_no_directory() -> None:
    with pytest.raises(InvalidObject, match="no file of the output is in the directory backup"):
        build_groups({"backup": b""}, (DestinationRule("backup", {"a": "b"}),), {}, "resource-workflow")


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ([("backup", {})], "destinations[0].matchLabels"),
        ([("backup", {"a": 1})], "destinations[0].matchLabels.a"),
        ([("backup", {"a": "b"}), ("./backup/", {"a": "c"})], "destinations[1].directory"),
        ([("", {"a": "b"}), (".", {"a": "c"})], "destinations[1].directory"),
        ([("backup/deep", {"a": "b"})], "destinations[0].directory"),
        ([("..", {"a": "b"})], "destinations[0].directory"),
        ([("/backup", {"a": "b"})], "destinations[0].directory"),
        ([(".", {"a": "b"}), ("absent", {"a": "b"})], "destinations[1].directory"),
    ],
)
def test_a_rule_that_cannot_be_carried_out_is_refused_by_its_field(
    rules: list[tuple[str, dict[str, Any]]], field: str
) -> None:
    with pytest.raises(InvalidObject) as error:
        build_groups(FILES, [DestinationRule(*rule) for rule in rules], PROMISE, "resource-workflow")
    assert error.value.field == field


def test_a_pipeline_has_at_most_a_hundred_directories_with_destinations_of_their_own() -> None:
    def rules(count: int) -> list[DestinationRule]:
        return [DestinationRule(f"d{number}", {"a": "b"}) for number in range(count)]

    files = {f"d{number}/a.yaml": b"" for number in range(3000)}
    assert len(build_groups(files, rules(100), {}, "resource-workflow")) == 101
    with pytest.raises(InvalidObject, match=r"destinations: has 3000 entries, and 100 are allowed"):
        build_groups(files, rules(3000), {}, "resource-workflow")


@pytest.mark.slow
@given(
    files=st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join), st.binary(max_size=3)
    ),
    directories=st.sets(st.sampled_from([".", "a", "b"])),
)
def test_every_file_is_in_exactly_one_group(files: dict[str, bytes], directories: set[str]) -> None:
    there = [d for d in directories if d == "." or any(path.startswith(f"{d}/") for path in files)]
    rules = [DestinationRule(directory, {"x": "y"}) for directory in there]
    groups = build_groups(files, rules, PROMISE, "resource-workflow")

    placed = [path for group in groups for path in group.files]
    assert sorted(placed) == sorted(files)
    assert all(group.files for group in groups)
    assert groups == build_groups(dict(reversed(files.items())), rules[::-1], PROMISE, "resource-workflow")


# ---- names

_NAME = st.text("abc.-", min_size=1, max_size=63).map(lambda text: f"x{text}x")


@pytest.mark.slow
@given(promise=_NAME, resource=_NAME, namespace=st.just("") | _NAME, pipeline=_NAME)
def test_a_work_name_fits_a_label_and_is_computed(
    promise: str, resource: str, namespace: str, pipeline: str
) -> None:
    def name() -> str:
        return work_name(promise=promise, resource=resource, resource_namespace=namespace, pipeline=pipeline)

    assert name() == name()
    assert len(name()) <= 63
    assert name()[0].isalnum()
    assert name()[-1].isalnum()


def test_works_of_different_owners_have_different_names() -> None:
    ambiguous = [
        work_name(promise="a", resource="b-c", pipeline="d"),
        work_name(promise="a-b", resource="c", pipeline="d"),
        work_name(promise="a", resource="b", resource_namespace="c", pipeline="d"),
        work_name(promise="a", pipeline="b-c-d"),
    ]
    assert len(set(ambiguous)) == 4
    prefix = "customer-acme-production-eu-west-1-order-database-backend"
    long = [work_name(promise="postgresql", resource=f"{prefix}{n}", pipeline="instance") for n in range(20_000)]
    assert len(set(long)) == 20_000


def test_names_read_like_their_owner() -> None:
    assert work_name(promise="redis", resource="cache", pipeline="instance").startswith("redis-cache-instance-")
    assert work_name(promise="redis", pipeline="").startswith("redis-static-deps-")
    assert placement_name("redis-cache-instance-1a2b3", "worker-1", "5058f") == (
        "redis-cache-instance-1a2b3.worker-1-5058f"
    )
    long = placement_name("w" * 63, "d" * 253, "5058f")
    assert len(long) == 253
    assert long != placement_name("w" * 63, "d" * 253, "aaaaa")


def test_two_files_are_equal_whatever_is_suspected_of_them() -> None:
    """A content in pieces may be suspected where the whole is not: that is no reason to write it anew."""
    assert Workload("a.yaml", "b", 1, may_hold_secrets=True) == Workload("a.yaml", "b", 1)
