"""The programs are found, downloaded or built, in this order, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import re
import socket
import subprocess
import sys
import tarfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from troth.dev.binaries import (
    CONTROL_PLANE,
    HELM,
    KUBERNETES_VERSION,
    Archive,
    Binaries,
    build_once,
    find_binaries,
    find_helm,
)
from troth.dev.cache import this_platform
from troth.dev.errors import BinariesUnavailable
from troth.dev.progress import Progress

_PROGRAMS = ("etcd", "kube-apiserver", "kubectl")

# Stands in for Go: notes how it was called and writes what it was to build.
_FAKE_GO = """\
#!/bin/sh
echo "$PWD|$CGO_ENABLED|$GOFLAGS|${GOOS-none}|$*" >> "$GO_CALLS"
[ "$1" = env ] && { echo "${GO_VERSION-go1.26.8}"; exit 0; }
[ -n "${GO_FAILS-}" ] && { echo "go: downloading example.com/x v1.0.0" >&2; echo "$GO_FAILS" >&2; exit 1; }
[ -f go.mod ] && [ -f go.sum ] || exit 3
while [ $# -gt 0 ]; do [ "$1" = -o ] && { printf '#!/bin/sh\\n' > "$2"; chmod +x "$2"; }; shift; done
"""


def _archive(programs: tuple[str, ...] = _PROGRAMS, prefix: str = "controller-tools/envtest/") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in (*programs, "README.md"):
            content = f"#!/bin/sh\necho {name}\n".encode() * 2000
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _sha512(data: bytes) -> str:
    return base64.b64encode(hashlib.sha512(data).digest()).decode()


class Origin:
    """A web server that answers with ``body``, cut off after ``cut`` bytes."""

    def __init__(self) -> None:
        origin = self
        self.body = _archive()
        self.cut: int | None = None
        self.status = 200
        self.requests = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                origin.requests += 1
                self.send_response(origin.status)
                self.send_header("Content-Length", str(len(origin.body)))
                self.end_headers()
                self.wfile.write(origin.body[: origin.cut])

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/envtest.tar.gz"


@pytest.fixture
def origin() -> Iterator[Origin]:
    origin = Origin()
    thread = threading.Thread(target=origin.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield origin
    origin.server.shutdown()
    origin.server.server_close()
    thread.join()


@pytest.fixture
def go(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``go`` is the stand-in."""
    folder = tmp_path / "go-bin"
    folder.mkdir()
    (folder / "go").write_text(_FAKE_GO)
    (folder / "go").chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "GO_CALLS": str(tmp_path / "calls"), "GOOS": "plan9"}


class Finder:
    """Looks for the programs and keeps what was said."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.said = io.StringIO()

    def __call__(self, environment: dict[str, str], archive: Archive | None = None) -> Binaries:
        archives = {this_platform(): archive} if archive else {}
        return find_binaries(
            environment=environment, cache=self.cache, archives=archives, progress=Progress(self.said)
        )

    def leftovers(self) -> list[str]:
        return (
            [path.name for path in self.cache.iterdir() if path.suffix != ".lock"] if self.cache.exists() else []
        )


@pytest.fixture
def find(tmp_path: Path) -> Finder:
    return Finder(tmp_path / "cache")


@pytest.fixture
def nothing(tmp_path: Path) -> dict[str, str]:
    """An environment without Go."""
    (tmp_path / "empty").mkdir()
    return {"PATH": str(tmp_path / "empty")}


def _fill(folder: Path, programs: tuple[str, ...] = _PROGRAMS) -> Path:
    folder.mkdir(parents=True)
    for name in programs:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def test_kubebuilder_assets_come_first(tmp_path: Path, find: Finder, origin: Origin) -> None:
    folder = _fill(tmp_path / "assets")
    found = find({"KUBEBUILDER_ASSETS": str(folder)}, Archive(origin.url, _sha512(origin.body)))
    assert found == Binaries(folder / "etcd", folder / "kube-apiserver", folder / "kubectl")
    assert not find.leftovers()


def test_an_incomplete_kubebuilder_assets_is_named_and_passed_over(
    tmp_path: Path, find: Finder, go: dict[str, str]
) -> None:
    folder = _fill(tmp_path / "assets", ("etcd",))
    found = find({**go, "KUBEBUILDER_ASSETS": str(folder)})
    assert found.etcd.is_relative_to(find.cache)
    assert f"KUBEBUILDER_ASSETS={folder}: lacks kube-apiserver, kubectl" in find.said.getvalue()


def test_a_verified_download_is_unpacked_once_and_then_comes_from_the_cache(
    find: Finder, origin: Origin, nothing: dict[str, str]
) -> None:
    archive = Archive(origin.url, _sha512(origin.body))
    found = find(nothing, archive)
    assert subprocess.run([found.kubectl], capture_output=True, text=True, check=True).stdout.startswith("kubectl")
    assert sorted(path.name for path in found.etcd.parent.iterdir()) == sorted(_PROGRAMS)
    assert find(nothing, archive) == found
    assert origin.requests == 1


def _refused(origin: Origin) -> None:
    origin.status = 403


def _truncated(origin: Origin) -> None:
    origin.cut = len(origin.body) // 2


def _other(origin: Origin) -> None:
    origin.body = _archive(prefix="evil/")


def _incomplete(origin: Origin) -> None:
    origin.body = _archive(("etcd", "kubectl"))


def _no_archive(origin: Origin) -> None:
    origin.body = b"<html>log in to this network</html>"


@pytest.mark.parametrize(
    ("spoil", "promised", "reason"),
    [
        (_refused, None, "answered 403 Forbidden"),
        (_truncated, None, "the download of .* broke off|has another checksum"),
        (_other, _archive(), "has another checksum than the release"),
        (_incomplete, None, "lacks kube-apiserver"),
        (_no_archive, None, "cannot be unpacked"),
    ],
)
def test_a_bad_download_says_why_in_one_line_and_go_builds_instead(
    find: Finder,
    origin: Origin,
    go: dict[str, str],
    spoil: Callable[[Origin], None],
    promised: bytes | None,
    reason: str,
) -> None:
    spoil(origin)
    found = find(go, Archive(origin.url, _sha512(promised or origin.body)))
    assert found.etcd.read_text() == "#!/bin/sh\n"
    first, *_ = find.said.getvalue().splitlines()
    assert first.endswith("; building the control plane with Go instead")
    assert re.search(reason, first)


def test_an_unreachable_host_costs_little_and_go_builds_instead(find: Finder, go: dict[str, str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/envtest.tar.gz"
        find(go, Archive(url, ""))
    assert "is not reachable" in find.said.getvalue()


def test_go_builds_exactly_what_is_pinned_for_this_machine(
    tmp_path: Path, find: Finder, go: dict[str, str]
) -> None:
    found = find(go)
    calls = [line.split("|") for line in (tmp_path / "calls").read_text().splitlines()]
    builds = [call for call in calls if call[4].startswith("build")]
    assert [call[4].split()[-1] for call in builds] == [program.package for program in CONTROL_PLANE.programs]
    for folder, cgo, flags, system, arguments in builds:
        assert Path(folder) != CONTROL_PLANE.folder
        assert (cgo, flags, system) == ("0", "-mod=readonly -buildvcs=false", "none")
        assert "-trimpath" in arguments
        assert "gitVersion=v1.36.3" in arguments
    assert found.kube_apiserver.exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"GO_FAILS": "no space left on device"}, "go build: no space left on device"),
        ({"GO_VERSION": "go1.22.1", "GOTOOLCHAIN": "local"}, "Go 1.22 is older than 1.26, and GOTOOLCHAIN=local"),
    ],
)
def test_when_nothing_works_the_error_lists_what_was_tried(
    find: Finder, go: dict[str, str], change: dict[str, str], reason: str
) -> None:
    with pytest.raises(BinariesUnavailable) as caught:
        find({**go, **change, "KUBEBUILDER_ASSETS": "/nowhere"})
    message = str(caught.value)
    assert reason in message
    assert "KUBEBUILDER_ASSETS=/nowhere: lacks etcd" in message
    assert "none is published for" in message
    assert "Install Go" in message
    assert not find.leftovers()


def test_without_go_and_a_network_the_remedy_is_said(find: Finder, nothing: dict[str, str]) -> None:
    with pytest.raises(BinariesUnavailable, match="no `go` on PATH"):
        find(nothing)


def test_a_half_made_folder_is_never_used(find: Finder, go: dict[str, str]) -> None:
    target = find(go).etcd.parent
    (target / "kubectl").unlink()
    (target.parent / f"{target.name}.partial-dead").mkdir()
    assert find(go).kubectl.exists()
    assert find.leftovers() == [target.name]


def test_two_processes_at_once_make_it_once(find: Finder, origin: Origin, nothing: dict[str, str]) -> None:
    program = textwrap.dedent(f"""
        from pathlib import Path
        from troth.dev.binaries import Archive, find_binaries
        from troth.dev.cache import this_platform
        archive = Archive({origin.url!r}, {_sha512(origin.body)!r})
        print(find_binaries(environment={nothing!r}, cache=Path({str(find.cache)!r}),
                            archives={{this_platform(): archive}}).etcd)
    """)
    start = [sys.executable, "-c", program]
    processes = [subprocess.Popen(start, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(outputs) == 1
    assert origin.requests == 1


def test_helm_on_path_is_taken_else_built(tmp_path: Path, go: dict[str, str]) -> None:
    cache = tmp_path / "cache"
    built = find_helm(environment=go, cache=cache, progress=Progress(io.StringIO()))
    assert built.is_relative_to(cache)
    installed = _fill(tmp_path / "bin", ("helm",)) / "helm"
    assert find_helm(environment={"PATH": str(installed.parent)}, cache=cache) == installed
    assert [program.name for program in HELM.programs] == ["helm"]


def test_other_programs_of_the_control_planes_version_are_built_once_and_then_come_from_the_cache(
    tmp_path: Path, go: dict[str, str]
) -> None:
    report = io.StringIO()
    built = [
        build_once("more", CONTROL_PLANE, environment=environment, cache=tmp_path, progress=Progress(report))
        for environment in (go, {"PATH": ""})
    ]
    assert built[0] == built[1]
    assert built[0].name.startswith(f"more-{KUBERNETES_VERSION}-")
    assert {program.name for program in CONTROL_PLANE.programs} == {path.name for path in built[0].iterdir()}
    with pytest.raises(BinariesUnavailable, match="no `go` on PATH"):
        build_once("others", CONTROL_PLANE, environment={"PATH": ""}, cache=tmp_path, progress=Progress(report))


def test_go_sum_is_part_of_the_caches_name(tmp_path: Path, find: Finder, go: dict[str, str]) -> None:
    name = find(go).etcd.parent.name
    assert name.startswith(f"controlplane-v1.36.3-{this_platform()}-")
