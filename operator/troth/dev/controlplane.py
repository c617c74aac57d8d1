"""A Kubernetes control plane on one's own machine: etcd and kube-apiserver, without Docker and without root.

It is the real API server: validation, defaulting, server-side apply, watches, RBAC, audit. There are no nodes and
no kube-controller-manager, so Pods never run, objects are not deleted together with their owners, service accounts do
not get tokens by themselves (use TokenRequest), and a deleted namespace stays until `finish_namespace`.

* etcd only listens on a Unix socket inside the private data folder, because it does not have users: everybody who can
  connect to it owns the cluster.
* The API server's port stays reserved from before it starts until it has ended (by a bound socket that never listens,
  with SO_REUSEPORT on both sides), so that no other process can take it meanwhile.
* Both run under `lifeline.py`: when this process is gone, they are ended, and the data folder is removed.
* They are stopped with SIGKILL, since a polite stop of the API server takes 10 s, and its data is thrown away. A data
  folder that is kept survives this, because the kernel still writes what the programs have written.

Everything is synchronous. The asynchronous context manager runs it in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from troth.certificates import Authority, KeyPair, new_key
from troth.dev.apiserver import ApiServer
from troth.dev.audit import AUDIT_POLICY, AuditLog
from troth.dev.binaries import Binaries, find_binaries
from troth.dev.errors import CommandFailed, DevError
from troth.dev.kubeconfig import kubeconfig, write_private
from troth.dev.processes import Supervised, wait_until
from troth.dev.shipped import shipped_folder

_SOCKET_PATH_LIMIT = 100  # of the kernel: 108 on Linux, 104 on macOS, with the closing zero
_START_TIMEOUT = 90.0
_LOOK_AGAIN = 0.1
_SERVICE_ACCOUNT = re.compile(r"^system:serviceaccount:([a-z0-9-]+):[a-z0-9.-]+$")


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and the output of a command that has ended."""

    code: int
    stdout: str
    stderr: str


class ControlPlane:
    """One control plane. It is a synchronous and an asynchronous context manager.

    Args:
        binaries: the programs; found, downloaded or built by `find_binaries` when absent.
        folder: the private folder for its data, which is created if it does not exist; a temporary folder when absent.
            If an earlier control plane has left its data here with ``keep``, this one continues with them.
        keep: whether to leave the folder at the end. Otherwise it is removed, even when this process is killed.

    Attributes:
        folder: the folder with its data, its logs and its kubeconfig. It is set by `start`, as are the following.
        kubeconfig: a kubeconfig of an administrator (group ``system:masters``).
        url: the URL of the API server.
        sockets: the private folder of etcd's sockets.
        audit_log: a file with one JSON line for each request that was answered (level Metadata); see `AuditLog`.
    """

    folder: Path
    kubeconfig: Path
    url: str
    audit_log: Path
    sockets: Path

    def __init__(
        self, *, binaries: Binaries | None = None, folder: Path | None = None, keep: bool = False
    ) -> None:
        self._binaries = binaries
        self._wanted_folder = folder
        self._keep = keep
        self._processes: list[Supervised] = []
        self._reservation: socket.socket | None = None

    def start(self) -> None:
        """Start the control plane and wait until it serves requests.

        Raises:
            BinariesUnavailable: the programs can neither be found, downloaded nor built.
            ProcessFailed: one of them did not start; the message contains the end of its log.
        """
        binaries = self._binaries or find_binaries()
        self._binaries = binaries
        self.folder = self._make_folder()
        try:
            self._start(binaries)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything and remove what is not to be kept. This may be called twice."""
        while self._processes:
            self._processes.pop().kill()
        if self._reservation is not None:
            self._reservation.close()
            self._reservation = None
        if hasattr(self, "sockets"):
            shutil.rmtree(self.sockets, ignore_errors=True)
        if not self._keep and hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def check(self) -> None:
        """Raises ProcessFailed when one of the programs has ended."""
        for process in self._processes:
            process.check()

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig with a client certificate of this user, such as ``system:serviceaccount:troth:troth``.

        A service account gets the groups that its tokens would have. The user does not have to exist; RBAC decides
        what it may do. User names have at most 64 characters.
        """
        if match := _SERVICE_ACCOUNT.match(user):
            groups = ["system:serviceaccounts", f"system:serviceaccounts:{match[1]}", *groups]
        name = re.sub(r"[^A-Za-z0-9.-]", "_", user)
        pair = self._authority.client(user, groups)
        return write_private(self.folder / f"{name}.kubeconfig", self._kubeconfig(pair))

    def kubectl(
        self,
        *arguments: str | Path,
        input: str | bytes | None = None,  # noqa: A002 -- as subprocess.run has it
        kubeconfig: Path | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> CommandResult:
        """Run kubectl, as an administrator unless another kubeconfig is given.

        Args:
            arguments: the arguments after ``kubectl``.
            input: its standard input.
            kubeconfig: the kubeconfig of another user.
            check: whether to raise an exception when its exit code is not 0.
            timeout: after how many seconds it is killed.

        Raises:
            CommandFailed: its exit code was not 0, or it did not end in time.
        """
        command = ["kubectl", *map(str, arguments)]
        environment = self.environment(kubeconfig)
        data = input.encode() if isinstance(input, str) else input
        try:
            done = subprocess.run(
                [self.binaries.kubectl, *command[1:]],
                input=data if data is not None else b"",
                capture_output=True,
                env=environment,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(" ".join(command[:3]), -1, f"still running after {timeout:.0f} s") from error
        result = CommandResult(done.returncode, done.stdout.decode(), done.stderr.decode())
        if check and result.code != 0:
            raise CommandFailed(" ".join(command[:3]), result.code, result.stderr or result.stdout)
        return result

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """This process's environment, with KUBECONFIG set and kubectl's folder first in PATH.

        kubectl's cache is in the data folder, since the next control plane may get the same port. The user's own
        defaults for kubectl are not used.
        """
        return {
            **os.environ,
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
            "PATH": os.pathsep.join((str(self.binaries.kubectl.parent), os.environ.get("PATH", os.defpath))),
            "NO_PROXY": "127.0.0.1",
            "KUBECACHEDIR": str(self.folder / "kubectl-cache"),
            "KUBECTL_KUBERC": "false",
        }

    def apply_crds(self, folder: Path | None = None, *, timeout: float = 30) -> None:
        """Apply the CustomResourceDefinitions of Troth (or of another folder) and wait until they are served."""
        source = folder or crds_folder()
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename", source, timeout=timeout)
        self.wait_established("--filename", source, timeout=timeout)

    def wait_established(self, *what: str | Path, timeout: float = 30) -> None:
        """Wait until CustomResourceDefinitions are established, which ``kubectl wait`` is told as ``what``.

        Raises:
            CommandFailed: they are not after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            left = max(1.0, deadline - time.monotonic())
            # It fails at once for a definition that is so new that it does not have any conditions.
            done = self.kubectl(
                *("wait", "--for=condition=Established", f"--timeout={left:.0f}s", *what),
                check=False,
                timeout=left + 5,
            )
            if done.code == 0:
                return
            if time.monotonic() >= deadline:
                raise CommandFailed("kubectl wait --for=condition=Established", done.code, done.stderr)
            time.sleep(_LOOK_AGAIN)

    def finish_namespace(
        self,
        name: str,
        *,
        strip_finalizers: bool = False,
        timeout: float = 30,
        collections: Sequence[str] | None = None,
    ) -> None:
        """Delete a namespace with everything in it, as kube-controller-manager would.

        Args:
            name: the name of the namespace. Nothing happens if it does not exist.
            strip_finalizers: remove the finalizers from the objects in it, because nobody is there any more to do so.
                Otherwise this waits until their controllers have removed them.
            timeout: the deadline in seconds.
            collections: the URL paths of the collections that are not empty, if they are known. Otherwise about a
                hundred collections have to be checked.

        Raises:
            DevError: something in it still exists after ``timeout`` seconds.
        """
        with self.api.connected():
            path = f"/api/v1/namespaces/{name}"
            status, _ = self.api.request("DELETE", path)
            if status == 404:
                return
            deadline = time.monotonic() + timeout
            left = self.api.deletable_collections(name) if collections is None else collections
            while left := [collection for collection in left if not self.api.is_empty(collection)]:
                if time.monotonic() > deadline:
                    raise DevError(f"namespace {name} still holds objects: {', '.join(left)}")
                if strip_finalizers:
                    for collection in left:
                        self.api.strip_finalizers(collection)
                time.sleep(0.05)
            _, namespace = self.api.request("GET", path)
            if namespace.get("kind") == "Namespace":
                namespace["spec"]["finalizers"] = []
                self.api.request("PUT", f"{path}/finalize", namespace)

    def settle_audit_log(self, *, timeout: float = 10) -> None:
        """Wait until every request that has been answered is in the audit log, which is a moment later.

        Raises:
            DevError: the log has not grown in time.
        """
        marker = f"troth-dev-{uuid.uuid4().hex}"
        log = AuditLog(self.audit_log)
        self.api.request("GET", f"/version?{marker}")
        deadline = time.monotonic() + timeout
        while not any(marker in entry.uri for entry in log.read()):
            if time.monotonic() > deadline:
                raise DevError(f"{self.audit_log} has not grown for {timeout:.0f} s")
            time.sleep(0.005)

    @property
    def binaries(self) -> Binaries:
        """The programs of this control plane."""
        if self._binaries is None:
            raise DevError("the control plane has not been started")
        return self._binaries

    @property
    def pids(self) -> Mapping[str, int]:
        """The process ids of etcd and kube-apiserver, for measuring them."""
        return {process.name: process.pid for process in self._processes}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _make_folder(self) -> Path:
        if self._wanted_folder is None:
            return Path(tempfile.mkdtemp(prefix="troth-dev-"))
        self._wanted_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._wanted_folder.chmod(0o700)
        return self._wanted_folder.resolve()

    def _start(self, binaries: Binaries) -> None:
        self.audit_log = self.folder / "audit.log"
        self._authority = self._load_authority()
        port = self._reserve_port()
        self.url = f"https://127.0.0.1:{port}"
        serving = self._write_pair(
            "apiserver", self._authority.server(["localhost", "127.0.0.1", "kubernetes.default.svc", "10.96.0.1"])
        )
        admin = self._authority.client("troth-dev-admin", ["system:masters"])
        admin_files = self._write_pair("admin", admin)
        self.kubeconfig = write_private(self.folder / "kubeconfig", self._kubeconfig(admin))
        self.api = ApiServer(
            port=port, authority=self._authority.pair.certificate, certificate=admin_files[0], key=admin_files[1]
        )
        self.sockets = self._socket_folder()
        remove = [self.sockets] if self._keep else [self.sockets, self.folder]
        # Variables like ETCD_NAME would be read as flags.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
        etcd = Supervised(
            "etcd",
            self._etcd(binaries),
            log=self.folder / "etcd.log",
            environment=environment,
            remove=remove,
        )
        self._processes.append(etcd)
        with contextlib.suppress(FileNotFoundError):
            self.audit_log.unlink()
        server = Supervised(
            "kube-apiserver",
            self._kube_apiserver(binaries, port, serving),
            log=self.folder / "kube-apiserver.log",
        )
        self._processes.append(server)
        wait_until(self.api.ready, processes=self._processes, what="ready", timeout=_START_TIMEOUT)

    def _etcd(self, binaries: Binaries) -> list[str | Path]:
        # A single member does not have peers, so the addresses that it would announce to them are placeholders.
        nobody = "http://localhost:1"
        return [
            binaries.etcd,
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls=unix://{self.sockets / 'client'}",
            f"--advertise-client-urls={nobody}",
            f"--listen-peer-urls=unix://{self.sockets / 'peer'}",
            f"--initial-advertise-peer-urls={nobody}",
            f"--initial-cluster=default={nobody}",
            "--quota-backend-bytes=4294967296",
            "--log-level=warn",
        ]

    def _kube_apiserver(self, binaries: Binaries, port: int, serving: tuple[Path, Path]) -> list[str | Path]:
        policy = write_private(self.folder / "audit-policy.yaml", AUDIT_POLICY)
        token_key = self.folder / "service-account.key"
        if not token_key.exists():
            write_private(token_key, new_key())
        certificate, key = serving
        return [
            binaries.kube_apiserver,
            f"--etcd-servers=unix://{self.sockets / 'client'}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            "--permit-port-sharing",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.folder / 'ca.crt'}",
            f"--service-account-key-file={token_key}",
            f"--service-account-signing-key-file={token_key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            # The plug-in would refuse Pods until kube-controller-manager has made the namespace's default account.
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=1000000",
        ]

    def _load_authority(self) -> Authority:
        certificate, key = self.folder / "ca.crt", self.folder / "ca.key"
        if key.exists() and certificate.exists():
            return Authority(KeyPair(certificate.read_bytes(), key.read_bytes()))
        authority = Authority.create("troth-dev")
        self._write_pair("ca", authority.pair)
        return authority

    def _write_pair(self, name: str, pair: KeyPair) -> tuple[Path, Path]:
        certificate = write_private(self.folder / f"{name}.crt", pair.certificate)
        return certificate, write_private(self.folder / f"{name}.key", pair.key)

    def _kubeconfig(self, user: KeyPair) -> str:
        return kubeconfig(server=self.url, authority=self._authority.pair.certificate, user=user)

    def _reserve_port(self) -> int:
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reservation.bind(("127.0.0.1", 0))
        port: int = self._reservation.getsockname()[1]
        return port

    def _socket_folder(self) -> Path:
        """The folder of etcd's sockets: in the data folder, unless its path is too long for the kernel."""
        folder = self.folder / "s"
        if len(os.fsencode(folder / "client")) <= _SOCKET_PATH_LIMIT:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            return folder
        return Path(tempfile.mkdtemp(prefix="troth-etcd-"))


def crds_folder() -> Path:
    """The folder with the CustomResourceDefinitions of Troth."""
    return shipped_folder("crds")
