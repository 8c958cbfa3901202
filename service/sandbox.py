"""What a process gives up before it reads a stranger's file: memory, time, disk, network, other programs.

Everything here works without privileges. Resource limits are POSIX. The network and the start of
other programs are cut off by a seccomp filter (Linux; seccomp(2)): the calls fail with EPERM from
then on, in this process and in every thread that it starts.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import signal
import struct
import sys
from dataclasses import dataclass

SCRATCH_BYTES = 64 * 2**20
"""Largest file that the limited process may write; nothing it does needs one."""
OPEN_FILES = 128
CPU_PER_SECOND = 4
"""CPU seconds allowed per second of wall clock: the decoder and the detector use threads."""

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 22, 2, 38
_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _RETURN = 0x20, 0x15, 0x25, 0x06
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_NR_OFFSET, _ARCH_OFFSET = 0, 4  # struct seccomp_data
_X32_BIT = 0x3FFFFFFF  # x86-64 also takes 32-bit system call numbers above this

# socket, socketpair, io_uring_setup (it opens sockets too), execve, execveat, ptrace,
# process_vm_writev, unshare, setns, mount, bpf
_DENIED = {
    "x86_64": (0xC000003E, (41, 53, 425, 59, 322, 101, 311, 272, 308, 165, 321)),
    "aarch64": (0xC00000B7, (198, 199, 425, 221, 281, 117, 271, 97, 268, 40, 280)),
}


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What one limited process may use. `memory` is address space on top of what it starts with."""

    seconds: float
    memory: int
    answer_bytes: int = 16 * 2**20
    """Longest answer: a manifest tree and a few thousand fingerprint rows fit many times."""


def enter(limits: ProcessLimits) -> None:
    """Apply `limits` to this process for good. Call it before the first untrusted byte is read."""
    seconds = max(1, round(limits.seconds))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, SCRATCH_BYTES)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_CPU, seconds * CPU_PER_SECOND)
    if sys.platform == "linux":
        _limit(resource.RLIMIT_AS, _address_space() + limits.memory)
    signal.alarm(seconds + 1)  # ends this process also when its parent is gone
    deny_network()


def can_deny_network() -> bool:
    """Whether `deny_network` knows this machine."""
    return sys.platform == "linux" and platform.machine() in _DENIED


def deny_network() -> bool:
    """Refuse sockets and program starts from now on; False where this machine has no such filter.

    Raises `OSError` when the kernel refuses the filter.
    """
    if not can_deny_network():
        return False
    program = _filter(*_DENIED[platform.machine()])
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    prog = Program(len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(prog)),
    ):
        if libc.prctl(*arguments, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "the kernel refused the seccomp filter")
    return True


def _filter(arch: int, denied: tuple[int, ...]) -> bytes:
    """Classic BPF, 8 bytes an instruction: code, jump if true, jump if false, operand."""
    last = len(denied) + 1  # jumps count the instructions that they skip
    program = [
        (_LOAD, 0, 0, _ARCH_OFFSET),
        (_JUMP_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NR_OFFSET),
        (_JUMP_ABOVE, last, 0, _X32_BIT),
        *((_JUMP_EQUAL, last - 1 - index, 0, number) for index, number in enumerate(denied)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _DENY),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (most, most))


def _address_space() -> int:
    """Bytes of address space in use now: an interpreter with its libraries maps gigabytes at start."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
