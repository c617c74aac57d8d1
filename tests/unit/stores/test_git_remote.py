"""Addresses, credentials and what git is told of them; and what git says, told to people."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from troth.stores import StoreError
from troth.stores.git_command import GitCommand, Scrubber, base_environment
from troth.stores.git_errors import explain, refused
from troth.stores.git_remote import BasicAuth, SshKey, open_remote, require_branch
from troth.stores.git_repository import Author

BASIC = BasicAuth("bot", "hunter2")
KEY = SshKey("-----BEGIN KEY-----\r\nx\r\n-----END KEY-----", "host ssh-ed25519 AAAA")


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("https://git.example.com/a/b.git", "https"),
        ("https://git.example.com:8443/a/b.git?x=1", "https"),
        ("http://127.0.0.1:8080/a.git", "http"),
        ("http://localhost/a.git", "http"),
        ("http://[::1]:8080/a.git", "http"),
    ],
)
def test_addresses_for_passwords(url: str, transport: str) -> None:
    remote = open_remote(url, BASIC)
    assert (remote.url, remote.transport) == (url, transport)


@pytest.mark.parametrize("url", ["ssh://git@example.com:22/a.git", "git@example.com:a/b.git", "example.com:a.git"])
def test_addresses_for_keys(url: str) -> None:
    assert open_remote(url, KEY).transport == "ssh"
    with pytest.raises(StoreError, match="ssh"):
        open_remote(url, BASIC)


@pytest.mark.parametrize(
    "url",
    [
        "git://example.com/a.git",
        "ext::sh -c touch% /tmp/x",
        "ftp://example.com/a",
        "https://",
        "https://example.com:port/a",
        "--upload-pack=touch",
        "-oProxyCommand=touch:a",
        "-ogit@git.example.com:a/b.git",
        "ssh://-oProxyCommand=touch/a",
        "https://example.com/a\n[core]",
        "/a path",
        "",
    ],
)
def test_what_is_not_understood_is_refused_for_good(url: str, tmp_path: Path) -> None:
    for credentials in (None, BASIC, KEY):
        with pytest.raises(StoreError) as caught:
            open_remote(url, credentials, local_root=tmp_path)
        assert not caught.value.retryable


@pytest.mark.parametrize("host", ["git.example.com", "127.0.0.1.example.com", "10.0.0.1", "localhost.example.com"])
def test_a_password_never_travels_in_the_clear(host: str) -> None:
    for url, credentials in ((f"http://{host}/a.git", BASIC), (f"http://bot:hunter2@{host}/a.git", None)):
        with pytest.raises(StoreError) as caught:
            open_remote(url, credentials)
        assert caught.value.reason == "InsecureTransport"
        assert "hunter2" not in str(caught.value)
    assert open_remote(f"http://{host}/a.git", None).transport == "http"


def test_what_an_address_holds_of_a_user_becomes_credentials() -> None:
    remote = open_remote("https://bot:p%40ss@example.com/a.git", None)
    assert remote.url == "https://example.com/a.git"
    assert remote.credentials == BasicAuth("bot", "p@ss")


def test_a_repository_by_path_must_lie_in_the_allowed_folder(tmp_path: Path) -> None:
    root = tmp_path / "allowed"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    assert open_remote(f"{root}/a.git", None, local_root=root).url == f"{root}/a.git"
    assert open_remote(f"file://{root}/a.git", None, local_root=root).transport == "file"
    for path in (tmp_path / "a.git", root / "../a.git", root / "link/a.git", tmp_path / "allowed2"):
        with pytest.raises(StoreError) as caught:
            open_remote(str(path), None, local_root=root)
        assert caught.value.reason == "LocalPathRefused"
    with pytest.raises(StoreError, match="--local-stores") as caught:
        open_remote(f"{root}/a.git", None)
    assert caught.value.reason == "LocalPathRefused"


def test_a_repository_may_lie_in_a_folder_with_spaces_in_its_name(tmp_path: Path) -> None:
    root = tmp_path / "my platform"
    root.mkdir()
    assert open_remote(f"{root}/a b.git", None, local_root=root).url == f"{root}/a b.git"
    with pytest.raises(StoreError, match="control character"):
        open_remote(f"{root}/a\nb.git", None, local_root=root)


def test_a_password_is_in_the_environment_for_its_server_only(tmp_path: Path) -> None:
    environment = open_remote("https://example.com:8443/a.git", BASIC, ca_bundle=b"PEM").prepare(tmp_path)
    assert environment["GIT_ALLOW_PROTOCOL"] == "https"
    assert environment["GIT_CONFIG_KEY_0"] == "http.https://example.com:8443/.extraHeader"
    assert environment["GIT_CONFIG_VALUE_0"].startswith("Authorization: Basic ")
    assert Path(environment["GIT_SSL_CAINFO"]).read_bytes() == b"PEM"
    assert not any(b"hunter2" in path.read_bytes() for path in tmp_path.iterdir())
    assert "hunter2" not in repr(BASIC)


def test_a_key_lies_in_a_private_file_and_only_the_known_host_is_believed(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    environment = open_remote("git@example.com:a.git", KEY).prepare(folder)
    assert stat.S_IMODE((folder / "ssh_key").stat().st_mode) == 0o600
    assert (folder / "ssh_key").read_text() == "-----BEGIN KEY-----\nx\n-----END KEY-----\n"
    config = (folder / "ssh_config").read_text()
    assert "StrictHostKeyChecking yes" in config
    assert environment["GIT_SSH_COMMAND"] == f"ssh -F '{folder}/ssh_config'"
    assert "BEGIN" not in repr(KEY)


@pytest.mark.parametrize("branch", ["main", "release/1.0", "a-b_c", "ümlaut"])
def test_names_of_branches(branch: str) -> None:
    assert require_branch(branch) == branch


@pytest.mark.parametrize(
    "branch", ["", "-f", "a..b", "a b", "a:b", "+main", "a/", "/a", "x.lock", "a@{1}", "a~1", "*"]
)
def test_what_is_no_name_of_a_branch_is_refused(branch: str) -> None:
    if branch == "+main":
        assert require_branch(branch) == branch  # Git allows it; our refspecs name it in full
        return
    with pytest.raises(StoreError, match="branch"):
        require_branch(branch)


def test_nothing_of_the_surroundings_reaches_git(tmp_path: Path) -> None:
    surroundings = {
        "PATH": "/bin",
        "HOME": "/root",
        "GIT_DIR": "/x",
        "GIT_SSH_COMMAND": "evil",
        "TOKEN": "t",
        "HTTPS_PROXY": "http://proxy",
        "NO_PROXY": "internal",
    }
    environment = base_environment(surroundings, home=tmp_path)
    assert environment["PATH"] == "/bin"
    assert environment["HOME"] == str(tmp_path)
    assert environment["HTTPS_PROXY"] == "http://proxy"
    assert environment["no_proxy"] == "internal,localhost,127.0.0.1,::1"
    assert not {"GIT_DIR", "GIT_SSH_COMMAND", "TOKEN"} & environment.keys()


def test_secrets_and_users_are_scrubbed() -> None:
    scrub = Scrubber(open_remote("https://example.com/a", BasicAuth("bot", "hun/ter2")).secrets())
    said = "fatal: https://bot:hun%2Fter2@example.com/a with hun/ter2 and Ym90Omh1bi90ZXIy and https://u:p@h/x"
    assert scrub(said) == "fatal: https://example.com/a with [secret] and [secret] and https://h/x"


async def test_a_missing_program_says_what_to_install(tmp_path: Path) -> None:
    git = GitCommand(folder=tmp_path, environment={"PATH": "/nowhere"}, scrub=Scrubber(()), program="no-such-git")
    with pytest.raises(StoreError, match="install git"):
        await git.run("version", timeout=5)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("fatal: couldn't find remote ref refs/heads/main", "BranchMissing"),
        ("fatal: unable to access 'https://h/': Could not resolve host: h", "Unreachable"),
        ("fatal: unable to access 'http://h/': Failed to connect to h port 80: Connection refused", "Unreachable"),
        ("fatal: unable to access 'http://h/': The requested URL returned error: 503", "Unreachable"),
        ("ssh: connect to host h port 22: Connection timed out\nfatal: Could not read from remote", "Unreachable"),
        ("error: RPC failed; curl 56 Recv failure: Connection reset by peer", "Unreachable"),
        ("fatal: Authentication failed for 'https://h/'", "AuthenticationRefused"),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", "AuthenticationRefused"),
        ("remote: Write access to repository not granted.\nfatal: returned error: 403", "AuthenticationRefused"),
        (
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "AuthenticationRefused",
        ),
        ('Load key "/x": error in libcrypto\nPermission denied (publickey).', "AuthenticationRefused"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "HostKeyMismatch"),
        ("fatal: repository 'https://h/a.git/' not found", "RepositoryMissing"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", "RepositoryMissing"),
        ("fatal: '/a.git' does not appear to be a git repository", "RepositoryMissing"),
        (
            "fatal: unable to access 'https://h/': SSL certificate problem: self-signed certificate",
            "CertificateRefused",
        ),
        ("fatal: write error: No space left on device", "StorageFull"),
        ("fatal: Unable to create '/x/shallow.lock': File exists.", "LockContention"),
        ("fatal: something new", "GitFailed"),
        ("", "GitFailed"),
    ],
)
def test_what_git_says_becomes_a_reason_and_a_sentence(said: str, reason: str) -> None:
    error = explain(said, doing="fetching from", remote="https://h/a.git", branch="main")
    assert error.reason == reason
    assert error.retryable
    assert "https://h/a.git" in error.message
    assert "\n" not in str(error)
    assert not error.message.endswith(".")


def test_a_long_refusal_is_shortened() -> None:
    error = refused("remote: " + "policy " * 500, "hook declined", remote="https://h", branch="main")
    assert len(error.message) < 600
    assert "policy" in error.message


@pytest.mark.parametrize(
    ("author", "line"),
    [
        (Author("Platform Team", "p@example.com"), "Platform Team <p@example.com>"),
        (Author("kratix"), "kratix <noreply@troth.dev>"),
        (Author("Evil <x>\ncommitter", "a>\nb"), "Evil xcommitter <ab>"),
        (Author("", ""), "kratix <noreply@troth.dev>"),
    ],
)
def test_an_author_cannot_break_out_of_its_line(author: Author, line: str) -> None:
    assert str(author) == line
