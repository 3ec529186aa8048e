# SPDX-License-Identifier: BSL-1.0
"""Streams of bytes: what was written is read, whatever the pieces; ends of each direction."""

from __future__ import annotations

import time
from typing import List

from ringbell_peer import channel, handshake, region
from ringbell_peer.handshake import STREAM, bell_set

from .support import BELLS, PATIENCE, Case, turns

NO_SPIN = {"RINGBELL_SPIN": "none"}


def read_to_end(stream: channel.Stream) -> bytes:
    pieces: List[bytes] = []
    while True:
        piece = stream.read(PATIENCE)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def echo_all(stream: channel.Stream) -> int:
    total = 0
    while True:
        piece = stream.read(PATIENCE)
        if not piece:
            stream.close_sending()
            return total
        stream.write(piece, PATIENCE)
        total += len(piece)


class Streams(Case):
    def stream(self, **hello: object) -> channel.Stream:
        made = self.connect(kind=STREAM, **hello)
        assert isinstance(made, channel.Stream)
        return made

    def exchange(self, stream: channel.Stream, data: bytes, largest: int) -> None:
        """Writes all in pieces of random sizes, and reads what comes back."""
        came = 0
        while came < len(data):
            at = 0
            size = min(self.sizes(1, largest)[0] + 1, len(data) - came)
            stream.write(data[came : came + size], PATIENCE)
            while at < size:
                piece = stream.read(PATIENCE)
                self.assertEqual(piece, data[came + at : came + at + len(piece)])
                at += len(piece)
            came += size

    def test_python_client(self) -> None:
        for bell in BELLS:
            with self.subTest(bell=bell):
                server = self.peer("stream-echo", largest=3000, environment=NO_SPIN)
                stream = self.stream(can_wait_on=bell_set([bell]))
                self.exchange(stream, self.bytes_of(200000), 3000)
                stream.close_sending()
                self.assertEqual(stream.read(PATIENCE), b"")
                stream.close()
                self.ends_well(server)

    def test_python_server(self) -> None:
        for bell in BELLS:
            with self.subTest(bell=bell):
                listener = self.listen(kind=STREAM, can_wait_on=bell_set([bell]))
                client = self.peer("stream-talk", count=300000, largest=5000, environment=NO_SPIN)
                served = self.accept(listener)
                self.assertEqual(echo_all(served), 300000)
                served.close()
                self.ends_well(client)
                listener.close()

    def test_the_reader_holds_the_writer_up(self) -> None:
        """Much more than the ring is written before anything is read."""
        listener = self.listen(kind=STREAM)
        client = self.peer("stream-talk", count=50000, largest=3000, environment=NO_SPIN)
        served = self.accept(listener)
        page = served.endpoint.peer.memory
        self.until(lambda: page.load(region.RING_FULL_STALLS) > 0, "the ring was never full")
        self.assertLessEqual(page.load(region.BYTES_SENT), 4096)
        self.assertEqual(echo_all(served), 50000)
        served.close()
        self.ends_well(client)

    def test_no_record_is_longer_than_the_peers_longest_message(self) -> None:
        listener = self.listen(kind=STREAM, max_message=100)
        client = self.peer("stream-talk", count=5000, largest=3000, longest=70)
        served = self.accept(listener)
        self.assertEqual((served.max_message, served.peer_max_message), (100, 70))
        self.assertEqual(echo_all(served), 5000)
        served.close()
        self.ends_well(client)

    def test_one_direction_ends_and_the_other_goes_on(self) -> None:
        listener = self.listen(kind=STREAM)
        client = self.peer("stream-talk", count=3000, largest=1000)
        served = self.accept(listener)
        data = read_to_end(served)  # all, before anything is answered
        self.assertEqual(len(data), 3000)
        for begin in range(0, len(data), 100):
            served.write(data[begin : begin + 100], PATIENCE)
        served.close_sending()
        self.ends_well(client)
        served.close()

    def test_an_empty_record_breaks_the_stream(self) -> None:
        for express in (False, True):
            with self.subTest(express=express):
                server = self.peer("stream-echo")
                stream = self.stream()
                stream.endpoint.sender.use_express = express
                stream.write(b"first", PATIENCE)
                self.assertEqual(stream.read(PATIENCE), b"first")
                stream.endpoint.sender.put(b"")
                stream.endpoint.publish()
                code, out, _ = server.end()
                self.assertEqual((code, out[:22]), (1, b"failed: the peer broke"))
                stream.hang_up()

    def test_an_end_without_order_is_no_end_of_the_stream(self) -> None:
        server = self.peer("stream-echo")
        stream = self.stream()
        stream.write(b"last words", PATIENCE)
        page = stream.endpoint.peer.memory
        self.until(lambda: page.load(region.BYTES_SENT) == 10, "nothing came back")
        server.kill()
        came = b""
        with self.assertRaises(handshake.PeerGone):
            while True:
                came += stream.read(PATIENCE)
        self.assertEqual(came, b"last words")

    def test_bytes_that_are_held_back_come_at_last(self) -> None:
        """Many small writes, each with a wake-up of its own."""
        server = self.peer("stream-echo", pause=100, environment=NO_SPIN)
        stream = self.stream()
        for number in range(turns(500)):
            if number % 5 == 0:
                time.sleep(self.random.random() * 200e-6)
            stream.write(bytes([number & 255]), PATIENCE)
            self.assertEqual(stream.read(PATIENCE), bytes([number & 255]))
        stream.close()
        self.ends_well(server)
