# SPDX-License-Identifier: BSL-1.0
"""How a side sleeps until its peer wakes it, and how it wakes the peer.

A bell is a hint: after each sleep the side looks at the ring again. The control socket is watched
in every sleep, because its hang-up is the peer's death.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import threading
import time
from typing import Optional, Sequence, Tuple

from . import system
from .handshake import Bell, ProtocolError


class Bells:
    """Both bells of one channel, and its control socket.

    `wakes_us` is the kind that the peer rings, with `own_eventfd` where it is an eventfd;
    `wakes_peer` the kind that this side rings, with `peer_eventfd`. It owns the socket and both
    descriptors.
    """

    def __init__(
        self,
        control: socket.socket,
        wakes_us: Bell,
        wakes_peer: Bell,
        own_eventfd: int = -1,
        peer_eventfd: int = -1,
    ) -> None:
        self.control = control
        self._wakes_us = wakes_us
        self._wakes_peer = wakes_peer
        self._own_eventfd = own_eventfd
        self._peer_eventfd = peer_eventfd
        self._hung_up = False
        self._handles_came = False
        control.setblocking(True)
        # With a futex, a thread watches the socket: it sets this word and wakes it.
        self._end = ctypes.c_uint32(0)
        self._watcher: Optional[threading.Thread] = None
        if wakes_us == Bell.FUTEX:
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        self._look_into_socket()

    @property
    def hung_up(self) -> bool:
        """Returns whether the peer was seen to close its end of the control socket."""
        return self._hung_up

    def ring(self, words: Sequence[int]) -> None:
        """Wakes the peer; `words` are the addresses of the words that this side has changed."""
        if self._wakes_peer == Bell.EVENTFD:
            system.eventfd_add(self._peer_eventfd)
        elif self._wakes_peer == Bell.FUTEX:
            for address in words:
                system.futex_wake(address)
        else:
            try:
                self.control.send(b"\0", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                pass  # the buffer is full of bells
            except OSError:
                pass  # it has hung up, which the next look tells

    def sleep(self, words: Sequence[Tuple[int, int]], until: Optional[float]) -> None:
        """Sleeps until the bell rings, the peer hangs up, or time.monotonic() reaches `until`.

        `words` are the addresses of the peer's words that matter, with the values that were seen.
        """
        if self._hung_up:
            return
        if self._wakes_us == Bell.FUTEX:
            end = ctypes.addressof(self._end)
            system.futex_wait_any([*((a, v) for a, v in words), (end, 0)], until)
            self._check_handles()
            return
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        if self._wakes_us == Bell.EVENTFD:
            poll.register(self._own_eventfd, select.POLLIN)
        timeout = None if until is None else max(0.0, (until - time.monotonic()) * 1000)
        for descriptor, _ in poll.poll(timeout):
            if descriptor == self._own_eventfd:
                system.eventfd_empty(self._own_eventfd)
            else:
                self._look_into_socket()

    def _look_into_socket(self) -> None:
        """Empties the socket. Bytes are bells, the end is a hang-up, handles are a violation."""
        if self._watcher:
            self._check_handles()
            return
        while not self._hung_up and self._read_some(socket.MSG_DONTWAIT):
            pass
        self._check_handles()

    def _read_some(self, flags: int) -> bool:
        """Whether there may be more."""
        try:
            data, handles = system.receive(self.control, 4096, flags)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data, handles = b"", []
        for handle in handles:
            os.close(handle)
        self._handles_came |= bool(handles)
        self._hung_up |= not data
        return bool(data)

    def _check_handles(self) -> None:
        if self._handles_came:
            raise ProtocolError("handles came behind the handshake")

    def _watch(self) -> None:
        while self._read_some(0) and not self._handles_came:
            pass
        self._end.value = 1
        system.futex_wake(ctypes.addressof(self._end))

    def close(self) -> None:
        """Hangs up, and frees everything."""
        try:
            self.control.shutdown(socket.SHUT_RDWR)  # this ends the watcher as well
        except OSError:
            pass
        if self._watcher:
            self._watcher.join()
        self.control.close()
        for descriptor in (self._own_eventfd, self._peer_eventfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._own_eventfd = self._peer_eventfd = -1
