# SPDX-License-Identifier: BSL-1.0
"""Services: requests and replies on a channel. One frame is one message."""

from __future__ import annotations

import errno
import itertools
import os
import struct
import time
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Callable, Deque, Dict, Generator, Iterable, List, NamedTuple, Optional, Union

from . import region
from .channel import Channel, EndOfStream, TimedOut
from .handshake import PeerGone, ProtocolError

REQUEST, PART, CANCEL, CREDIT, REPLY, GOAWAY = 1, 2, 3, 4, 5, 6
MORE, ERROR = 1, 2

WINDOW = 65536  # bytes of parts that may be under way, in each direction of a call
PART_COST = 64  # what a part counts beyond its payload
MOST_METADATA = 4096
OWN_METHODS = 2**31
STATISTICS = OWN_METHODS + 1
ROWS_IN_A_PART = 64

_SIZES = {REQUEST: 24, PART: 8, CANCEL: 8, CREDIT: 16, REPLY: 8, GOAWAY: 16}
_FLAGS = {REQUEST: MORE, PART: MORE, CANCEL: 0, CREDIT: 0, REPLY: MORE | ERROR, GOAWAY: 0}
_FROM_CLIENT = (REQUEST, PART, CANCEL, CREDIT)
_FROM_SERVER = (CREDIT, REPLY, GOAWAY)


class Domain(IntEnum):
    HANDLER = 0
    SERVICE = 1
    SYSTEM = 2


class Fault(IntEnum):
    """Codes of the domain `service`."""

    TOO_MANY_REQUESTS = 1
    DEADLINE_PASSED = 2
    CANCELLED = 3
    HANDLER_FAILED = 4
    STOPPING = 5
    NO_SUCH_METHOD = 6
    IDLE = 7
    TOO_LONG = 8
    TOO_MANY_BYTES = 9
    NOT_AUTHORIZED = 10


class Failure(Exception):
    """A call that was answered by an error; a handler raises it to answer so."""

    def __init__(self, domain: int, code: int, text: str = "", metadata: bytes = b"") -> None:
        super().__init__(f"domain {domain}, code {code}: {text}")
        self.domain = domain
        self.code = code
        self.text = text
        self.metadata = metadata


class Frame(NamedTuple):
    kind: int
    call: int
    flags: int = 0
    metadata: bytes = b""
    payload: bytes = b""
    method: int = 0  # REQUEST
    deadline: int = 0  # REQUEST: nanoseconds of CLOCK_REALTIME; 0: none
    value: int = 0  # CREDIT and GOAWAY

    def pack(self) -> bytes:
        header = struct.pack("<BBHI", self.kind, self.flags, len(self.metadata), self.call)
        if self.kind == REQUEST:
            header += struct.pack("<IIQ", self.method, 0, self.deadline)
        elif self.kind in (CREDIT, GOAWAY):
            header += struct.pack("<Q", self.value)
        return header + self.metadata + self.payload


def unpack(message: bytes, from_client: bool) -> Frame:
    """A frame; raises ProtocolError where the message is none."""
    if len(message) < 8:
        raise ProtocolError(f"a frame of {len(message)} bytes")
    kind, flags, metadata, call = struct.unpack_from("<BBHI", message)
    size = _SIZES.get(kind, 0)
    if kind not in (_FROM_CLIENT if from_client else _FROM_SERVER) or len(message) < size:
        raise ProtocolError(f"a frame of the kind {kind} with {len(message)} bytes")
    if flags & ~_FLAGS[kind] or flags == MORE | ERROR:
        raise ProtocolError(f"a frame of the kind {kind} with the flags {flags}")
    most = MOST_METADATA if kind in (REQUEST, REPLY) else 0
    if metadata > most or size + metadata > len(message):
        raise ProtocolError(f"{metadata} bytes of metadata in a frame of {len(message)}")
    payload = message[size + metadata :]
    if payload and (kind in (CANCEL, CREDIT, GOAWAY)):
        raise ProtocolError(f"a frame of the kind {kind} with a payload")
    if kind == PART and payload and not flags & MORE:
        raise ProtocolError("the PART that ends a request has a payload")
    if kind == GOAWAY and call != 0:
        raise ProtocolError(f"GOAWAY for the call {call}")
    frame = Frame(kind, call, flags, message[size : size + metadata], payload)
    if kind == REQUEST:
        method, reserved, deadline = struct.unpack_from("<IIQ", message, 8)
        if reserved:
            raise ProtocolError("reserved bytes of a REQUEST are not 0")
        return frame._replace(method=method, deadline=deadline)
    if kind in (CREDIT, GOAWAY):
        frame = frame._replace(value=struct.unpack_from("<Q", message, 8)[0])
    if kind == GOAWAY and frame.value not in (Fault.STOPPING, Fault.IDLE):
        raise ProtocolError(f"GOAWAY for the reason {frame.value}")
    return frame


def method_id(name: str) -> int:
    """The number of a method that has a name: FNV-1a of 32 bits without the highest bit."""
    number = 0x811C9DC5
    for byte in name.encode():
        number = (number ^ byte) * 0x01000193 & 0xFFFFFFFF
    return number & 0x7FFFFFFF


def pack_failure(failure: Failure) -> bytes:
    return struct.pack("<Ii", failure.domain, failure.code) + failure.text.encode()


def unpack_failure(payload: bytes, metadata: bytes = b"") -> Failure:
    if len(payload) < 8:
        raise ProtocolError(f"an error of {len(payload)} bytes")
    domain, code = struct.unpack_from("<Ii", payload)
    if code == 0 or domain not in list(Domain):
        raise ProtocolError(f"an error of the domain {domain} with the code {code}")
    return Failure(domain, code, payload[8:].decode("utf-8", "replace"), metadata)


class _Parts:
    """Both directions of parts of one call: what may be sent, and what came."""

    def __init__(self) -> None:
        self.under_way = 0  # bytes that were sent and not credited
        self.came: Deque[bytes] = deque()
        self._kept = 0  # bytes that came and were not credited
        self._consumed = 0

    # Of the sender.

    @property
    def open(self) -> bool:
        """Whether a part may be sent."""
        return self.under_way < WINDOW

    def sent(self, part: bytes) -> None:
        self.under_way += len(part) + PART_COST

    def credit(self, value: int) -> None:
        if value > self.under_way:
            raise ProtocolError(f"credit for {value} bytes, of {self.under_way} under way")
        self.under_way -= value

    # Of the receiver.

    def add(self, part: bytes) -> None:
        if self._kept >= WINDOW:
            raise ProtocolError("a part beyond the window")
        self._kept += len(part) + PART_COST
        self.came.append(part)

    def take(self) -> bytes:
        part = self.came.popleft()
        self._consumed += len(part) + PART_COST
        return part

    def due_credit(self) -> int:
        """What to credit now; 0: nothing."""
        if self._consumed < WINDOW // 2:
            return 0
        due, self._consumed = self._consumed, 0
        self._kept -= due
        return due


# The client.


class Reply(NamedTuple):
    payload: bytes
    metadata: bytes


@dataclass
class Call:
    """A call of this client's, until its last reply."""

    number: int
    parts: _Parts = field(default_factory=_Parts)
    sends_parts: bool = False
    reply: Optional[Reply] = None
    failure: Optional[Failure] = None
    given_up: bool = False

    @property
    def ended(self) -> bool:
        return self.reply is not None or self.failure is not None


class Client:
    """Calls the methods of a service. One thread uses it."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.going_away: List[int] = []  # the reasons of the GOAWAY frames that came
        self._calls: Dict[int, Call] = {}
        self._numbers = itertools.count(1)

    def close(self) -> None:
        self.channel.close()

    def begin(
        self,
        method: int,
        request: bytes = b"",
        metadata: bytes = b"",
        timeout: Optional[float] = None,
        parts_follow: bool = False,
    ) -> Call:
        """Sends a REQUEST; the timeout becomes the deadline that the server is told of."""
        deadline = time.time_ns() + int(timeout * 1e9) if timeout is not None else 0
        call = Call(next(self._numbers) & 0xFFFFFFFF, sends_parts=parts_follow)
        self._calls[call.number] = call
        flags = MORE if parts_follow else 0
        self._send(Frame(REQUEST, call.number, flags, metadata, request, method, deadline))
        return call

    def send_part(self, call: Call, part: bytes, until: Optional[float] = None) -> bool:
        """A part of the request; waits for credit. False when the call has ended meanwhile."""
        while not call.parts.open and not call.ended:
            self.turn(until)
        if call.ended:
            return False
        call.parts.sent(part)
        self._send(Frame(PART, call.number, MORE, payload=part))
        return True

    def end_parts(self, call: Call) -> None:
        if call.sends_parts and not call.ended:
            self._send(Frame(PART, call.number))
        call.sends_parts = False

    def next_part(self, call: Call, until: Optional[float] = None) -> Optional[bytes]:
        """The next part of the reply; None when the last reply is there."""
        while not call.parts.came and not call.ended:
            self.turn(until)
        if not call.parts.came:
            return None
        part = call.parts.take()
        due = call.parts.due_credit()
        if due and not call.ended:
            self._send(Frame(CREDIT, call.number, value=due))
        return part

    def result(self, call: Call, until: Optional[float] = None) -> Reply:
        """The last reply. Raises Failure when it is an error."""
        while not call.ended:
            self.turn(until)
        if call.failure:
            raise call.failure
        assert call.reply is not None
        return call.reply

    def cancel(self, call: Call) -> None:
        """Gives the call up. Its number stays in use until the reply comes."""
        if not call.ended and not call.given_up:
            self._send(Frame(CANCEL, call.number))
        call.given_up = True

    def call(
        self,
        method: int,
        request: bytes = b"",
        metadata: bytes = b"",
        timeout: Optional[float] = None,
    ) -> Reply:
        """A whole call, which is given up when the timeout has passed."""
        call = self.begin(method, request, metadata, timeout)
        until = time.monotonic() + timeout if timeout is not None else None
        try:
            return self.result(call, until)
        except TimedOut:
            self.cancel(call)
            raise

    def turn(self, until: Optional[float] = None) -> None:
        """Takes in what has come, or waits until there is something."""
        self.channel.flush()
        message = self.channel.try_receive()
        if message is not None:
            self._take(unpack(message, from_client=False))
            return
        if until is not None and time.monotonic() >= until:
            raise TimedOut("no reply came in time")
        self.channel.wait(until)

    def _send(self, frame: Frame) -> None:
        self.channel.post(frame.pack())
        self.channel.flush()

    def _take(self, frame: Frame) -> None:
        if frame.kind == GOAWAY:
            self.going_away.append(frame.value)
            return
        call = self._calls.get(frame.call)
        if call is None:
            return  # the call has ended
        if frame.kind == CREDIT:
            call.parts.credit(frame.value)
        elif frame.flags & MORE:
            if not call.given_up:
                call.parts.add(frame.payload)
        else:
            if frame.flags & ERROR:
                call.failure = unpack_failure(frame.payload, frame.metadata)
            else:
                call.reply = Reply(frame.payload, frame.metadata)
            del self._calls[frame.call]


# The server.


@dataclass
class Wait:
    """What a handler yields: it goes on when `ready` is true, or at time.monotonic() `until`."""

    ready: Callable[[], bool]
    until: Optional[float] = None


Result = Union[bytes, Reply]
Handler = Callable[["ServerCall"], Generator[Wait, None, Result]]


class ServerCall:
    """A call as its handler sees it."""

    def __init__(self, connection: "ServerConnection", frame: Frame) -> None:
        self.number = frame.call
        self.request = frame.payload
        self.metadata = frame.metadata
        self.deadline = frame.deadline
        self.parts = _Parts()
        self.more_parts = bool(frame.flags & MORE)  # further parts of the request may come
        self.cancelled = False
        self._connection = connection

    @property
    def expired(self) -> bool:
        return self.deadline != 0 and time.time_ns() >= self.deadline

    def take_part(self) -> bytes:
        part = self.parts.take()
        due = self.parts.due_credit()
        if due:
            self._connection.send(Frame(CREDIT, self.number, value=due))
        return part

    def send_part(self, part: bytes) -> Generator[Wait, None, None]:
        """For `yield from`: waits for credit."""
        yield Wait(lambda: self.parts.open or self.cancelled)
        if not self.cancelled:
            self.parts.sent(part)
            self._connection.send(Frame(REPLY, self.number, MORE, payload=part))


@dataclass
class _Running:
    call: ServerCall
    handler: Generator[Wait, None, Result]
    wait: Wait


class ServerConnection:
    """Answers the requests of one client."""

    def __init__(self, server: "Server", channel: Channel, user: int, process: int) -> None:
        self.channel = channel
        self.user = user
        self.process = process
        self.begun = 0
        self.failed = 0
        self.refused = 0
        self.since = time.monotonic_ns()
        self._server = server
        self._running: Dict[int, _Running] = {}
        self._going_away = 0  # the reason that was sent

    def serve(self) -> None:
        """Runs until the client ends or the server stops. Raises PeerGone when the client dies."""
        try:
            while not self._stopped():
                if not self._take_what_came() and not self._resume():
                    self.channel.flush()
                    self.channel.wait(self._next_time())
        except EndOfStream:
            pass
        finally:
            for running in self._running.values():
                running.handler.close()
            self.channel.close()

    def send(self, frame: Frame) -> None:
        self.channel.post(frame.pack())

    def _stopped(self) -> bool:
        """Sends GOAWAY when the server stops, and once more when no reply is owed any longer."""
        if self._server.stopping and not self._going_away:
            self._going_away = Fault.STOPPING
            self.send(Frame(GOAWAY, 0, value=self._going_away))
        if not self._going_away or self._running or self.channel.pending:
            return False
        try:
            self.channel.send(Frame(GOAWAY, 0, value=self._going_away).pack())
        except (EndOfStream, PeerGone):
            pass  # the client has closed already, because it waits for nothing
        return True

    def _take_what_came(self) -> bool:
        message = self.channel.try_receive()
        if message is None:
            return False
        frame = unpack(message, from_client=True)
        if frame.kind == REQUEST:
            self._begin(frame)
            return True
        running = self._running.get(frame.call)
        if running is None:
            return True  # the call has ended meanwhile
        call = running.call
        if frame.kind == PART:
            if not call.more_parts:
                raise ProtocolError(f"parts that the call {frame.call} has not announced")
            if frame.flags & MORE:
                call.parts.add(frame.payload)
            else:
                call.more_parts = False
        elif frame.kind == CREDIT:
            call.parts.credit(frame.value)
        else:
            call.cancelled = True
        return True

    def _begin(self, frame: Frame) -> None:
        if frame.call in self._running:
            raise ProtocolError(f"a request with the number {frame.call}, which is in use")
        call = ServerCall(self, frame)
        if self._going_away:
            self._refuse(call, Fault(self._going_away), "the service is stopping")
        elif len(self._running) >= self._server.max_in_flight:
            self._refuse(call, Fault.TOO_MANY_REQUESTS, "too many requests")
        elif call.expired:
            self._refuse(call, Fault.DEADLINE_PASSED, "the deadline has passed")
        elif frame.method == STATISTICS:
            self._start(call, self._statistics(call))
        elif frame.method not in self._server.methods:
            self._refuse(call, Fault.NO_SUCH_METHOD, f"there is no method {frame.method}")
        else:
            self._start(call, self._server.methods[frame.method](call))

    def _start(self, call: ServerCall, handler: Generator[Wait, None, Result]) -> None:
        self.begun += 1
        self._running[call.number] = _Running(call, handler, Wait(lambda: True))

    def _refuse(self, call: ServerCall, fault: Fault, text: str) -> None:
        self.refused += 1
        self._fail(call, Failure(Domain.SERVICE, fault, text))

    def _fail(self, call: ServerCall, failure: Failure) -> None:
        frame = Frame(REPLY, call.number, ERROR, failure.metadata, pack_failure(failure))
        self.send(frame)

    def _resume(self) -> bool:
        """Lets each handler go on that can. Returns whether one could."""
        progress = False
        now = time.monotonic()
        for running in list(self._running.values()):
            wait = running.wait
            if wait.ready() or (wait.until is not None and now >= wait.until):
                progress = True
                self._step(running)
        return progress

    def _step(self, running: _Running) -> None:
        call = running.call
        try:
            running.wait = next(running.handler)
            return
        except StopIteration as end:
            reply = end.value if isinstance(end.value, Reply) else Reply(end.value or b"", b"")
            self.send(Frame(REPLY, call.number, 0, reply.metadata, reply.payload))
        except Failure as failure:
            self.failed += 1
            self._fail(call, failure)
        except OSError as error:
            self.failed += 1
            self._fail(call, Failure(Domain.SYSTEM, error.errno or errno.EIO, str(error)))
        del self._running[call.number]

    def _next_time(self) -> Optional[float]:
        times = [r.wait.until for r in self._running.values() if r.wait.until is not None]
        return min(times, default=None)

    def _statistics(self, call: ServerCall) -> Generator[Wait, None, Result]:
        rows = [c.row(c is self) for c in self._server.connections]
        for begin in range(0, len(rows), ROWS_IN_A_PART):
            yield from call.send_part(b"".join(rows[begin : begin + ROWS_IN_A_PART]))
        return b""

    def row(self, asks: bool) -> bytes:
        """What the method `statistics` says of this client."""
        endpoint = self.channel.endpoint
        receiver, sender = endpoint.receiver, endpoint.sender
        return struct.pack(
            "<13Q9Q",
            self.process,
            self.user,
            time.monotonic_ns() - self.since,
            self.begun,
            self.failed,
            self.refused,
            len(self._running),
            0,
            receiver.tail - receiver.head,
            sender.tail - sender.peer_head,
            endpoint.peer.ring_bytes,
            endpoint.own.ring_bytes,
            asks,
            *struct.unpack("<9Q", endpoint.own.memory.read(region.MESSAGES_SENT, 72)),
        )


class Server:
    """The methods of a service, and its connections."""

    def __init__(self, methods: Dict[int, Handler], max_in_flight: int = 64) -> None:
        self.methods = methods
        self.max_in_flight = max_in_flight
        self.stopping = False
        self.connections: List[ServerConnection] = []

    def serve(self, channel: Channel) -> None:
        """Serves one client until it ends."""
        connection = ServerConnection(self, channel, os.getuid(), _process_of(channel))
        self.connections.append(connection)
        try:
            connection.serve()
        finally:
            self.connections.remove(connection)


def _process_of(channel: Channel) -> int:
    """As the client's control page has it."""
    return channel.endpoint.peer.memory.load(region.IDENTITY + 16)


def whole_request(call: ServerCall) -> Generator[Wait, None, List[bytes]]:
    """For `yield from`: all parts of a request."""
    parts: List[bytes] = []
    while True:
        yield Wait(lambda: bool(call.parts.came) or not call.more_parts or call.cancelled)
        if call.cancelled:
            raise Failure(Domain.SERVICE, Fault.CANCELLED, "cancelled")
        if not call.parts.came:
            return parts
        parts.append(call.take_part())


def send_all(call: ServerCall, parts: Iterable[bytes]) -> Generator[Wait, None, None]:
    """For `yield from`."""
    for part in parts:
        yield from call.send_part(part)
