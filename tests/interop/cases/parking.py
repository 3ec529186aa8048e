# SPDX-License-Identifier: BSL-1.0
"""Both sides sleep and are woken, with each pair of bells. A lost wake-up would hang."""

from __future__ import annotations

import time
from typing import Iterator, Tuple

from ringbell_peer import channel, region
from ringbell_peer.handshake import Bell, Reason, Refusal, bell_set

from .support import BELLS, PATIENCE, Case, echo_all, exchange, turns

NO_SPIN = {"RINGBELL_SPIN": "none"}  # the C++ side sleeps at once


class Parked(Case):
    def kinds(self) -> Iterator[Tuple[Bell, Bell]]:
        for wakes_python in BELLS:
            for wakes_other in Bell:
                yield wakes_python, wakes_other

    def pause(self) -> None:
        if self.random.random() < 0.5:
            time.sleep(self.random.random() * 300e-6)

    def slept(self, made: channel.Connection) -> None:
        for memory in (made.endpoint.own.memory, made.endpoint.peer.memory):
            self.assertGreater(memory.load(region.PARKS), 0)
            self.assertGreater(memory.load(region.BELLS_RUNG), 0)

    def test_python_client(self) -> None:
        for wakes_python, wakes_other in self.kinds():
            name = wakes_other.name.lower()
            with self.subTest(wakes_python=wakes_python, wakes_other=wakes_other):
                server = self.peer("echo", bells=name, pause=300, environment=NO_SPIN)
                try:
                    made = self.connect(
                        can_wait_on=bell_set([wakes_python]), can_ring=bell_set([wakes_other])
                    )
                except Refusal as refusal:
                    self.without_futexes(wakes_other, refusal.reason)
                    server.clean_up()
                    continue
                for size in self.sizes(turns(200), 2000):
                    message = self.bytes_of(size)
                    self.pause()
                    self.assertEqual(exchange(made, message), message)
                self.slept(made)
                made.close()
                self.ends_well(server)

    def without_futexes(self, bell: Bell, reason: Reason) -> None:
        """Not every loop can wait on a futex."""
        self.assertEqual((bell, reason), (Bell.FUTEX, Reason.BELL))

    def test_python_server(self) -> None:
        for wakes_python, wakes_other in self.kinds():
            name = wakes_other.name.lower()
            with self.subTest(wakes_python=wakes_python, wakes_other=wakes_other):
                listener = self.listen(
                    can_wait_on=bell_set([wakes_python]), can_ring=bell_set([wakes_other])
                )
                client = self.peer("talk", bells=name, pause=300, count=turns(200), largest=2000,
                                   environment=NO_SPIN)  # fmt: skip
                control = listener.accept_socket(PATIENCE)
                served = listener.greet(control)
                if served is None:
                    self.without_futexes(wakes_other, Reason(listener.refused[-1].reason))
                    control.close()
                    client.end()
                else:
                    self.addCleanup(served.close)
                    self.assertEqual(echo_all(served, self.pause), turns(200))
                    self.slept(served)
                    served.close()
                    self.ends_well(client)
                listener.close()

    def test_thousands_of_round_trips(self) -> None:
        server = self.peer("echo", pause=100, environment=NO_SPIN)
        made = self.connect()
        for number in range(turns(2500)):
            message = number.to_bytes(8, "little")
            if number % 3 == 0:
                self.pause()
            self.assertEqual(exchange(made, message), message)
        self.slept(made)
        made.close()
        self.ends_well(server)

    def test_waiting_for_space(self) -> None:
        """The Python side does not read while it sends: it sleeps until the other has read."""
        for wakes_python in BELLS:
            with self.subTest(wakes_python=wakes_python):
                server = self.peer("echo", pause=200, environment=NO_SPIN)
                made = self.connect(can_wait_on=bell_set([wakes_python]), wanted_ring_bytes=2**20)
                messages = [self.bytes_of(size) for size in self.sizes(turns(200), 1500)]
                for message in messages:
                    made.send(message, PATIENCE)
                self.assertGreater(made.endpoint.own.memory.load(region.RING_FULL_STALLS), 5)
                self.assertEqual([made.receive(PATIENCE) for _ in messages], messages)
                made.close()
                self.ends_well(server)

    def test_the_other_side_waits_for_space(self) -> None:
        """The C++ side sends more than fits before the Python side reads any of it."""
        for wakes_other in (Bell.EVENTFD, Bell.SOCKET):
            with self.subTest(wakes_other=wakes_other):
                server = self.peer("echo", bells=wakes_other.name.lower(), environment=NO_SPIN)
                made = self.connect(ring_bytes=2**20)
                messages = [self.bytes_of(size) for size in self.sizes(100, 1500)]
                stalls = made.endpoint.peer.memory
                parks = stalls.load(region.PARKS)
                for message in messages:
                    made.send(message, PATIENCE)
                self.until(lambda: stalls.load(region.RING_FULL_STALLS) > 0, "never full")
                self.until(lambda: stalls.load(region.PARKS) > parks, "never asleep")
                self.assertEqual([made.receive(PATIENCE) for _ in messages], messages)
                made.close()
                self.ends_well(server)
