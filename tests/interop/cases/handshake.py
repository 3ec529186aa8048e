# SPDX-License-Identifier: BSL-1.0
"""The handshake: versions, terms, refusals, frames in pieces, handles that are no regions."""

from __future__ import annotations

import os
import socket
import struct
import tempfile
import unittest.mock
from typing import Optional, Sequence

from ringbell_peer import channel, handshake, region, system
from ringbell_peer.handshake import (
    MESSAGES,
    REFUSED,
    STREAM,
    Bell,
    Hello,
    Reason,
    Refusal,
    Refused,
    Welcome,
    bell_set,
)

from .support import ALL_BELLS, BELLS, PATIENCE, Case, echo_all, exchange

MIB = 2**20
MALFORMED = Refused(Reason.MALFORMED)


class PythonClient(Case):
    """A server in C++ answers."""

    def refused(self, reason: Reason, low: int = 0, high: int = 0, **hello: object) -> None:
        with self.assertRaises(Refusal, msg=str(hello)) as caught:
            self.connect(**hello)
        said = caught.exception
        self.assertEqual((said.reason, said.limit_low, said.limit_high), (reason, low, high), hello)

    def test_version_ranges(self) -> None:
        server = self.peer("echo")
        self.refused(Reason.VERSION, 1, 1, version_min=2, version_max=2)
        self.refused(Reason.VERSION, 1, 1, version_min=2, version_max=65535)
        self.refused(Reason.VERSION, 1, 1, version_min=0, version_max=0)
        self.refused(Reason.MALFORMED, version_min=2, version_max=1)
        self.refused(Reason.MALFORMED, version_min=65535, version_max=0)
        # These have version 1 in common. The server is a new one each time.
        for low, high in ((1, 1), (0, 1), (1, 2), (0, 65535)):
            with self.subTest(low=low, high=high):
                made = self.connect(version_min=low, version_max=high)
                self.assertEqual(made.greeting.welcome.version, 1)
                self.assertEqual(exchange(made, b"hello"), b"hello")
                made.close()
                self.ends_well(server)
                server = self.peer("echo")

    def test_terms(self) -> None:
        self.peer("echo", ring=65536)
        largest = 64 * MIB
        for ring in (0, 1, 2048, 4095, 4097, 12288, 2 * largest, 2**40):
            self.refused(Reason.RING_SIZE, 4096, largest, **self.without_region(ring))
        for wanted in (3, 4097, 2**63 + 1):
            self.refused(Reason.RING_SIZE, 4096, largest, wanted_ring_bytes=wanted)
        self.refused(Reason.BELL, can_wait_on=0)
        self.refused(Reason.BELL, can_ring=0)
        self.refused(Reason.BELL, can_wait_on=8 | 2**31)
        self.refused(Reason.BELL, can_ring=bell_set([Bell.FUTEX]))  # it does not offer to wait so
        self.refused(Reason.KIND, MESSAGES, kind=STREAM)
        self.refused(Reason.KIND, MESSAGES, kind=255)

    @staticmethod
    def without_region(ring: int) -> dict:
        """A size that no region has: the region's own size is not looked at before a refusal."""
        return {"ring_bytes": ring}

    def connect(self, **hello: object) -> channel.Anything:
        ring = hello.get("ring_bytes", 4096)
        if handshake.is_ring_size(ring) and ring <= 64 * MIB:  # type: ignore[operator]
            return super().connect(**hello)
        # The handle is of another region: a server refuses before it looks at that.
        said = self.greet(Hello(can_wait_on=6, can_ring=7, **hello))  # type: ignore[arg-type]
        assert isinstance(said, Refused), said
        raise Refusal(Reason(said.reason), said.limit_low, said.limit_high)

    def test_order_of_the_checks(self) -> None:
        self.peer("echo")
        bad = {"version_min": 2, "version_max": 1, "kind": 9, "ring_bytes": 1, "can_ring": 0}
        for change, reason in (
            ({}, Reason.MALFORMED),
            ({"version_max": 2}, Reason.VERSION),
            ({"version_min": 1}, Reason.KIND),
            ({"kind": MESSAGES}, Reason.RING_SIZE),
            ({"ring_bytes": 4096}, Reason.BELL),
        ):
            bad.update(change)
            said = self.greet(Hello(can_wait_on=6, **bad))  # type: ignore[arg-type]
            assert isinstance(said, Refused)
            self.assertEqual(said.reason, reason, bad)

    def test_wishes_are_kept_within_the_limits(self) -> None:
        for wanted, given in ((0, 16384), (1, 4096), (4096, 4096), (MIB, MIB), (2**40, 64 * MIB)):
            with self.subTest(wanted=wanted):
                server = self.peer("echo", ring=16384)
                made = self.connect(wanted_ring_bytes=wanted)
                self.assertEqual(made.greeting.welcome.ring_bytes, given)
                self.assertEqual(exchange(made, b"hello"), b"hello")
                made.close()
                self.ends_well(server)

    def test_preferred_bells(self) -> None:
        for can_wait_on, can_ring, chosen in (
            (7, 7, (Bell.EVENTFD, Bell.EVENTFD)),
            (6, 7, (Bell.SOCKET, Bell.EVENTFD)),
            (4, 6, (Bell.FUTEX, Bell.SOCKET)),
            (0xFFFFFFF8 | 1, 0xFFFFFFF8 | 2, (Bell.EVENTFD, Bell.SOCKET)),
        ):
            if chosen[0] not in BELLS:
                continue
            with self.subTest(can_wait_on=can_wait_on, can_ring=can_ring):
                server = self.peer("echo")
                made = self.connect(can_wait_on=can_wait_on, can_ring=can_ring)
                welcome = made.greeting.welcome
                self.assertEqual((welcome.wakes_client, welcome.wakes_server), chosen)
                self.assertEqual(exchange(made, b"hello"), b"hello")
                made.close()
                self.ends_well(server)

    def greet(
        self,
        hello: Hello,
        frame: Optional[bytes] = None,
        handles: Optional[Sequence[int]] = None,
        piece: int = 48,
    ) -> Optional[handshake.Frame]:
        """What the server answers to these bytes, sent in pieces; None when it hangs up."""
        control = self.raw_connection()
        own = region.OwnRegion(4096)
        self.addCleanup(own.close)
        eventfd = system.create_eventfd()
        self.addCleanup(os.close, eventfd)
        if handles is None:
            handles = [own.descriptor, eventfd][: hello.handles()]
        frame = hello.pack() if frame is None else frame
        try:
            for begin in range(0, len(frame), piece):
                part = frame[begin : begin + piece]
                system.send_with_handles(control, part, handles if begin == 0 else ())
            said, came = handshake.receive_frame(control, (handshake.WELCOME, REFUSED))
        except (handshake.PeerGone, ConnectionResetError, BrokenPipeError):
            return None
        came.close()
        return said

    def test_frames_in_pieces(self) -> None:
        for piece in (1, 5, 8, 47):
            with self.subTest(piece=piece):
                server = self.peer("echo")
                said = self.greet(Hello(can_wait_on=7, can_ring=7, ring_bytes=4096), piece=piece)
                self.assertIsInstance(said, Welcome)
                server.kill()

    def test_broken_frames_are_refused(self) -> None:
        self.peer("echo")
        hello = Hello(can_wait_on=6, can_ring=7, ring_bytes=4096)
        good = hello.pack()
        for offset, value in (
            (0, 0x53),  # magic
            (3, 0),
            (4, 2),  # of a WELCOME
            (4, 4),
            (6, 47),  # size
            (6, 32),
            (7, 1),
            (13, 1),  # reserved
            (14, 1),
            (15, 0xFF),
        ):
            frame = bytearray(good)
            frame[offset] = value
            self.assertEqual(self.greet(hello, bytes(frame)), MALFORMED, (offset, value))

    def test_wrong_handles_are_refused(self) -> None:
        self.peer("echo")
        hello = Hello(can_wait_on=7, can_ring=7, ring_bytes=4096)
        own = region.OwnRegion(4096)
        self.addCleanup(own.close)
        larger = region.OwnRegion(8192)
        self.addCleanup(larger.close)
        unsealed = os.memfd_create("unsealed", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.addCleanup(os.close, unsealed)
        os.ftruncate(unsealed, 8192)
        file = tempfile.TemporaryFile(dir=self.folder)
        self.addCleanup(file.close)
        file.truncate(8192)
        eventfd = system.create_eventfd()
        self.addCleanup(os.close, eventfd)
        for what, handles in (
            ("none", []),
            ("one missing", [own.descriptor]),
            ("one too many", [own.descriptor, eventfd, eventfd]),
            ("another order", [eventfd, own.descriptor]),
            ("another size", [larger.descriptor, eventfd]),
            ("no seals", [unsealed, eventfd]),
            ("a file", [file.fileno(), eventfd]),
            ("no eventfd", [own.descriptor, file.fileno()]),
        ):
            self.assertEqual(self.greet(hello, handles=handles), MALFORMED, what)

    def test_a_page_that_says_something_else(self) -> None:
        self.peer("echo")
        hello = Hello(can_wait_on=6, can_ring=7, ring_bytes=4096)
        for offset, value in ((256, 0x31524253), (260, 2), (264, 8192)):
            own = region.OwnRegion(4096)
            self.addCleanup(own.close)
            own.memory.write(offset, struct.pack("<I", value))
            self.assertEqual(self.greet(hello, handles=[own.descriptor]), MALFORMED, offset)

    def test_handles_behind_the_handshake_end_the_connection(self) -> None:
        server = self.peer("echo")
        made = self.connect(can_ring=bell_set([Bell.SOCKET]))
        control = made.endpoint.bells.control
        eventfd = system.create_eventfd()
        self.addCleanup(os.close, eventfd)
        try:
            system.send_with_handles(control, b"\0", [eventfd])
        except PermissionError:
            return  # the kernel keeps them out
        code, out, _ = server.end()
        self.assertEqual((code, out[:22]), (1, b"failed: the peer broke"))


class PythonServer(Case):
    """A client in C++ asks."""

    def fails(self, client, text: str) -> None:
        code, out, _ = client.end()
        self.assertEqual(code, 1, out)
        self.assertIn(text, out.decode())

    def test_the_greeting_of_a_client(self) -> None:
        listener = self.listen()
        for command, kind in (("talk", MESSAGES), ("stream-talk", STREAM)):
            client = self.peer(command, bells="eventfd,socket", ring=8192, longest=12345, count=0)
            listener.terms.kind = kind
            served = self.accept(listener)
            expected = Hello(
                version_min=1,
                version_max=1,
                kind=kind,
                can_wait_on=3,
                can_ring=7,
                ring_bytes=8192,
                wanted_ring_bytes=0,
                max_message=12345,
            )
            self.assertEqual(served.greeting.hello, expected)
            self.assertEqual(client.line(), "connected")
            if isinstance(served, channel.Stream):
                self.assertEqual(served.read(PATIENCE), b"")
            else:
                self.assertEqual(echo_all(served), 0)
            served.close()
            self.ends_well(client)

    def test_version_ranges(self) -> None:
        for low, high in ((2, 2), (2, 9), (0, 0)):
            with self.subTest(low=low, high=high):
                listener = self.listen(version_min=low, version_max=high)
                client = self.peer("talk")
                self.assertEqual(self.refuse_one(listener), Refused(Reason.VERSION, low, high))
                self.fails(client, "the server speaks no protocol version that this library knows")
                listener.close()
        for low, high in ((0, 1), (1, 7), (0, 65535)):
            with self.subTest(low=low, high=high):
                listener = self.listen(version_min=low, version_max=high)
                client = self.peer("talk", count=20)
                served = self.accept(listener)
                self.assertEqual(served.greeting.welcome.version, 1)
                self.assertEqual(echo_all(served), 20)
                served.close()
                self.ends_well(client)
                listener.close()

    def refuse_one(self, listener: channel.Listener) -> Refused:
        control = listener.accept_socket(PATIENCE)
        self.assertIsNone(listener.greet(control))
        control.close()
        return listener.refused[-1]

    def test_every_refusal_has_its_error(self) -> None:
        listener = self.listen()
        for reason, text in (
            (Reason.VERSION, "the server speaks no protocol version"),
            (Reason.UNAUTHORIZED, "the server's authorizer does not admit"),
            (Reason.TOO_MANY, "the server has as many clients as it allows"),
            (Reason.RING_SIZE, "the server does not accept rings of that size"),
            (Reason.BELL, "the two sides have no kind of bell in common"),
            (Reason.STOPPING, "the server is going away"),
            (Reason.MALFORMED, "the server could not make sense of the greeting"),
            (Reason.TOO_MANY_OF_USER, "as many clients of this user"),
            (Reason.NO_RESOURCES, "the server has no descriptors"),
            (Reason.KIND, "one side sends messages and the other a stream"),
        ):
            with self.subTest(reason=reason):
                client = self.peer("talk")
                # Without having read the HELLO.
                control = listener.accept_socket(PATIENCE)
                control.sendall(Refused(reason, 1, 2).pack())
                self.drain(control)
                self.fails(client, text)

    @staticmethod
    def drain(control: socket.socket) -> None:
        """Reads to the end: closing a socket with unread bytes would drop what was sent."""
        while True:
            data, handles = system.receive(control, 4096)
            for handle in handles:
                os.close(handle)
            if not data:
                control.close()
                return

    def test_answers_that_a_client_must_not_accept(self) -> None:
        listener = self.listen()
        good = Welcome(1, Bell.SOCKET, Bell.SOCKET, 4096, 1000)
        frames = {
            "version": Welcome(2, Bell.SOCKET, Bell.SOCKET, 4096, 1000).pack(),
            "version 0": Welcome(0, Bell.SOCKET, Bell.SOCKET, 4096, 1000).pack(),
            "wakes_client": Welcome(1, Bell.FUTEX, Bell.SOCKET, 4096, 1000).pack(),
            "unknown bell": Welcome(1, 3, Bell.SOCKET, 4096, 1000).pack(),
            "ring_bytes": Welcome(1, Bell.SOCKET, Bell.SOCKET, 4097, 1000).pack(),
            "magic": b"x" + good.pack()[1:],
            "a HELLO": Hello().pack(),
            "reserved": good.pack()[:12] + b"\1" + good.pack()[13:],
            "reason": Refused(11).pack(),
            "reason 0": Refused(0).pack(),
        }
        for what, frame in frames.items():
            with self.subTest(what=what):
                client = self.peer("talk", bells="socket")
                control = listener.accept_socket(PATIENCE)
                hello, came = handshake.receive_frame(control, (handshake.HELLO,))
                came.close()
                own = region.OwnRegion(4096)
                system.send_with_handles(control, frame, [own.descriptor])
                own.close()
                self.fails(client, "the peer broke the protocol")
                control.close()

    def test_a_client_that_is_hung_up_on_tries_again(self) -> None:
        listener = self.listen()
        client = self.peer("talk", count=5)
        for read_first in (True, False, True):
            control = listener.accept_socket(PATIENCE)
            if read_first:
                _, came = handshake.receive_frame(control, (handshake.HELLO,))
                came.close()
            control.close()
        served = self.accept(listener)
        self.assertEqual(echo_all(served), 5)
        served.close()
        self.ends_well(client)

    def test_an_answer_in_pieces(self) -> None:
        listener = self.listen()
        client = self.peer("talk", bells="socket", count=0)
        control = listener.accept_socket(PATIENCE)
        hello, came = handshake.receive_frame(control, (handshake.HELLO,))
        self.addCleanup(came.close)
        own = region.OwnRegion(4096)
        self.addCleanup(own.close)
        frame = Welcome(1, Bell.SOCKET, Bell.SOCKET, 4096, 1000).pack()
        for place in range(len(frame)):
            handles = [own.descriptor] if place == 0 else []
            system.send_with_handles(control, frame[place : place + 1], handles)
        self.assertEqual(client.line(), "connected")
        control.close()

    def test_a_region_that_is_none(self) -> None:
        listener = self.listen()
        for size in (4096, 8192 + 4096):
            client = self.peer("talk", bells="socket", count=0)
            control = listener.accept_socket(PATIENCE)
            hello, came = handshake.receive_frame(control, (handshake.HELLO,))
            came.close()
            descriptor, memory = system.create_region(size)
            system.send_with_handles(
                control, Welcome(1, Bell.SOCKET, Bell.SOCKET, 4096, 1000).pack(), [descriptor]
            )
            os.close(descriptor)
            memory.close()
            self.fails(client, "the peer's shared memory was refused")
            control.close()

    def test_a_client_of_the_other_kind(self) -> None:
        listener = self.listen(kind=STREAM)
        client = self.peer("talk")
        self.assertEqual(self.refuse_one(listener), Refused(Reason.KIND, STREAM))
        self.fails(client, "one side sends messages and the other a stream")

    def test_no_common_bell(self) -> None:
        listener = self.listen(can_ring=bell_set([Bell.FUTEX]), can_wait_on=ALL_BELLS)
        client = self.peer("talk", bells="socket")
        self.assertEqual(self.refuse_one(listener), Refused(Reason.BELL))
        self.fails(client, "the two sides have no kind of bell in common")


class Machines(Case):
    def test_other_processors_are_refused(self) -> None:
        """The memory order cannot be kept there."""
        with unittest.mock.patch("platform.machine", lambda: "aarch64"):
            with self.assertRaisesRegex(system.NotSupported, "x86-64, and this is aarch64"):
                region.OwnRegion(4096)
