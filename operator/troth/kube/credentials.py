"""The login at an API server, kept valid: tokens rotate, and certificates and plugins' answers expire.

All callers of one server share one object. It gives out the headers of a request from memory, reads what is known to
rotate again before it expires, and reads everything again when the server answered 401. Renewing never stops the
traffic: while one caller renews, the others go on with what is still valid.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from troth.kube.errors import CredentialsError, without_login

if TYPE_CHECKING:
    from troth.kube.kubeconfig import Identity

logger = logging.getLogger(__name__)

_SETTLED = 1.0
_RETRY = 10.0


class IdentitySource(Protocol):
    """A source from which an identity can be read, such as a kubeconfig."""

    async def load(self) -> Identity:
        """Reads the identity now. Raises CredentialsError."""


class Credentials:
    """A login that stays valid. Made by `load_credentials` or `from_kubeconfig_dict`."""

    def __init__(
        self, source: IdentitySource, identity: Identity, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes over an identity that was just loaded from the source.

        Raises:
            CredentialsError: its certificates cannot be used.
        """
        self._source = source
        self._clock = clock
        self._renewing = asyncio.Lock()
        self._headers: dict[str, str] = {}
        self._ssl: ssl.SSLContext | None = None
        self._identity: Identity | None = None
        self._loaded = 0.0
        self._renew_at: float | None = None
        self._accept(identity, clock())

    @property
    def identity(self) -> Identity:
        """The identity that is valid now, for other programs that log in to the same server. It holds secrets."""
        assert self._identity is not None  # noqa: S101 - set in __init__
        return self._identity

    @property
    def server(self) -> str:
        """The URL of the API server, which may have a path."""
        return self.identity.server

    @property
    def server_name(self) -> str | None:
        """The name to expect in the server's certificate, if not the URL's host."""
        return self.identity.server_name

    @property
    def proxy(self) -> str | None:
        """The URL of the proxy to the server, or None."""
        return self.identity.proxy

    @property
    def ssl(self) -> ssl.SSLContext | None:
        """The TLS context; None for plain HTTP. It is another object after the certificates have changed."""
        return self._ssl

    async def headers(self) -> Mapping[str, str]:
        """The headers that authenticate a request now."""
        if self._renew_at is not None and self._clock() >= self._renew_at and not self._renewing.locked():
            async with self._renewing:
                try:
                    await self._load()
                except CredentialsError as error:
                    self._renew_at = self._clock() + _RETRY
                    logger.warning("the login to %s could not be renewed: %s", without_login(self.server), error)
        return self._headers

    async def refresh(self) -> None:
        """Reads everything again, because the server refused the login. Raises CredentialsError."""
        asked = self._clock()
        async with self._renewing:
            # Many calls are refused at once. What was read a moment ago serves all of them.
            if self._loaded < asked - _SETTLED:
                await self._load()

    async def _load(self) -> None:
        began = self._clock()
        self._accept(await self._source.load(), began)

    def _accept(self, identity: Identity, loaded: float) -> None:
        old = self._identity
        if old is None or _tls(old) != _tls(identity):
            self._ssl = _ssl_context(identity)
        self._identity = identity
        self._headers = {"Authorization": identity.authorization} if identity.authorization else {}
        self._loaded = loaded
        self._renew_at = None if identity.renew_after is None else self._clock() + identity.renew_after


async def load_credentials(
    kubeconfig: Path | str | None = None,
    context: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> Credentials:
    """The login of this process.

    In this order, as Kubernetes' own programs do: the kubeconfig that was named, those in ``$KUBECONFIG``, the
    account of the pod, ``~/.kube/config``.

    Args:
        kubeconfig: a path, or several as in ``$KUBECONFIG``.
        context: the context to use, if not the current one.
        environ: the environment; this process' own when None.

    Raises:
        CredentialsError: there is no login, or it cannot be used.
    """
    # Imported here: the library costs 0.2 s and 21 MB, and many commands do not need it.
    from troth.kube.kubeconfig import InCluster, Kubeconfig

    environ = os.environ if environ is None else environ
    source: IdentitySource
    if kubeconfig or environ.get("KUBECONFIG"):
        source = Kubeconfig(str(kubeconfig or environ["KUBECONFIG"]), context=context, environ=environ)
    elif environ.get("KUBERNETES_SERVICE_HOST") and context is None:
        source = InCluster(environ)
    else:
        home = Path(environ.get("HOME") or Path.home()) / ".kube" / "config"
        if not home.exists():
            raise CredentialsError(f"no cluster to talk to: set KUBECONFIG or write {home}")
        source = Kubeconfig(str(home), context=context, environ=environ)
    return Credentials(source, await source.load())


async def from_kubeconfig_dict(
    config: Mapping[str, Any], *, context: str | None = None, trusted: bool = False
) -> Credentials:
    """The login that a kubeconfig document describes, such as one from a Secret.

    Unless it is ``trusted``, it may not name files or programs of this machine, nor switch verification off.
    Raises CredentialsError.
    """
    from troth.kube.kubeconfig import Kubeconfig

    source = Kubeconfig(config, context=context, environ=os.environ if trusted else {}, trusted=trusted)
    return Credentials(source, await source.load())


def _tls(identity: Identity) -> tuple[object, ...]:
    return identity.server, identity.verify, identity.authority, identity.certificate, identity.key


def _ssl_context(identity: Identity) -> ssl.SSLContext | None:
    if not identity.server.startswith("https:"):
        return None
    try:
        context = ssl.create_default_context(cadata=identity.authority.decode() if identity.authority else None)
        # Python 3.13 checks more of a certificate than Go does, and many clusters' authorities do not pass that.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not identity.verify:
            logger.warning(
                "the certificate of %s is not verified: its kubeconfig says so", without_login(identity.server)
            )
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if identity.certificate and identity.key:
            use_certificate(context, identity.certificate, identity.key)
    except (ssl.SSLError, ValueError) as error:
        raise CredentialsError(
            f"a certificate for {without_login(identity.server)} cannot be used: {error}"
        ) from error
    return context


def use_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Has a client or a server identify itself with a certificate and its key, both in PEM.

    Raises:
        ssl.SSLError: they cannot be read, or do not belong together.
        ValueError: the key is encrypted.
    """
    with _as_file(certificate + b"\n" + key) as path:
        context.load_cert_chain(path, password=_no_password)


def _no_password() -> str:
    raise ValueError("its key is encrypted")  # otherwise OpenSSL would ask on the terminal


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path to the content, because OpenSSL reads keys from files only; in memory where that is possible."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("troth-key", os.MFD_CLOEXEC), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(prefix="troth-key-") as file:
            file.write(content)
            file.flush()
            yield file.name
