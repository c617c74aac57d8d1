"""A bare clone of one branch, one commit deep, in which all of Git's objects are made.

It does not have a work tree: nothing of the repository is ever checked out, so links, hooks and names of files cannot
do any harm here, and two thousand files are committed in the time that a work tree needs for fifty. The clone does not
hold anything that the remote does not have, so it is thrown away at the first doubt.

A push names the commit at which the branch must still be (``--force-with-lease`` with an explicit id, which is also
the parent of the new commit). This is stricter than a push without it: a branch that somebody has set back on purpose
is not pushed forward again. It can never overwrite a commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from troth.stores.errors import Reason, StoreError
from troth.stores.git_command import (
    LARGEST_OUTPUT,
    Completed,
    GitCommand,
    OutputTooLarge,
    Scrubber,
    base_environment,
)
from troth.stores.git_errors import explain, redirected, refused
from troth.stores.git_import import Import
from troth.stores.git_redirect import TRACE, is_redirected, is_same_server, new_address
from troth.stores.git_remote import GitRemote
from troth.stores.tree import ORDINARY, PathTree
from troth.stores.workspace import make_clone_folder, remove_clone_folder

_Answer = TypeVar("_Answer")

LARGEST_BLOB: Final = 32 * 1024 * 1024
"""The largest file in the repository that is read, in bytes. None of our own files is larger."""

LARGEST_READ: Final = 32 * 1024 * 1024
"""The largest size of all files together that are read at once, in bytes."""

_NEXT: Final = "refs/troth/next"
_FETCHED: Final = "refs/troth/fetched"
_COMMIT_ID: Final = re.compile(r"[0-9a-f]{40}")
_MOVED: Final = re.compile(
    r"stale info|fetch first|non-fast-forward|incorrect old value|already exists", re.IGNORECASE
)
_LOCKED: Final = re.compile(r"failed to update ref|cannot lock ref|failed to lock|unable to lock", re.IGNORECASE)
_BIG: Final = 5000
_DEEPEST: Final = 32
_HISTORY_SECONDS: Final = 20.0
_DEFAULT_NAME: Final = "kratix"
# Git hosts refuse commits without an e-mail address, and Git's own check complains about them.
_DEFAULT_EMAIL: Final = "noreply@troth.dev"
_CONFIG: Final = """\
[core]
	repositoryformatversion = 0
	bare = true
	fsync = none
	compression = 1
	logAllRefUpdates = false
	bigFileThreshold = 16m
	packedGitWindowSize = 16m
	packedGitLimit = 64m
	deltaBaseCacheLimit = 16m
[gc]
	auto = 0
[maintenance]
	auto = false
[fetch]
	unpackLimit = 1
[pack]
	threads = 1
	window = 0
[http]
	postBuffer = 33554432
	followRedirects = false
[advice]
	pushUpdateRejected = false
[remote "origin"]
	url = {url}
"""
# If the remote is a local path, the other side is a child process of ours with the same limit of memory, so it must
# not load large files either.
_LOCAL: Final = """\
	uploadpack = git -c core.bigFileThreshold=16m upload-pack
"""


class Pushed(Enum):
    """How a push ended without an error."""

    DONE = "done"
    MOVED = "the branch was somewhere else"
    LOCKED = "somebody else was updating the branch"


@dataclass(frozen=True, slots=True)
class Author:
    """The author of the commits, who is the committer as well."""

    name: str = ""
    email: str = ""

    def __str__(self) -> str:
        name, email = (re.sub(r"[<>\x00-\x1f\x7f]", "", text).strip() for text in (self.name, self.email))
        return f"{name or _DEFAULT_NAME} <{email or _DEFAULT_EMAIL}>"


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit changes: the marks of an `Import` by path, and the paths that are removed."""

    writes: Mapping[str, str]
    removes: Iterable[str]


class GitRepository:
    """The clone. Only one task at a time may use it. The methods raise StoreError.

    Args of the constructor: ``workspace`` is the folder in which clones are made; it is created, private, if it is
    missing. ``surroundings`` is the environment from which proxies and PATH are taken. ``timeout`` is the deadline for
    one git command in seconds.
    """

    def __init__(
        self, *, remote: GitRemote, branch: str, workspace: Path, surroundings: Mapping[str, str], timeout: float
    ) -> None:
        self._remote = remote
        self._branch = branch
        self._workspace = workspace
        self._surroundings = surroundings
        self._timeout = timeout
        self._scrub = Scrubber(remote.secrets())
        self._folder: Path | None = None
        self._lock: int | None = None
        self._git: GitCommand | None = None
        self._traced: GitCommand | None = None
        self._url = remote.url

    @property
    def is_open(self) -> bool:
        """Whether the clone exists."""
        return self._git is not None

    async def open(self) -> None:
        """Make an empty clone in a new private folder. Nothing is fetched yet."""
        try:
            environment = await asyncio.to_thread(self._make_folder)
        except OSError as error:
            raise _storage_error(error, self._workspace) from error
        assert self._folder is not None  # noqa: S101 - set by _make_folder
        repository = self._folder / "repository"
        self._git = GitCommand(folder=repository, environment=environment, scrub=self._scrub)
        self._traced = GitCommand(folder=repository, environment={**environment, **TRACE}, scrub=self._scrub)

    async def drop(self) -> None:
        """Remove the clone and its folder, including the credentials. Idempotent."""
        folder, lock = self._folder, self._lock
        self._git = self._traced = self._folder = self._lock = None
        if folder is not None:
            await asyncio.to_thread(remove_clone_folder, folder, lock)

    async def fetch(self) -> str:
        """Fetch the newest commit of the branch. Returns its id."""
        fetch = ("fetch", "--quiet", "--no-tags", "--depth=1", "--no-auto-maintenance", "origin")
        reference = f"+refs/heads/{self._branch}:{_FETCHED}"
        fetched = await self._run(*fetch, reference)
        if is_redirected(fetched.stderr) and fetched.code != 0:
            await self._follow("ls-remote", "--quiet", "origin", f"refs/heads/{self._branch}")
            fetched = await self._run(*fetch, reference)
        if fetched.code != 0:
            raise self._explain(fetched.stderr, "fetching from")
        head = await asyncio.to_thread(self._read_fetch_head)
        if not _COMMIT_ID.fullmatch(head):
            raise self._explain("fatal: nothing was fetched", "fetching from")
        return head

    async def tree(self, commit: str) -> PathTree:
        """All files of a commit that was fetched."""
        try:
            listing = ("ls-tree", "-r", "-z", "--full-tree", commit)
            listed = self._require(await self._run(*listing, most=LARGEST_OUTPUT), "reading")
        except OutputTooLarge:
            raise StoreError(
                Reason.TOO_LARGE,
                f"the branch {self._branch} of {self._remote.url} holds more files than are read (their names have "
                f"more than {LARGEST_OUTPUT >> 20} MiB, as those of about 200,000 files)",
                "give this store a repository or a branch of its own, or remove what is not needed there",
            ) from None
        if listed.count(b"\0") > _BIG:
            return await asyncio.to_thread(_understood, parse_tree, listed)
        return _understood(parse_tree, listed)

    async def difference(self, old: str, new: str) -> list[tuple[str, str | None]] | None:
        """The differences between two commits in the clone: the path, and the new blob id or None for a removed file.

        Returns None instead of a list when there are too many differences; then read the whole tree.
        """
        try:
            listed = self._require(
                await self._run("diff-tree", "-r", "-z", "--no-renames", "--raw", old, new), "comparing commits of"
            )
        except OutputTooLarge:
            return None
        return _understood(lambda answer: list(parse_difference(answer)), listed)

    async def culprits(
        self, old: str, new: str, paths: Iterable[str], *, ours: Collection[str]
    ) -> dict[str, tuple[str, ...]]:
        """The commits between ``old`` and ``new`` that changed each of these paths, the newest first.

        A path is left out when they are not known, because the branch was set back or rewritten, or because there are
        more commits than are checked. ``ours`` are commits that are ignored.
        """
        try:
            return await self._culprits(old, new, paths, ours=ours)
        except OutputTooLarge:
            return {}

    async def _culprits(
        self, old: str, new: str, paths: Iterable[str], *, ours: Collection[str]
    ) -> dict[str, tuple[str, ...]]:
        listed = self._require(await self._run("cat-file", "commit", new), "reading").partition(b"\n\n")[0]
        if [line[7:] for line in listed.split(b"\n") if line.startswith(b"parent ")] == [old.encode()]:
            return dict.fromkeys(paths, (new,))
        reference = f"+refs/heads/{self._branch}:{_FETCHED}"
        fetch = ("fetch", "--quiet", "--no-tags", f"--depth={_DEEPEST + 1}", "--no-auto-maintenance", "origin")
        timeout = min(self._timeout, _HISTORY_SECONDS)
        if (await self._run(*fetch, reference, timeout=timeout)).code != 0:
            return {}
        if (await self._run("merge-base", "--is-ancestor", old, new)).code != 0:
            return {}
        between = self._require(await self._run("rev-list", f"--max-count={_DEEPEST}", f"{old}..{new}"), "reading")
        commits = [commit for commit in between.decode(errors="replace").split() if commit not in ours]
        names = ("diff-tree", "--stdin", "-r", "-z", "--no-renames", "--name-only")  # nothing for a merge
        changed = self._require(await self._run(*names, stdin="\n".join([*commits, ""]).encode()), "reading")
        return parse_names(changed, frozenset(commits), frozenset(paths))

    async def read(
        self, blobs: Iterable[str], *, largest: int = LARGEST_BLOB, together: int = LARGEST_READ
    ) -> dict[str, bytes]:
        """The contents of blobs by id. Sizes are checked first, and blobs that are too large are not read.

        Blobs that are missing or larger than ``largest`` bytes are left out. If all of them have more than
        ``together`` bytes, the largest ones are left out, too.
        """
        wanted = "".join(f"{blob}\n" for blob in blobs).encode()
        sizes = self._require(await self._run("cat-file", "--batch-check", stdin=wanted), "reading")
        chosen, size = small_blobs(sizes, largest, together)
        if not chosen:
            return {}
        content = await self._run("cat-file", "--batch", stdin=b"".join(chosen), most=size + 100 * len(chosen))
        return _understood(lambda found: dict(parse_batch(found)), self._require(content, "reading"))

    @contextlib.asynccontextmanager
    async def importing(self) -> AsyncIterator[Import]:
        """Begins an `Import` for a commit. Contents that are not committed by the end of the block are dropped."""
        new = Import(self._require_git(), reference=_NEXT, timeout=self._timeout)
        try:
            yield new
        finally:
            await new.end()

    async def commit(
        self, new: Import, *, parent: str, change: Change, message: str, author: Author, when: int
    ) -> str:
        """Make a commit in the clone, without pushing it. Returns its id. ``when`` is in seconds since 1970."""
        made = await new.commit(
            parent=parent,
            writes=change.writes,
            removes=change.removes,
            message=message,
            stamp=f"{author} {when} +0000",
        )
        commit = made.stdout.decode(errors="replace").strip()
        if made.code != 0 or not _COMMIT_ID.fullmatch(commit):
            raise self._explain(made.stderr, "making a commit for")
        return commit

    async def push(self, *, old: str, new: str) -> Pushed:
        """Push: move the branch on the remote from ``old`` to its child ``new``, or leave it as it is."""
        branch = f"refs/heads/{self._branch}"
        pushed = await self._run(
            "push", "--porcelain", "--no-verify", f"--force-with-lease={branch}:{old}", "origin", f"{new}:{branch}"
        )
        if pushed.code == 0:
            return Pushed.DONE
        status = self._scrub(pushed.stdout.decode(errors="replace"))
        line = next((line for line in status.splitlines() if line.startswith("!")), "")
        if not line and is_redirected(pushed.stderr):
            await self._refuse_redirect("push", "--no-verify", "--dry-run", "origin", f"{new}:{branch}")
        if not line:
            raise self._explain(pushed.stderr, "pushing to")
        why = line.rpartition("\t")[2]
        if _MOVED.search(why):
            return Pushed.MOVED
        if _LOCKED.search(why):
            return Pushed.LOCKED
        inner = why.partition("(")[2].rstrip(")") or why
        raise refused(pushed.stderr, inner, remote=self._remote.url, branch=self._branch)

    async def try_push(self, commit: str) -> None:
        """Ask the server whether it would accept a push, without pushing anything."""
        target = f"{commit}:refs/heads/{self._branch}"
        tried = await self._run("push", "--porcelain", "--no-verify", "--dry-run", "origin", target)
        if tried.code != 0 and is_redirected(tried.stderr):
            await self._refuse_redirect("push", "--no-verify", "--dry-run", "origin", target)
        # it does not matter here if the branch has moved since the fetch
        if tried.code != 0 and not _MOVED.search(tried.stdout.decode(errors="replace")):
            raise self._explain(tried.stderr, "pushing to")

    async def compact(self) -> None:
        """Cut the history behind the newest commit and remove unneeded objects, without downloading any contents."""
        await self.fetch()
        self._require(await self._run("update-ref", "-d", _NEXT), "compacting the clone of")
        self._require(await self._run("gc", "--quiet", "--prune=now"), "compacting the clone of")

    async def _run(
        self, *arguments: str, stdin: bytes | None = None, timeout: float | None = None, most: int = LARGEST_OUTPUT
    ) -> Completed:
        return await self._require_git().run(*arguments, stdin=stdin, timeout=timeout or self._timeout, most=most)

    def _require_git(self) -> GitCommand:
        if self._git is None:
            raise StoreError(Reason.STORAGE_FAILED, f"there is no clone of {self._remote.url}")
        return self._git

    async def _follow(self, *arguments: str) -> None:
        """Follow a redirect if it leads to the same server; otherwise raise StoreError."""
        address = await self._sent_to(*arguments)
        if address == self._url or not address or not is_same_server(address, self._remote.url):
            raise redirected(address, remote=self._remote.url)
        self._url = address
        await asyncio.to_thread(self._write_config)

    async def _refuse_redirect(self, *arguments: str) -> None:
        raise redirected(await self._sent_to(*arguments), remote=self._remote.url)

    async def _sent_to(self, *arguments: str) -> str:
        if self._traced is None:
            return ""
        traced = await self._traced.run(*arguments, timeout=min(self._timeout, _HISTORY_SECONDS))
        return new_address(traced.stderr, url=self._url)

    def _require(self, completed: Completed, doing: str) -> bytes:
        if completed.code != 0:
            raise self._explain(completed.stderr, doing)
        return completed.stdout

    def _explain(self, stderr: str, doing: str) -> StoreError:
        return explain(stderr, doing=doing, remote=self._remote.url, branch=self._branch)

    def _make_folder(self) -> dict[str, str]:
        folder, self._lock = make_clone_folder(self._workspace)
        self._folder = folder
        repository = folder / "repository"
        for part in ("objects", "refs"):
            (repository / part).mkdir(parents=True)
        (repository / "HEAD").write_text("ref: refs/heads/unused\n")
        self._url = self._remote.url
        self._write_config()
        return {**base_environment(self._surroundings, home=folder), **self._remote.prepare(folder)}

    def _write_config(self) -> None:
        config = _CONFIG.format(url=_quoted(self._url)) + (_LOCAL if self._remote.transport == "file" else "")
        assert self._folder is not None  # noqa: S101 - made before
        (self._folder / "repository" / "config").write_text(config)

    def _read_fetch_head(self) -> str:
        assert self._folder is not None  # noqa: S101 - fetch has just run in it
        with contextlib.suppress(OSError):
            return (self._folder / "repository" / "FETCH_HEAD").read_text().partition("\t")[0]
        return ""


def _understood(parse: Callable[[bytes], _Answer], answer: bytes) -> _Answer:
    """Parses an answer of git. Raises StoreError when it does not have the form of such an answer."""
    try:
        return parse(answer)
    except (ValueError, RuntimeError):
        raise StoreError(
            Reason.GIT_FAILED, "git answered something that is not in its own form", "Troth tries again"
        ) from None


def parse_tree(listed: bytes) -> PathTree:
    """The files that ``git ls-tree -r -z`` lists; raises ValueError when it is not such a list."""
    tree = PathTree()
    at = 0
    while (end := listed.find(b"\0", at)) >= 0:
        facts, _, path = listed[at:end].decode(errors="surrogateescape").partition("\t")
        mode, _, blob = facts.split(" ")
        tree.put(path, blob if mode == ORDINARY else f"{mode}:{blob}")
        at = end + 1
    return tree


def parse_difference(listed: bytes) -> Iterator[tuple[str, str | None]]:
    """The path and the new blob id of each change that ``git diff-tree -z`` lists; None for a removed file."""
    fields = iter(listed.decode(errors="surrogateescape").split("\0"))
    for facts in fields:
        if facts.startswith(":"):
            _, mode, _, blob, status = facts.split(" ")
            kept = blob if mode == ORDINARY else f"{mode}:{blob}"
            yield next(fields), None if status == "D" else kept


def parse_names(listed: bytes, commits: Set[str], paths: Set[str]) -> dict[str, tuple[str, ...]]:
    """Which of the paths each commit changed, from ``git diff-tree --stdin -z --name-only``."""
    found: dict[str, tuple[str, ...]] = {}
    commit = ""
    for name in listed.decode(errors="surrogateescape").split("\0"):
        if name in commits:
            commit = name
        elif name in paths:
            found[name] = (*found.get(name, ()), commit)
    return found


def parse_batch(answer: bytes) -> Iterator[tuple[str, bytes]]:
    """The id and the content of each blob in the answer of ``git cat-file --batch``."""
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        facts = answer[at:end].decode().split(" ")
        at = end + 1
        if len(facts) == 3:
            size = int(facts[2])
            content = answer[at : at + size]
            if len(content) != size:
                raise ValueError("cut short")
            yield facts[0], content
            at += size + 1


def small_blobs(answer: bytes, largest: int, together: int) -> tuple[list[bytes], int]:
    """The lines with the ids of the blobs to read, and how many bytes these have together."""
    sizes: list[tuple[int, bytes]] = []
    for line in answer.splitlines():
        blob, _, facts = line.partition(b" blob ")
        if facts.isdigit() and int(facts) <= largest:
            sizes.append((int(facts), blob + b"\n"))
    chosen: list[bytes] = []
    total = 0
    for size, line in sorted(sizes):
        if total + size > together:
            break
        total += size
        chosen.append(line)
    return chosen, total


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _storage_error(error: OSError, workspace: Path) -> StoreError:
    reason = Reason.STORAGE_FULL if error.errno in {28, 122} else Reason.STORAGE_FAILED
    return StoreError(
        reason,
        f"the clone cannot be kept in {workspace}: {error.strerror}",
        "give the operator a writable workspace",
    )
