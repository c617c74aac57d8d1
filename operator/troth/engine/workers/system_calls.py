"""The system calls that a process that renders may make, as a filter program for the kernel (seccomp).

Everything that is not listed is refused with EPERM: sockets, programs, signals, other processes' memory, and new calls
of future kernels. Rejected: a list of forbidden calls, which would grow every year; ending the process, since with an
error a template that makes Python try something unusual fails with a message; libseccomp and its Python bindings, since
the image would need a C library for what is a table and a page of code, and the bindings on PyPI have no release for a
current Python.

The numbers come from the kernel's tables for x86-64 and arm64 (asm/unistd_64.h, asm-generic/unistd.h); other machines
do not have a filter.
"""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass
from typing import Final

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | 1  # SECCOMP_RET_ERRNO with EPERM
_END: Final = 0x80000000  # SECCOMP_RET_KILL_PROCESS
_ARGUMENTS_AT: Final = 16  # the offset in struct seccomp_data
_MACHINE_AT: Final = 4
_ARGUMENT_SIZE: Final = 8

# O_ACCMODE, O_CREAT and O_TRUNC. O_TMPFILE, for a file without a name, only works together with writing.
_WRITES: Final = 0o3 | 0o100 | 0o1000
_RLIMIT_CPU: Final = 0
_TERMINAL_QUESTIONS: Final = (0x5401, 0x5413, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONCLEX, FIOCLEX
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC; not F_SETOWN, which makes the kernel send signals to others.
_DESCRIPTOR_QUESTIONS: Final = (0, 1, 2, 3, 1030)


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor architecture.

    Attributes:
        audit: the kernel's number for the architecture in a filter.
        column: the column of the table with its numbers.
        seccomp: the number of the system call that installs a filter.
    """

    audit: int
    column: int
    seccomp: int


_MACHINES: Final = {
    "x86_64": Machine(audit=0xC000003E, column=0, seccomp=317),
    "aarch64": Machine(audit=0xC00000B7, column=1, seccomp=277),
    "arm64": Machine(audit=0xC00000B7, column=1, seccomp=277),
}

# x86-64, arm64; None where the call does not exist.
_ALLOWED: Final[dict[str, tuple[int | None, int | None]]] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "close": (3, 57),
    "dup": (32, 23),
    "lseek": (8, 62),
    "poll": (7, None),
    "ppoll": (271, 73),
    "stat": (4, None),
    "lstat": (6, None),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "brk": (12, 214),
    "membarrier": (324, 283),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "setitimer": (38, 103),
    "getitimer": (36, 102),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_OPEN: Final = (2, None)
_OPENAT: Final = (257, 56)
_IOCTL: Final = (16, 29)
_FCNTL: Final = (72, 25)
_PRLIMIT: Final = (302, 261)
_SETPRIORITY: Final = (141, 140)
_GETPRIORITY: Final = (140, 141)


def machine() -> Machine | None:
    """Returns the architecture of this machine; None if there are no numbers for it."""
    return _MACHINES.get(platform.machine())


def filter_program(of: Machine) -> bytes:
    """Returns the filter for a machine, as an array of struct sock_filter."""
    program = [
        _step(_LOAD, _MACHINE_AT),
        _step(_EQUAL, of.audit, yes=1),
        _step(_RETURN, _END),  # calls of another architecture, such as 32-bit calls, have other numbers
        _step(_LOAD, 0),
    ]
    for numbers in _ALLOWED.values():
        if (number := numbers[of.column]) is not None:
            program += [_step(_EQUAL, number, no=1), _step(_RETURN, _ALLOW)]
    # Files may only be read. Landlock decides which ones.
    for numbers, position in ((_OPEN, 1), (_OPENAT, 2)):
        program += _when(numbers[of.column], [_argument(position), _step(_ANY_BIT, _WRITES, no=1)])
    # A request to a terminal could type commands into it.
    for numbers, allowed in ((_IOCTL, _TERMINAL_QUESTIONS), (_FCNTL, _DESCRIPTOR_QUESTIONS)):
        chosen = [_step(_EQUAL, value, yes=len(allowed) - index) for index, value in enumerate(allowed)]
        program += _when(numbers[of.column], [_argument(1), *chosen])
    # Only its own limits and priority. Of the limits, only the one for processor time may be changed.
    own = [_argument(0), _step(_EQUAL, 0, no=6), _argument(1), _step(_EQUAL, _RLIMIT_CPU, yes=5)]
    asks = [_argument(2), _step(_EQUAL, 0, no=2), _argument(2, upper=True), _step(_EQUAL, 0, yes=1)]
    program += _when(_PRLIMIT[of.column], [*own, *asks])
    for numbers in (_SETPRIORITY, _GETPRIORITY):
        own = [_argument(0), _step(_EQUAL, 0, no=2), _argument(1), _step(_EQUAL, 0, yes=1)]
        program += _when(numbers[of.column], own)
    program.append(_step(_RETURN, _REFUSE))
    return b"".join(program)


def _when(number: int | None, judgement: list[bytes]) -> list[bytes]:
    """Returns the steps for one call: checks that end in a refusal or skip it."""
    if number is None:
        return []
    after = [*judgement, _step(_RETURN, _REFUSE), _step(_RETURN, _ALLOW)]
    return [_step(_EQUAL, number, no=len(after)), *after]


def _argument(position: int, *, upper: bool = False) -> bytes:
    """Returns the step that loads half of an argument. Except for pointers, the kernel only uses the lower half."""
    return _step(_LOAD, _ARGUMENTS_AT + _ARGUMENT_SIZE * position + (4 if upper else 0))


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)
