"""What containers have left is read if it is files, and refused by name if it is anything else, or too much."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from troth.adapter.errors import Unusable
from troth.adapter.files import Bounds, list_files, read_file

OUTPUT = "/kratix/output"


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path may have a hundred characters
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


def _device(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero: it never ends


STRANGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "link-to-file": (lambda path: path.symlink_to("/etc/hostname"), "is a symbolic link"),
    "link-to-folder": (lambda path: path.symlink_to("/etc"), "is a symbolic link"),
    "link-to-nothing": (lambda path: path.symlink_to("nowhere"), "is a symbolic link"),
    "pipe": (os.mkfifo, "is a named pipe"),
    "socket": (_socket, "is a socket"),
}
if os.geteuid() == 0:  # nobody else may make one
    STRANGE["device"] = (_device, "is a device")


@pytest.mark.parametrize("kind", sorted(STRANGE))
def test_what_is_not_a_file_is_refused_with_its_path_and_kind(kind: str, tmp_path: Path) -> None:
    make, words = STRANGE[kind]
    (tmp_path / "deep").mkdir()
    make(tmp_path / "deep" / "strange")
    with pytest.raises(Unusable) as refused:
        list_files(tmp_path, OUTPUT)
    assert str(refused.value) == f"/kratix/output/deep/strange: {words}; only files and directories are read"


@pytest.mark.parametrize("kind", sorted(STRANGE))
def test_a_file_that_became_something_else_is_not_opened_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    make, words = STRANGE[kind]
    make(tmp_path / "strange")
    with pytest.raises(Unusable, match=words):
        read_file(tmp_path / "strange", "/kratix/output/strange", 100)


def test_a_device_is_not_read() -> None:
    with pytest.raises(Unusable, match=r"^zero: is a device; only files and directories are read$"):
        read_file(Path("/dev/zero"), "zero", 100)


def test_files_are_found_in_all_directories_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for path in ("b.yaml", "a/z", "a/b/c/d/e", ".hidden", "a.b"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "empty").mkdir()
    assert [file.path for file in list_files(tmp_path, OUTPUT)] == [".hidden", "a.b", "a/b/c/d/e", "a/z", "b.yaml"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (b"caf\xe9", "/kratix/output/caf\\udce9: the path is not UTF-8; write to another one"),
        (b"a\nb", "/kratix/output/a\\nb: the path holds a backslash or a control character; write to another one"),
        (b".git", "/kratix/output/.git: the path is Git's own; write to another one"),
    ],
)
def test_a_name_that_cannot_stand_in_a_repository_is_refused_on_one_line(
    name: bytes, problem: str, tmp_path: Path
) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("")
    with pytest.raises(Unusable) as refused:
        list_files(tmp_path, OUTPUT)
    assert str(refused.value) == problem


def test_directories_that_go_deeper_than_a_path_may_be_long_are_refused(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d" * 200] * 6)
    folder.mkdir(parents=True)
    with pytest.raises(Unusable, match="the path is too long"):
        list_files(tmp_path, OUTPUT)


def test_too_many_too_large_and_too_much_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    for name, size in (("a", 3), ("b", 4), ("c", 3)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size << 30)  # sparse: reading it would take gigabytes
    with pytest.raises(Unusable, match="/kratix/output: holds more than 2 files and directories"):
        list_files(tmp_path, OUTPUT, Bounds(2, 5 << 30, 20 << 30))
    with pytest.raises(Unusable, match=f"/kratix/output/b: has {4 << 30} bytes, and {3 << 30} are allowed"):
        list_files(tmp_path, OUTPUT, Bounds(3, 3 << 30, 20 << 30))
    with pytest.raises(Unusable, match=f"/kratix/output: holds more than {9 << 30} bytes"):
        list_files(tmp_path, OUTPUT, Bounds(3, 4 << 30, 9 << 30))
    assert len(list_files(tmp_path, OUTPUT, Bounds(3, 4 << 30, 10 << 30))) == 3


def test_a_file_that_grows_while_it_is_read_is_cut_off_at_its_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", "a", 5) == b"12345"
    with pytest.raises(Unusable, match="a: has 5 bytes, and 4 are allowed"):
        read_file(tmp_path / "a", "a", 4)


def test_a_file_that_is_not_there_is_no_mistake_of_its_content(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "a", "a", 4)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"^/kratix/output: cannot be read: No such file or directory$"):
        list_files(tmp_path / "nowhere", OUTPUT)
