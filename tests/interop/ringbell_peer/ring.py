# SPDX-License-Identifier: BSL-1.0
"""Rings: a sender that writes records into its own region, a receiver that reads the peer's.

Nothing here waits. Positions are modulo 2^64, so they are compared by their distances.
"""

from __future__ import annotations

from typing import Optional, Tuple

from . import region
from .handshake import ProtocolError
from .system import MASK_64

MORE = 1 << 32  # a fragment, and further ones follow
PAD = 1 << 33  # no message: skip to the ring's end
ABANDON = 1 << 34  # no message: discard the fragments that came so far
_KNOWN = 0xFFFFFFFF | MORE | PAD | ABANDON


def record_size(length: int) -> int:
    return 8 + (length + 7 & ~7)


class Sender:
    """Writes the records of one direction. Space is free once the peer's rx_head says so."""

    def __init__(self, own: region.OwnRegion, peer: region.PeerRegion) -> None:
        self._own = own
        self._peer = peer
        self._ring = own.ring_bytes
        self.use_express = True
        self.tail = 0  # behind the last record that was written
        self.published = 0  # as the peer can see it
        self.peer_head = 0  # as it was last seen
        self.peer_takes_no_more = False
        self.closed = False
        self.needed = 0  # bytes that the last record which did not fit would take
        self.word = 0  # the peer's rx_head as it was last loaded, for a futex

    def look(self) -> bool:
        """Looks how far the peer has come; whether anything is new."""
        if self.peer_takes_no_more:
            return False
        word = self.word = self._peer.memory.load(region.RX_HEAD)
        if word & region.RESERVED:
            raise ProtocolError(f"rx_head is {word:#x}")
        if word & region.CLOSED:
            self.peer_takes_no_more = True
            return True
        if word - self.peer_head & MASK_64 > self.published - self.peer_head & MASK_64:
            raise ProtocolError(
                f"rx_head is {word:#x}; it was {self.peer_head:#x}, the tail is {self.published:#x}"
            )
        moved = word != self.peer_head
        self.peer_head = word
        return moved

    def to_end(self) -> int:
        """Bytes from the tail to the ring's end."""
        return self._ring - self.tail % self._ring

    def _has_space(self, size: int) -> bool:
        used = self.tail - self.peer_head & MASK_64
        if self._ring - used < size:
            self.look()
            used = self.tail - self.peer_head & MASK_64
        if self._ring - used >= size:
            return True
        self.needed = size
        return False

    def _fits_express(self, length: int) -> bool:
        if not self.use_express or length > region.EXPRESS_PAYLOAD or self.tail != self.published:
            return False
        if self.peer_head != self.tail:
            self.look()
        return self.peer_head == self.tail

    def put(self, payload: bytes, flags: int = 0) -> bool:
        """Writes a record, after a pad where it does not fit before the ring's end.

        Returns False when there is no space; `needed` then says how much. The peer sees nothing of
        it before publish().
        """
        header = (len(payload) | flags).to_bytes(8, "little")
        size = record_size(len(payload))
        if self._fits_express(len(payload)):
            self._own.memory.write(region.EXPRESS_SLOT, header + payload)
            self._own.memory.store(region.EXPRESS_POSITION, self.tail)
            self.tail = self.tail + size & MASK_64
            return True
        pad = self.to_end() if size > self.to_end() else 0
        if size + pad > self._ring:
            # There is a position at which it does not fit an empty ring; the caller asked for it.
            raise ValueError(f"a record of {size} bytes does not fit a ring of {self._ring} here")
        if not self._has_space(size + pad):
            return False
        if pad:
            self._own.memory.store(region.DATA + self.tail % self._ring, pad - 8 | PAD)
            self.tail = self.tail + pad & MASK_64
        place = region.DATA + self.tail % self._ring
        self._own.memory.write(place, header + payload)
        self.tail = self.tail + size & MASK_64
        return True

    def publish(self) -> bool:
        """Lets the peer see what was written; whether anything was new."""
        if self.tail == self.published:
            return False
        self.published = self.tail
        self._own.memory.store(region.TX_TAIL, self.tail | self.closed)
        return True

    def close(self) -> bool:
        """Nothing follows; whether this is new. The caller rings the bell."""
        if self.closed:
            return False
        self.closed = True
        self.published = self.tail
        self._own.memory.store(region.TX_TAIL, self.tail | region.CLOSED)
        return True

    def fits(self) -> bool:
        """Whether the record that did not fit does now, as far as the peer's head was seen."""
        return self._ring - (self.tail - self.peer_head & MASK_64) >= self.needed

    def space_index(self) -> int:
        """The head that the peer must pass before the record that did not fit does."""
        return self.tail + self.needed - self._ring - 1 & MASK_64


class Receiver:
    """Reads the records of one direction, in the peer's region."""

    def __init__(self, own: region.OwnRegion, peer: region.PeerRegion) -> None:
        self._own = own
        self._peer = peer
        self._ring = peer.ring_bytes
        self.head = 0  # before it everything was read
        self.published = 0  # as the peer can see it
        self.tail = 0  # the peer's, as it was last seen
        self.peer_sends_no_more = False
        self.closed = False
        self.express_records = 0
        self.word = 0  # the peer's tx_tail as it was last loaded, for a futex

    def look(self) -> bool:
        """Looks how far the peer has come; whether anything is new."""
        if self.peer_sends_no_more:
            return False
        word = self.word = self._peer.memory.load(region.TX_TAIL)
        if word & region.RESERVED:
            raise ProtocolError(f"tx_tail is {word:#x}")
        tail = word & ~region.CLOSED
        ahead = tail - self.published & MASK_64
        if not (self.head - self.published & MASK_64) <= ahead <= self._ring:
            raise ProtocolError(
                f"tx_tail is {word:#x}; {self.published:#x} was published, {self.head:#x} was read"
            )
        new = tail != self.tail or bool(word & region.CLOSED)
        self.tail = tail
        self.peer_sends_no_more = bool(word & region.CLOSED)
        return new

    def take(self) -> Optional[Tuple[int, bytes]]:
        """The flags and the payload of the next record, pads left out; None when there is none.

        The peer may use the space again only after publish().
        """
        while True:
            if self.head == self.tail:
                self.look()
                if self.head == self.tail:
                    return None
            flags, payload = self._record()
            if not flags & PAD:
                return flags, payload

    def _record(self) -> Tuple[int, bytes]:
        left = self.tail - self.head & MASK_64
        express = (
            self.published == self.head
            and self._peer.memory.load(region.EXPRESS_POSITION) == self.head
        )
        place = region.EXPRESS_SLOT if express else region.DATA + self.head % self._ring
        header = self._peer.memory.load(place)
        flags, length = header & ~0xFFFFFFFF, header & 0xFFFFFFFF
        size = record_size(length)
        if header & ~_KNOWN or size > left:
            raise ProtocolError(f"a record with the header {header:#x}, {left} before the tail")
        if express:
            if flags & PAD or length > region.EXPRESS_PAYLOAD:
                raise ProtocolError(f"an express record with the header {header:#x}")
            self.express_records += 1
        else:
            to_end = self._ring - self.head % self._ring
            if size > to_end:
                raise ProtocolError(f"a record of {size} bytes, {to_end} before the ring's end")
            if flags & PAD and (flags != PAD or size != to_end or size == self._ring):
                raise ProtocolError(f"a pad with the header {header:#x}, {to_end} before the end")
        payload = b"" if flags & PAD else self._peer.memory.read(place + 8, length)
        self.head = self.head + size & MASK_64
        return flags, payload

    def at_end(self) -> bool:
        """The peer has closed its sending side, and everything was read."""
        return self.peer_sends_no_more and self.head == self.tail

    def unpublished(self) -> int:
        return self.head - self.published & MASK_64

    def publish(self) -> bool:
        """Gives the space back to the peer; whether anything was new."""
        if self.head == self.published:
            return False
        self.published = self.head
        self._own.memory.store(region.RX_HEAD, self.head | self.closed)
        return True

    def close(self) -> bool:
        """Nothing more is received; whether this is new. The caller rings the bell."""
        if self.closed:
            return False
        self.closed = True
        self.published = self.head
        self._own.memory.store(region.RX_HEAD, self.head | region.CLOSED)
        return True
