"""The archive of the image is a function of a folder and a time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from image.archive import Naming, full_reference, layer, read_bill, write_archive
from image.root import BILL, USER

NAMING = Naming("troth:0.1.0", "0.1.0", "c0ffee", 1_700_000_000, "amd64")


def make_folder(root: Path, names: list[str]) -> Path:
    """A small root whose files are created in the order of ``names``."""
    root.mkdir()
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (root / "usr/bin/second").hardlink_to(root / "usr/bin/first")
    (root / "bin").symlink_to("usr/bin")
    (root / "workspace").mkdir()
    (root / "usr/bin/first").chmod(0o4755)
    return root


NAMES = ["usr/bin/first", "etc/ä", str(BILL), "opt/troth/bin/troth", "usr/bin-like"]


def layer_of(root: Path) -> bytes:
    stream = io.BytesIO()
    layer(root, stream, NAMING.epoch, lambda _: True)
    return stream.getvalue()


def blobs_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {
            member.name: opened.extractfile(member).read()  # type: ignore[union-attr]
            for member in opened.getmembers()
        }


def read_json(blobs: dict[str, bytes], digest: str) -> Any:
    return json.loads(blobs[f"blobs/sha256/{digest.removeprefix('sha256:')}"])


def test_equal_folders_give_equal_archives_whenever_and_in_whatever_order_they_were_made(tmp_path: Path) -> None:
    first = make_folder(tmp_path / "first", NAMES)
    second = make_folder(tmp_path / "second", NAMES[::-1])
    os.utime(second / "etc/ä", (1, 1))
    for root in (first, second):
        write_archive(root, tmp_path / f"{root.name}.tar", NAMING)
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "first.tar", "second", "second.tar"]


def test_a_layer_is_sorted_and_has_one_time_and_roots_files_without_setuid(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer_of(make_folder(tmp_path / "root", NAMES)))) as archive:
        members = {member.name: member for member in archive.getmembers()}
    assert list(members) == sorted(members, key=lambda name: name.split("/"))
    assert {member.mtime for member in members.values()} == {NAMING.epoch}
    owners = {(member.uid, member.gid) for name, member in members.items() if name != "workspace"}
    assert owners == {(0, 0)}
    assert (members["workspace"].uid, members["workspace"].gid) == (USER, USER)
    assert members["usr/bin/first"].mode == 0o755
    assert (members["usr/bin/second"].type, members["usr/bin/second"].linkname) == (
        tarfile.LNKTYPE,
        "usr/bin/first",
    )
    assert (members["bin"].type, members["bin"].linkname) == (tarfile.SYMTYPE, "usr/bin")


def test_an_archive_leads_from_its_index_to_every_layer_by_their_hashes(tmp_path: Path) -> None:
    write_archive(make_folder(tmp_path / "root", NAMES), tmp_path / "image.tar", NAMING)
    blobs = blobs_of(tmp_path / "image.tar")
    assert json.loads(blobs["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    for name, content in blobs.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    (described,) = json.loads(blobs["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == "docker.io/library/troth:0.1.0"
    manifest = read_json(blobs, described["digest"])
    config = read_json(blobs, manifest["config"]["digest"])
    assert config["rootfs"]["diff_ids"] == [blob["digest"] for blob in manifest["layers"]]
    assert (config["architecture"], config["os"], config["created"]) == ("amd64", "linux", "2023-11-14T22:13:20Z")
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["Labels"]["org.opencontainers.image.revision"] == "c0ffee"
    (docker,) = json.loads(blobs["manifest.json"])
    assert docker["RepoTags"] == ["troth:0.1.0"]
    assert [f"blobs/{blob['digest'].replace(':', '/')}" for blob in manifest["layers"]] == docker["Layers"]


def test_troth_is_a_layer_of_its_own_and_nothing_is_in_two_layers(tmp_path: Path) -> None:
    write_archive(make_folder(tmp_path / "root", NAMES), tmp_path / "image.tar", NAMING)
    blobs = blobs_of(tmp_path / "image.tar")
    (docker,) = json.loads(blobs["manifest.json"])
    names = []
    for digest in docker["Layers"]:
        with tarfile.open(fileobj=io.BytesIO(blobs[digest])) as archive:
            names.append(set(archive.getnames()))
    debian, troth = names
    assert troth == {"opt/troth", "opt/troth/bin", "opt/troth/bin/troth", str(BILL)}
    assert debian & troth == set()
    assert {"opt", "usr/bin/first", "etc/ä", "workspace"} <= debian


def test_the_bill_can_be_read_from_an_archive_and_its_absence_is_said(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "root", NAMES)
    write_archive(root, tmp_path / "image.tar", NAMING)
    assert read_bill(tmp_path / "image.tar") == str(BILL).encode()
    (root / BILL).unlink()
    write_archive(root, tmp_path / "image.tar", NAMING)
    with pytest.raises(FileNotFoundError, match=r"has no opt/troth/sbom\.cdx\.json"):
        read_bill(tmp_path / "image.tar")


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("troth:dev", "docker.io/library/troth:dev"),
        ("platform/troth:1", "docker.io/platform/troth:1"),
        ("localhost/troth:1", "localhost/troth:1"),
        ("registry.example.com/platform/troth:1", "registry.example.com/platform/troth:1"),
        ("registry:5000/troth:1", "registry:5000/troth:1"),
    ],
)
def test_a_reference_has_the_name_by_which_kubernetes_finds_it(reference: str, full: str) -> None:
    assert full_reference(reference) == full
