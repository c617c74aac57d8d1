"""Debian's packages: the closure of a list, fetched and verified by apt, whatever this machine has installed.

apt works on lists, a status and a cache of our own. It verifies the signature of the archive with Debian's keys; each
package is then compared with the hash that the signed lists give, also if it was in the cache already.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from troth.dev import DevError
from troth.dev.progress import Progress

SUITE = "bookworm"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES = Path(__file__).with_name("packages.txt")
_TIMEOUT = 1800


class PackagesUnavailable(DevError):
    """The packages cannot be had on this machine: there is no apt, or its archive cannot be reached."""


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """One package that has been fetched.

    Attributes:
        name: such as ``git``.
        version: Debian's, with its epoch.
        architecture: such as ``amd64`` or ``all``.
        sha256: of the file, in hexadecimal; it equals that of the signed list.
        file: the .deb.
        control: the package's description of itself.
    """

    name: str
    version: str
    architecture: str
    sha256: str
    file: Path
    control: str


def listed_packages(text: str) -> list[str]:
    """The names in a list of one name a line, in its order; comments begin with ``#``."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def sources(suite: str = SUITE, keyring: Path = KEYRING) -> str:
    """Where apt looks: the suite, its updates and its security updates, each signed by Debian."""
    places = (
        ("http://deb.debian.org/debian", f"{suite} {suite}-updates"),
        ("http://deb.debian.org/debian-security", f"{suite}-security"),
    )
    return "\n".join(
        f"Types: deb\nURIs: {address}\nSuites: {suites}\nComponents: main\nSigned-By: {keyring}\n"
        for address, suites in places
    )


def fetch_packages(names: Sequence[str], cache: Path, progress: Progress) -> list[DebianPackage]:
    """Fetch packages and all that they depend on, but not what they recommend; sorted by name.

    Args:
        names: of packages.
        cache: a folder for the lists and the packages; what it has already is not fetched again.
        progress: where progress is shown.

    Raises:
        PackagesUnavailable: a program or Debian's keys are missing, or apt cannot fetch; the message says which.
        DevError: apt does not know a package, or fails otherwise.
    """
    _require_programs()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock", progress):
        apt = _Apt(cache.absolute())
        with progress.step("reading Debian's lists of packages"):
            apt.fetch("update", "-o", "APT::Update::Error-Mode=any")
        chosen = chosen_packages(apt.run("apt-get", "install", "--yes", "-qq", "--simulate", *names))
        with progress.step(f"fetching {len(chosen)} packages of Debian", "40 MB, once"):
            apt.fetch("install", "--yes", "-qq", "--download-only", *names)
        hashes = listed_hashes(apt.run("apt-cache", "show", *(f"{name}={version}" for name, version, _ in chosen)))
        return [_package(apt.archives, hashes, *package) for package in sorted(chosen)]


class _Apt:
    """apt with folders of our own."""

    def __init__(self, cache: Path) -> None:
        self.archives = cache / "archives"
        lists, etc = cache / "lists", cache / "etc"
        for folder in (self.archives / "partial", lists / "partial", etc):
            folder.mkdir(parents=True, exist_ok=True)
        source_list, status = etc / "debian.sources", cache / "status"
        source_list.write_text(sources())
        status.write_text("")  # nothing is installed, so everything that is needed is fetched
        architecture = _run(["dpkg", "--print-architecture"]).strip()
        settings = {
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Install-Recommends": "false",
            "APT::Keep-Downloaded-Packages": "true",
            "APT::Sandbox::User": "root",  # otherwise _apt, who may not enter a home folder
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Dir::Cache": str(cache),
            "Dir::Cache::archives": str(self.archives),
            "Dir::Etc::sourcelist": str(source_list),
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": str(cache),
            "Dir::State::lists": str(lists),
            "Dir::State::status": str(status),
        }
        self._options = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]

    def run(self, program: str, *arguments: str) -> str:
        """Run apt-get or apt-cache and return its standard output.

        Raises:
            DevError: it failed.
        """
        return _run([program, *self._options, *arguments])

    def fetch(self, *arguments: str) -> None:
        """Run apt-get for what fails only where its archive cannot be reached.

        Raises:
            PackagesUnavailable: it failed.
        """
        try:
            self.run("apt-get", *arguments)
        except DevError as error:
            raise PackagesUnavailable(str(error)) from error


def _require_programs() -> None:
    missing = [
        program for program in ("apt-get", "apt-cache", "dpkg", "dpkg-deb") if shutil.which(program) is None
    ]
    if missing:
        raise PackagesUnavailable(
            f"building the image without a container engine needs {', '.join(missing)}: use Debian or Ubuntu, "
            "or install Docker or buildah"
        )
    if not KEYRING.exists():
        raise PackagesUnavailable(
            f"{KEYRING} is missing, and without Debian's keys no package can be verified: "
            "apt install debian-archive-keyring"
        )


def chosen_packages(simulated: str) -> list[tuple[str, str, str]]:
    """Name, version and architecture of each package that ``apt-get install --simulate`` would install."""
    return re.findall(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", simulated, flags=re.MULTILINE)


def listed_hashes(shown: str) -> dict[tuple[str, str], str]:
    """The SHA-256 of each package and version in what ``apt-cache show`` prints."""
    found = {}
    for paragraph in shown.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|SHA256): (\S+)$", paragraph, flags=re.MULTILINE))
        if len(fields) == 3:
            found[fields["Package"], fields["Version"]] = fields["SHA256"]
    return found


def _package(
    archives: Path, hashes: dict[tuple[str, str], str], name: str, version: str, architecture: str
) -> DebianPackage:
    file = archives / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    if sha256 != hashes.get((name, version)):
        file.unlink()
        raise DevError(
            f"{file.name} does not have the hash that Debian's list gives; it has been removed: try again"
        )
    control = _run(["dpkg-deb", "--field", str(file)])
    return DebianPackage(name, version, architecture, sha256, file, control)


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_TIMEOUT,
        env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-4:]
        raise DevError(f"{Path(command[0]).name} failed: {'; '.join(last)}")
    return done.stdout.decode()


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        with progress.step("waiting for another build that uses the same cache"):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
