"""Git repositories and folders for the tests of the stores, which are read without the code under test."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tests.store_contract import values_of
from troth.dev.git_server import create_repository, git
from troth.engine.yaml.manifests import load_documents
from troth.stores import StateStoreWriter
from troth.stores.directory import DirectoryWriter
from troth.stores.git import GitSettings, GitWriter
from troth.stores.git_remote import Credentials, GitRemote, open_remote
from troth.stores.git_repository import Author


class GitStore:
    """A bare repository on this machine, which is reached by ``url``, or by its path if that is empty."""

    namespace = "default"

    def __init__(
        self,
        folder: Path,
        *,
        url: str = "",
        credentials: Credentials = None,
        settings: GitSettings | None = None,
        prefix: str = "",
        ca_bundle: bytes = b"",
        repository: Path | None = None,
    ) -> None:
        self.repository = repository or folder / "state.git"
        self.workspace = folder / "workspace"
        if repository is None:
            create_repository(self.repository)
        self.url = url or str(self.repository)
        self.credentials = credentials
        self.settings = settings or GitSettings(minimum_fetch_interval=0.0)
        self.prefix = prefix
        self._ca_bundle = ca_bundle
        self._folder = folder
        self._writers: list[GitWriter] = []

    def remote(self) -> GitRemote:
        return open_remote(self.url, self.credentials, local_root=self._folder, ca_bundle=self._ca_bundle)

    def writer(
        self, *, branch: str = "main", settings: GitSettings | None = None, path: str | None = None
    ) -> GitWriter:
        """A new writer. ``path`` is the PATH in which it looks for programs."""
        writer = GitWriter(
            remote=self.remote(),
            branch=branch,
            author=Author("Platform Team", "platform@example.com"),
            workspace=self.workspace,
            surroundings={**os.environ, "PATH": path} if path else os.environ,
            prefix=self.prefix,
            settings=settings or self.settings,
            parse=load_documents,
            random=random.Random(1),
        )
        self._writers.append(writer)
        return writer

    async def open(self) -> StateStoreWriter:
        return self.writer()

    async def contents(self) -> dict[str, str]:
        return await asyncio.to_thread(lambda: values_of(self.files()))

    async def revision(self) -> str:
        return await asyncio.to_thread(self.head)

    async def vandalise(self, path: str) -> None:
        await asyncio.to_thread(self.push, {}, [path])

    async def close(self) -> None:
        for writer in self._writers:
            await writer.close()

    # what somebody else sees and does -------------------------------------------------------------------

    def head(self) -> str:
        return git(self.repository, "rev-parse", "main").decode().strip()

    def commits(self) -> int:
        return int(git(self.repository, "rev-list", "--count", "main"))

    def messages(self) -> list[str]:
        """The messages of all commits, newest first."""
        return git(self.repository, "log", "-z", "--format=%B", "main").decode().split("\0")

    def files(self) -> dict[str, bytes]:
        listed = git(self.repository, "ls-tree", "-r", "-z", "main").decode().split("\0")
        blobs = {entry.partition("\t")[2]: entry.split()[2] for entry in listed if entry}
        batch = git(self.repository, "cat-file", "--batch", stdin="\n".join(blobs.values()).encode() + b"\n")
        found, at = {}, 0
        for path in blobs:
            header, _, _ = batch[at : at + 100].partition(b"\n")
            at += len(header) + 1
            size = int(header.split()[2])
            found[path] = batch[at : at + size]
            at += size + 1
        return found

    def push(
        self, writes: Mapping[str, bytes], removes: list[str] | None = None, *, message: str = "By hand"
    ) -> str:
        """Pushes a commit of somebody else on top of the branch. It tries again as long as our pushes come first."""
        stamp = f"A Stranger <stranger@example.com> {int(time.time())} +0000"
        while True:
            head = self.head()
            ref = f"refs/strangers/{random.randrange(1 << 40)}"
            parts = [
                f"commit {ref}\nmark :1\ncommitter {stamp}\ndata {len(message)}\n{message}\nfrom {head}\n".encode()
            ]
            parts += [f'D "{path}"\n'.encode() for path in removes or ()]
            for path, content in writes.items():
                parts += [f'M 100644 inline "{path}"\ndata {len(content)}\n'.encode(), content, b"\n"]
            parts.append(b"get-mark :1\n")
            made = git(self.repository, "fast-import", "--quiet", "--date-format=raw", stdin=b"".join(parts))
            commit = made.decode().strip()
            git(self.repository, "update-ref", "-d", ref)
            if self._move(commit, head):
                return commit

    def rewind(self, commit: str) -> None:
        """Set the branch back by force."""
        git(self.repository, "update-ref", "refs/heads/main", commit)

    def hook(self, name: str, script: str) -> None:
        path = self.repository / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def _move(self, new: str, old: str) -> bool:
        try:
            git(self.repository, "update-ref", "refs/heads/main", new, old)
        except subprocess.CalledProcessError:
            return False  # somebody else was faster, or holds the lock, so try again on top of their commit
        return True


class DirectoryStore:
    """A folder of this machine."""

    namespace = "default"

    def __init__(self, folder: Path, *, prefix: str = "") -> None:
        self.root = folder / "state"
        self.root.mkdir()
        self.prefix = prefix
        self._writers: list[DirectoryWriter] = []

    def writer(self) -> DirectoryWriter:
        writer = DirectoryWriter(self.root, parse=load_documents, prefix=self.prefix)
        self._writers.append(writer)
        return writer

    async def open(self) -> StateStoreWriter:
        return self.writer()

    async def contents(self) -> dict[str, str]:
        return values_of(self.files())

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()
        }

    async def revision(self) -> object:
        return sorted((str(path), path.lstat().st_ino, path.lstat().st_mtime_ns) for path in self.root.rglob("*"))

    async def vandalise(self, path: str) -> None:
        (self.root / path).unlink()

    async def close(self) -> None:
        for writer in self._writers:
            await writer.close()
