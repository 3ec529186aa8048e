# SPDX-License-Identifier: BSL-1.0
"""Channels: connect and listen, messages (whole or in fragments), and streams of bytes.

Everything here blocks; a time limit is a number of seconds.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from dataclasses import dataclass
from typing import Deque, List, Optional, Tuple, Union

from . import region, system
from .bells import Bells
from .endpoint import Endpoint
from .handshake import (
    HELLO,
    MESSAGES,
    REFUSED,
    STREAM,
    WELCOME,
    Bell,
    Handles,
    Hello,
    PeerGone,
    ProtocolError,
    Reason,
    Refusal,
    Refused,
    Terms,
    Welcome,
    answer,
    answer_fault,
    receive_frame,
)
from .ring import ABANDON, MORE, record_size

HANDSHAKE_SECONDS = 20.0


class EndOfStream(Exception):
    """The peer has ended this direction in order."""


class TimedOut(Exception):
    """A wait took longer than its time limit."""


@dataclass
class Greeting:
    """The result of a handshake."""

    hello: Hello
    welcome: Welcome


class Connection:
    """What channels and streams have in common."""

    def __init__(
        self, endpoint: Endpoint, greeting: Greeting, max_message: int, peer_max_message: int
    ) -> None:
        self.endpoint = endpoint
        self.greeting = greeting
        self.max_message = max_message
        self.peer_max_message = peer_max_message
        self._closed = False

    def close(self) -> None:
        """In order: what was sent can still be received. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self.endpoint.publish()
        self.endpoint.close()

    def hang_up(self) -> None:
        """Hangs up as a process that dies does: no direction ends in order."""
        if not self._closed:
            self._closed = True
            self.endpoint.free()

    def close_sending(self) -> None:
        self.endpoint.close_sending()

    def _park(self, data: bool, space: bool, until: Optional[float]) -> None:
        if until is not None and time.monotonic() >= until:
            raise TimedOut("nothing came in time" if data else "no space came in time")
        self.endpoint.park(data, space, until)

    def _next(self) -> Optional[Tuple[int, bytes]]:
        """The next record, pads left out; None when there is none yet."""
        hung_up = self.endpoint.bells.hung_up  # before the look, which must be behind the hang-up
        receiver = self.endpoint.receiver
        taken = receiver.take()
        if taken is None:
            if receiver.at_end():
                raise EndOfStream("the peer has closed its sending side")
            if hung_up:
                raise PeerGone("the peer hung up")
            return None
        if receiver.unpublished() >= self.endpoint.peer.ring_bytes // 8:
            self.endpoint.publish()
        return taken

    def _check_sending(self) -> None:
        if self.endpoint.sender.closed:
            raise ValueError("this side has closed its sending side")
        if self.endpoint.sender.peer_takes_no_more:
            raise EndOfStream("the peer receives no more")
        if self.endpoint.bells.hung_up:
            raise PeerGone("the peer hung up")


@dataclass
class _Outgoing:
    message: bytes
    sent: int = 0  # bytes of it that fragments have taken


class Channel(Connection):
    """Messages in both directions."""

    fragment_bytes = 0  # the longest record of a fragment; 0: a quarter of the ring
    whole_up_to = 0  # the longest record of a whole message; 0: three eighths of the ring

    def __init__(
        self, endpoint: Endpoint, greeting: Greeting, max_message: int, peer_max_message: int
    ) -> None:
        super().__init__(endpoint, greeting, max_message, peer_max_message)
        self._outgoing: Deque[_Outgoing] = deque()
        self._joined: Optional[bytearray] = None  # of a message in fragments
        self._total = 0

    # Sending.

    def post(self, message: bytes) -> None:
        """Puts a message into the queue; flush() sends it."""
        if len(message) > self.peer_max_message:
            raise ValueError(f"{len(message)} bytes; the peer takes {self.peer_max_message}")
        self._outgoing.append(_Outgoing(bytes(message)))

    @property
    def pending(self) -> bool:
        return bool(self._outgoing)

    def flush(self) -> bool:
        """Sends what fits, and publishes it; whether that was everything."""
        if self._outgoing:
            self._check_sending()
        while self._outgoing and self._put(self._outgoing[0]):
            self._outgoing.popleft()
        self.endpoint.publish()
        return not self._outgoing

    def send(self, message: bytes, timeout: Optional[float] = None) -> None:
        """One message; waits while there is no space."""
        until = None if timeout is None else time.monotonic() + timeout
        self.post(message)
        while not self.flush():
            self._park(data=False, space=True, until=until)

    def _put(self, out: _Outgoing) -> bool:
        ring = self.endpoint.own.ring_bytes
        length = len(out.message)
        if record_size(length) <= (self.whole_up_to or ring * 3 // 8) and not out.sent:
            if not self.endpoint.sender.put(out.message):
                self.endpoint.own.count(region.RING_FULL_STALLS)
                return False
            self._count_sent(length)
            return True
        while out.sent < length:
            room = self._fragment_room()
            first = b""
            if not out.sent:  # one fragment alone would be taken for a message
                first = length.to_bytes(8, "little")
                room = min(room - 8, length - 1)
            payload = first + out.message[out.sent : out.sent + room]
            sent = out.sent + len(payload) - len(first)
            if not self.endpoint.sender.put(payload, MORE if sent < length else 0):
                self.endpoint.own.count(region.RING_FULL_STALLS)
                return False
            out.sent = sent
            self.endpoint.publish()
        self._count_sent(length)
        return True

    def _fragment_room(self) -> int:
        """Bytes of payload: to the ring's end rather than across it with a pad."""
        most = self.fragment_bytes or self.endpoint.own.ring_bytes // 4
        to_end = self.endpoint.sender.to_end()
        return (min(most, to_end) if to_end >= 24 else most) - 8

    def _count_sent(self, length: int) -> None:
        self.endpoint.own.count(region.MESSAGES_SENT)
        self.endpoint.own.count(region.BYTES_SENT, length)

    # Receiving.

    def try_receive(self) -> Optional[bytes]:
        """The next message; None when it is not there yet.

        Raises EndOfStream when the peer has ended in order, PeerGone when it has not.
        """
        while True:
            taken = self._next()
            if taken is None:
                return None
            message = self._join(*taken)
            if message is not None:
                self.endpoint.own.count(region.MESSAGES_RECEIVED)
                self.endpoint.own.count(region.BYTES_RECEIVED, len(message))
                return message

    def receive(self, timeout: Optional[float] = None) -> bytes:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            message = self.try_receive()
            if message is not None:
                return message
            self._park(data=True, space=False, until=until)

    def wait(self, until: Optional[float]) -> None:
        """Waits until there may be something to receive, or to send. It may return too early."""
        self.endpoint.park(True, self.pending, until)

    def start_joining(self, total: int) -> None:
        """Goes on as if the first fragment of such a message had come. It is for a test."""
        self._joined, self._total = bytearray(), total

    def _join(self, flags: int, payload: bytes) -> Optional[bytes]:
        """Returns a message when this record completes one, else None."""
        if flags & ABANDON:
            if flags != ABANDON or payload:
                raise ProtocolError("a record `abandon` with another flag, or with a payload")
            self._joined = None
            return None
        if self._joined is None:
            if not flags & MORE:
                if len(payload) > self.max_message:
                    raise ProtocolError(f"a message of {len(payload)} bytes")
                return payload
            if len(payload) < 8:
                raise ProtocolError("a first fragment without the length of its message")
            self._total = int.from_bytes(payload[:8], "little")
            payload = payload[8:]
            if self._total > self.max_message or self._total <= len(payload):
                raise ProtocolError(f"a message of {self._total} bytes in fragments")
            self._joined = bytearray()
        self._joined += payload
        if len(self._joined) > self._total or (len(self._joined) == self._total) == bool(
            flags & MORE
        ):
            raise ProtocolError(f"fragments of {len(self._joined)} bytes, not {self._total}")
        if flags & MORE:
            return None
        message, self._joined = bytes(self._joined), None
        return message


class Stream(Connection):
    """Bytes in both directions."""

    def write(self, data: bytes, timeout: Optional[float] = None) -> None:
        """All of it; waits while there is no space."""
        until = None if timeout is None else time.monotonic() + timeout
        # A record counts as a message, and must not be longer than the peer's longest.
        most = min(self.endpoint.own.ring_bytes // 4 - 8, self.peer_max_message)
        if data and not most:
            raise ValueError("the peer takes no bytes")
        for begin in range(0, len(data), most):
            piece = data[begin : begin + most]
            self._check_sending()
            while not self.endpoint.sender.put(piece):
                self.endpoint.own.count(region.RING_FULL_STALLS)
                self._park(data=False, space=True, until=until)
                self._check_sending()
            self.endpoint.own.count(region.MESSAGES_SENT)
            self.endpoint.own.count(region.BYTES_SENT, len(piece))
            self.endpoint.publish()

    def read(self, timeout: Optional[float] = None) -> bytes:
        """The bytes of one record; b"" when the peer has ended its direction."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                taken = self._next()
            except EndOfStream:
                return b""
            if taken is not None:
                flags, data = taken
                if flags or not data or len(data) > self.max_message:
                    raise ProtocolError(f"{len(data)} bytes with the flags {flags:#x} in a stream")
                self.endpoint.own.count(region.MESSAGES_RECEIVED)
                self.endpoint.own.count(region.BYTES_RECEIVED, len(data))
                return data
            self._park(data=True, space=False, until=until)


Anything = Union[Channel, Stream]


def connection(
    endpoint: Endpoint, hello: Hello, welcome: Welcome, max_message: int, peer_max_message: int
) -> Anything:
    """A channel or a stream, as the HELLO says; the longest messages that each side receives."""
    kinds = {MESSAGES: Channel, STREAM: Stream}
    return kinds[hello.kind](endpoint, Greeting(hello, welcome), max_message, peer_max_message)


def connect(path: str, hello: Hello) -> Anything:
    """A channel or a stream to the server that listens there.

    `hello` says everything but the handles. Raises Refusal when the server refuses.
    """
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    own: Optional[region.OwnRegion] = None
    own_eventfd = -1
    try:
        control.settimeout(HANDSHAKE_SECONDS)
        control.connect(path)
        own = region.OwnRegion(hello.ring_bytes)
        handles = [own.descriptor]
        if hello.can_wait_on >> Bell.EVENTFD & 1:
            own_eventfd = system.create_eventfd()
            handles.append(own_eventfd)
        try:
            system.send_with_handles(control, hello.pack(), handles)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have refused without having read this
        own.close_descriptor()
        welcome, came = receive_frame(control, (WELCOME, REFUSED))
        try:
            if isinstance(welcome, Refused):
                raise Refusal(Reason(welcome.reason), welcome.limit_low, welcome.limit_high)
            assert isinstance(welcome, Welcome)
            fault = answer_fault(hello, welcome)
            if fault:
                raise ProtocolError(fault)
            if welcome.wakes_client != Bell.EVENTFD and own_eventfd >= 0:
                os.close(own_eventfd)
                own_eventfd = -1
            peer, peer_eventfd = _take_handles(
                came, welcome.ring_bytes, welcome.wakes_server == Bell.EVENTFD
            )
        finally:
            came.close()
    except BaseException:
        control.close()
        if own:
            own.close()
        if own_eventfd >= 0:
            os.close(own_eventfd)
        raise
    bells = Bells(
        control, Bell(welcome.wakes_client), Bell(welcome.wakes_server), own_eventfd, peer_eventfd
    )
    return connection(
        Endpoint(own, peer, bells), hello, welcome, hello.max_message, welcome.max_message
    )


def _take_handles(
    came: Handles, ring_bytes: int, with_eventfd: bool
) -> Tuple[region.PeerRegion, int]:
    """The peer's region, and its eventfd or -1."""
    if with_eventfd and not system.is_eventfd(came.list[1]):
        raise ProtocolError("the second handle is no eventfd")
    peer = region.PeerRegion(came.take(0), ring_bytes)
    return peer, came.take(1) if with_eventfd else -1


class Listener:
    """Listens at a path, and removes it at the end."""

    def __init__(self, path: str, terms: Terms) -> None:
        self.path = path
        self.terms = terms
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.bind(path)
        self._socket.listen(16)
        self.refused: List[Refused] = []

    def close(self) -> None:
        """A second call does nothing."""
        if self._socket.fileno() >= 0:
            os.unlink(self.path)
            self._socket.close()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def accept_socket(self, timeout: float) -> socket.socket:
        """A client that has said nothing yet."""
        self._socket.settimeout(timeout)
        try:
            control, _ = self._socket.accept()
        except socket.timeout:
            raise TimedOut("no client came in time") from None
        control.settimeout(HANDSHAKE_SECONDS)
        return control

    def accept(self, timeout: float) -> Anything:
        """The next client that is not refused."""
        while True:
            control = self.accept_socket(timeout)
            try:
                accepted = self.greet(control)
            except ProtocolError:
                control.sendall(Refused(Reason.MALFORMED).pack(), socket.MSG_NOSIGNAL)
                control.close()
                raise
            except BaseException:
                control.close()
                raise
            if accepted is not None:
                return accepted
            control.close()

    def greet(self, control: socket.socket) -> Optional[Anything]:
        """The handshake; None when the client was refused."""
        hello, came = receive_frame(control, (HELLO,))
        own: Optional[region.OwnRegion] = None
        own_eventfd = -1
        try:
            assert isinstance(hello, Hello)
            same_user = system.peer_user(control) == os.geteuid()
            said = answer(hello, self.terms, same_user)
            if isinstance(said, Refused):
                self.refused.append(said)
                control.sendall(said.pack(), socket.MSG_NOSIGNAL)
                return None
            peer, peer_eventfd = _take_handles(
                came, hello.ring_bytes, said.wakes_client == Bell.EVENTFD
            )
            own = region.OwnRegion(said.ring_bytes)
            handles = [own.descriptor]
            if said.wakes_server == Bell.EVENTFD:
                own_eventfd = system.create_eventfd()
                handles.append(own_eventfd)
            system.send_with_handles(control, said.pack(), handles)
            own.close_descriptor()
        finally:
            came.close()
        bells = Bells(
            control, Bell(said.wakes_server), Bell(said.wakes_client), own_eventfd, peer_eventfd
        )
        return connection(
            Endpoint(own, peer, bells), hello, said, said.max_message, hello.max_message
        )
