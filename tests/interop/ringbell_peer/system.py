# SPDX-License-Identifier: BSL-1.0
"""What the kernel and the processor give: memory, seals, futexes, eventfds, and a fence.

Memory order
============
The protocol needs these things of every access to a word of the control page:

- A word of 8 bytes is loaded and stored at once. `ctypes.c_uint64.from_address(a).value` copies
  8 bytes with a constant size, which compilers turn into one `mov`; the words are aligned.
- A store of `tx_tail` or `rx_head` is a release: what was written before it is seen before it. A
  load of them is an acquire. On x86-64 each store is a release and each load an acquire (its memory
  order is TSO). The compiler adds no reordering, because each access is a call of its own from the
  interpreter's loop.
- The park protocol needs more: a store, and behind it a load of another word, which must not be
  done first. TSO allows this reordering (and no other), so `fence()` is a locked instruction. See
  there.

Other processors reorder more, and the interpreter offers nothing against it. So `check_machine()`
refuses them, and no region can be made or mapped there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import socket
import struct
import sys
from typing import List, Optional, Sequence, Tuple

PAGE = mmap.PAGESIZE
MASK_64 = 2**64 - 1


class NotSupported(Exception):
    """This machine lacks something that the peer needs; the text says what."""


def check_machine() -> None:
    """Raises NotSupported where the peer cannot work."""
    if sys.platform != "linux":
        raise NotSupported(f"the Python peer needs Linux, and this is {sys.platform}")
    machine = platform.machine()
    if machine not in ("x86_64", "amd64") or sys.maxsize < 2**32:
        raise NotSupported(
            f"the Python peer needs a 64-bit Python on x86-64, and this is {machine}: it relies on "
            "the order in which that processor does loads and stores, and Python has no other way "
            "to ask for one"
        )


_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.syscall.restype = ctypes.c_long


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


# The fence.

_semaphore = ctypes.create_string_buffer(64)  # sem_t has 32 bytes
_libc.sem_init(_semaphore, 1, 0)


def fence() -> None:
    """A sequentially consistent fence: no load behind it is done before a store in front of it.

    A semaphore that is shared between processes (the 1 in sem_init) can have any number of users
    that the C library does not know of. So sem_post must change it by an atomic read-modify-write,
    even in a process of one thread, and on x86-64 that is a locked instruction, which is a full
    barrier. sem_trywait takes back what sem_post added.
    """
    _libc.sem_post(_semaphore)
    _libc.sem_trywait(_semaphore)


# Memory.


class Mapping:
    """Shared memory. Offsets are in bytes, from its beginning."""

    def __init__(self, descriptor: int, size: int, writable: bool) -> None:
        check_machine()
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        address = _libc.mmap(None, size, protection, mmap.MAP_SHARED, descriptor, 0)
        if address is None or address == ctypes.c_void_p(-1).value:
            raise _error("mmap")
        self.address: int = address
        self.size = size

    def close(self) -> None:
        """Unmaps it; every later access raises."""
        if self.size:
            _libc.munmap(self.address, self.size)
            self.size = 0

    def _at(self, offset: int, size: int) -> int:
        if offset < 0 or offset + size > self.size:
            raise IndexError(f"{size} bytes at {offset} are not within a region of {self.size}")
        return self.address + offset

    def load(self, offset: int) -> int:
        """A word of 8 bytes, with acquire semantics."""
        return ctypes.c_uint64.from_address(self._at(offset, 8)).value

    def store(self, offset: int, value: int) -> None:
        """A word of 8 bytes, with release semantics."""
        ctypes.c_uint64.from_address(self._at(offset, 8)).value = value

    def read(self, offset: int, size: int) -> bytes:
        """A copy."""
        return ctypes.string_at(self._at(offset, size), size)

    def write(self, offset: int, data: bytes) -> None:
        ctypes.memmove(self._at(offset, len(data)), data, len(data))


SEAL_SEAL = 0x1
SEAL_SHRINK = 0x2
SEAL_GROW = 0x4
SEAL_FUTURE_WRITE = 0x10
REGION_SEALS = SEAL_SEAL | SEAL_SHRINK | SEAL_GROW | SEAL_FUTURE_WRITE

_F_ADD_SEALS = 1033
_F_GET_SEALS = 1034


_SYS_MEMFD_CREATE = 319
_MFD_CLOEXEC = 0x1
_MFD_ALLOW_SEALING = 0x2
_MFD_NOEXEC_SEAL = 0x8


def _create_memfd() -> int:
    """os.memfd_create is not there when Python was built with an old C library."""
    # Some systems insist on NOEXEC_SEAL; kernels before 6.3 do not know it.
    for extra in (_MFD_NOEXEC_SEAL, 0):
        descriptor = _libc.syscall(
            ctypes.c_long(_SYS_MEMFD_CREATE),
            b"ringbell-interop",
            ctypes.c_long(_MFD_CLOEXEC | _MFD_ALLOW_SEALING | extra),
        )
        if descriptor >= 0:
            return int(descriptor)
    raise _error("memfd_create")


def create_region(size: int) -> Tuple[int, Mapping]:
    """Memory that this process may write, as a descriptor that nobody can map for writing."""
    descriptor = _create_memfd()
    try:
        os.ftruncate(descriptor, size)
        mapping = Mapping(descriptor, size, writable=True)
        fcntl.fcntl(descriptor, _F_ADD_SEALS, REGION_SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, mapping


def region_fault(descriptor: int, size: int) -> Optional[str]:
    """Why a descriptor cannot be the peer's region of this size; None when it can.

    The seals come first: they answer from the kernel's own memory, where fstat could ask a file
    server.
    """
    try:
        seals = fcntl.fcntl(descriptor, _F_GET_SEALS)
    except OSError:
        return "a region that is no memfd"
    if seals & REGION_SEALS != REGION_SEALS:
        return f"a region with the seals {seals:#x}; {REGION_SEALS:#x} are needed"
    found = os.fstat(descriptor).st_size
    if found != size:
        return f"a region of {found} bytes; {size} were announced"
    if os.fstatvfs(descriptor).f_bsize != PAGE:
        return "a region on huge pages"
    return None


# Eventfds.

_EFD_CLOEXEC = 0o2000000
_EFD_NONBLOCK = 0o4000


def create_eventfd() -> int:
    """An eventfd of 0 that does not block. (os.eventfd came with Python 3.10.)"""
    descriptor = _libc.eventfd(0, _EFD_CLOEXEC | _EFD_NONBLOCK)
    if descriptor < 0:
        raise _error("eventfd")
    return descriptor


def is_eventfd(descriptor: int) -> bool:
    return os.readlink(f"/proc/self/fd/{descriptor}") == "anon_inode:[eventfd]"


def eventfd_add(descriptor: int) -> None:
    """Rings it. That it would block means that it is rung already."""
    try:
        os.write(descriptor, struct.pack("=Q", 1))
    except BlockingIOError:
        pass


def eventfd_empty(descriptor: int) -> None:
    try:
        os.read(descriptor, 8)
    except BlockingIOError:
        pass


# Futexes.

_SYS_FUTEX = 202
_SYS_FUTEX_WAITV = 449
_FUTEX_WAKE = 1  # without FUTEX_PRIVATE_FLAG: other processes wait on it
_FUTEX_32 = 2
_CLOCK_MONOTONIC = 1
_EVERYBODY = 2**31 - 1


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64)]


def futex_wake(address: int) -> None:
    """Wakes all that wait on the 32-bit word there."""
    _libc.syscall(
        ctypes.c_long(_SYS_FUTEX),
        ctypes.c_void_p(address),
        ctypes.c_long(_FUTEX_WAKE),
        ctypes.c_long(_EVERYBODY),
        None,
        None,
        ctypes.c_long(0),
    )


def futex_wait_any(words: Sequence[Tuple[int, int]], until: Optional[float]) -> None:
    """Sleeps while each of the 32-bit words (address, value) has its value.

    It also returns when somebody wakes one of them, or when time.monotonic() has reached `until`.
    Linux 5.16 brought the call.
    """
    packed = b"".join(
        struct.pack("=QQII", value & 0xFFFFFFFF, address, _FUTEX_32, 0) for address, value in words
    )
    timeout = None
    if until is not None:
        timeout = ctypes.byref(_Timespec(int(until), int(until % 1 * 1e9)))
    done = _libc.syscall(
        ctypes.c_long(_SYS_FUTEX_WAITV),
        packed,
        ctypes.c_long(len(words)),
        ctypes.c_long(0),
        timeout,
        ctypes.c_long(_CLOCK_MONOTONIC),
    )
    if done < 0:
        number = ctypes.get_errno()
        # EAGAIN: one has another value already.
        if number not in (errno.EAGAIN, errno.ETIMEDOUT, errno.EINTR):
            raise _error("futex_waitv")


def has_futex_waitv() -> bool:
    """Whether one call can wait on several words: Linux has it, and no filter keeps it away."""
    done = _libc.syscall(
        ctypes.c_long(_SYS_FUTEX_WAITV), None, ctypes.c_long(0), ctypes.c_long(0), None,
        ctypes.c_long(0),
    )  # fmt: skip
    return done < 0 and ctypes.get_errno() == errno.EINVAL  # no words at all


# Sockets.

_SO_PASSRIGHTS = 83
_MOST_HANDLES = 253  # what the kernel sends at once


def refuse_handles(connection: socket.socket) -> None:
    """Has the kernel keep handles out, where it can (Linux 6.16)."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, 0)
    except OSError:
        pass


def receive(connection: socket.socket, size: int, flags: int = 0) -> Tuple[bytes, List[int]]:
    """Up to `size` bytes, and the handles that came with them."""
    data, ancillary, _, _ = connection.recvmsg(
        size, socket.CMSG_SPACE(4 * _MOST_HANDLES), flags | socket.MSG_CMSG_CLOEXEC
    )
    handles: List[int] = []
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            handles += struct.unpack(f"={len(content) // 4}i", content[: len(content) // 4 * 4])
    return data, handles


def send_with_handles(connection: socket.socket, frame: bytes, handles: Sequence[int]) -> None:
    """Sends all of it; the handles go with the first byte."""
    rights = struct.pack(f"={len(handles)}i", *handles)
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if handles else []
    sent = connection.sendmsg([frame], control, socket.MSG_NOSIGNAL)
    if sent < len(frame):
        connection.sendall(frame[sent:], socket.MSG_NOSIGNAL)


def peer_user(connection: socket.socket) -> int:
    """The user id of the process at the other end, by the kernel's word."""
    _, user, _ = struct.unpack(
        "=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    )
    return user


def only_cpu() -> int:
    """The one processor that this thread may run on; -1 when there are several."""
    allowed = os.sched_getaffinity(0)
    return next(iter(allowed)) if len(allowed) == 1 else -1
