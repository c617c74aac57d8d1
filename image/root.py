"""The file system of the image, in a folder.

Packages are unpacked and none of their scripts is run, so this needs no root and changes nothing else. What the scripts
would do and Troth needs is done here: the links of a merged /usr, the users, the bundle of certificates, and the
compiled Python, without which each start would compile everything in memory, because nothing can be written.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from image.debian import DebianPackage
from image.wheels import PYTHON, Wheel, unpack_wheel
from troth.dev import DevError

USER = 65532
HOME = PurePosixPath("workspace")
TROTH = PurePosixPath("opt/troth")
BILL = TROTH / "sbom.cdx.json"

_MERGED = ("bin", "lib", "lib64", "sbin")
_UNUSED = tuple(
    f"usr/share/{name}/" for name in ("bash-completion", "bug", "doc-base", "info", "lintian", "locale", "man")
)
_FOLDERS = {"dev": 0o755, "home": 0o755, "proc": 0o755, "root": 0o700, "run": 0o755, "sys": 0o755, "tmp": 0o1777}
_TEXTS = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        f"troth:x:{USER}:{USER}:Troth:/{HOME}:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "etc/group": f"root:x:0:\ntroth:x:{USER}:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    f"{TROTH}/pyvenv.cfg": "home = /usr/bin\ninclude-system-site-packages = false\n",
}
_LINKS = {
    f"{TROTH}/bin/python": f"/usr/bin/python{PYTHON}",
}
_PROGRAM = f"#!/{TROTH}/bin/python\nimport sys\n\nfrom troth.__main__ import main\n\nsys.exit(main())\n"
_UNPACK_TIMEOUT = 300
_RUN_TIMEOUT = 1800


def make_root(root: Path, packages: Sequence[DebianPackage], wheels: Sequence[Wheel], bill: str) -> None:
    """Fill an empty folder with the file system of the image.

    Args:
        root: the folder.
        packages: those of Debian.
        wheels: the Python distributions, Troth's among them.
        bill: the text of the bill of materials, which is in the image, too.

    Raises:
        DevError: a package cannot be unpacked, or the Python in it does not run here.
    """
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name, mode in {**_FOLDERS, str(HOME): 0o755}.items():
        (root / name).mkdir()
        (root / name).chmod(mode)
    for package in packages:
        _unpack(package, root)
        _write(root / "var/lib/dpkg/status.d" / package.name, package.control)  # where scanners look for packages
    for wheel in wheels:
        unpack_wheel(wheel, root / TROTH / f"lib/python{PYTHON}/site-packages")
    for name, text in _TEXTS.items():
        _write(root / name, text)
    for name, target in _LINKS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    _write(root / TROTH / "bin/troth", _PROGRAM, mode=0o755)
    _write(root / BILL, bill)
    _bundle_certificates(root)
    loader = _loader(root)
    _compile(root, loader)
    if missing := missing_libraries(loader, root, sorted((root / TROTH).rglob("*.so"))):
        raise DevError(
            f"image/packages.txt lacks the packages of {', '.join(missing)}, which Python's modules load"
        )


def missing_libraries(loader: Path, root: Path, modules: Sequence[Path]) -> list[str]:
    """The libraries that modules need and that are not in the root; sorted.

    Args:
        loader: that of the root. It also looks in this machine's folders, which does not count.
        root: a folder with the file system of an image.
        modules: extension modules of Python in it.

    Raises:
        DevError: the loader cannot read a module.
    """
    missing = set()
    for module in modules:
        listed = _run([str(loader), "--library-path", _library_path(root, loader), "--list", str(module)], {})
        for name, place in re.findall(r"^\s+(\S+) => (not found|\S+)", listed, flags=re.MULTILINE):
            if not Path(place).is_relative_to(root):
                missing.add(name)
    return sorted(missing)


def place_of(name: str) -> PurePosixPath | None:
    """Where a file of a package goes: /bin, /lib and /sbin are in /usr. None if the image leaves it out.

    Args:
        name: as the package has it, such as ``./bin/sh``.
    """
    path = PurePosixPath(name)
    if path.parts and path.parts[0] in _MERGED:
        path = "usr" / path
    if f"{path}/".startswith(_UNUSED):
        return None
    if path.is_relative_to("usr/share/doc") and path.name != "copyright":
        return None
    return path if path.parts else None


def _unpack(package: DebianPackage, root: Path) -> None:
    done = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", package.file], capture_output=True, check=False, timeout=_UNPACK_TIMEOUT
    )
    if done.returncode != 0:
        raise DevError(
            f"dpkg-deb cannot unpack {package.file.name}: {done.stderr.decode(errors='replace').strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            _place(archive, member, root)


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    place = place_of(member.name)
    if place is None:
        return
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        path.mkdir(exist_ok=True)
        path.chmod(member.mode & 0o1777 | 0o700)
    elif member.issym():
        path.symlink_to(member.linkname)
    elif member.islnk() and (source := place_of(member.linkname)) is not None:
        path.hardlink_to(root / source)
    elif (content := archive.extractfile(member)) is not None:
        path.write_bytes(content.read())
        # Without setuid and setgid: nothing in the image becomes another user.
        path.chmod(member.mode & 0o777 | 0o400)
    else:
        raise DevError(f"{member.name} in a package of Debian is neither a file nor a folder nor a link")


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _bundle_certificates(root: Path) -> None:
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    text = "".join(certificate.read_text().rstrip("\n") + "\n" for certificate in certificates)
    _write(root / "etc/ssl/certs/ca-certificates.crt", text)


def _loader(root: Path) -> Path:
    """What starts the programs of the image from where they lie."""
    try:
        (loader,) = (root / "usr/lib").glob("*-linux-gnu*/ld-linux-*.so.*")
    except ValueError:
        raise DevError("the packages of Debian bring no loader for the programs of this processor") from None
    return loader


def _library_path(root: Path, loader: Path) -> str:
    return f"{loader.parent}:{root / 'usr/lib'}"


def _compile(root: Path, loader: Path) -> None:
    """Compile all Python with the interpreter of the image.

    The compiled files name no time and are never compared with their source, which cannot change in an image.
    """
    command = [
        *(str(loader), "--library-path", _library_path(root, loader)),
        *(str(root / f"usr/bin/python{PYTHON}"), "-P", "-s", "-S", "-m", "compileall", "-qq"),
        *("--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/"),
    ]
    environment = {
        "PYTHONHOME": str(root / "usr"),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",  # what compileall itself imports would be written with the time of its source
    }
    # One process after the other, each in the order of names: which of several equal strings is written only once
    # depends on what a process has imported and compiled before.
    for folder in (root / f"usr/lib/python{PYTHON}", root / TROTH / f"lib/python{PYTHON}/site-packages"):
        _run([*command, str(folder)], environment)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a program of the image, or its loader, and return its standard output."""
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        timeout=_RUN_TIMEOUT,
        env={"LC_ALL": "C.UTF-8", "PATH": os.defpath, **environment},
    )
    if done.returncode != 0:
        last = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-4:]
        raise DevError(f"a program of the image fails on {command[-1]}: {'; '.join(last)}")
    return done.stdout.decode()
