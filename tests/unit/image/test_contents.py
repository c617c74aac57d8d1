"""What goes into the image: packages, wheels, and the bill that lists them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from image.bill import bill_of_materials
from image.debian import DebianPackage, chosen_packages, listed_hashes, listed_packages, sources
from image.root import missing_libraries, place_of
from image.wheels import Wheel, build_wheel, platforms_of, unpack_wheel
from tests.documents import ROOT
from troth import __version__
from troth.dev import DevError
from troth.dev.progress import Progress

GIT = DebianPackage("git", "1:2.39.5-0+deb12u3", "amd64", "a" * 64, Path("git.deb"), "Package: git\n")
TROTH = Wheel("troth", "0.1.0", "b" * 64, Path("troth-0.1.0-py3-none-any.whl"))
CORE = Wheel("pydantic_core", "2.50.4", "c" * 64, Path("pydantic_core-2.50.4-cp311-cp311-linux_x86_64.whl"))


def test_a_list_of_packages_may_have_comments_and_empty_lines() -> None:
    assert listed_packages("# what for\n\ngit\n  tini  # reaps\n") == ["git", "tini"]


def test_what_apt_would_install_is_read_with_version_and_architecture() -> None:
    printed = (
        "Inst libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64]) []\n"
        "Inst git-man (1:2.39.5-0+deb12u3 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [all])\n"
        "Conf libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64])\n"
    )
    assert chosen_packages(printed) == [
        ("libc6", "2.36-9+deb12u14", "amd64"),
        ("git-man", "1:2.39.5-0+deb12u3", "all"),
    ]


def test_hashes_are_read_from_the_signed_lists() -> None:
    shown = f"Package: git\nVersion: 1:2\nDescription: x\n SHA256: no\nSHA256: {'a' * 64}\n\nPackage: virtual\n"
    assert listed_hashes(shown) == {("git", "1:2"): "a" * 64}


def test_every_source_of_packages_is_signed_by_debian() -> None:
    for source in sources().strip().split("\n\n"):
        assert "\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg" in source
        assert "rusted" not in source  # neither Trusted nor Allow-Insecure


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("./bin/dash", "usr/bin/dash"),
        ("./lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2"),
        ("./lib", "usr/lib"),
        ("./usr/bin/git", "usr/bin/git"),
        ("./usr/share/doc/git/copyright", "usr/share/doc/git/copyright"),
        ("./usr/share/doc/git/README.gz", None),
        ("./usr/share/man/man1/git.1.gz", None),
        ("./usr/share/locale", None),
        ("./usr/share/localeless", "usr/share/localeless"),
        ("./", None),
    ],
)
def test_files_of_packages_go_where_a_merged_usr_has_them(name: str, place: str | None) -> None:
    assert place_of(name) == (None if place is None else PurePosixPath(place))


def _wheel_with(folder: Path, *names: str) -> Wheel:
    file = folder / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return Wheel("some", "1.0", "", file)


def test_a_wheel_is_unpacked_without_its_scripts(tmp_path: Path) -> None:
    wheel = _wheel_with(
        tmp_path,
        *("some/__init__.py", "some-1.0.data/purelib/pure.py", "some-1.0.data/platlib/some/binary.so"),
        *("some-1.0.data/scripts/some", "some-1.0.data/data/share/some", "some-1.0.dist-info/METADATA"),
    )
    unpack_wheel(wheel, tmp_path / "site")
    files = sorted(
        str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*") if path.is_file()
    )
    assert files == ["pure.py", "some-1.0.dist-info/METADATA", "some/__init__.py", "some/binary.so"]


@pytest.mark.parametrize(
    "name", ["../outside", "some/../../outside", "/outside", "some-1.0.data/purelib/../../outside"]
)
def test_a_wheel_cannot_write_outside_of_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(DevError, match="leads outside of its folder"):
        unpack_wheel(_wheel_with(tmp_path, name), tmp_path / "site")
    assert list(tmp_path.rglob("outside")) == []


def test_wheels_for_a_newer_glibc_than_the_images_are_not_chosen() -> None:
    platforms = platforms_of("x86_64")
    assert platforms[0] == "manylinux_2_36_x86_64"
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64", "linux_x86_64"} <= set(platforms)
    assert not [name for name in platforms if "2_37" in name or "musl" in name]


@pytest.mark.slow
def test_troths_wheel_is_the_same_each_time_and_can_be_built_where_no_time_is_known(tmp_path: Path) -> None:
    wheels = [build_wheel(ROOT, tmp_path / name, 0, Progress()) for name in ("first", "second")]
    assert [(wheel.name, wheel.version) for wheel in wheels] == [("troth", __version__)] * 2
    assert wheels[0].sha256 == wheels[1].sha256


def test_the_bill_lists_each_package_and_distribution_with_version_and_hash() -> None:
    text = bill_of_materials([GIT], [CORE, TROTH], "0.1.0", 1_700_000_000)
    assert text == bill_of_materials([GIT], [CORE, TROTH], "0.1.0", 1_700_000_000)
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    found = {item["purl"]: (item["version"], item["hashes"][0]["content"]) for item in bill["components"]}
    assert found == {
        "pkg:deb/debian/git@1%3A2.39.5-0%2Bdeb12u3?arch=amd64&distro=bookworm": (GIT.version, GIT.sha256),
        "pkg:pypi/pydantic-core@2.50.4": (CORE.version, CORE.sha256),
        "pkg:pypi/troth@0.1.0": (TROTH.version, TROTH.sha256),
    }


def test_bills_of_different_contents_have_different_serial_numbers() -> None:
    numbers = {
        json.loads(bill_of_materials([GIT], wheels, "0.1.0", 0))["serialNumber"]
        for wheels in ([], [TROTH], [CORE])
    }
    assert len(numbers) == 3


def test_a_library_that_only_the_building_machine_has_counts_as_missing(tmp_path: Path) -> None:
    loader = tmp_path / "loader"
    loader.write_text(
        "#!/bin/sh\n"
        "printf '\\tlinux-vdso.so.1 (0x1)\\n'\n"
        f"printf '\\tlibc.so.6 => {tmp_path}/usr/lib/libc.so.6 (0x1)\\n'\n"
        "printf '\\tlibstdc++.so.6 => /usr/lib/libstdc++.so.6 (0x1)\\n'\n"
        "printf '\\tliblost.so.1 => not found\\n'\n"
    )
    loader.chmod(0o755)
    assert missing_libraries(loader, tmp_path, [tmp_path / "module.so"]) == ["liblost.so.1", "libstdc++.so.6"]
    assert missing_libraries(loader, tmp_path, []) == []
