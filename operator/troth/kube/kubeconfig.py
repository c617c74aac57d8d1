"""Reads where the API server is and how to log in, from a kubeconfig or from the account of a pod.

`kubernetes.aio.config` does the reading (tokens, OpenID Connect). Four things that it lacks are added here. Files are
merged and checked in `kubeconfig_files`. Inline keys are not written to temporary files. Plugins run with a deadline
and have clear errors (`exec_plugin`). And a kubeconfig from a Secret may not name files or programs of this machine:
otherwise anybody who may write that Secret could read the operator's files or run any program as the operator.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.incluster_config import InClusterConfigLoader
from kubernetes.aio.config.kube_config import ConfigNode, KubeConfigLoader

from troth.kube.errors import CredentialsError
from troth.kube.exec_plugin import ExecCredential, run_exec_plugin
from troth.kube.kubeconfig_files import (
    check_kubeconfig,
    check_server,
    current_context,
    entry_named,
    is_address,
    read_files,
)

ACCOUNT_FOLDER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_ROTATION = 60.0
_PART_OF_LIFE = 0.8
_DEADLINE = 90.0
_USER_FILES = ("client-certificate", "client-key", "tokenFile", "token-file")
_USER_PROGRAMS = ("exec", "auth-provider")


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A server and the credentials for it. It holds secrets, and is never printed.

    Attributes:
        server: URL of the API server.
        server_name: the name to expect in its certificate, if not the URL's host.
        proxy: URL of a proxy in between.
        verify: whether to check the server's certificate.
        authority: PEM of the authorities that may sign that certificate; None for those that the system trusts.
        certificate: PEM of the client's certificate.
        key: PEM of its key.
        authorization: the value of the Authorization header.
        renew_after: seconds after which to read all this again; None to do so only when the server refuses it.
    """

    server: str
    server_name: str | None = None
    proxy: str | None = None
    verify: bool = True
    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    authorization: str | None = None
    renew_after: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class _Chosen:
    """The cluster and the user of a kubeconfig's context. Their PEM data is taken out of ``config``."""

    config: ConfigNode
    context: str
    cluster: dict[str, Any]
    user: dict[str, Any]
    folder: Path
    authority: bytes | None
    certificate: bytes | None
    key: bytes | None


class InCluster:
    """The account that Kubernetes mounts into a pod; its token is rotated, so it is read again every minute."""

    def __init__(self, environ: Mapping[str, str], folder: Path = ACCOUNT_FOLDER) -> None:
        self._environ = environ
        self._folder = folder

    async def load(self) -> Identity:
        """Reads the mounted account. Raises CredentialsError."""
        configuration = Configuration()
        token, authority = self._folder / "token", self._folder / "ca.crt"
        try:
            InClusterConfigLoader(
                str(token), str(authority), try_refresh_token=False, environ=self._environ
            ).load_and_set(configuration)
            return Identity(
                server=configuration.host,
                authority=authority.read_bytes(),
                authorization=configuration.api_key["BearerToken"].strip(),
                renew_after=_ROTATION,
            )
        except (ConfigException, OSError) as error:
            raise CredentialsError(
                f"the account of this pod cannot be read from {self._folder}: {error}"
            ) from error


class Kubeconfig:
    """A kubeconfig: files, as in ``$KUBECONFIG``, or a document."""

    def __init__(
        self,
        source: str | Mapping[str, Any],
        *,
        context: str | None = None,
        environ: Mapping[str, str],
        trusted: bool = True,
    ) -> None:
        """Reads nothing yet.

        Args:
            source: paths, separated as in ``$KUBECONFIG``, or the document itself.
            context: the context to use, if not the current one.
            environ: the environment that plugins inherit.
            trusted: whether it may name files and programs of this machine, and switch verification off.
        """
        self._source = source
        self._context = context
        self._environ = environ
        self._trusted = trusted
        self._loader: _Loader | None = None

    async def load(self) -> Identity:
        """Reads the kubeconfig, and logs in where that is needed. Raises CredentialsError."""
        try:
            async with asyncio.timeout(_DEADLINE):
                return await self._load()
        except TimeoutError:
            raise CredentialsError(f"{self._name}: no login within {_DEADLINE:g} s") from None
        except OSError as error:
            if not self._trusted:
                raise self._unfit() from None
            named = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
            raise CredentialsError(f"{self._name} names a file that cannot be read: {named}") from error

    def _unfit(self) -> CredentialsError:
        """Returns an error in our own words: the library's quote what it could not read, which came from a Secret."""
        return CredentialsError(
            f"{self._name} cannot be used: a field of its user or its cluster is not what kubectl reads"
        )

    @property
    def _name(self) -> str:
        return f"the kubeconfig {self._source}" if isinstance(self._source, str) else "the kubeconfig"

    async def _load(self) -> Identity:
        chosen = await asyncio.to_thread(self._choose)
        cluster, user = chosen.cluster, chosen.user
        info = _cluster_info(cluster, chosen.authority)
        configuration, given = await self._log_in(chosen, info)
        authorization = (configuration.api_key.get("BearerToken") or "").strip() or None
        self._require_safe(cluster["server"], authorization)
        return Identity(
            server=cluster["server"].rstrip("/"),
            server_name=cluster.get("tls-server-name"),
            proxy=cluster.get("proxy-url"),
            verify=not cluster.get("insecure-skip-tls-verify"),
            authority=chosen.authority,
            certificate=given.certificate if given and given.certificate else chosen.certificate,
            key=given.key if given and given.key else chosen.key,
            authorization=authorization,
            renew_after=_renewal(user, given),
        )

    async def _log_in(
        self, chosen: _Chosen, info: Mapping[str, Any]
    ) -> tuple[Configuration, ExecCredential | None]:
        """Has the library log in; answers what it found, and what a plugin gave. ``info`` is what a plugin is told."""
        configuration = Configuration()
        try:
            loader = self._loader
            if loader is None:
                loader = _Loader(
                    config_dict=chosen.config, active_context=chosen.context, config_base_path=str(chosen.folder)
                )
                loader.set_plugin(chosen.user.get("exec"), chosen.folder, info, self._environ)
            await loader.load_and_set(configuration)
        except (ConfigException, ValueError, LookupError, TypeError, AttributeError) as error:
            # All of these the library raises for a token or a section that it cannot read.
            if not self._trusted:
                raise self._unfit() from None
            raise CredentialsError(f"{self._name} cannot be used: {error}") from error
        if "auth-provider" in chosen.user:
            self._loader = loader  # it holds the newest refresh token, which is not written back to the file
        return configuration, loader.given

    def _require_safe(self, server: str, authorization: str | None) -> None:
        if authorization is None:
            return
        if not (authorization.isascii() and authorization.isprintable()):
            raise CredentialsError(f"{self._name}: its token holds a character that no HTTP header may have")
        if not self._trusted and urlsplit(server).scheme == "http" and not _is_loopback(server):
            raise CredentialsError(
                f"{self._name}: its token or password would travel unencrypted over http: write https in its server"
            )

    def _choose(self) -> _Chosen:
        config = self._read()
        said, quote = self._name, self._trusted
        name = self._context or current_context(config, said, quote=quote)
        context = entry_named(config, "contexts", name, said, quote=quote).value["context"]
        if not context.get("cluster"):
            raise CredentialsError(f"{said}: its context{f' {name!r}' if quote else ''} does not name a cluster")
        why = f", which its context {name!r} names"
        cluster_node = entry_named(config, "clusters", context["cluster"], said, why=why, quote=quote)
        cluster = cluster_node.value["cluster"]
        check_server(cluster.get("server"), context["cluster"], said, quote=quote)
        if cluster.get("proxy-url") and not is_address(cluster["proxy-url"]):
            raise CredentialsError(f"{said}: its proxy-url is not an address: write http://HOST:PORT")
        user_name = context.get("user")
        user_node = entry_named(config, "users", user_name, said, why=why, quote=quote) if user_name else None
        user = (user_node.value.get("user") or {}) if user_node is not None else {}
        if not self._trusted:
            _refuse_local(cluster, user)
        folder = _folder(user_node.path) if user_node is not None else Path.cwd()
        return _Chosen(
            config=config,
            context=name,
            cluster=cluster,
            user=user,
            folder=folder,
            authority=_take(cluster, "certificate-authority", _folder(cluster_node.path)),
            certificate=_take(user, "client-certificate", folder),
            key=_take(user, "client-key", folder),
        )

    def _read(self) -> ConfigNode:
        if isinstance(self._source, str):
            return read_files(self._source)
        check_kubeconfig(self._source, self._name, quote=self._trusted)
        return ConfigNode("kubeconfig", deepcopy(dict(self._source)))


class _Loader(KubeConfigLoader):  # type: ignore[misc]
    """The library's loader, with our way to run plugins."""

    given: ExecCredential | None = None

    def set_plugin(
        self,
        section: Mapping[str, Any] | None,
        folder: Path,
        cluster: Mapping[str, Any],
        environ: Mapping[str, str],
    ) -> None:
        self._plugin = (section, folder, cluster, environ)

    async def load_from_exec_plugin(self) -> bool:
        section, folder, cluster, environ = self._plugin
        self.given = await run_exec_plugin(section or {}, folder=folder, cluster=cluster, environ=environ)
        if self.given.token:
            self.token = f"Bearer {self.given.token}"
        return True


def _is_loopback(server: str) -> bool:
    host = urlsplit(server).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _folder(path: str | None) -> Path:
    return Path(path).absolute().parent if path else Path.cwd()


def _take(section: dict[str, Any], name: str, folder: Path) -> bytes | None:
    """Takes PEM data out of a section, inline or from its file, so that the library does not see it."""
    inline, file = section.pop(f"{name}-data", None), section.pop(name, None)
    if inline:
        try:
            return base64.b64decode("".join(inline.split()), validate=True)
        except (binascii.Error, ValueError):
            raise CredentialsError(f"{name}-data of the kubeconfig is not base64") from None
    try:
        return folder.joinpath(file).read_bytes() if file else None
    except ValueError:  # it has a character that no path can have
        raise CredentialsError(f"{name} of the kubeconfig is not the path of a file") from None


def _refuse_local(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    for field in _USER_PROGRAMS:
        if field in user:
            raise CredentialsError(f"a kubeconfig from a Secret must not run programs: leave out {field!r}")
    for section, fields in ((user, _USER_FILES), (cluster, ("certificate-authority",))):
        for field in fields:
            if field in section:
                raise CredentialsError(
                    f"a kubeconfig from a Secret must not name files: put the content of {field!r} into it"
                )
    if cluster.get("insecure-skip-tls-verify"):
        raise CredentialsError("a kubeconfig from a Secret must not switch off TLS verification")


def _cluster_info(cluster: Mapping[str, Any], authority: bytes | None) -> dict[str, Any]:
    info = {name: cluster[name] for name in ("server", "tls-server-name", "proxy-url") if name in cluster}
    if cluster.get("insecure-skip-tls-verify"):
        info["insecure-skip-tls-verify"] = True
    if authority:
        info["certificate-authority-data"] = base64.b64encode(authority).decode()
    for extension in cluster.get("extensions") or ():
        if extension.get("name") == "client.authentication.k8s.io/exec":
            info["config"] = extension.get("extension")
    return info


def _renewal(user: Mapping[str, Any], given: ExecCredential | None) -> float | None:
    if given is not None:
        if given.expires is None:
            return None
        expires = given.expires if given.expires.tzinfo else given.expires.replace(tzinfo=UTC)
        return max(1.0, (expires - datetime.now(UTC)).total_seconds() * _PART_OF_LIFE)
    return _ROTATION if "tokenFile" in user or "auth-provider" in user else None
