"""Translates the output of git and of a server into a reason, a sentence and a remedy.

Git does not have codes for its failures, only text (in English, since every command runs with ``LC_ALL=C``). The
table is read from the top: the first pattern that is found decides, so special patterns are before general ones. What
the server itself says, in lines that begin with ``remote:``, is passed on, because it is the text of the author of
the rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from troth.stores.errors import Reason, StoreError


@dataclass(frozen=True, slots=True)
class _Failure:
    pattern: re.Pattern[str]
    reason: Reason
    message: str
    hint: str
    quote: bool = False


def _failure(pattern: str, reason: Reason, message: str, hint: str, *, quote: bool = False) -> _Failure:
    return _Failure(re.compile(pattern, re.IGNORECASE), reason, message, hint, quote)


_FAILURES: Final = (
    _failure(
        r"no space left on device|disk quota exceeded|ENOSPC",
        Reason.STORAGE_FULL,
        "there is no space left for {remote}",
        "make room in the operator's workspace, or on the Git server if the message came from there",
        quote=True,
    ),
    _failure(
        r"couldn't find remote ref|remote branch .* not found|src refspec .* does not match",
        Reason.BRANCH_MISSING,
        "{remote} has no branch {branch}",
        "create the branch with an initial commit, or name another one in spec.branch",
    ),
    _failure(
        r"host key verification failed|remote host identification has changed|host key is known for",
        Reason.HOST_KEY_MISMATCH,
        "the ssh host key of {remote} is not the one in knownHosts",
        "if the server's key was changed on purpose, put the new one (ssh-keyscan) into the Secret's knownHosts",
    ),
    _failure(
        r"load key .*(invalid format|error in libcrypto|incorrect passphrase)|invalid format",
        Reason.AUTHENTICATION_REFUSED,
        "the private key for {remote} cannot be read",
        "put an unencrypted OpenSSH or PEM key into the Secret's sshPrivateKey",
    ),
    _failure(
        r"certificate|SSL_ERROR|SSL routines|gnutls_handshake",
        Reason.CERTIFICATE_REFUSED,
        "the certificate of {remote} is not trusted",
        "put the certificate authority into the Secret's ca.crt",
        quote=True,
    ),
    _failure(
        r"authentication failed|could not read (username|password)|invalid username or password"
        r"|permission denied \(|returned error: 401|invalid credentials",
        Reason.AUTHENTICATION_REFUSED,
        "{remote} refused the credentials",
        "check the Secret that spec.secretRef names: the right account, not expired, allowed to read and write",
    ),
    _failure(
        r"returned error: 403|you are not allowed to (push|upload)|write access .* not granted"
        r"|deploy key.*read.?only|protected branch|service not enabled",
        Reason.AUTHENTICATION_REFUSED,
        "{remote} does not allow this account to write",
        "give the account of the Secret the right to push to the branch {branch}",
        quote=True,
    ),
    _failure(
        r"repository .*not found|does not (appear to be|exist)|not a git repository|returned error: 404"
        r"|no such file or directory.*could not read from remote|project you were looking for",
        Reason.REPOSITORY_MISSING,
        "there is no repository at {remote}, or this account may not see it",
        "create it, or correct spec.url",
    ),
    _failure(
        r"could not resolve host|connection (refused|timed out|reset|closed)|failed to connect|couldn't connect"
        r"|could not connect|(operation|resolving) timed out|network is unreachable|no route to host|empty reply"
        r"|hung up unexpectedly|early eof|returned error: 5\d\d|rpc failed|operation too slow|broken pipe"
        r"|transfer closed|recv failure|send failure|unexpected disconnect|name or service not known",
        Reason.UNREACHABLE,
        "{remote} cannot be reached",
        "Troth tries again; check whether the server is up and the network lets the operator through",
        quote=True,
    ),
    _failure(
        r"dubious ownership",
        Reason.REPOSITORY_MISSING,
        "{remote} belongs to another user of this machine",
        "let the operator run as the owner of the repository",
    ),
    _failure(
        r"unable to create .*\.lock|cannot lock ref|failed to lock|unable to lock",
        Reason.LOCKED,
        "another process holds a lock of {remote}",
        "Troth tries again; if it stays, remove the stale lock file on the server",
        quote=True,
    ),
)
_NOISE: Final = re.compile(r"^(hint:|warning: redirecting|To )", re.IGNORECASE)
_LONGEST_QUOTE: Final = 400
# Control characters, and those that change the direction of text, on which a terminal would act.
_UNPRINTABLE: Final = re.compile(
    r"\x1b\[[0-9;?]*[a-zA-Z]|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
# Measured times are removed, since a condition that contained them would change with each attempt.
_MEASURED: Final = re.compile(
    r" after \d+ (?:ms|milliseconds|seconds)(?: with \d+ (?:out of \d+ )?bytes received)?"
)


def explain(stderr: str, *, doing: str, remote: str, branch: str) -> StoreError:
    """The error for a command that failed. ``doing`` says what it was for, such as ``fetching``."""
    for failure in _FAILURES:
        if failure.pattern.search(stderr):
            message = failure.message.format(remote=remote, branch=branch)
            said = quote(stderr) if failure.quote else ""
            hint = failure.hint.format(remote=remote, branch=branch)
            return StoreError(failure.reason, f"{message} ({said})" if said else message, hint)
    said = quote(stderr) or "git said nothing"
    return StoreError(Reason.GIT_FAILED, f"{doing} {remote} failed: {said}")


def refused(stderr: str, why: str, *, remote: str, branch: str) -> StoreError:
    """The error for a push that the server refused by a rule of its own. ``why`` is the status that it gave."""
    said = server_words(stderr)
    return StoreError(
        Reason.PUSH_REFUSED,
        f"{remote} refused the push to {branch} ({_shorten(why)})" + (f": {said}" if said else ""),
        "satisfy the rule of the repository, or exempt the operator's account from it",
    )


def redirected(address: str, *, remote: str) -> StoreError:
    """The error for a server that redirects us. ``address`` is the new address; empty when it is not known."""
    return StoreError(
        Reason.REDIRECTED,
        f"{remote} redirects its clients to {address or 'another address'}, and the credentials are not sent there",
        "put the new address into spec.url if it is right",
    )


def server_words(stderr: str) -> str:
    """What the server itself said, on one line, and cut if it is long."""
    lines = [line.partition(":")[2].strip() for line in stderr.splitlines() if line.startswith("remote:")]
    return _shorten(" ".join(line for line in lines if line))


def quote(stderr: str) -> str:
    """The part of git's output that helps people: what the server said, or else the last fatal or error line."""
    said = server_words(stderr)
    if said:
        return said
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not _NOISE.search(line)]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "ssh:"))] or lines[-1:]
    return _shorten("; ".join(telling))


def _shorten(text: str) -> str:
    text = _MEASURED.sub("", " ".join(_UNPRINTABLE.sub(" ", text).split()))
    return text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 3]}..."
