"""Downloads an archive of programs, verifies its checksum, and unpacks the programs that are wanted."""

from __future__ import annotations

import base64
import hashlib
import http.client
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from troth.dev.errors import DevError
from troth.dev.progress import Progress

_TIMEOUT = (
    5.0  # for the connection and for each piece: a working network answers, and a missing one costs little time
)
_CHUNK = 1 << 20
_LARGEST = 1 << 30


def fetch(url: str, sha512: str, programs: Sequence[str], folder: Path, progress: Progress) -> None:
    """Download ``url``, verify it, and unpack ``programs`` from it into ``folder``.

    Args:
        url: a gzipped tar archive; the programs may be in any folder of it.
        sha512: the SHA-512 of the whole file, in base64.
        programs: the file names of the programs.
        folder: an existing folder.
        progress: shows the progress.

    Raises:
        DevError: it cannot be downloaded, has another checksum, or lacks a program. Nothing is unpacked unverified.
    """
    host = urllib.request.Request(url).host  # noqa: S310 -- the addresses are constants of ours
    file = folder / ".download"
    try:
        with progress.step(f"downloading etcd, kube-apiserver and kubectl from {host}"):
            digest = _download(url, file)
        if digest != sha512:
            raise DevError(f"what {host} sent has another checksum than the release (cut off, or not the release)")
        _unpack(file, programs, folder)
    finally:
        file.unlink(missing_ok=True)


def _download(url: str, file: Path) -> str:
    """Returns the SHA-512 in base64."""
    digest = hashlib.sha512()
    size = 0
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, file.open("wb") as output:  # noqa: S310
            while chunk := answer.read(_CHUNK):
                size += len(chunk)
                if size > _LARGEST:
                    raise DevError("the archive is larger than 1 GiB, which no release is")
                digest.update(chunk)
                output.write(chunk)
    except urllib.error.HTTPError as error:
        raise DevError(f"{url} answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise DevError(f"{url} is not reachable ({_reason(error.reason)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise DevError(f"the download of {url} broke off ({_reason(error)})") from error
    return base64.b64encode(digest.digest()).decode("ascii")


def _unpack(file: Path, programs: Sequence[str], folder: Path) -> None:
    wanted = set(programs)
    try:
        with tarfile.open(file, "r:gz") as archive:
            for member in archive:
                # Only the last part of a member's name is used, so no file can be written outside of the folder.
                name = PurePosixPath(member.name).name
                source = archive.extractfile(member) if member.isfile() and name in wanted else None
                if source is not None:
                    _write_program(source, folder / name)
                    wanted.discard(name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DevError(f"the archive cannot be unpacked ({error})") from error
    if wanted:
        raise DevError(f"the archive lacks {', '.join(sorted(wanted))}")


def _write_program(source: IO[bytes], path: Path) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(source, target, _CHUNK)
    path.chmod(0o755)


def _reason(error: object) -> str:
    text = str(error).strip()
    return text or type(error).__name__
