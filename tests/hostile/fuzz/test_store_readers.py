"""What the stores read that others may have written: a value, or the error that is documented, and no word too many."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.fuzz.fuzzing import fuzz
from tests.hostile.fuzz.names import NAMES
from tests.hostile.fuzz.words import COMMIT, CONTROL, MARKER, YAML_TOKENS, require_good_words
from tests.store_contract import Claims
from troth.api import TrothError
from troth.app.secret_kubeconfig import read_kubeconfig
from troth.engine.yaml.manifests import load_documents
from troth.kube import CredentialsError, from_kubeconfig_dict
from troth.stores import StoreEnvironment, StoreError, open_writer
from troth.stores.directory import DirectoryWriter
from troth.stores.edits import Edit
from troth.stores.handover import Spared, keep_back, objects_of
from troth.stores.kubernetes_inventory import read_inventory
from troth.stores.kubernetes_objects import read_manifests
from troth.stores.paths import confine, confine_file
from troth.stores.state_file import parse_state_file, recorded_files


def test_a_record_of_files() -> None:
    def check(content: bytes) -> None:
        record = parse_state_file(content)
        assert not CONTROL.search(record.problem)
        for path, prefix, base in (
            ("w/.kratix/a.yaml", "", "w/"),
            (".kratix/a.yaml", "", ""),
            ("p/w/x/.kratix/a.yaml", "p", "p/w/x/"),
        ):
            for found in recorded_files(record, path=path, prefix=prefix):
                assert found.startswith(base)
                assert confine_file(found, owner="a") == found

    seeds = [
        b"files:\n- w/a.yaml\n- p/w/x/b.yaml\n",
        b"files: [2024-99-99]",
        b'{"files": ["../../etc/passwd", "w/../.git/config", "/w/a", "w//a", "w/./a"]}',
        b"a: &a [x]\nfiles: *a\n",
        'files: [\'w/\u00e9\', "w/\\u0000", "w/\\ud800"]'.encode(),
    ]
    fuzz("state-record", check, seeds=seeds, tokens=[*YAML_TOKENS, b"files", b"../", b".git/", b"w/", b"p/"])


def test_an_inventory_of_a_cluster() -> None:
    def check(content: bytes) -> None:
        text = content.decode(errors="replace")
        objects, _, stamps = text.partition("|")
        for data in (
            {"objects": objects, "stamps": stamps, "owner": text, "digest": text},
            {"objects": text},
            {text: text},
            text,
            None,
            [text],
            {"objects": [text], "stamps": {text: 1}, "owner": 5, "digest": None},
        ):
            inventory = read_inventory(cast("dict[str, Any]", {"metadata": {"name": "troth-x"}, "data": data}))
            assert not CONTROL.search(inventory.problem)
            assert not (inventory.problem and inventory.entries)
            assert set(inventory.stamps) <= inventory.entries

    row = b'["v1","ConfigMap","default","a"]'
    seeds = [
        b"[" + row + b']|["s"]',
        b"[[[[[[[[",
        b'[["v1","ConfigMap","default",5]]',
        b"[" + row + b"," + row + b"]|[1,2]",
    ]
    fuzz(
        "inventory",
        check,
        seeds=seeds,
        tokens=[row, b"[", b"]", b'"', b",", b"{", b"1e999", b"\\ud800", b"|", b"null"],
    )


def kubeconfig(user: str, cluster: str = "server: https://a.example.com:6443") -> bytes:
    return (
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
        f"clusters: [{{name: k, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
    ).encode()


def test_a_kubeconfig_in_a_secret() -> None:
    async def open_it(content: bytes) -> None:
        try:
            document = read_kubeconfig(content)
            await from_kubeconfig_dict(document)
        except CredentialsError as error:
            require_good_words(error)

    seeds = [
        kubeconfig(f"token: {MARKER}"),
        kubeconfig(f"token: !TOKEN {MARKER}"),
        kubeconfig(f"token: a, token: {MARKER}"),
        kubeconfig(f"client-key-data: {MARKER}, client-certificate-data: {MARKER}"),
        kubeconfig(f"exec: {{command: {MARKER}, apiVersion: client.authentication.k8s.io/v1}}"),
        kubeconfig(f"username: x, password: {MARKER}"),
        kubeconfig(f"auth-provider: {{name: {MARKER}}}"),
        kubeconfig(
            "token: x", f"server: https://u:{MARKER}@a.example.com:99999, certificate-authority-data: {MARKER}"
        ),
        kubeconfig("token: x", f"server: {MARKER}, proxy-url: {MARKER}"),
        kubeconfig(f"tokenFile: /{MARKER}"),
        kubeconfig(f"token: [{MARKER}]"),
        kubeconfig(f"token: !!float {MARKER}"),
        b"[]",
        MARKER.encode(),
    ]
    tokens = [
        *YAML_TOKENS,
        MARKER.encode(),
        b"users: ",
        b"exec: ",
        b"{}",
        b"null",
        b"https://",
        b"name: ",
        b"context",
    ]
    fuzz("kubeconfig", lambda content: asyncio.run(open_it(content)), seeds=seeds, tokens=tokens)


def test_a_kubeconfig_is_refused_by_the_store_without_a_word_of_it(tmp_path: Path) -> None:
    async def connect(content: bytes) -> Any:
        return await from_kubeconfig_dict(read_kubeconfig(content))

    environment = StoreEnvironment(
        workspace=tmp_path, local_root=None, cluster=cast("Any", None), connect=connect, parse=load_documents
    )

    async def open_it(content: bytes) -> None:
        try:
            await open_writer(
                "KubernetesStateStore", "a", {"secretRef": {"name": "s"}}, {"kubeconfig": content}, environment
            )
        except StoreError as error:
            require_good_words(error)

    seeds = [kubeconfig(f"token: &a {MARKER}, x: *b"), b"\xff" + MARKER.encode(), kubeconfig(f"token: '{MARKER}")]
    tokens = [*YAML_TOKENS, MARKER.encode()]
    fuzz("kubeconfig-store", lambda content: asyncio.run(open_it(content)), seeds=seeds, tokens=tokens)


def test_the_path_of_a_file() -> None:
    def check(content: bytes) -> None:
        text = content.decode(errors="surrogateescape")
        for judge in (confine, confine_file):
            try:
                path = judge(text, owner="a")
            except StoreError as error:
                require_good_words(error)
                continue
            assert os.path.normpath(path) == path
            assert not path.startswith(("/", "../"))
            assert ".git" not in path.casefold().split("/")
            assert not re.search("[\x00-\x1f\x7f]", path)

    seeds = [
        b"a/b.yaml",
        b"a/../../b",
        b"/etc/passwd",
        b".GIT/config",
        b"a/.g\xe2\x80\x8cit/x",
        b"git~1/x",
        b".git::$INDEX",
    ]
    tokens = [b"/", b"..", b".", b"\\", b".git", b"\xe2\x80\x8c", b"~1", b":", b" ", b"\r", b"\xed\xa0\x80"]
    fuzz("file-path", check, seeds=seeds, tokens=tokens)


def test_a_file_of_manifests_that_is_there() -> None:
    spared = Spared(
        everything=False,
        keys=objects_of("a.yaml", b"apiVersion: v1\nkind: A\nmetadata: {name: b}", load_documents),
    )

    def check(content: bytes) -> None:
        try:
            read_manifests({"a.yaml": content, "b.json": content, "c.txt": content}, load_documents)
        except StoreError as error:
            require_good_words(error)
        for keep in (spared, Spared(everything=True)):
            kept = keep_back(
                Edit({"a.yaml": COMMIT}, frozenset({"b.yaml"})),
                old={"a.yaml": content, "b.yaml": content},
                new={"a.yaml": b"a: 1\n"},
                spared=keep,
                parse=load_documents,
            )
            assert kept.edit.removes <= {"b.yaml"}

    manifest = b"apiVersion: v1\nkind: A\nmetadata:\n  name: b\n  namespace: c\n"
    seeds = [
        manifest,
        manifest + b"---\n" + manifest,
        b"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: [{kind: A}]}\n",
        b"kind: List\nitems: " + b"[{kind: List, items: " * 40,
        b"a: &a [1]\nb: *a\n",
        b"--- # x\n--- |\n ---\n",
    ]
    tokens = [*YAML_TOKENS, manifest, b"kind: List\nitems:\n- ", b"metadata: "]
    fuzz("manifests", check, seeds=seeds, tokens=tokens, reads=6)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(
        st.tuples(NAMES, st.sampled_from(["file", "link", "pipe", "folder", "deep", "loop"])), max_size=6
    ),
    record=st.binary(max_size=40),
)
def test_a_folder_with_names_and_things_of_any_kind(names: list[tuple[bytes, str]], record: bytes) -> None:
    async def claim_over(root: Path) -> None:
        writer = DirectoryWriter(root, parse=load_documents)
        claims = Claims("default")
        try:
            await writer.check()
            await writer.write(claims("a", {"resources/a/x.yaml": "1"}))
            state = claims("b", {"shared/y.yaml": "1"}, directory=None, state_file="shared/.kratix/b.yaml")
            await writer.write(state)
            await writer.refresh()
            await writer.write(claims("b", {}, directory=None, state_file="shared/.kratix/b.yaml"))
        except StoreError as error:
            require_good_words(error)
        finally:
            await writer.close()

    with tempfile.TemporaryDirectory() as place:
        root, outside = Path(place) / "root", Path(place) / "outside"
        outside.mkdir()
        (outside / "kept").write_text("x")
        (root / "shared" / ".kratix").mkdir(parents=True)
        (root / "shared" / ".kratix" / "b.yaml").write_bytes(record)
        _plant(os.fsencode(root / "resources" / "a"), names, os.fsencode(outside))
        asyncio.run(claim_over(root))
        assert [path.read_text() for path in outside.iterdir()] == ["x"]


def _plant(folder: bytes, names: list[tuple[bytes, str]], outside: bytes) -> None:
    os.makedirs(folder)  # noqa: PTH103 - names in bytes
    for name, kind in names:
        path = folder + b"/" + name
        if os.path.lexists(path):
            continue
        if kind == "file":
            Path(os.fsdecode(path)).write_bytes(b"\xff" * 10)
        elif kind == "link":
            os.symlink(outside, path)  # noqa: PTH211
        elif kind == "loop":
            os.symlink(name, path)  # noqa: PTH211
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            below = path + b"/d" * (200 if kind == "deep" else 1)
            os.makedirs(below)  # noqa: PTH103


def test_what_is_no_error_of_ours_is_not_taken_for_one() -> None:
    """The checks above would pass with a reader that turns everything into its error."""
    assert issubclass(StoreError, TrothError)
    assert parse_state_file(b"files: [w/a]").entries == ("w/a",)
    assert read_kubeconfig(kubeconfig("token: x"))["kind"] == "Config"
