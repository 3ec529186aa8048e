# SPDX-License-Identifier: BSL-1.0
"""The park protocol: what a side publishes before it sleeps, and when it rings the peer's bell.

The names R1, F1, S1 and so on are those of docs/protocol.md.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from . import region, system
from .bells import Bells
from .ring import Receiver, Sender
from .system import MASK_64


def passed(old: int, new: int, wake_at: int) -> bool:
    """Whether the publication of (old, new] passed the index that the waiter published."""
    return (new - wake_at - 1 & MASK_64) < (new - old & MASK_64)


class Endpoint:
    """One side of a channel: what it sends, what it receives, and how it waits."""

    def __init__(self, own: region.OwnRegion, peer: region.PeerRegion, bells: Bells) -> None:
        self.own = own
        self.peer = peer
        self.bells = bells
        self.sender = Sender(own, peer)
        self.receiver = Receiver(own, peer)
        # The last positions that were compared with the peer's indexes.
        self._compared_tail = 0
        self._compared_head = 0

    def publish(self) -> None:
        """Shows the peer what was written and read, and wakes it if it waits for that."""
        if self._store():
            system.fence()  # F2, F4
            self._wake_peer()

    def _store(self) -> bool:
        """The head first: it is in the tail's line, and frees the peer's express slot."""
        head = self.receiver.publish()  # R3
        tail = self.sender.publish()  # S1
        return head or tail

    def _wake_peer(self) -> None:
        """Wakes the peer where it asked for that. The caller has made a fence before."""
        words: List[int] = []
        tail, head = self.sender.published, self.receiver.published
        if tail != self._compared_tail:
            wake_at = self.peer.memory.load(region.DATA_WAKE_AT)  # S2
            if passed(self._compared_tail, tail, wake_at):
                words.append(self.own.memory.address + region.TX_TAIL)
            else:
                self.own.count(region.BELLS_SUPPRESSED)
            self._compared_tail = tail
        if head != self._compared_head:
            wake_at = self.peer.memory.load(region.SPACE_WAKE_AT)  # R4
            if passed(self._compared_head, head, wake_at):
                words.append(self.own.memory.address + region.RX_HEAD)
            self._compared_head = head
        if words:
            self._ring(words)

    def _ring(self, words: List[int]) -> None:
        self.bells.ring(words)
        self.own.count(region.BELLS_RUNG)

    def close_sending(self) -> None:
        if self.sender.close():
            self._ring([self.own.memory.address + region.TX_TAIL])

    def close_receiving(self) -> None:
        if self.receiver.close():
            self._ring([self.own.memory.address + region.RX_HEAD])

    def park(self, data: bool, space: bool, until: Optional[float] = None) -> None:
        """Sleeps until there may be data, or space for the record that did not fit.

        It returns at once when there is, and early when the bell rings for nothing: the caller
        looks again.
        """
        moved = self._store()
        if data:
            self.own.memory.store(region.DATA_WAKE_AT, self.receiver.head)  # R1
        if space:
            self.own.memory.store(region.SPACE_WAKE_AT, self.sender.space_index())  # S3
        self.own.memory.store(region.ONLY_CPU, system.only_cpu() & MASK_64)
        system.fence()  # F1, F3, and F2, F4 for what was just published
        if moved:
            self._wake_peer()
        words: List[Tuple[int, int]] = []
        if data:
            if self.receiver.look() or self.receiver.peer_sends_no_more:  # R2
                return
            words.append((self.peer.memory.address + region.TX_TAIL, self.receiver.word))
        if space:
            self.sender.look()  # S4
            if self.sender.peer_takes_no_more or self.sender.fits():
                return
            words.append((self.peer.memory.address + region.RX_HEAD, self.sender.word))
        self.own.count(region.PARKS)
        self.bells.sleep(words, until)

    def close(self) -> None:
        """Ends both directions in order, and hangs up."""
        self.close_sending()
        self.close_receiving()
        self.free()

    def free(self) -> None:
        """Hangs up, and unmaps both regions."""
        self.bells.close()
        self.own.close()
        self.peer.close()
