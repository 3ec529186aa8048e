# SPDX-License-Identifier: BSL-1.0
"""The frames on the control socket: HELLO, WELCOME, REFUSED, and the handles with them."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import List, Optional, Sequence, Tuple, Union

from . import system

MAGIC = 0x31424252
VERSION = 1

HELLO, WELCOME, REFUSED = 1, 2, 3
SIZES = {HELLO: 48, WELCOME: 32, REFUSED: 32}

MESSAGES, STREAM = 0, 1

LEAST_RING = 4096
LARGEST_RING = 2**30


class Bell(IntEnum):
    EVENTFD = 0
    SOCKET = 1
    FUTEX = 2


class Reason(IntEnum):
    VERSION = 1
    UNAUTHORIZED = 2
    TOO_MANY = 3
    RING_SIZE = 4
    BELL = 5
    STOPPING = 6
    MALFORMED = 7
    TOO_MANY_OF_USER = 8
    NO_RESOURCES = 9
    KIND = 10


class ProtocolError(Exception):
    """The peer did what the protocol does not allow."""


class PeerGone(Exception):
    """The peer has hung up without an orderly end."""


class Refusal(Exception):
    """The server's answer was REFUSED."""

    def __init__(self, reason: Reason, limit_low: int = 0, limit_high: int = 0) -> None:
        super().__init__(f"refused: {reason.name} ({limit_low}, {limit_high})")
        self.reason = reason
        self.limit_low = limit_low
        self.limit_high = limit_high


def bell_set(bells: Sequence[Bell]) -> int:
    """Bit k is kind k."""
    return sum(1 << bell for bell in set(bells))


def is_ring_size(size: int) -> bool:
    return LEAST_RING <= size <= LARGEST_RING and size & (size - 1) == 0


def region_bytes(ring_bytes: int) -> int:
    whole = ring_bytes + 4096
    return (whole + system.PAGE - 1) // system.PAGE * system.PAGE


@dataclass
class Hello:
    version_min: int = VERSION
    version_max: int = VERSION
    kind: int = MESSAGES
    can_wait_on: int = 0
    can_ring: int = 0
    ring_bytes: int = 65536
    wanted_ring_bytes: int = 0
    max_message: int = 2**24

    def pack(self) -> bytes:
        return struct.pack(
            "<IHHHHB3xIIQQQ",
            MAGIC,
            HELLO,
            SIZES[HELLO],
            self.version_min,
            self.version_max,
            self.kind,
            self.can_wait_on,
            self.can_ring,
            self.ring_bytes,
            self.wanted_ring_bytes,
            self.max_message,
        )

    def handles(self) -> int:
        return 1 + (self.can_wait_on >> Bell.EVENTFD & 1)


@dataclass
class Welcome:
    version: int
    wakes_client: int
    wakes_server: int
    ring_bytes: int
    max_message: int

    def pack(self) -> bytes:
        return struct.pack(
            "<IHHHBBIQQ",
            MAGIC,
            WELCOME,
            SIZES[WELCOME],
            self.version,
            self.wakes_client,
            self.wakes_server,
            0,
            self.ring_bytes,
            self.max_message,
        )

    def handles(self) -> int:
        return 1 + (self.wakes_server == Bell.EVENTFD)


@dataclass
class Refused:
    reason: int
    limit_low: int = 0
    limit_high: int = 0

    def pack(self) -> bytes:
        return struct.pack(
            "<IHHH6xQQ",
            MAGIC,
            REFUSED,
            SIZES[REFUSED],
            self.reason,
            self.limit_low,
            self.limit_high,
        )

    def handles(self) -> int:
        return 0


Frame = Union[Hello, Welcome, Refused]


def unpack(frame: bytes) -> Frame:
    """A whole frame; raises ProtocolError where it is none."""
    magic, kind, size = struct.unpack_from("<IHH", frame)
    if magic != MAGIC:
        raise ProtocolError(f"a frame with the magic {magic:#x}")
    if kind not in SIZES or size != SIZES[kind] or len(frame) != size:
        raise ProtocolError(f"a frame of type {kind} with the size {size}")
    if kind == HELLO:
        if any(frame[13:16]):
            raise ProtocolError("reserved bytes of HELLO are not 0")
        low, high, records = struct.unpack_from("<HHB", frame, 8)
        return Hello(low, high, records, *struct.unpack_from("<IIQQQ", frame, 16))
    if kind == WELCOME:
        if any(frame[12:16]):
            raise ProtocolError("reserved bytes of WELCOME are not 0")
        version, client, server = struct.unpack_from("<HBB", frame, 8)
        if max(client, server) > max(Bell):
            raise ProtocolError(f"bells of the kinds {client} and {server}")
        return Welcome(version, client, server, *struct.unpack_from("<QQ", frame, 16))
    if any(frame[10:16]):
        raise ProtocolError("reserved bytes of REFUSED are not 0")
    (reason,) = struct.unpack_from("<H", frame, 8)
    if reason not in list(Reason):
        raise ProtocolError(f"a refusal for the reason {reason}")
    return Refused(reason, *struct.unpack_from("<QQ", frame, 16))


class Handles:
    """Descriptors that came with a frame; those that nobody takes are closed."""

    def __init__(self) -> None:
        self.list: List[int] = []

    def take(self, place: int) -> int:
        descriptor, self.list[place] = self.list[place], -1
        return descriptor

    def close(self) -> None:
        for descriptor in self.list:
            if descriptor >= 0:
                os.close(descriptor)
        self.list = []


def receive_frame(
    connection: socket.socket, expected: Sequence[int]
) -> Tuple[Frame, Handles]:
    """One frame of an expected type, and not a byte more; whatever the pieces it comes in."""
    handles = Handles()
    frame = b""
    size = 8
    try:
        while len(frame) < size:
            data, came = system.receive(connection, size - len(frame))
            handles.list += came
            if not data:
                raise PeerGone(f"the peer hung up after {len(frame)} bytes of its frame")
            frame += data
            if len(frame) == 8 == size:
                magic, kind, announced = struct.unpack("<IHH", frame)
                if magic != MAGIC or kind not in expected or announced != SIZES[kind]:
                    raise ProtocolError(f"no frame that is due here begins with {frame.hex()}")
                size = announced
        decoded = unpack(frame)
        if len(handles.list) != decoded.handles():
            raise ProtocolError(
                f"{len(handles.list)} handles came; {decoded.handles()} are needed"
            )
        system.refuse_handles(connection)
    except BaseException:
        handles.close()
        raise
    return decoded, handles


@dataclass
class Terms:
    """What a server accepts, and what it has."""

    version_min: int = VERSION
    version_max: int = VERSION
    kind: int = MESSAGES
    can_wait_on: int = bell_set(list(Bell))
    can_ring: int = bell_set(list(Bell))
    least_ring: int = LEAST_RING
    largest_ring: int = LARGEST_RING
    default_ring: int = 65536
    max_message: int = 2**24
    preference: Sequence[Bell] = field(
        default_factory=lambda: (Bell.EVENTFD, Bell.SOCKET, Bell.FUTEX)
    )


def _choose_bell(both: int, terms: Terms, same_user: bool) -> Optional[Bell]:
    for bell in terms.preference:
        if both >> bell & 1 and (same_user or bell != Bell.EVENTFD):
            return bell
    return None


def answer(hello: Hello, terms: Terms, same_user: bool) -> Union[Welcome, Refused]:
    """What a server says to a HELLO. The order of the checks is the protocol's."""
    if hello.version_min > hello.version_max:
        return Refused(Reason.MALFORMED)
    version = min(hello.version_max, terms.version_max)
    if version < max(hello.version_min, terms.version_min):
        return Refused(Reason.VERSION, terms.version_min, terms.version_max)
    if hello.kind != terms.kind:
        return Refused(Reason.KIND, terms.kind)
    wanted = hello.wanted_ring_bytes
    if (
        not is_ring_size(hello.ring_bytes)
        or not terms.least_ring <= hello.ring_bytes <= terms.largest_ring
        or wanted & (wanted - 1)
    ):
        return Refused(Reason.RING_SIZE, terms.least_ring, terms.largest_ring)
    ring_bytes = terms.default_ring
    if wanted:
        ring_bytes = min(max(wanted, terms.least_ring), terms.largest_ring)
    client = _choose_bell(hello.can_wait_on & terms.can_ring, terms, same_user)
    server = _choose_bell(hello.can_ring & terms.can_wait_on, terms, same_user)
    if client is None or server is None:
        return Refused(Reason.BELL)
    return Welcome(version, client, server, ring_bytes, terms.max_message)


def answer_fault(hello: Hello, welcome: Welcome) -> Optional[str]:
    """Why a client cannot accept a WELCOME; None when it can."""
    if not hello.version_min <= welcome.version <= hello.version_max:
        return f"version {welcome.version} was not offered"
    if not hello.can_wait_on >> welcome.wakes_client & 1:
        return f"the client cannot wait on bell {welcome.wakes_client}"
    if not hello.can_ring >> welcome.wakes_server & 1:
        return f"the client cannot ring bell {welcome.wakes_server}"
    if not is_ring_size(welcome.ring_bytes):
        return f"{welcome.ring_bytes} is no size of a ring"
    return None
