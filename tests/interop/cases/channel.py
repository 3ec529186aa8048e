# SPDX-License-Identifier: BSL-1.0
"""Messages: sizes, fragments, the express slot, the ring's end, what is validated."""

from __future__ import annotations

import time
from typing import Tuple

from ringbell_peer import channel, region
from ringbell_peer.ring import ABANDON, MORE, PAD

from .support import PATIENCE, Case, Process, echo_all, exchange

# With a ring of 4096: what fits the express slot, one record, a fragment, the ring.
EDGES = [0, 1, 7, 8, 9, 95, 96, 97, 104, 1008, 1009, 1016, 1017, 1527, 1528, 1529, 1536, 2040, 4080,
         4088, 4096, 4097, 8192, 12345, 50000]  # fmt: skip


class Sizes(Case):
    def test_python_client(self) -> None:
        server = self.peer("echo")
        made = self.connect()
        for size in EDGES + self.sizes(300, 3000) + self.sizes(20, 60000) + EDGES[::-1]:
            message = self.bytes_of(size)
            self.assertEqual(exchange(made, message), message, size)
        # Otherwise they were not tested.
        self.assertGreater(made.endpoint.receiver.express_records, 50)
        made.close()
        self.ends_well(server)

    def test_python_server(self) -> None:
        listener = self.listen()
        client = self.peer("talk", count=600, largest=3000)
        served = self.accept(listener)
        self.assertEqual(echo_all(served), 600)
        self.assertGreater(served.endpoint.receiver.express_records, 50)
        served.close()
        self.ends_well(client)

    def test_python_server_of_long_messages(self) -> None:
        listener = self.listen()
        client = self.peer("talk", count=40, largest=60000)
        served = self.accept(listener)
        self.assertEqual(echo_all(served), 40)
        served.close()
        self.ends_well(client)

    def test_rings_of_different_sizes(self) -> None:
        for own, peers in ((4096, 2**20), (2**20, 4096)):
            with self.subTest(own=own, peers=peers):
                server = self.peer("echo")
                made = self.connect(ring_bytes=own, wanted_ring_bytes=peers)
                for size in EDGES + [2**18, 3 * 2**20 + 5]:
                    message = self.bytes_of(size)
                    self.assertEqual(exchange(made, message), message, size)
                made.close()
                self.ends_well(server)

    def test_records_that_a_writer_may_make(self) -> None:
        """The document leaves some choices to the writer: the other side takes what fits."""
        for express, fragment, whole in ((False, 0, 0), (True, 32, 64), (True, 2048, 2048),
                                         (False, 2048, 16)):  # fmt: skip
            with self.subTest(express=express, fragment=fragment, whole=whole):
                server = self.peer("echo")
                made = self.connect()
                made.endpoint.sender.use_express = express
                made.fragment_bytes, made.whole_up_to = fragment, whole
                for size in EDGES[:20] + self.sizes(100, 3000):
                    message = self.bytes_of(size)
                    self.assertEqual(exchange(made, message), message, size)
                made.close()
                self.ends_well(server)

    def test_abandoned_messages_do_not_arrive(self) -> None:
        server = self.peer("echo")
        made = self.connect()
        sender = made.endpoint.sender
        for number, size in enumerate(self.sizes(60, 300)):
            for fragment in range(number % 3):
                first = (30000).to_bytes(8, "little") if fragment == 0 else b""
                self.assertTrue(sender.put(first + self.bytes_of(200), MORE))
                made.endpoint.publish()
            self.assertTrue(sender.put(b"", ABANDON))
            message = self.bytes_of(size)
            self.assertEqual(exchange(made, message), message)
        made.close()
        self.ends_well(server)

    def test_many_under_way(self) -> None:
        """Both rings are full much of the time."""
        server = self.peer("echo")
        made = self.connect()
        messages = [self.bytes_of(size) for size in self.sizes(2000, 1500)]
        for message in messages:
            made.post(message)
        came = []
        while len(came) < len(messages):
            while not made.flush():
                message = made.try_receive()
                if message is None:
                    made.wait(time.monotonic() + PATIENCE)
                else:
                    came.append(message)
            came.append(made.receive(PATIENCE))
        self.assertEqual(came, messages)
        self.assertGreater(made.endpoint.own.memory.load(region.RING_FULL_STALLS), 0)
        made.close()
        self.ends_well(server)

    def test_the_longest_message(self) -> None:
        server = self.peer("echo", longest=5000)
        made = self.connect()
        self.assertEqual(made.peer_max_message, 5000)
        self.assertEqual(len(exchange(made, self.bytes_of(5000))), 5000)
        made.peer_max_message = 5001
        made.post(self.bytes_of(5001))
        self.broken(server, made)

    def broken(self, server: Process, made: channel.Connection) -> None:
        """The C++ side finds that this one has broken the protocol, and ends the channel."""
        try:
            if isinstance(made, channel.Channel):
                made.flush()
        except (channel.EndOfStream, channel.PeerGone):
            pass
        code, out, _ = server.end()
        self.assertEqual(code, 1)
        self.assertIn(b"failed: the peer broke the protocol", out)


class Counters(Case):
    def test_statistics(self) -> None:
        """What the C++ side counts in its page is what this side sent and received."""
        server = self.peer("echo")
        made = self.connect()
        sizes = EDGES + self.sizes(50, 3000)
        for size in sizes:
            exchange(made, self.bytes_of(size))
        for counter, mirror in (
            (region.MESSAGES_SENT, region.MESSAGES_RECEIVED),
            (region.BYTES_SENT, region.BYTES_RECEIVED),
            (region.MESSAGES_RECEIVED, region.MESSAGES_SENT),
            (region.BYTES_RECEIVED, region.BYTES_SENT),
        ):
            theirs = made.endpoint.peer.memory.load(counter)
            self.assertEqual(theirs, made.endpoint.own.memory.load(mirror), counter)
        self.assertEqual(made.endpoint.peer.memory.load(region.MESSAGES_RECEIVED), len(sizes))
        self.assertEqual(made.endpoint.peer.memory.load(region.BYTES_RECEIVED), sum(sizes))
        self.assertEqual(made.endpoint.peer.memory.load(region.IDENTITY + 16), server.run.pid)
        made.close()
        self.ends_well(server)


class Violations(Case):
    """The C++ side checks what the document says that it must."""

    def broken_by(self, what: str, *words: Tuple[int, int]) -> None:
        """Stores the words, in this order, and rings."""
        with self.subTest(what=what):
            server = self.peer("echo", longest=1000)
            made = self.connect()
            for offset, value in words:
                made.endpoint.own.memory.store(offset, value)
            made.endpoint.bells.ring([made.endpoint.own.memory.address])
            code, out, _ = server.end()
            self.assertEqual(code, 1, what)
            self.assertIn(b"failed: the peer broke the protocol", out)
            made.hang_up()

    def record(self, what: str, header: int, tail: int) -> None:
        self.broken_by(what, (region.DATA, header), (region.TX_TAIL, tail))

    def express(self, what: str, header: int, tail: int) -> None:
        self.broken_by(
            what,
            (region.EXPRESS_SLOT, header),
            (region.EXPRESS_POSITION, 0),
            (region.TX_TAIL, tail),
        )

    def test_tails(self) -> None:
        self.broken_by("bit 1", (region.TX_TAIL, 2))
        self.broken_by("bit 2", (region.TX_TAIL, 4))
        self.broken_by("bits 1 and 0", (region.TX_TAIL, 3))
        self.broken_by("beyond the ring", (region.TX_TAIL, 4096 + 8))
        self.broken_by("before the head", (region.TX_TAIL, 2**64 - 8))

    def test_records(self) -> None:
        self.record("unknown flag", 1 << 35, 8)
        self.record("highest flag", 1 << 63, 8)
        self.record("beyond the tail", 9, 16)
        self.record("beyond the ring", 4096, 4096)
        self.record("longest possible", 0xFFFFFFFF, 4096)
        self.record("too long a message", 1001, 1016)
        self.record("a pad that does not reach the end", PAD | 8, 16)
        self.record("a pad as long as the ring", PAD | 4088, 4096)
        self.record("a pad with another flag", PAD | MORE | 8, 16)
        self.record("abandon with bytes", ABANDON | 8, 16)
        self.record("abandon with another flag", ABANDON | MORE, 8)
        self.record("a first fragment without a total", MORE | 7, 16)
        self.broken_by(
            "a total that the first fragment reaches",
            (region.DATA, MORE | 16),
            (region.DATA + 8, 8),
            (region.TX_TAIL, 24),
        )
        self.broken_by(
            "too long a total",
            (region.DATA, MORE | 16),
            (region.DATA + 8, 1001),
            (region.TX_TAIL, 24),
        )
        self.broken_by(
            "more than the total",
            (region.DATA, MORE | 16),
            (region.DATA + 8, 10),
            (region.DATA + 24, 3),
            (region.TX_TAIL, 40),
        )
        self.broken_by(
            "less than the total",
            (region.DATA, MORE | 16),
            (region.DATA + 8, 10),
            (region.DATA + 24, 1),
            (region.TX_TAIL, 40),
        )
        self.broken_by(
            "the total, and more to come",
            (region.DATA, MORE | 16),
            (region.DATA + 8, 10),
            (region.DATA + 24, MORE | 2),
            (region.TX_TAIL, 40),
        )

    def test_express_records(self) -> None:
        self.express("unknown flag", 1 << 40, 8)
        self.express("pad", PAD, 8)
        self.express("longer than the slot", 97, 112)
        self.express("beyond the tail", 9, 16)

    def test_heads(self) -> None:
        """A sender looks at the head before it uses the express slot again."""
        for what, head in (("bit 1", 2), ("beyond the tail", 512), ("backwards", 2**64 - 8)):
            with self.subTest(what=what):
                server = self.peer("echo")
                made = self.connect()
                made.endpoint.own.memory.store(region.RX_HEAD, head)
                made.send(self.bytes_of(50))
                made.send(self.bytes_of(50))
                code, out, _ = server.end()
                self.assertEqual(code, 1)
                self.assertIn(b"failed: the peer broke the protocol", out)
                made.hang_up()

    def test_what_is_allowed(self) -> None:
        """Further fragments without bytes, and abandoning what was not begun."""
        server = self.peer("echo")
        made = self.connect()
        sender = made.endpoint.sender
        sender.put((3).to_bytes(8, "little"), MORE)
        sender.put(b"", MORE)
        sender.put(b"ab", MORE)
        sender.put(b"c", 0)
        sender.put(b"", ABANDON)
        made.endpoint.publish()
        self.assertEqual(made.receive(PATIENCE), b"abc")
        self.assertEqual(exchange(made, b"next"), b"next")
        made.close()
        self.ends_well(server)
