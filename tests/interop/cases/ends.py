# SPDX-License-Identifier: BSL-1.0
"""Ends: in order, of one direction or of both; and the death of either side."""

from __future__ import annotations

import pathlib
import sys
import threading

from ringbell_peer import channel, region
from ringbell_peer.handshake import Bell, PeerGone, bell_set

from .support import BELLS, PATIENCE, Case, Process, echo_all, exchange

NO_SPIN = {"RINGBELL_SPIN": "none"}
VICTIM = str(pathlib.Path(__file__).resolve().parent / "victim.py")


class InOrder(Case):
    def test_what_was_sent_before_the_end_is_received(self) -> None:
        server = self.peer("echo")
        made = self.connect(ring_bytes=2**16, wanted_ring_bytes=2**16)
        messages = [self.bytes_of(size) for size in self.sizes(50, 300)]
        for message in messages:
            made.post(message)
        self.assertTrue(made.flush())
        made.close_sending()
        self.assertEqual([made.receive(PATIENCE) for _ in messages], messages)
        with self.assertRaises(channel.EndOfStream):
            made.receive(PATIENCE)
        self.ends_well(server)

    def test_the_end_wakes_a_side_that_sleeps(self) -> None:
        for bell in BELLS:
            with self.subTest(bell=bell):
                listener = self.listen(can_wait_on=bell_set([bell]))
                client = self.peer("talk", count=20, pause=20000)
                served = self.accept(listener)
                self.assertEqual(echo_all(served), 20)  # until the client's end
                served.close()
                self.ends_well(client)
                listener.close()

    def test_a_side_that_receives_no_more(self) -> None:
        server = self.peer("echo")
        made = self.connect()
        self.assertEqual(exchange(made, b"hello"), b"hello")
        made.endpoint.close_receiving()
        made.send(b"nobody wants the answer")
        code, out, _ = server.end()
        self.assertEqual((code, out[:24]), (1, b"failed: the peer has gon"))

    def test_a_sender_learns_that_nothing_more_is_received(self) -> None:
        listener = self.listen()
        client = self.peer("talk", count=1)
        served = self.accept(listener)
        served.send(served.receive(PATIENCE), PATIENCE)
        with self.assertRaises(channel.EndOfStream):
            served.receive(PATIENCE)
        client.kill()
        with self.assertRaises((channel.EndOfStream, PeerGone)):
            for _ in range(1000):
                served.send(bytes(1000), PATIENCE)

    def test_an_end_within_a_message_makes_it_void(self) -> None:
        server = self.peer("echo")
        made = self.connect()
        made.fragment_bytes = 64
        made.post(bytes(30000))
        made.flush()
        made.close()
        code, out, _ = server.end()
        # The message may have come as a whole when the other side was fast; then its echo fails.
        self.assertIn((code, out[:12]), [(0, b"done\n"), (1, b"failed: the ")])
        self.assertNotIn(b"broke", out)


class Killed(Case):
    def victim(self, role: str, bell: Bell) -> Process:
        return self.start(sys.executable, VICTIM, role, self.path, bell.name)

    def kill_when_asleep(self, process: Process, made: channel.Connection) -> None:
        """Kills the process once this side sleeps (or is about to: it has announced that)."""
        parks = made.endpoint.own.memory.load(region.PARKS)

        def kill() -> None:
            self.until(lambda: made.endpoint.own.memory.load(region.PARKS) > parks, "never asleep")
            process.run.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        self.addCleanup(killer.join)

    def test_the_cpp_side_dies_while_this_side_waits(self) -> None:
        for bell in BELLS:
            with self.subTest(bell=bell):
                server = self.peer("echo")
                made = self.connect(can_wait_on=bell_set([bell]))
                self.assertEqual(exchange(made, b"hello"), b"hello")
                self.kill_when_asleep(server, made)
                with self.assertRaises(PeerGone):
                    made.receive(PATIENCE)
                with self.assertRaises(PeerGone):
                    made.send(b"too late", PATIENCE)
                server.kill()  # until its end: the next one takes the same name

    def test_the_cpp_side_dies_while_this_side_waits_for_space(self) -> None:
        for bell in BELLS:
            with self.subTest(bell=bell):
                server = self.peer("echo", environment=NO_SPIN)
                made = self.connect(can_wait_on=bell_set([bell]))
                page = made.endpoint.peer.memory
                # Until the other side waits for space itself, and so takes nothing more.
                while page.load(region.RING_FULL_STALLS) == 0:
                    if not made.pending:
                        made.post(bytes(1000))
                    made.flush()
                self.kill_when_asleep(server, made)
                with self.assertRaises(PeerGone):
                    while True:
                        made.send(bytes(1000), PATIENCE)
                server.kill()

    def test_what_was_published_before_death_is_received(self) -> None:
        for bell in BELLS:
            with self.subTest(bell=bell):
                server = self.peer("echo")
                made = self.connect(can_wait_on=bell_set([bell]), wanted_ring_bytes=2**16)
                messages = [self.bytes_of(size) for size in self.sizes(20, 300)]
                for message in messages:
                    made.send(message, PATIENCE)
                page = made.endpoint.peer.memory
                self.until(lambda: page.load(region.MESSAGES_SENT) == 20, "not all came back")
                server.kill()
                self.assertEqual([made.receive(PATIENCE) for _ in messages], messages)
                with self.assertRaises(PeerGone):
                    made.receive(PATIENCE)

    def test_the_python_client_dies(self) -> None:
        for bell in BELLS:
            with self.subTest(bell=bell):
                server = self.peer("echo", environment=NO_SPIN)
                client = self.victim("client", bell)
                self.assertEqual(client.line(), "waits")
                client.kill()
                code, out, _ = server.end()
                self.assertEqual((code, out[:24]), (1, b"failed: the peer has gon"))

    def test_the_python_server_dies(self) -> None:
        for bell in BELLS:
            with self.subTest(bell=bell):
                server = self.victim("server", bell)
                self.assertEqual(server.line(), "listening")
                client = self.peer("talk", count=2, environment=NO_SPIN)
                self.assertEqual(client.line(), "connected")
                self.assertEqual(server.line(), "waits")
                server.kill()
                code, out, _ = client.end()
                self.assertEqual((code, out[:24]), (1, b"failed: the peer has gon"))
                pathlib.Path(self.path).unlink()
