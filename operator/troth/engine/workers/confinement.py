"""How a process that renders confines itself before it runs a template.

The sandbox of the templates is written in the same language as what it guards, so it must not be the only barrier. An
attacker who breaks out of it is in a process that

* never gains rights (`no_new_privs`), starts no program, opens no socket, signals nobody (`system_calls`);
* reads Python's modules and nothing else (Landlock): not the token of the account, not the clones of repositories,
  not the memory or the environment of the operator, which the file system shows under /proc;
* writes no file, leaves no dump of its memory, and has few descriptors, none of them inherited but its pipes.

The kernel enforces each of these. What a kernel does not support is reported (`missing`), because the operator must
work there, too: on macOS only the limits remain. Rejected: a filter of system calls alone, since templates need modules
that are loaded at their first use, so reading must be allowed somewhere; Landlock alone, since it does not cover
signals before Linux 6.12, and only TCP of the network; and a container for each rendering, which needs rights that an
operator should not have.

Time zones come only from the package `tzdata`, which the CEL library requires on every platform, and which is pinned.
Python would search the system's folders first (`zoneinfo.TZPATH`), and a file there that it must not read ends the
search with an error, before the package is tried. Allowing these folders was rejected: they differ between
distributions, they often contain links to other places, and the same rule should give the same result on every machine.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

from troth.engine.workers.system_calls import filter_program, machine

SYSTEM_CALLS: Final = "a filter of system calls (seccomp)"
FILES: Final = "a bound on the files that can be read (Landlock)"

_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_SET_MODE_FILTER: Final = 1
_SECCOMP_GET_ACTION_AVAIL: Final = 2
_SECCOMP_FILTER_FLAG_TSYNC: Final = 1
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
# How many rights each version of Landlock has: for files, for the network, and for what is outside the domain.
_KNOWN_RIGHTS: Final = ((13, 0, 0), (14, 0, 0), (15, 0, 0), (15, 2, 0), (16, 2, 0), (16, 2, 2))
_MOST_DESCRIPTORS: Final = 64
# The folders of C libraries that a module may need at its first use.
_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")


def confine(modules: Iterable[str], keep: Collection[int]) -> None:
    """Confines this process, which has one thread, for ever and as far as its system supports it.

    Args:
        modules: the folders that Python may still load modules from.
        keep: the descriptors that stay open.
    """
    os.umask(0o077)
    _close_others(keep)
    _use_packaged_time_zones()
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),  # this process must not start others; those of the same user do not matter
        (resource.RLIMIT_NOFILE, _MOST_DESCRIPTORS),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return  # the rest depends on it
    _bound_files(library, modules)
    _bound_system_calls(library)


def missing() -> tuple[str, ...]:
    """Returns which parts of the confinement this system does not support, in words."""
    if sys.platform != "linux":
        return SYSTEM_CALLS, FILES
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    found = []
    here, refuse = machine(), ctypes.c_uint32(0x00050000)
    if here is None or library.syscall(here.seccomp, _SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(refuse)) != 0:
        found.append(SYSTEM_CALLS)
    if _version(library) < 1:
        found.append(FILES)
    return tuple(found)


def _use_packaged_time_zones() -> None:
    """Keeps Python from looking for time zones in the system's folders, even if it has already used some."""
    os.environ["PYTHONTZPATH"] = ""  # read when the module is loaded, which few processes ever do
    if "zoneinfo" in sys.modules:  # as in a fork
        sys.modules["zoneinfo"].reset_tzpath(())


def _close_others(keep: Collection[int]) -> None:
    """Closes the descriptors that a fork has inherited from its parent."""
    try:
        there = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - a folder of the kernel
    except OSError:
        there = list(range(_MOST_DESCRIPTORS * 16))
    for descriptor in there:
        if descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)


def _version(library: ctypes.CDLL) -> int:
    """Returns the kernel's version of Landlock; less than 1 when it does not have Landlock."""
    return int(library.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)))


def _bound_files(library: ctypes.CDLL, modules: Iterable[str]) -> None:
    version = _version(library)
    if version < 1:
        return
    rights = [(1 << count) - 1 for count in _KNOWN_RIGHTS[min(version, len(_KNOWN_RIGHTS)) - 1]]
    attributes = struct.pack("=QQQ", *rights)
    size = 24 if rights[2] else 16 if rights[1] else 8
    rules = library.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if rules < 0:
        return
    try:
        for path in {*modules, *_LIBRARIES, f"{sys.base_prefix}/lib"}:
            _let_read(library, rules, path)
        library.syscall(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint32(0))
    finally:
        os.close(rules)


def _let_read(library: ctypes.CDLL, rules: int, path: str) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # some systems do not have all of them
    try:
        rights = _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)  # noqa: PTH112
        rule = struct.pack("=Qi", rights, beneath)
        library.syscall(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(beneath)


def _bound_system_calls(library: ctypes.CDLL) -> None:
    here = machine()
    if here is None:
        return
    program = filter_program(here)
    steps = ctypes.create_string_buffer(program, len(program))
    table = struct.pack("@HP", len(program) // 8, ctypes.addressof(steps))
    library.syscall(
        here.seccomp,
        ctypes.c_uint(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_uint(_SECCOMP_FILTER_FLAG_TSYNC),
        table,
    )
