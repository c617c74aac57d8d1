"""Where Debian's packages cannot be had at all, that is said apart from every other failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from image import debian
from image.__main__ import UNAVAILABLE
from image.debian import PackagesUnavailable, fetch_packages
from tests.documents import ROOT
from troth.dev import DevError
from troth.dev.progress import Progress

_APT = """\
#!/bin/sh
case " $* " in
*" {fails} "*) echo 'E: no answer' >&2; exit 100 ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the only programs that are found; a file stands for Debian's keys."""
    folder, keys = tmp_path / "bin", tmp_path / "keys.gpg"
    folder.mkdir()
    keys.touch()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(debian, "KEYRING", keys)
    return folder


def _write_programs(folder: Path, *, fails: str) -> None:
    for name, text in {
        "apt-get": _APT.format(fails=fails),
        "apt-cache": "#!/bin/sh\n",
        "dpkg": "#!/bin/sh\necho amd64\n",
        "dpkg-deb": "#!/bin/sh\n",
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def test_a_machine_without_apt_cannot_have_packages(programs: Path, tmp_path: Path) -> None:
    with pytest.raises(PackagesUnavailable, match="needs apt-get, apt-cache, dpkg, dpkg-deb"):
        fetch_packages(["git"], tmp_path / "cache", Progress())


@pytest.mark.parametrize("fails", ["update", "--download-only"])
def test_a_machine_that_does_not_reach_the_archive_cannot_have_packages(
    fails: str, programs: Path, tmp_path: Path
) -> None:
    _write_programs(programs, fails=fails)
    with pytest.raises(PackagesUnavailable, match="E: no answer"):
        fetch_packages(["git"], tmp_path / "cache", Progress())


def test_a_package_that_does_not_exist_is_another_failure(programs: Path, tmp_path: Path) -> None:
    _write_programs(programs, fails="--simulate")
    with pytest.raises(DevError, match="E: no answer") as raised:
        fetch_packages(["git"], tmp_path / "cache", Progress())
    assert not isinstance(raised.value, PackagesUnavailable)


def test_the_program_ends_with_a_code_of_its_own_where_packages_cannot_be_had(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "image", "--cache", str(tmp_path), "root", str(tmp_path / "root")],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == UNAVAILABLE, done.stderr
    assert "needs apt-get" in done.stderr
