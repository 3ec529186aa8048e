# SPDX-License-Identifier: BSL-1.0
"""Regions: the control page and the ring behind it. Each side writes one and reads the other."""

from __future__ import annotations

import os
import struct
import time

from . import system
from .handshake import ProtocolError, region_bytes

MAGIC = 0x31524252
LAYOUT_VERSION = 1
NEVER = system.MASK_64

# Offsets in the control page.
TX_TAIL = 0
RX_HEAD = 8
EXPRESS_POSITION = 16
EXPRESS_SLOT = 24
DATA_WAKE_AT = 128
SPACE_WAKE_AT = 136
ONLY_CPU = 144
IDENTITY = 256  # u32 magic, u32 layout version, u64 ring_bytes, u64 process id, u64 start time
MESSAGES_SENT = 384
BYTES_SENT = 392
MESSAGES_RECEIVED = 400
BYTES_RECEIVED = 408
PARKS = 416
BELLS_RUNG = 424
BELLS_SUPPRESSED = 432
SPINS_PAID = 440
RING_FULL_STALLS = 448
DATA = 4096

EXPRESS_PAYLOAD = 96  # the longest

CLOSED = 1  # bit 0 of tx_tail and rx_head
RESERVED = 6  # bits 1 and 2


class OwnRegion:
    """The one that this side writes. Its descriptor is for the peer, and closed afterwards."""

    def __init__(self, ring_bytes: int) -> None:
        self.ring_bytes = ring_bytes
        self.descriptor, self.memory = system.create_region(region_bytes(ring_bytes))
        self.memory.store(EXPRESS_POSITION, NEVER)
        self.memory.store(DATA_WAKE_AT, NEVER)
        self.memory.store(SPACE_WAKE_AT, NEVER)
        self.memory.store(ONLY_CPU, system.MASK_64)  # -1
        self.memory.write(
            IDENTITY,
            struct.pack(
                "<IIQQQ",
                MAGIC,
                LAYOUT_VERSION,
                ring_bytes,
                os.getpid(),
                time.clock_gettime_ns(time.CLOCK_MONOTONIC),
            ),
        )

    def count(self, counter: int, by: int = 1) -> None:
        """Adds to one of the statistics, which nobody else writes."""
        self.memory.store(counter, self.memory.load(counter) + by & system.MASK_64)

    def close_descriptor(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def close(self) -> None:
        self.close_descriptor()
        self.memory.close()


class PeerRegion:
    """The one that the peer writes. It takes the descriptor, checks it, and maps it read-only."""

    def __init__(self, descriptor: int, ring_bytes: int) -> None:
        try:
            fault = system.region_fault(descriptor, region_bytes(ring_bytes))
            if fault:
                raise ProtocolError(f"the peer's handle is {fault}")
            self.memory = system.Mapping(descriptor, region_bytes(ring_bytes), writable=False)
        finally:
            os.close(descriptor)
        self.ring_bytes = ring_bytes
        magic, layout, announced = struct.unpack("<IIQ", self.memory.read(IDENTITY, 16))
        if (magic, layout, announced) != (MAGIC, LAYOUT_VERSION, ring_bytes):
            self.memory.close()
            raise ProtocolError(
                f"the peer's control page says {magic:#x}, layout {layout}, {announced} bytes"
            )

    def close(self) -> None:
        self.memory.close()
