"""Whoever gets past the sandbox of the templates finds a process that can do nothing: tried from inside of it."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.pipelines import context, pipeline
from tests.unit.promises.library import PROMISES, load_promise
from troth.api.objects import read_promise
from troth.engine.admission.serving import as_served
from troth.engine.lint_report import LintReport
from troth.engine.promises.definitions import build_definition
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Rendered
from troth.engine.workers import system_calls as calls
from troth.engine.workers.confinement import FILES, SYSTEM_CALLS, missing
from troth.engine.workers.inspection import PromiseInspector
from troth.engine.workers.pool import RenderPool
from troth.engine.workers.process import ProcessError, RenderProcess
from troth.engine.workers.wire import pack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what there is of it elsewhere are the limits")

TRIES = """
import asyncio, ctypes, fcntl, json, os, resource, signal, socket, subprocess, threading
from troth.engine.workers import worker
from troth.engine.workers.wire import pack

LIBRARY = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    ctypes.set_errno(0)
    if LIBRARY.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def answer(self, job):
    known = {**globals(), **job["names"]}
    for name, code in job["tries"].items():
        try:
            exec(code, known)
        except BaseException as error:
            yield pack({"name": name, "error": f"{type(error).__name__}: {error}"})
        else:
            yield pack({"name": name, "error": "", "value": known.pop("value", None)})

worker.Worker.answer = answer
"""
AS_A_PROGRAM = TRIES + "worker.main()\n"
AS_A_FORK = (
    TRIES
    + """
import zoneinfo
from troth.engine.workers.forking import fork_worker
open_file, line = open("/etc/hostname"), socket.socketpair()
line[0].sendall(b"a secret that the parent knows")
os.waitpid(fork_worker(os.dup(0), os.dup(1), ()), 0)
"""
)

REFUSED = {
    # the network
    "a socket": "socket.socket()",
    "a datagram": "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
    "a socket of the machine": "socket.socket(socket.AF_UNIX)",
    "a socket of the kernel": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "a pair of sockets": "socket.socketpair()",
    "a connection": "socket.create_connection(('127.0.0.1', port), 1)",
    "a name": 'socket.create_connection(("localhost", port))',
    # programs and processes
    "a program": "subprocess.run(['true'])",
    "a program in its place": "os.execv('/bin/true', ['true'])",
    "a spawned program": "os.posix_spawn('/bin/true', ['true'], {})",
    "a shell": "value = os.system('true'); assert value == 0",
    "a fork": "os.fork()",
    "a thread": "threading.Thread(target=print).start()",
    "a signal for the parent": "os.kill(os.getppid(), 0)",
    "the end of the parent": "os.kill(os.getppid(), signal.SIGKILL)",
    "the end of everything": "os.kill(-1, signal.SIGKILL)",
    "the end of the group": "os.killpg(0, signal.SIGKILL)",
    "a signal through a descriptor": "os.pidfd_open(os.getppid())",
    "a signal by the kernel": "fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
    "the parent's limits": "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (1, 1))",
    "the parent's limits, read": "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)",
    "the parent's priority": "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
    "everybody's priority": "os.setpriority(os.PRIO_USER, 0, 19)",
    "the parent's processors": "os.sched_setaffinity(os.getppid(), {0})",
    "more descriptors": "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))",
    "more memory": "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)",
    "another group": "os.setsid()",
    "another user": "os.setuid(0)",
    # other processes' memory
    "the parent's memory": "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "the parent's environment": "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    "the parent's command": "open(f'/proc/{os.getppid()}/cmdline', 'rb').read()",
    "the parent's descriptors": "os.listdir(f'/proc/{os.getppid()}/fd')",
    "its own environment": "open('/proc/self/environ', 'rb').read()",
    "the parent's root": "os.listdir(f'/proc/{os.getppid()}/root/')",
    # files
    "a file": "open('/etc/passwd').read()",
    "a secret": "open(secret).read()",
    "the folder of a secret": "os.listdir(os.path.dirname(secret))",
    "a way round": "open('/usr/lib/../..' + secret).read()",
    "a secret through a link": "os.symlink(secret, folder + '/link')",
    "the home": "os.listdir(os.path.expanduser('~'))",
    "the root": "os.listdir('/')",
    "the account's token": "os.listdir('/var/run')",
    "a device": "open('/dev/tty')",
    "writing a file": "open(folder + '/written', 'w')",
    "appending to a file": "open(secret, 'a')",
    "changing a module": "open(os.__file__, 'r+')",
    "a file without a name": "os.open(folder, os.O_TMPFILE | os.O_RDWR)",
    "an opened path": "os.open(secret, os.O_RDWR | os.O_CREAT)",
    "a file in memory": "os.memfd_create('x')",
    "a folder": "os.mkdir(folder + '/made')",
    "removing": "os.unlink(secret)",
    "renaming": "os.rename(secret, secret + '2')",
    "cutting": "os.truncate(secret, 0)",
    "a right": "os.chmod(secret, 0o777)",
    "a pipe with a name": "os.mkfifo(folder + '/pipe')",
    "another root": "os.chroot('/')",
    "another folder": "os.chdir(os.path.dirname(secret)); open('secret').read()",
    "a command for a terminal": "fcntl.ioctl(2, 0x5412, b'x')",
    # what only few programs know
    "tracing": "call(SYSCALLS['ptrace'], 16, os.getppid(), 0, 0)",
    "being traced": "call(SYSCALLS['ptrace'], 0, 0, 0, 0)",
    "reading memory": "call(SYSCALLS['process_vm_readv'], os.getppid(), None, 0, None, 0, 0)",
    "a program in the kernel": "call(SYSCALLS['bpf'], 0, None, 0)",
    "a mount": "call(SYSCALLS['mount'], b'none', b'/mnt', b'tmpfs', 0, None)",
    "a namespace": "call(SYSCALLS['unshare'], 0x10000000)",
    "another's namespace": "call(SYSCALLS['setns'], 0, 0)",
    "a ring": "call(SYSCALLS['io_uring_setup'], 1, ctypes.create_string_buffer(128))",
    "keys": "call(SYSCALLS['keyctl'], 0, -3, 1)",
    "counters": "call(SYSCALLS['perf_event_open'], ctypes.create_string_buffer(128), 0, -1, -1, 0)",
    "faults": "call(SYSCALLS['userfaultfd'], 0)",
    "a handle": "call(SYSCALLS['open_by_handle_at'], -100, None, 0)",
    "another's descriptor": "call(SYSCALLS['pidfd_getfd'], 0, 0, 0)",
    "a way around the filter": "call(SYSCALLS['openat2'], -100, secret.encode(), ctypes.create_string_buffer(24), 24)",
    "being dumped": "call(SYSCALLS['prctl'], 4, 1, 0, 0, 0)",
    "a signal with a value": "call(SYSCALLS['rt_sigqueueinfo'], os.getppid(), 0, ctypes.create_string_buffer(128))",
}
ALLOWED = {
    "a module that was not loaded yet": "import sqlite3, decimal, xml.dom.minidom; value = str(decimal.Decimal('1.1'))",
    "random numbers": "import secrets; value = len(secrets.token_hex(8))",
    "the time": "import time; value = time.time() > 0",
    "its limit of processor time": "resource.setrlimit(resource.RLIMIT_CPU, (60, resource.RLIM_INFINITY))",
    "being nicer": "value = os.nice(1)",
    "memory": "value = len(bytearray(64 << 20))",
    "a trace": "import traceback; value = len(''.join(traceback.format_stack()))",
    "a time zone": "import zoneinfo; value = [zoneinfo.ZoneInfo(name).key for name in ('UTC', 'Europe/Berlin')]",
    "no time zone": "import zoneinfo\ntry: zoneinfo.ZoneInfo('No/Where')\nexcept zoneinfo.ZoneInfoNotFoundError: pass",
    "the local time": "import time, datetime; value = [time.ctime(0), str(datetime.datetime.now().astimezone())]",
    "the library of rules": "from troth.engine.admission.cel import Rules",
    "an encoding": "value = ['ä'.encode(name).hex() for name in ('idna', 'cp1252', 'utf-7', 'punycode')]",
    "a locale": "import locale; value = locale.getlocale()",
    "YAML read by C": "import yaml; value = str(yaml.load('2024-05-05T01:00:00+02:00', yaml.CSafeLoader))",
}
RULES = [
    "timestamp(self.at) > timestamp('2020-01-01T00:00:00Z')",
    "timestamp(self.at) + duration('1h') < timestamp('2100-01-01T00:00:00+02:00')",
    "timestamp(self.at).getHours('Europe/Berlin') == 3",
    "timestamp(self.at).getHours('-02:00') == 23",
    "timestamp(self.at).getDayOfWeek() == 0",
    "self.when.getFullYear() == 2024",
    "self.long.getSeconds() == 300",
    "duration(self.text) < duration('1h')",
    "self.text.matches('^[0-9]+m$')",
]
FOUND = {
    "its environment": "value = dict(os.environ)",
    "its limits": "value = {name: resource.getrlimit(getattr(resource, 'RLIMIT_' + name)) for name in"
    " ('CORE', 'FSIZE', 'NOFILE', 'NPROC')}",
    "its descriptors": "import stat\nvalue = []\nfor number in range(1024):\n"
    "    try: value.append(stat.S_ISSOCK(os.fstat(number).st_mode))\n    except OSError: pass",
}
# x86-64, arm64
NUMBERS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "bpf": (321, 280),
    "mount": (165, 40),
    "unshare": (272, 97),
    "setns": (308, 268),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "open_by_handle_at": (304, 265),
    "pidfd_getfd": (438, 438),
    "openat2": (437, 437),
    "prctl": (157, 167),
    "rt_sigqueueinfo": (129, 138),
}


@dataclass(frozen=True)
class Inside:
    process: RenderProcess
    names: dict[str, Any]

    async def tries(self, codes: dict[str, str]) -> dict[str, dict[str, Any]]:
        """What became of each attempt."""
        await self.process.send(pack({"tries": codes, "names": self.names}))
        answers = [await self.process.receive() for _ in codes]
        return {answer["name"]: answer for answer in answers}


@pytest.fixture(params=[AS_A_PROGRAM, AS_A_FORK], ids=["program", "fork"])
async def inside(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Inside]:
    (tmp_path / "secret").write_text("a secret")
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("TROTH_TOKEN", "a secret of the operator")
    column = 0 if platform.machine() == "x86_64" else 1
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = await RenderProcess.start(Limits(), command=[sys.executable, "-P", "-s", "-c", request.param])
        try:
            yield Inside(
                process,
                {
                    "secret": str(tmp_path / "secret"),
                    "folder": str(tmp_path / "folder"),
                    "port": server.getsockname()[1],
                    "SYSCALLS": {name: numbers[column] for name, numbers in NUMBERS.items()},
                },
            )
        finally:
            await process.end()
    assert left(tmp_path) == {"secret": "a secret", "folder": ""}


def left(folder: Path) -> dict[str, str]:
    assert not list((folder / "folder").iterdir())
    return {path.name: path.read_text() if path.is_file() else "" for path in folder.iterdir()}


def seen_from_outside(pid: int) -> tuple[str, bytes]:
    process = Path(f"/proc/{pid}")
    return (process / "status").read_text(), (process / "environ").read_bytes() + (
        process / "cmdline"
    ).read_bytes()


@pytest.mark.skipif(bool(missing()), reason=f"this system lacks {' and '.join(missing())}")
async def test_whoever_gets_out_of_the_sandbox_reaches_nothing(inside: Inside) -> None:
    answers = await inside.tries(REFUSED)
    reached = {name: answer for name, answer in answers.items() if not answer["error"]}
    assert not reached
    others = {
        name: answer["error"]
        for name, answer in answers.items()
        if not re.match(
            r"PermissionError|OSError: \[Errno (1|13)\]|RuntimeError: can't start new thread|AssertionError|gaierror"
            r"|ValueError: not allowed to raise",
            answer["error"],
        )
    }
    assert not others, "each is refused, and none failed for another reason"


async def test_what_rendering_needs_goes_on(inside: Inside) -> None:
    answers = await inside.tries(ALLOWED)
    assert [answer["error"] for answer in answers.values()] == [""] * len(ALLOWED)


async def test_a_worker_inherits_nothing(inside: Inside) -> None:
    answers = await inside.tries(FOUND)
    assert not any("a secret" in str(answer) for answer in answers.values())
    assert answers["its limits"]["value"] == {
        "CORE": [0, 0],
        "FSIZE": [0, 0],
        "NOFILE": [64, 64],
        "NPROC": [0, 0],
    }
    assert answers["its descriptors"]["value"] == [False] * 5, "three of every process, two for jobs and replies"


@pytest.mark.skipif(bool(missing()), reason=f"this system lacks {' and '.join(missing())}")
async def test_the_kernel_says_that_a_worker_is_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROTH_TOKEN", "a secret of the operator")
    process = await RenderProcess.start(Limits())
    try:
        status, shown = seen_from_outside(process.process.pid)
    finally:
        await process.end()
    assert b"a secret" not in shown
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
    assert re.search(r"^Umask:\t0077$", status, re.MULTILINE)
    assert re.search(r"^Threads:\t1$", status, re.MULTILINE), "a second thread would not be confined"


async def test_everything_that_the_pool_does_is_done_confined() -> None:
    pool = RenderPool(size=1, limits=Limits())
    await pool.start()
    try:
        (outcome,) = await pool.render([pipeline("a: {{ spec.n | to_json }}\n")], context({"n": [1, {"b": "ä"}]}))
        assert isinstance(outcome, Rendered)
        (failed,) = await pool.render([pipeline("a: {{ spec.nope.deeper }}\n")], context({"n": 1}))
        assert "nope" in str(failed)
    finally:
        await pool.close()


@pytest.mark.skipif(bool(missing()), reason=f"this system lacks {' and '.join(missing())}")
@pytest.mark.parametrize("loaded", [True, False])
async def test_a_time_zone_that_the_system_has_and_a_worker_must_not_read_is_taken_from_the_package(
    tmp_path: Path, loaded: bool
) -> None:
    (tmp_path / "UTC").write_bytes(b"the system's")
    here = f"import zoneinfo\nzoneinfo.reset_tzpath([{str(tmp_path)!r}])\n"
    there = f"import os\nos.environ['PYTHONTZPATH'] = {str(tmp_path)!r}\n"
    program = (here if loaded else there) + AS_A_PROGRAM
    process = await RenderProcess.start(Limits(), command=[sys.executable, "-P", "-s", "-c", program])
    try:
        answers = await Inside(process, {}).tries(
            {"zone": "import zoneinfo; value = zoneinfo.ZoneInfo('UTC').key"}
        )
    finally:
        await process.end()
    assert answers["zone"] == {"name": "zone", "error": "", "value": "UTC"}


@pytest.mark.slow
async def test_every_promise_of_the_library_is_linted_confined() -> None:
    inspector = PromiseInspector(Limits())
    for name in sorted(path.parent.name for path in PROMISES.glob("*/promise.yaml")):
        assert await inspector.find_errors(read_promise(as_served(load_promise(name)))) == LintReport(), name


def definition(rule: str) -> dict[str, Any]:
    """A definition whose spec has a rule, and fields that are times and spans of time."""
    spec = {
        "type": "object",
        "properties": {
            "at": {"type": "string"},
            "text": {"type": "string"},
            "when": {"type": "string", "format": "date-time"},
            "long": {"type": "string", "format": "duration"},
        },
        "x-kubernetes-validations": [{"rule": rule}],
    }
    api = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
                }
            ],
        },
    }
    return build_definition("thing", api)


@pytest.mark.slow
async def test_requests_are_held_confined_against_rules_about_time() -> None:
    spec = {"at": "2024-05-05T01:00:00Z", "text": "5m", "when": "2024-05-05T01:00:00Z", "long": "5m"}
    thing = {"kind": "Thing", "metadata": {"name": "one", "namespace": "shop"}, "spec": spec}
    inspector = PromiseInspector(Limits())
    for rule in RULES:
        assert await inspector.find_unfit(rule, definition(rule), [thing]) == [], rule
        (found,) = await inspector.find_unfit("not " + rule, definition(f"!({rule})"), [thing])
        assert rule in found.problem or "failed rule" in found.problem, "it was read, and does not hold"


@pytest.mark.parametrize("lacking", ["platform", "machine", "kernel"])
def test_a_system_that_lacks_some_of_it_renders_with_the_rest(lacking: str) -> None:
    program = {
        "platform": "sys.platform = 'darwin'",
        "machine": "system_calls._MACHINES.clear()",
        "kernel": "confinement._version = lambda library: -1",
    }[lacking]
    code = f"import sys\nfrom troth.engine.workers import confinement, system_calls, worker\n{program}\n"

    async def start() -> None:
        process = await RenderProcess.start(
            Limits(), command=[sys.executable, "-P", "-s", "-c", code + "worker.main()"]
        )
        await process.end()

    asyncio.run(start())
    said = subprocess.run(
        [sys.executable, "-c", code + "print(*confinement.missing(), sep='\\n')"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    expected = {"platform": [SYSTEM_CALLS, FILES], "machine": [SYSTEM_CALLS], "kernel": [FILES]}[lacking]
    assert set(expected) <= set(said)


def judged(program: bytes, machine: int, number: int, *arguments: int) -> int:
    """What the kernel would answer to a system call, by running the filter as the kernel does."""
    data = struct.pack("=IIQ6Q", number, machine, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("=HBBI", program))
    at = loaded = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif code == 0x06:
            return int(value)
        else:
            holds = loaded == value if code == 0x15 else bool(loaded & value)
            at += yes if holds else no


ALLOW, REFUSE = 0x7FFF0000, 0x00050001


@pytest.mark.parametrize("name", ["x86_64", "aarch64"])
def test_the_filter_decides_by_the_arguments_on_every_machine(name: str) -> None:
    machine = calls._MACHINES[name]
    program = calls.filter_program(machine)

    def judge(numbers: tuple[int | None, int | None], *arguments: int) -> int:
        number = numbers[machine.column]
        assert number is not None
        return judged(program, machine.audit, number, *arguments)

    for numbers in calls._ALLOWED.values():
        if numbers[machine.column] is not None:
            assert judge(numbers) == ALLOW
    here = 2**64 - 100
    assert judge(calls._OPENAT, here, 1, os.O_RDONLY | os.O_CLOEXEC) == ALLOW
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
        assert judge(calls._OPENAT, here, 1, flags) == REFUSE
    assert judge(calls._IOCTL, 2, 0x5401) == judge(calls._IOCTL, 2, 0x5451) == ALLOW
    assert judge(calls._IOCTL, 2, 0x5412) == REFUSE
    assert [judge(calls._FCNTL, 0, question) for question in (0, 1, 2, 3, 1030)] == [ALLOW] * 5
    assert [judge(calls._FCNTL, 0, question) for question in (4, 8, 10, 1032)] == [REFUSE] * 4
    assert judge(calls._PRLIMIT, 0, 0, 1 << 47) == judge(calls._PRLIMIT, 0, 9, 0) == ALLOW
    assert judge(calls._PRLIMIT, 0, 9, 1 << 47) == judge(calls._PRLIMIT, 0, 9, 16) == REFUSE
    assert judge(calls._PRLIMIT, 1, 0, 0) == judge(calls._PRLIMIT, 1, 9, 0) == REFUSE
    for numbers in (calls._SETPRIORITY, calls._GETPRIORITY):
        assert judge(numbers, 0, 0, 10) == ALLOW
        assert judge(numbers, 0, 1, 10) == judge(numbers, 2, 0, 10) == REFUSE
    known = {numbers[machine.column] for numbers in calls._ALLOWED.values()}
    known |= {number[machine.column] for number in (calls._OPEN, calls._OPENAT, calls._IOCTL, calls._FCNTL)}
    known |= {number[machine.column] for number in (calls._PRLIMIT, calls._SETPRIORITY, calls._GETPRIORITY)}
    assert {judged(program, machine.audit, number) for number in range(1200) if number not in known} == {REFUSE}
    assert judged(program, machine.audit, 0x40000000) == REFUSE, "the calls of the x32 interface"
    assert judged(program, 0x40000003, 1) == 0x80000000, "the calls of 32 bits"


@pytest.mark.parametrize(
    ("column", "header"),
    [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")],
)
def test_the_numbers_are_the_kernels(column: int, header: str) -> None:
    if not Path(header).exists():
        pytest.skip(f"there is no {header}")
    kernel = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text()))
    kernel |= {"newfstatat": kernel.get("newfstatat", kernel.get("fstatat", ""))}
    ours = {
        **calls._ALLOWED,
        "open": calls._OPEN,
        "openat": calls._OPENAT,
        "ioctl": calls._IOCTL,
        "fcntl": calls._FCNTL,
        "prlimit64": calls._PRLIMIT,
        "setpriority": calls._SETPRIORITY,
        "getpriority": calls._GETPRIORITY,
        "seccomp": tuple(calls._MACHINES[name].seccomp for name in ("x86_64", "aarch64")),
    }
    for name, numbers in ours.items():
        if numbers[column] is not None:
            assert kernel[name] == str(numbers[column]), name


async def test_what_a_worker_says_is_a_text_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    said = "import os, sys\nfrom troth.engine.workers import worker\n"
    said += "os.write(2, b'one\\n\\x1b[2Jtwo\\xff' + b'x' * 9000 + b'\\n')\n"
    said += "for number in range(9999): print(number, file=sys.stderr)\nworker.main()\n"
    process = await RenderProcess.start(Limits(), command=[sys.executable, "-P", "-s", "-c", said])
    await process.end()
    messages = [record.message for record in caplog.records if record.name == "troth.engine.workers.process"]
    assert messages[0] == "a process that renders says: one"
    assert messages[1].startswith("a process that renders says: ")
    assert not re.search(r"[\x00-\x1f]", messages[1])
    assert len(messages) == 50
    assert max(map(len, messages)) < 600


async def test_a_process_that_cannot_start_says_why_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ProcessError):
        await RenderProcess.start(Limits(), command=[sys.executable, "-P", "-s", "-c", "raise ValueError('why')"])
    assert any("ValueError: why" in record.message for record in caplog.records)
