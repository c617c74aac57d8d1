"""What git and Git servers say, and what a Git store is told: a value or the documented error, and no word too many."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.fuzz.fuzzing import fuzz
from tests.hostile.fuzz.names import NAMES
from tests.hostile.fuzz.words import COMMIT, CONTROL, MARKER, require_good_words
from tests.store_contract import Claims
from troth.dev.git_server import create_repository, git
from troth.stores import StoreError
from troth.stores.edits import Edit
from troth.stores.git import GitSettings, GitWriter
from troth.stores.git_command import LONGEST_TEXT, Completed, GitCommand, Scrubber
from troth.stores.git_errors import explain, redirected, refused
from troth.stores.git_message import Entry as Carried
from troth.stores.git_message import commit_message
from troth.stores.git_opening import read_credentials
from troth.stores.git_redirect import is_redirected, is_same_server, new_address
from troth.stores.git_remote import BasicAuth, GitRemote, SshKey, open_remote, require_branch
from troth.stores.git_repository import Author, GitRepository
from troth.stores.git_strangers import Undone
from troth.stores.ownership import Ownership

GIT_TOKENS = [
    *(b"\t", b" ", b"\n", b"\0", b"100644", b"120000", b"160000", b"blob", b"tree", b":", b" A\0", b" D\0", b"!"),
    *(COMMIT.encode(), b"0" * 40, b"..", b"a/", b"/", b'"', b"missing", b"stale info", b"(", b")", b"[rejected]"),
]
SERVER_TOKENS = [
    *(b"remote: ", b"fatal: ", b"error: ", b"hint: ", b"\r", b"\x1b[2J", b"\x1b]0;x\x07", b"\x08", b"\x9b", b"\n"),
    *("\u202e\u2066\u200b\ufeff".encode(), b"%s{}", b"{remote}", b"{branch.x}", b"{0}", b"Location: ", b"\xc3"),
    *(b"the requested URL returned error: 302", b"recv header: ", b"http://", b"https://", b"@", b"//", b"[::1"),
]


class Answers:
    """Stands for the git program: every command says and ends as it is told."""

    def __init__(self, stdout: bytes, stderr: str, code: int) -> None:
        self._completed = Completed(code, stdout, stderr)

    async def run(self, *arguments: str, stdin: bytes | None = None, timeout: float, most: int = 0) -> Completed:
        return self._completed

    async def commit(self, **_: object) -> Completed:
        return self._completed


def repository(answers: Answers) -> GitRepository:
    made = GitRepository(
        remote=GitRemote("https://git.example.com/a.git", "https", BasicAuth("bot", MARKER)),
        branch="main",
        workspace=Path("/nowhere"),
        surroundings={},
        timeout=5,
    )
    made._git = made._traced = cast("GitCommand", answers)
    return made


def test_what_git_lists() -> None:
    async def ask(content: bytes) -> None:
        listed = repository(Answers(content, "", 0))
        questions: list[Callable[[], Any]] = [
            lambda: listed.tree(COMMIT),
            lambda: listed.difference(COMMIT, COMMIT),
            lambda: listed.culprits(COMMIT, COMMIT, ["a", "b/c"], ours=()),
            lambda: listed.read([COMMIT]),
            lambda: listed.read([COMMIT], largest=10),
        ]
        for question in questions:
            try:
                await question()
            except StoreError as error:
                require_good_words(error)

    seeds = [
        b"100644 blob " + COMMIT.encode() + b"\ta/b.yaml\0" + b"120000 blob " + COMMIT.encode() + b"\ta\0",
        b"100644 blob " + COMMIT.encode() + b"\t" + b"a/" * 3000 + b"b\0",
        b":100644 100644 " + COMMIT.encode() + b" " + COMMIT.encode() + b" M\0a\xff\xfe.yaml\0",
        COMMIT.encode() + b" blob 5\nhello\n" + COMMIT.encode() + b" missing\n",
        b"parent " + COMMIT.encode() + b"\n\nx",
    ]
    fuzz("git-listing", lambda content: asyncio.run(ask(content)), seeds=seeds, tokens=GIT_TOKENS)


def test_a_tree_with_names_of_any_kind_can_be_walked_and_changed() -> None:
    async def ask(content: bytes) -> None:
        if content.count(b"/") > 6_000:
            return  # a folder in a folder costs a step for each above it: a branch as deep as that takes seconds
        paths = [path for path in content.replace(b"\0", b"").split(b"\n") if path]
        listed = b"".join(b"100644 blob %s\t%s\0" % (COMMIT.encode(), path) for path in paths)
        tree = await repository(Answers(listed, "", 0)).tree(COMMIT)
        for path in list(tree.files()):
            assert tree.get(path) == COMMIT
            list(tree.under(path.partition("/")[0]))
        for path in list(tree.files()):
            tree.remove(path)
        assert list(tree.files()) == []

    seeds = [b"a\na/b\na/b/c\n\xff\xfe\n.git/x\n", b"/".join([b"d"] * 5000), b"a//b\n/\n//"]
    fuzz(
        "git-names",
        lambda content: asyncio.run(ask(content)),
        seeds=seeds,
        tokens=[b"/", b"\n", b"a", b"\xff", b"..", b" "],
    )


def test_what_a_server_says_of_a_push() -> None:
    async def ask(content: bytes) -> None:
        out, _, err = content.partition(b"|")
        answers = Answers(out, Scrubber([MARKER])(err.decode(errors="replace")), 1)
        pushing = repository(answers)
        questions: list[Callable[[], Any]] = [
            lambda: pushing.push(old=COMMIT, new=COMMIT),
            lambda: pushing.try_push(COMMIT),
            lambda: pushing.fetch(),
            lambda: pushing.tree(COMMIT),
            lambda: pushing.commit(
                cast("Any", answers),
                parent=COMMIT,
                change=cast("Any", Edit({}, frozenset())),
                message="m",
                author=Author(),
                when=0,
            ),
        ]
        for question in questions:
            try:
                await question()
            except StoreError as error:
                require_good_words(error)

    seeds = [
        b"!\t"
        + COMMIT.encode()
        + b":refs/heads/main\t[remote rejected] (pre-receive hook declined)\nDone\n|remote: no",
        b"!\tx\t[rejected] (fetch first)|",
        b"|remote: \x1b[31mred\x1b[0m " + MARKER.encode() + b"\nfatal: x",
        b"|fatal: unable to access 'https://bot:" + MARKER.encode() + b"@git.example.com/': returned error: 302",
    ]
    tokens = [*GIT_TOKENS, *SERVER_TOKENS, MARKER.encode(), b"|"]
    fuzz("git-push", lambda content: asyncio.run(ask(content)), seeds=seeds, tokens=tokens)


def test_what_git_and_a_server_say_of_a_failure() -> None:
    def check(content: bytes) -> None:
        text = content.decode(errors="replace")[-LONGEST_TEXT:]
        for error in (
            explain(text, doing="fetching from", remote="https://git.example.com/a", branch="main"),
            refused(text, text, remote="https://git.example.com/a", branch="main"),
        ):
            require_good_words(error)
        is_redirected(text)
        address = new_address(text, url="https://git.example.com/a")
        assert not address or re.fullmatch(r"https?://[\x21-\x7e]+", address)
        assert "@" not in address.partition("//")[2].partition("/")[0]
        require_good_words(redirected(address, remote="https://git.example.com/a"))
        is_same_server(address, "https://git.example.com/a")

    seeds = [
        b"remote: GitLab: You are not allowed to push\nfatal: unable to access: returned error: 403",
        b"<= Recv header: Location: https://user:pass@evil.example.com:99999/info/refs",
        b"<= Recv header: Location: //[::1]:80/x\n<= Recv header: Location: ?\xc3",
        b"fatal: couldn't find remote ref " + b"x" * 5000,
    ]
    fuzz("git-stderr", check, seeds=seeds, tokens=SERVER_TOKENS)


def require_no_login(address: str, error: StoreError) -> None:
    if not address.startswith(("/", "file:")) or address.startswith("//"):
        login, _, host = address.rpartition("@")  # without an @ there is no login, whatever stands there
        assert "s3cr3t" not in login or "s3cr3t" in host or "s3cr3t" not in str(error)


def test_the_address_and_the_branch_of_a_store(tmp_path: Path) -> None:
    def check(content: bytes) -> None:
        text = content.decode(errors="surrogateescape")
        for credentials in (None, BasicAuth("bot", MARKER), SshKey("key", "hosts")):
            try:
                remote = open_remote(text, credentials, local_root=tmp_path)
            except StoreError as error:
                require_good_words(error)
                require_no_login(text, error)
                continue
            assert remote.transport in {"http", "https", "ssh", "file"}
            assert not remote.url.startswith("-")
            assert "::" not in remote.url.partition("://")[0] or remote.transport in {"ssh", "file"}
            if remote.transport == "file":
                assert Path(remote.url).is_relative_to(tmp_path)
        try:
            require_branch(text)
        except StoreError:
            return
        done = (
            subprocess.run(["git", "check-ref-format", f"refs/heads/{text}"], check=False)
            if len(text) < 60
            else None
        )
        assert done is None or done.returncode == 0, text

    seeds = [
        *(
            b"https://bot:s3cr3t@git.example.com:443/a.git",
            b"//bot:s3cr3t@h/a",
            b"https:/bot:s3cr3t@h",
            b"git@git.example.com:a/b.git",
        ),
        *(
            b"ssh://git@[::1]:22/a",
            b"file:///etc/passwd",
            b"ext::sh -c id",
            b"--upload-pack=x",
            b"-oProxyCommand=x:y",
        ),
        *(
            b"http://127.0.0.1/a",
            b"http://127.0.0.1@evil.example.com/",
            b"main",
            b"a/../b",
            b"a.lock",
            b"http://[::1",
        ),
    ]
    tokens = [
        *SERVER_TOKENS,
        b"file:",
        b"ssh://",
        b"ext::",
        b"-o",
        b"..",
        b"@{",
        b"~",
        b"\\",
        b"%00",
        b"%2e",
        b"#",
        b"?",
    ]
    fuzz("git-address", check, seeds=seeds, tokens=tokens)


def test_the_secret_of_a_git_store(tmp_path: Path) -> None:
    def check(content: bytes) -> None:
        first, _, second = content.partition(b"|")
        for spec, secret in (
            ({"authMethod": "basicAuth"}, {"username": first, "password": second}),
            ({"authMethod": "basicAuth"}, {"password": content}),
            ({"authMethod": "ssh"}, {"sshPrivateKey": first, "knownHosts": second}),
            ({"authMethod": "basicAuth"}, {"username": b"bot", "password": MARKER.encode(), "ca.crt": content}),
        ):
            url = "git@git.example.com:a" if spec["authMethod"] == "ssh" else "https://git.example.com/a"
            full = {**spec, "url": url, "secretRef": {"name": "s"}}
            try:
                remote = open_remote(url, read_credentials(url, full, secret), ca_bundle=secret.get("ca.crt", b""))
            except StoreError as error:
                require_good_words(error)
                continue
            scrub = Scrubber(remote.secrets())
            if isinstance(remote.credentials, BasicAuth):
                assert MARKER not in repr(BasicAuth("bot", remote.credentials.password))
            environment = remote.prepare(tmp_path)
            assert not any("\0" in value for value in environment.values())
            assert not any(CONTROL.search(value) for value in environment.values())
            if isinstance(remote.credentials, BasicAuth):
                login = f"{remote.credentials.username}:{remote.credentials.password}".encode()
                assert (
                    environment["GIT_CONFIG_VALUE_0"] == f"Authorization: Basic {base64.b64encode(login).decode()}"
                )
                if len(remote.credentials.password) >= 3:
                    assert remote.credentials.password not in scrub(f"a {remote.credentials.password} b").replace(
                        "[secret]", ""
                    )
            else:
                assert (tmp_path / "ssh_config").read_text().startswith("Host *\n  IdentityFile")
                assert stat.S_IMODE((tmp_path / "ssh_key").stat().st_mode) == 0o600

    seeds = [
        b"bot|" + MARKER.encode(),
        b"bot\n|" + MARKER.encode() + b"\r\nX-Injected: 1",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + MARKER.encode() + b"\n|git.example.com ssh-ed25519 AAAA",
        b"\xff\xfe|" + MARKER.encode(),
        b"a\0b|\0",
    ]
    fuzz(
        "git-secret",
        check,
        seeds=seeds,
        tokens=[b"|", b"\r\n", b"\0", b"\xc3", b"@cert-authority ", b"\n  ProxyCommand x", b":"],
    )


def test_the_message_of_a_commit() -> None:
    def check(content: bytes) -> None:
        text = content.decode(errors="replace")
        message = commit_message([Carried(text, text, 1, 2, 3, removal=False)] * 2, [Undone(text, (COMMIT,))])
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", message)
        assert len(message.splitlines()) < 12 or re.search("[\x85\u2028\u2029]", text)
        author = str(Author(text, text))
        assert author.count("<") == author.count(">") == 1
        assert not re.search(r"[\x00-\x1f\x7f]", author)

    fuzz(
        "commit-message",
        check,
        seeds=[b"default/a", b"a\nb <x> y\n\nSigned-off-by: z"],
        tokens=[b"<", b">", b"\n", b"\r"],
    )


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(names=st.lists(NAMES, min_size=1, max_size=6, unique=True))
def test_a_repository_with_names_of_any_bytes(names: list[bytes]) -> None:
    """Others' files may lie in a placement's folder: they are removed, whatever they are called."""

    async def claim_over(folder: Path, url: str) -> None:
        writer = GitWriter(
            remote=open_remote(url, None, local_root=folder),
            branch="main",
            ownership=Ownership(),
            workspace=folder / "work",
            author=Author(),
            surroundings=dict(os.environ),
            settings=GitSettings(),
        )
        try:
            await writer.check()
            await writer.write(Claims("default")("a", {"resources/a/x.yaml": "1"}))
            assert not await writer.refresh()
        finally:
            await writer.close()

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.git"
        create_repository(path)
        stream = b"commit refs/heads/main\ncommitter a <a@b> 0 +0000\ndata 1\nx\nfrom refs/heads/main^0\n"
        for name in names:
            for folder in (b"resources/a/", b"others/"):
                if b".git" not in name.lower() and b"git~" not in name.lower():
                    quoted = b'"' + b"".join(b"\\%03o" % byte for byte in folder + name) + b'"'
                    stream += b"M 100644 inline " + quoted + b"\ndata 1\ny\n"
        git(path, "fast-import", "--quiet", "--force", "--date-format=raw", stdin=stream)
        before = git(path, "ls-tree", "-r", "-z", "--name-only", "main", "others")
        asyncio.run(claim_over(Path(place), str(path)))
        assert git(path, "ls-tree", "-r", "-z", "--name-only", "main", "resources") == b"resources/a/x.yaml\0"
        assert git(path, "ls-tree", "-r", "-z", "--name-only", "main", "others") == before


@pytest.mark.parametrize(
    "text", [f"a {MARKER} b", f"https://u:{MARKER}@h/", base64.b64encode(f"u:{MARKER}".encode()).decode()]
)
def test_no_secret_is_in_what_is_passed_on(text: str) -> None:
    remote = open_remote("https://h/a", BasicAuth("u", MARKER))
    shown: Mapping[str, str] = {"text": Scrubber(remote.secrets())(text)}
    assert MARKER not in shown["text"]
    assert base64.b64encode(f"u:{MARKER}".encode()).decode() not in shown["text"]
