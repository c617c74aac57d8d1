"""The address of a Git store and the credentials for it, from which git commands get their environment.

Basic authentication is sent at once, in a header that only this server's address gets; waiting for an answer with 401
would cost every fetch and push a round trip and two more processes. The header is in ``GIT_CONFIG_VALUE_n``, so it is
neither in an argument nor in a file. An ssh key has to be in a file, since ssh does not accept anything else. The
file is in the writer's private folder and is removed with it.

Rejected: credential helpers and ``GIT_ASKPASS`` (the round trip), the URL's own user part (it is shown in
process lists and quoted in messages), and ``http://`` with a password to any other machine.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from troth.stores.errors import Reason, StoreError
from troth.stores.paths import require_local

_SCP_FORM: Final = re.compile(r"(?:(?P<user>[^@/:\s]+)@)?(?P<host>\[[^\]]+\]|[^@/:\s]+):(?P<path>[^\s]+)")
_BRANCH: Final = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\/.\-][^\x00-\x20\x7f~^:?*\[\\]*")
_LONGEST_SHOWN: Final = 200
_MINIMAL_HOST: Final = re.compile(r"[A-Za-z0-9\[:][A-Za-z0-9.:_\-\[\]%]*")


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """A user name and a password or token."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SshKey:
    """A private key without a passphrase, and the host keys that are trusted."""

    private_key: str = field(repr=False)
    known_hosts: str


Credentials = BasicAuth | SshKey | None


@dataclass(frozen=True, slots=True)
class GitRemote:
    """A repository, with the way to reach it.

    Attributes:
        url: the URL that git is given, without user information.
        transport: the value of ``GIT_ALLOW_PROTOCOL``: ``https``, ``http``, ``ssh`` or ``file``.
        credentials: the credentials, or None.
        ca_bundle: certificates in PEM to trust instead of the system's; empty for those of the system.
    """

    url: str
    transport: str
    credentials: Credentials
    ca_bundle: bytes = b""

    def secrets(self) -> list[str]:
        """Every form of a secret that could appear in the output of a program or a server."""
        if isinstance(self.credentials, SshKey):
            lines = f"{self.credentials.private_key}\n{self.credentials.known_hosts}".splitlines()
            return [line.strip() for line in lines if len(line.strip()) > 7]
        if self.credentials is None:
            return []
        password = self.credentials.password
        return [password, quote(password, safe=""), quote(password), _basic(self.credentials)]

    def prepare(self, folder: Path) -> dict[str, str]:
        """Write what must be a file into the private folder, and return the environment for git. This blocks."""
        environment = {"GIT_ALLOW_PROTOCOL": self.transport}
        settings: list[tuple[str, str]] = []
        if isinstance(self.credentials, BasicAuth):
            parts = urlsplit(self.url)
            key = f"http.{parts.scheme}://{parts.netloc}/.extraHeader"
            settings.append((key, f"Authorization: Basic {_basic(self.credentials)}"))
        if self.ca_bundle:
            bundle = folder / "ca.crt"
            bundle.write_bytes(self.ca_bundle)
            environment["GIT_SSL_CAINFO"] = str(bundle)
        if isinstance(self.credentials, SshKey):
            environment["GIT_SSH_COMMAND"] = _prepare_ssh(self.credentials, folder)
            environment["GIT_SSH_VARIANT"] = "ssh"
        environment["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings):
            environment[f"GIT_CONFIG_KEY_{number}"] = key
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment


def open_remote(
    url: str, credentials: Credentials, *, local_root: Path | None = None, ca_bundle: bytes = b""
) -> GitRemote:
    """The remote at a URL. Raises StoreError (final) if it is not safe or not understood. This blocks (realpath).

    ``local_root`` is the folder in which local repositories must be; None refuses all of them. User information in an
    http(s) URL is removed from it, and is used if there are no other credentials.
    """
    if re.search(r"[\x00-\x1f\x7f]" if url.startswith("/") else r"[\x00-\x20\x7f]", url):
        raise _invalid(url, "holds a space or a control character")
    if url.startswith(("//", "-")):  # a program would take a text that begins with a dash for an option
        raise _invalid(url, "is not an address that Git understands")
    if url.startswith(("/", "file:")):
        return GitRemote(_local_path(url, local_root), "file", None)
    try:
        parts = urlsplit(url) if "://" in url else None
    except ValueError:
        raise _invalid(url, "is not an address that Git understands") from None
    if parts is None:
        match = _SCP_FORM.fullmatch(url)
        if not match or not _MINIMAL_HOST.fullmatch(match["host"]):
            raise _invalid(url, "is not an address that Git understands")
        return GitRemote(url, "ssh", _ssh_credentials(url, credentials))
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _invalid(url, "has a port that is not a number") from None
    if not host or not _MINIMAL_HOST.fullmatch(host) or (parts.username or "").startswith("-"):
        raise _invalid(url, "does not name a host")
    if parts.scheme == "ssh":
        if parts.password:
            raise _invalid(url, "holds a password, which ssh does not take")
        return GitRemote(url, "ssh", _ssh_credentials(url, credentials))
    if parts.scheme not in {"http", "https"}:
        raise _invalid(
            url,
            f"has the scheme {_shortened(parts.scheme)!r}; https, ssh and (on this machine) http are supported",
        )
    if isinstance(credentials, SshKey):
        raise _invalid(url, "is not an ssh address, but spec.authMethod is ssh")
    if credentials is None and (parts.username or parts.password):
        credentials = BasicAuth(unquote(parts.username or ""), unquote(parts.password or ""))
    if parts.scheme == "http" and credentials is not None and not is_loopback(host):
        raise StoreError(
            Reason.INSECURE_TRANSPORT,
            f"the password for {host} would travel unencrypted over http",
            "use https in spec.url",
            retryable=False,
        )
    shown_host = f"[{host}]" if ":" in host else host
    address = f"{shown_host}:{port}" if port else shown_host
    clean = urlunsplit((parts.scheme, address, parts.path, parts.query, ""))
    return GitRemote(clean, parts.scheme, credentials, ca_bundle if parts.scheme == "https" else b"")


def require_branch(branch: str) -> str:
    """Returns the name of a branch if Git accepts it; otherwise raises StoreError (final)."""
    if not _BRANCH.fullmatch(branch) or re.search(r"\.\.|//|@\{|/\.|\.lock(/|$)|[./]$", branch):
        raise StoreError(
            Reason.INVALID_STORE,
            f"spec.branch {_shortened(branch)!r} is not a name of a branch",
            "correct it",
            retryable=False,
        )
    return branch


def is_loopback(host: str) -> bool:
    """Whether a host name stands for this machine, decided without a name server."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _local_path(url: str, root: Path | None) -> str:
    if url.startswith("file:"):
        try:
            parts = urlsplit(url)
        except ValueError:
            raise _invalid(url, "is not an address that Git understands") from None
        if parts.netloc not in {"", "localhost"}:
            raise _invalid(url, "is a file on another machine")
        url = unquote(parts.path)
        if re.search(r"[\x00-\x1f\x7f]", url):
            raise _invalid(url, "holds a control character")
    return str(require_local(url, root))


def _ssh_credentials(url: str, credentials: Credentials) -> SshKey:
    if isinstance(credentials, SshKey):
        return credentials
    raise _invalid(url, "is an ssh address, but spec.authMethod is not ssh")


def _prepare_ssh(key: SshKey, folder: Path) -> str:
    key_file, hosts_file, config = folder / "ssh_key", folder / "known_hosts", folder / "ssh_config"
    _write_private(key_file, key.private_key.replace("\r\n", "\n").strip() + "\n")
    _write_private(hosts_file, key.known_hosts.replace("\r\n", "\n").strip() + "\n")
    _write_private(
        config,
        "\n".join(
            (
                "Host *",
                f'  IdentityFile "{key_file}"',
                "  IdentitiesOnly yes",
                "  IdentityAgent none",
                "  BatchMode yes",
                "  PreferredAuthentications publickey",
                "  StrictHostKeyChecking yes",
                "  UpdateHostKeys no",
                f'  UserKnownHostsFile "{hosts_file}"',
                "  GlobalKnownHostsFile /dev/null",
                "  ConnectTimeout 10",
                "  ServerAliveInterval 10",
                "  ServerAliveCountMax 3",
                "  ForwardAgent no",
                "  ControlMaster no",
                "",
            )
        ),
    )
    # this text is read by a shell, since git does not offer another way, so both words are quoted
    return shlex.join(["ssh", "-F", str(config)])


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _basic(credentials: BasicAuth) -> str:
    return base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _invalid(url: str, problem: str) -> StoreError:
    shown = _shortened(_without_login(url))
    return StoreError(Reason.INVALID_STORE, f"spec.url {shown!r} {problem}", "correct spec.url", retryable=False)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _without_login(url: str) -> str:
    """An address that could not be parsed, without anything before an @ except for the scheme, so it may be shown."""
    login, at, rest = url.rpartition("@")
    scheme = re.match(r"[a-z]{2,5}://", login)
    return (scheme[0] if scheme else "") + rest if at else url
