"""The directory store: manifests in a folder of this machine, for development and tests.

Every file appears completely or not at all (it is written to a temporary file next to it, which is renamed), and
symbolic links are never followed: folders are opened one by one from the root, so a link that somebody creates cannot
lead a write outside, not even if it is created while we write. A link in the place of the root itself is noticed and
refused.

A folder does not have version control, so its files are read and hashed each time, and the version of a claim is the
hash of its content.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Final

from troth.stores.content import blob_id, content_version
from troth.stores.edits import Edit, Had, Wish, former_holding, plan, read_claim, restore
from troth.stores.errors import Reason, StoreError
from troth.stores.kubernetes_objects import Parse
from troth.stores.ownership import Ownership
from troth.stores.paths import ancestors, as_one_path, confine_file, require_local
from troth.stores.protocol import Claim, Former, Written
from troth.stores.state_file import Record, parse_state_file, render_state_file
from troth.stores.succession import Part, Successions

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LARGEST_FILE: Final = 32 * 1024 * 1024
"""The largest file in the folder that is read, in bytes. None of our own files is larger."""

_NOT_A_FILE: Final = "not an ordinary file"
_AT_ONCE: Final = 100
_NOTHING: Final = Edit({}, frozenset())


class DirectoryWriter:
    """The writer of one folder. `StateStoreWriter` says what the methods promise.

    Args of the constructor: ``root`` must exist. ``prefix`` is the store's ``spec.path``. ``ownership`` is shared with
    other writers of the folder. ``parse`` reads YAML as Kubernetes does, to find the objects in a file.
    ``load_timeout`` is in seconds. ``durable`` says that every file is synced to the disk before it appears.
    """

    def __init__(
        self,
        root: Path,
        *,
        prefix: str = "",
        ownership: Ownership | None = None,
        parse: Parse | None = None,
        load_timeout: float = 30.0,
        durable: bool = False,
    ) -> None:
        self._folder = _Folder(root, durable=durable)
        self._prefix = prefix.strip("/")
        self._lock = asyncio.Lock()
        self._ownership = ownership or Ownership()
        self._successions = Successions(
            ownership=self._ownership, by=self, prefix=self._prefix, parse=parse, load_timeout=load_timeout
        )
        self._wishes: dict[str, Wish] = {}
        self._refused: dict[str, Wish] = {}
        self._held: dict[str, frozenset[str]] = {}
        self._set_aside: dict[str, str] = {}
        self._former: list[Former] = []
        self._closed = False

    async def check(self) -> None:
        """Check that the folder exists and can be written to."""
        async with self._lock:
            await asyncio.to_thread(self._folder.probe)
            await self._restore()

    async def write(self, claim: Claim) -> Written:
        """Write a claim to the folder."""
        wish = read_claim(claim, prefix=self._prefix)
        async with self._lock:
            if self._closed:
                raise StoreError(Reason.CLOSED, f"the writer of {self._folder.root} is closed")
            await self._restore()
            try:
                own, *along = await self._successions.parts(wish, plan=self._edit, read=self._read)
            except StoreError:
                self._wishes.pop(wish.owner, None)
                self._refused[wish.owner] = wish
                raise
            if any(part.edit for part in (own, *along)):
                await self._carry_out([own, *along])
            for part in (own, *along):
                self._settle(part)
            version = content_version(wish.files.items())
            return Written(version, changed=bool(own.edit), held=bool(own.kept))

    def _settle(self, part: Part) -> None:
        wish = part.wish
        self._successions.settle(part)
        self._refused.pop(wish.owner, None)
        if wish.files or part.kept:
            self._held[wish.owner] = part.made
            self._wishes[wish.owner] = wish
        else:
            self._held.pop(wish.owner, None)
            self._wishes.pop(wish.owner, None)

    async def _edit(self, wish: Wish) -> Edit:
        return await asyncio.to_thread(self._plan, wish)

    async def _read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        return await asyncio.to_thread(self._folder.contents, list(paths))

    async def refresh(self) -> bool:
        """Read everything that is claimed. True when something has changed, or can be written now."""
        async with self._lock:
            await asyncio.to_thread(self._folder.require)
            wishes, refused = list(self._wishes.values()), list(self._refused.values())
            return await asyncio.to_thread(self._differs, wishes, refused)

    async def resume(self, former: Sequence[Former]) -> None:
        """See `StateStoreWriter.resume`."""
        self._former = list(former)

    async def finds_foreign(self, path: str) -> bool:
        """See `StateStoreWriter.finds_foreign`."""
        normal = confine_file(path, owner="a Destination")
        async with self._lock:
            await self._restore()
            await asyncio.to_thread(self._folder.require)
            if await asyncio.to_thread(self._stands, normal) is None:
                return False
        made = self._ownership.provenance.is_made(normal) or any(normal in held for held in self._held.values())
        return not made

    def _stands(self, path: str) -> str | None:
        with self._folder.errors():
            return self._folder.get(path)

    async def release(self, owner: str) -> None:
        """See `StateStoreWriter.release`."""
        async with self._lock:
            self._ownership.release(owner, by=self)
            self._held.pop(owner, None)
            self._wishes.pop(owner, None)
            self._refused.pop(owner, None)

    async def close(self) -> None:
        """See `StateStoreWriter.close`; the files stay."""
        async with self._lock:
            self._closed = True
            self._ownership.abandon(self)

    async def _restore(self) -> None:
        while self._former:
            part = self._former[:_AT_ONCE]
            holdings = await asyncio.to_thread(self._look_at, part)
            del self._former[: len(part)]
            for former, had in zip(part, holdings, strict=True):
                restore(had, self._ownership, owner=former.owner, by=self)

    def _look_at(self, part: Sequence[Former]) -> list[Had]:
        with self._folder.errors():
            return [
                former_holding(former, self._folder, read=self._record, prefix=self._prefix) for former in part
            ]

    async def _carry_out(self, parts: Sequence[Part]) -> None:
        writes: dict[str, bytes] = {}
        removes: set[str] = set()
        records: dict[str, bytes] = {}
        for part in parts:
            writes.update(part.content)
            removes |= part.edit.removes
            owner = part.wish.owner
            self._held[owner] = self._held.get(owner, frozenset()) | part.made
            if (record := part.wish.claim.state_file) and part.edit:
                records[record] = self._interim(record, part)
        # a thread cannot be cancelled, so the lock must not be released before it has finished
        work = asyncio.ensure_future(
            asyncio.to_thread(self._folder.apply, writes, frozenset(removes - writes.keys()), records)
        )
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})
            raise

    def _interim(self, record: str, part: Part) -> bytes:
        """The record while its owner's files change. If that is interrupted, it names all files that may be there."""
        files = (part.made | part.edit.removes) - {record}
        return render_state_file(sorted(files), prefix=self._prefix, adopted=sorted(part.edit.adopted))

    def _plan(self, wish: Wish) -> Edit:
        self._folder.require()
        with self._folder.errors():
            return plan(
                wish,
                self._folder,
                self._ownership,
                former=self._held.get(wish.owner, ()),
                read=self._record,
                prefix=self._prefix,
            )

    def _record(self, blob: str) -> Record:
        record = parse_state_file(self._folder.read_blob(blob))
        if record.problem:
            self._set_aside[blob] = f"a record of files {record.problem}"
        return record

    def take_complaints(self) -> tuple[str, ...]:
        """See `StateStoreWriter.take_complaints`."""
        complaints, self._set_aside = tuple(self._set_aside.values()), {}
        return complaints

    def _differs(self, wishes: list[Wish], refused: list[Wish]) -> bool:
        return any(self._planned(wish) is not _NOTHING for wish in wishes) or any(
            self._planned(wish) is not None for wish in refused
        )

    def _planned(self, wish: Wish) -> Edit | None:
        """What would change; None when somebody's file is in the way, which is reported when the owner claims."""
        try:
            return self._plan(wish) or _NOTHING
        except StoreError as error:
            if error.reason in {Reason.NOT_OURS, Reason.PATH_CONFLICT, Reason.RECORD_UNREADABLE}:
                return None
            raise


class _Folder:
    """The files below a root. The methods block, and do not follow links below the root."""

    def __init__(self, root: Path, *, durable: bool) -> None:
        self.root = Path(os.path.realpath(root))
        self._durable = durable
        self._recent: dict[str, bytes] = {}

    def get(self, path: str) -> str | None:
        """The blob id of the file at a path; None when there is nothing, or a folder."""
        with self._parent(path) as (parent, name):
            if parent is None:
                return None
            try:
                descriptor = os.open(
                    name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=parent
                )
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.ENXIO}:
                    return _NOT_A_FILE
                raise
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_FILE:
                os.close(descriptor)
                return None if stat.S_ISDIR(found.st_mode) else _NOT_A_FILE
            with os.fdopen(descriptor, "rb") as file:
                content = file.read()
        blob = blob_id(content)
        self._recent = {blob: content}
        return blob

    def under(self, folder: str) -> Iterator[str]:
        """The paths of everything below a folder except for folders. Links are included."""
        with self._open(folder.split("/")) as top:
            if top is None:
                return
            found = []
            for below, folders, files, at in os.fwalk(".", dir_fd=top, follow_symlinks=False):
                links = [name for name in folders if stat.S_ISLNK(os.lstat(name, dir_fd=at).st_mode)]
                found += [os.path.normpath(f"{folder}/{below}/{name}") for name in (*files, *links)]
        yield from sorted(found)

    def twins(self, path: str) -> Iterator[str]:
        """Existing other spellings of a path (`as_one_path`), and files in other spellings of its folders."""
        yield from self._twins("", path.split("/"), path)

    def _twins(self, folder: str, parts: Sequence[str], path: str) -> Iterator[str]:
        with self._open(folder.split("/") if folder else []) as at:
            names = sorted(os.listdir(at)) if at is not None else []  # noqa: PTH208 - of a descriptor
        first, *rest = parts
        for name in names:
            if as_one_path(name) != as_one_path(first):
                continue
            found = f"{folder}/{name}" if folder else name
            if rest and self.get(found) is None:
                yield from self._twins(found, rest, path)
            elif found != path and not path.startswith(f"{found}/"):
                yield found

    def read_blob(self, blob: str) -> bytes:
        """The content that `get` has just read."""
        return self._recent.get(blob, b"")

    def contents(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The contents of those files that exist, by path; at most `LARGEST_FILE` bytes together."""
        found: dict[str, bytes] = {}
        left = LARGEST_FILE
        with self.errors():
            for path in paths:
                blob = self.get(path)  # this also remembers the content
                content = self._recent.get(blob) if blob else None
                if content is not None and len(content) <= left:
                    found[path] = content
                    left -= len(content)
        return found

    def require(self) -> None:
        """Raise StoreError when the root does not exist.

        Perhaps a volume is not mounted, and its mount point must not be filled. The same is raised when the root, or
        a folder above it, has become a link, since nobody has allowed its target.
        """
        if (real := Path(os.path.realpath(self.root))) != self.root:
            raise StoreError(
                Reason.LOCAL_PATH_REFUSED,
                f"the folder {self.root} has become a symbolic link, or one above it has: it leads to {real}",
                "put the folder back, or let spec.path name the one to write to",
            )
        if not self.root.is_dir():
            raise StoreError(
                Reason.REPOSITORY_MISSING,
                f"the folder {self.root} does not exist",
                "create it or mount it, or correct spec.path",
            )

    def probe(self) -> None:
        """Create and remove a file, to check that the folder can be written to."""
        self.require()
        with self.errors(), self._open([]) as top:
            if top is not None:
                name = ".troth-probe"
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=top))
                os.unlink(name, dir_fd=top)

    def apply(self, writes: Mapping[str, bytes], removes: frozenset[str], records: Mapping[str, bytes]) -> None:
        """Write files, and remove others afterwards, except for those that are in the way of a write.

        ``records`` has the interim contents of the files that say who owns the others. They are written before
        anything else, and are written in their final form, or removed, after everything else.
        """
        for path, content in sorted(records.items()):
            if writes.get(path) != content and self.contents([path]).get(path) != content:
                with self.errors():
                    self._write(path, content)
        self._change(
            {path: each for path, each in writes.items() if path in records and records[path] == each}, set()
        )
        self._change(
            {path: each for path, each in writes.items() if path not in records},
            {path for path in removes if path not in records},
        )
        self._change(
            {path: each for path, each in writes.items() if path in records and records[path] != each},
            {path for path in removes if path in records},
        )

    def _change(self, writes: Mapping[str, bytes], removes: Set[str]) -> None:
        above = {folder for path in writes for folder in ancestors(path)}
        first = {path for path in removes if path in above or any(folder in writes for folder in ancestors(path))}
        with self.errors():
            for path in sorted(first):
                self._remove(path)
            for path, content in sorted(writes.items()):
                self._write(path, content)
            for path in sorted(removes - first):
                self._remove(path)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of the system into a StoreError that people can act on."""
        try:
            yield
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            raise StoreError(
                Reason.STORAGE_FULL if full else Reason.STORAGE_FAILED,
                f"the folder {self.root} cannot be used: {error.strerror}"
                + (f" ({error.filename})" if error.filename else ""),
                "make room on its disk" if full else "let the operator read and write it",
            ) from error

    def _write(self, path: str, content: bytes) -> None:
        with self._parent(path, create=True) as (parent, name):
            temporary = f".troth-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(temporary, flags, 0o644, dir_fd=parent), "wb") as file:
                file.write(content)
                if self._durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)

    def _remove(self, path: str) -> None:
        with self._parent(path) as (parent, name):
            if parent is None:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)
        for folder in reversed(ancestors(path)):
            with self._parent(folder) as (parent, name):
                try:
                    os.rmdir(name, dir_fd=parent)
                except OSError:
                    return  # it is not empty, or gone

    @contextlib.contextmanager
    def _parent(self, path: str, *, create: bool = False) -> Iterator[tuple[int | None, str]]:
        *folders, name = path.split("/")
        with self._open(folders, create=create) as parent:
            yield parent, name

    @contextlib.contextmanager
    def _open(self, folders: list[str], *, create: bool = False) -> Iterator[int | None]:
        """A folder below the root; None when it does not exist, or a link or a file is in its place."""
        at: int | None = os.open(self.root, _FOLDER)
        try:
            try:
                for name in folders:
                    if create:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(name, 0o755, dir_fd=at)
                    below = os.open(name, _FOLDER, dir_fd=at)
                    at, left = below, at
                    os.close(left)
            except OSError as error:
                if create or error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                    raise
                if at is not None:
                    os.close(at)
                    at = None
            yield at
        finally:
            if at is not None:
                os.close(at)


def directory_root(path: str, *, local_root: Path | None) -> Path:
    """A store's root, from its ``spec.path``. Raises StoreError (final) outside the allowed folder. This blocks."""
    if not path:
        raise StoreError(
            Reason.INVALID_STORE, "spec.path is empty", "name the folder that manifests go to", retryable=False
        )
    return require_local(path, local_root)
