# SPDX-License-Identifier: BSL-1.0
"""The commands of `ringbell` with a peer in Python: echo, ping, pipe, top."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from typing import Generator

from ringbell_peer import channel
from ringbell_peer.handshake import bell_set
from ringbell_peer.service import Client, Result, Server, ServerCall, Wait

from .support import BELLS, PATIENCE, Case, echo_all, exchange


class Tool(Case):
    def test_ping(self) -> None:
        listener = self.listen()
        for size, count in ((0, 50), (64, 300), (100000, 20)):
            for bell in BELLS:
                listener.terms.can_wait_on = bell_set([bell])
                ping = self.tool(
                    "ping", self.path, "--size", str(size), "--count", str(count),
                    "--interval", "0", "--json", "--ring-bytes", "4096",
                )  # fmt: skip
                served = self.accept(listener)
                self.assertEqual(echo_all(served), count)
                served.close()
                code, out, errors = ping.end()
                self.assertEqual((code, errors), (0, ""))
                said = json.loads(out)
                self.assertEqual((said["sent"], said["received"]), (count, count))

    def test_echo(self) -> None:
        server = self.tool("echo", self.path, "--ring-bytes", "4096")
        self.assertIn("echo listens", server.line())
        clients = [self.connect(can_wait_on=bell_set([bell])) for bell in BELLS]
        for size in self.sizes(100, 5000):
            message = self.bytes_of(size)
            for made in clients:
                self.assertEqual(exchange(made, message), message)
        server.run.terminate()
        for made in clients:
            with self.assertRaises(channel.EndOfStream):
                made.receive(PATIENCE)
        self.assertEqual(server.end().code, 0)

    def both_ways(self, made: channel.Channel, data: bytes) -> bytes:
        """Sends the bytes in messages of any size while it receives those of the other side."""
        came, at, ended = [], 0, False
        until = time.monotonic() + PATIENCE
        while at < len(data) or made.pending or not ended:
            if at < len(data) and not made.pending:
                size = self.random.randint(0, 3000)
                made.post(data[at : at + size])
                at += size
            if made.flush() and at >= len(data):
                made.close_sending()
            try:
                message = None if ended else made.try_receive()
            except channel.EndOfStream:
                ended = True
                continue
            if message is not None:
                came.append(message)
            elif made.pending or at >= len(data):
                made.wait(until)
            self.assertLess(time.monotonic(), until)
        return b"".join(came)

    def pipe(self, role: str) -> None:
        theirs, ours = self.bytes_of(300000), self.bytes_of(200000)
        out = tempfile.TemporaryFile(dir=self.folder)
        self.addCleanup(out.close)
        listener = self.listen() if role == "--connect" else None
        pipe = self.tool(
            "pipe", role, self.path, "--ring-bytes", "8192", stdin=self.file_of(theirs), stdout=out
        )
        if listener:
            made = self.accept(listener)
        else:
            made = self.connect_soon()
        assert isinstance(made, channel.Channel)
        self.assertEqual(self.both_ways(made, ours), theirs)
        code, _, errors = pipe.end()
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(self.content_of(out), ours)

    def connect_soon(self) -> channel.Anything:
        """`pipe` says nothing when it listens."""
        made = []

        def try_it() -> bool:
            try:
                made.append(self.connect())
            except (FileNotFoundError, ConnectionRefusedError):
                pass
            return bool(made)

        self.until(try_it, "nobody listens")
        return made[0]

    def test_pipe_that_connects(self) -> None:
        self.pipe("--connect")

    def test_pipe_that_listens(self) -> None:
        self.pipe("--listen")

    def test_top(self) -> None:
        """It shows what a Python service says of its clients."""
        listener = self.listen()

        def echo(call: ServerCall) -> Generator[Wait, None, Result]:
            yield Wait(lambda: True)
            return call.request

        server = Server({1: echo})

        def serve() -> None:
            served = listener.accept(PATIENCE)
            assert isinstance(served, channel.Channel)
            server.serve(served)

        threads = [threading.Thread(target=serve) for _ in range(2)]
        for thread in threads:
            thread.start()
            self.addCleanup(thread.join)
        made = self.connect(ring_bytes=8192, wanted_ring_bytes=16384)
        assert isinstance(made, channel.Channel)
        client = Client(made)
        for _ in range(7):
            client.call(1, b"123")
        top = self.tool("top", self.path, "--once", "--json", "--interval", "50ms")
        code, out, errors = top.end()
        self.assertEqual((code, errors), (0, ""))
        (row,) = json.loads(out)["clients"]
        self.assertEqual(row["since_connected"]["requests"], 7)
        self.assertEqual(row["since_connected"]["messages_in"], 7)
        self.assertEqual((row["ring_to_server"], row["ring_to_client"]), (8192, 16384))
        client.close()
