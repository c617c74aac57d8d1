"""A real sshd on the loopback address for Git over ssh. It runs as the user who runs the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType


def find_sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


class SshServer:
    """Accepts one key, for the current user. A Secret would have ``known_hosts`` and ``private_key``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.user = getpass.getuser()
        folder.mkdir(mode=0o700)
        for name in ("host", "client", "other"):
            self._make_key(name)
        (folder / "authorized_keys").write_text((folder / "client.pub").read_text())

    def _make_key(self, name: str) -> None:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self._folder / name)], check=True
        )

    @property
    def private_key(self) -> str:
        return (self._folder / "client").read_text()

    @property
    def other_key(self) -> str:
        """A key that is not accepted."""
        return (self._folder / "other").read_text()

    @property
    def known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {(self._folder / 'host.pub').read_text()}"

    @property
    def wrong_known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {(self._folder / 'other.pub').read_text()}"

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"

    def __enter__(self) -> SshServer:
        if os.geteuid() == 0:  # as root, sshd needs this empty folder
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for _ in range(5):
            if self._start():
                return self
        raise RuntimeError(f"sshd did not start: {(self._folder / 'log').read_text()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def _start(self) -> bool:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = self._folder / "config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\n"
            f"HostKey {self._folder / 'host'}\n"
            f"AuthorizedKeysFile {self._folder / 'authorized_keys'}\n"
            "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            "PermitRootLogin prohibit-password\nMaxStartups 100\n"
        )
        self._process = subprocess.Popen(
            [str(find_sshd()), "-D", "-f", str(config), "-E", str(self._folder / "log")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.02)
        self._process.kill()
        self._process.wait()
        return False
