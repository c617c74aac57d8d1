"""A Git server on an address of this machine: the real ``git http-backend`` behind Python's own HTTP server.

It is for the demo, the tests and the benchmarks. Git itself answers, so pushes are accepted, refused and recorded
exactly as on a real server; only the HTTP around it is ours: basic authentication, chunked bodies, and TLS if it is
wanted. It runs in threads, so that it works with and without an event loop, and is ended by one call of `stop`.

It is only for this machine and what runs on it: it listens on 127.0.0.1, or on the one address that it is given, and
knows one user.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final
from urllib.parse import quote, unquote

from troth.surroundings import absolute_path

_CHUNK: Final = 1 << 16
_BOT: Final = {"name": "Troth", "email": "troth@localhost"}


class GitServer:
    """Serves every repository in a folder as ``http(s)://HOST:PORT/<name>.git``.

    Args of the constructor: ``root`` is made if it is missing. If there is a ``username``, every request must have it
    and the password. ``host`` is the address on which it listens. The ``port`` 0 stands for a free one. ``tls`` makes
    it https. It is a context manager, which starts the server and stops it at the end.
    """

    def __init__(
        self,
        root: Path,
        *,
        username: str = "",
        password: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.root = root
        self._username = username
        self._password = password
        self._host = host
        self._port = port
        self._tls = tls
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen. Returns when connections are accepted; raises OSError when the port is taken."""
        self.root.mkdir(parents=True, exist_ok=True)
        server = _Server((self._host, self._port), _Handler)
        server.git_root = self.root.resolve()
        server.expected = _basic(self._username, self._password) if self._username else ""
        if self._tls is not None:
            server.socket = self._tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="git server", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and end what is being served. This may be called twice."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.end_programs()
        if thread is not None:
            thread.join(timeout=10)

    @property
    def port(self) -> int:
        """The port on which it listens; raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the Git server is not started")
        return self._server.server_address[1]

    def url(self, name: str) -> str:
        """The address of a repository, without credentials."""
        scheme = "https" if self._tls is not None else "http"
        return f"{scheme}://{self._host}:{self.port}/{quote(name)}.git"

    def create_repository(
        self, name: str, *, branch: str = "main", files: Mapping[str, bytes] | None = None
    ) -> Path:
        """Make a bare repository that accepts pushes, with an initial commit on the branch. This blocks."""
        path = self.root / f"{name}.git"
        create_repository(path, branch=branch, files=files)
        return path

    def __enter__(self) -> GitServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def create_repository(path: Path, *, branch: str = "main", files: Mapping[str, bytes] | None = None) -> None:
    """Make a bare repository whose branch has one commit with these files (a README when None). This blocks."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", ".")
    # no housekeeping in the background, which would outlive the server and disturb measurements
    for setting in ("http.receivepack=true", "receive.autogc=false", "gc.auto=0", "core.fsync=none"):
        git(path, "config", *setting.split("=", 1))
    content = files if files is not None else {"README.md": b"# State of the destinations\n"}
    who = "{name} <{email}> {when} +0000".format(**_BOT, when=int(time.time()))
    parts = [f"commit refs/heads/{branch}\nauthor {who}\ncommitter {who}\ndata 15\nInitial commit\n\n".encode()]
    for name, data in content.items():
        parts += [f'M 100644 inline "{name}"\ndata {len(data)}\n'.encode(), data, b"\n"]
    git(path, "fast-import", "--quiet", "--date-format=raw", stdin=b"".join(parts))


def git(folder: Path, *arguments: str, stdin: bytes | None = None) -> bytes:
    """Run git in a folder with a neutral identity and without the user's configuration; raises CalledProcessError."""
    completed = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=_environment(),
        input=stdin,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return completed.stdout


def _environment() -> dict[str, str]:
    return {
        "PATH": absolute_path(os.environ.get("PATH", os.defpath)),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": _BOT["name"],
        "GIT_AUTHOR_EMAIL": _BOT["email"],
        "GIT_COMMITTER_NAME": _BOT["name"],
        "GIT_COMMITTER_EMAIL": _BOT["email"],
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    git_root: Path
    expected: str

    def __init__(self, *arguments: Any) -> None:
        self._programs: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()
        super().__init__(*arguments)

    @contextlib.contextmanager
    def program(self, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        """A running http-backend, which is ended at the end of the block, or when the server stops."""
        process = subprocess.Popen(
            ["git", "http-backend"],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with self._guard:
            self._programs.add(process)
        try:
            with process:
                try:
                    yield process
                finally:
                    if process.poll() is None and process.stdout is not None and not process.stdout.closed:
                        process.stdout.close()
        finally:
            with self._guard:
                self._programs.discard(process)

    def end_programs(self) -> None:
        """Kill what is still being served."""
        with self._guard:
            running = list(self._programs)
        for process in running:
            process.kill()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not print anything: in tests, clients go away in the middle on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        """Answer a request for the list of refs, or for a file of the dumb protocol."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a fetch or a push."""
        self._serve()

    def log_message(self, *_: Any) -> None:
        """Do not log anything."""

    def _serve(self) -> None:
        expected = self.server.expected
        if expected and not hmac.compare_digest(self.headers.get("Authorization", ""), expected):
            self._refuse()
            return
        path, _, query = self.path.partition("?")
        environment = {
            **_environment(),
            "GIT_PROJECT_ROOT": str(self.server.git_root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": unquote(path),
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "REMOTE_USER": "git",
            "REMOTE_ADDR": str(self.client_address[0]),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        if not chunked:
            environment["CONTENT_LENGTH"] = self.headers.get("Content-Length", "0")
        with self.server.program(environment) as process:
            assert process.stdin is not None  # noqa: S101 - it was asked for
            assert process.stdout is not None  # noqa: S101
            # git may refuse a push before it has read everything, so a broken pipe is not a failure
            try:
                for piece in self._chunks() if chunked else self._body():
                    process.stdin.write(piece)
            except BrokenPipeError:
                self.close_connection = True
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            self._answer(process.stdout)

    def _body(self) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length", "0"))
        while left > 0:
            piece = self.rfile.read(min(_CHUNK, left))
            if not piece:
                raise ConnectionError("the client went away")
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _answer(self, output: IO[bytes]) -> None:
        status, headers = 200, []
        while line := output.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value.strip()))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := output.read1(_CHUNK):  # type: ignore[attr-defined]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _refuse(self) -> None:
        self.close_connection = True
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
