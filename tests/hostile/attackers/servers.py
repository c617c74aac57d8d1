"""Attackers who push to the repository of a store, or run a Git server."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import AsyncGenerator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from tests.hostile.attackers import SETTING_UP, Attack, Ground, edit, flood
from tests.platforms import Repository, destination, git_store, promise
from troth.api.resources import DESTINATION, GIT_STATE_STORE
from troth.dev.git_server import git

MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
RECORDS = (
    "files: [2024-99-99]\n",
    "files: " + "[" * 100_000,
    "files: !!int x\n",
    "files: &a [*a]\n",
    MERGE_BOMB,
    "files: [README.md, ../../x, clusters/flux-system/gotk-sync.yaml]\n",
    "files: [" + "x, " * 200_000 + "x]\n",
    "\x00" * (32 << 20),
)
_HALF_A_PACK = b"001e# service=git-upload-pack\n0000ffffnot what was announced"
_WORDS = b"\x1b[2J\x1b]0;owned\x07 fatal: " + b"A" * 100_000
_PATIENCE = 60.0


async def pushes_of_hostile_records(ground: Ground) -> AsyncGenerator[None, None]:
    """Pushes commits that replace the record of the mode ``none`` and Troth's own files, and that contain links."""
    template = {"path": "{{ name }}.yaml", "template": "a: {{ spec.size }}\n"}
    corner = await ground.corner("pushed", files=[template], at={"filepath": {"mode": "none"}})
    await flood(ground.client, corner.name, corner.name, [{"size": "0"}] * 4)
    for number in range(4):
        await ground.platform.ready(corner.name, f"r{number}", corner.name, within=SETTING_UP)
    records = [path for path in await asyncio.to_thread(corner.repository.files) if ".kratix/" in path]
    yield
    for number in count():
        content = RECORDS[number % len(RECORDS)]
        await asyncio.to_thread(push, corner.repository, records[number % len(records)], content)
        await edit(ground.client, corner.name, corner.name, f"r{number % 4}", size=str(number))
        yield


def push(repository: Repository, path: str, content: str) -> None:
    """Pushes one file, and a link next to it, in a commit on top of main, whatever is there. This blocks."""
    parts = [
        "commit refs/heads/main\ncommitter stranger <s@example.com> now\ndata 1\nx\nfrom refs/heads/main^0\n",
        f"M 100644 inline {path}\ndata {len(content)}\n{content}\n",
        f"M 120000 inline {path}.link\ndata 11\n/etc/passwd\n",
    ]
    with contextlib.suppress(subprocess.CalledProcessError):  # Troth has pushed meanwhile; the next attack follows
        git(repository.path, "fast-import", "--quiet", "--date-format=now", stdin="".join(parts).encode())


# ---- servers


class _Handler(BaseHTTPRequestHandler):
    """Answers as the first part of the path says."""

    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE
    ended: threading.Event

    def do_GET(self) -> None:
        behave = self.path.split("/")[1]
        with contextlib.suppress(OSError):
            getattr(self, f"_{behave}")()
        self.close_connection = True

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass

    def _redirects(self) -> None:
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.2:1{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _hangs(self) -> None:
        self.ended.wait(_PATIENCE)

    def _trickles(self) -> None:
        self._begin(1 << 20)
        while not self.ended.wait(0.5):
            self.wfile.write(b"0")

    def _stutters(self) -> None:
        self._begin(len(_HALF_A_PACK))
        self.wfile.write(_HALF_A_PACK)

    def _shouts(self) -> None:
        self.send_response(500, "\x1b[31mowned")
        self.send_header("Content-Length", str(len(_WORDS)))
        self.end_headers()
        self.wfile.write(_WORDS)

    def _pours(self) -> None:
        self._begin(1 << 40)
        for _ in range(200):
            self.wfile.write(b"001e# service=git-upload-pack\n" * 3000)

    def _begin(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        self.send_header("Content-Length", str(length))
        self.end_headers()


BEHAVIOURS = ("redirects", "hangs", "trickles", "stutters", "shouts", "pours")


@contextlib.contextmanager
def hostile_server() -> Iterator[str]:
    """Runs a Git server that behaves as the first part of a path says, and yields its address."""
    ended = threading.Event()
    handler = type("Handler", (_Handler,), {"ended": ended})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


async def servers_that_misbehave(ground: Ground) -> AsyncGenerator[None, None]:
    """Makes a store and a Destination for each of them, and requests that are to be written to all of them."""
    name = await ground.namespace("served")
    with hostile_server() as address:
        for behaviour in BEHAVIOURS:
            place, url = f"{name}{behaviour}", f"{address}/{behaviour}/state.git"
            await ground.platform.make(GIT_STATE_STORE, git_store(place, url))
            await ground.platform.make(DESTINATION, destination(place, store=place, labels={"for": name}))
        await ground.platform.publish(promise(name), within=SETTING_UP)
        yield
        await flood(ground.client, name, name, [{"size": "0"}] * 5)
        for number in count():
            yield
            await edit(ground.client, name, name, f"r{number % 5}", size=str(number))


ATTACKS: tuple[Attack, ...] = (pushes_of_hostile_records, servers_that_misbehave)
