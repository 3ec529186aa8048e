# SPDX-License-Identifier: BSL-1.0
"""Services: calls, errors, metadata, deadlines, cancellation, parts with credit, both goodbyes."""

from __future__ import annotations

import struct
import tempfile
import threading
import time
from typing import Dict, Generator, List, Optional

from ringbell_peer import channel
from ringbell_peer.channel import EndOfStream
from ringbell_peer.handshake import PeerGone
from ringbell_peer.service import (
    CANCEL,
    CREDIT,
    ERROR,
    MORE,
    PART,
    REPLY,
    REQUEST,
    STATISTICS,
    WINDOW,
    Client,
    Domain,
    Failure,
    Fault,
    Frame,
    Handler,
    Reply,
    Result,
    Server,
    ServerCall,
    Wait,
    method_id,
    send_all,
    unpack,
    unpack_failure,
    whole_request,
)

from .support import PATIENCE, Case, Process

ECHO = method_id("echo")
SLEEP = method_id("sleep")
COUNT = method_id("count")


class PythonClient(Case):
    """`ringbell serve` answers."""

    def serve(self, *options: str) -> Process:
        server = self.tool("serve", self.path, *options)
        self.assertIn("serve answers", server.line())
        return server

    def client(self, **hello: object) -> Client:
        made = self.connect(**hello)
        assert isinstance(made, channel.Channel)
        return Client(made)

    def fails(self, client: Client, domain: Domain, code: int, *call: object, **how: object) -> str:
        with self.assertRaises(Failure) as caught:
            client.call(*call, **how)  # type: ignore[arg-type]
        self.assertEqual((caught.exception.domain, caught.exception.code), (domain, code))
        return caught.exception.text

    @staticmethod
    def soon() -> float:
        return time.monotonic() + PATIENCE

    def parts(self, client: Client, call) -> List[bytes]:
        parts = []
        while True:
            part = client.next_part(call, self.soon())
            if part is None:
                return parts
            parts.append(part)

    def test_calls(self) -> None:
        self.serve()
        client = self.client()
        for size in [0, 1, 72, 96, 4000, 100000, 3 * 2**20] + self.sizes(200, 5000):
            request = self.bytes_of(size)
            self.assertEqual(client.call(ECHO, request, b"metadata"), Reply(request, b""))

    def test_errors(self) -> None:
        self.serve()
        client = self.client()
        text = self.fails(client, Domain.SERVICE, Fault.NO_SUCH_METHOD, 12345)
        self.assertIn("no such method", text)
        self.fails(client, Domain.SERVICE, Fault.NO_SUCH_METHOD, 2**31)
        self.fails(client, Domain.SERVICE, Fault.NO_SUCH_METHOD, 2**31 + 2)
        text = self.fails(client, Domain.SYSTEM, 22, SLEEP, b"long")
        self.assertIn("expected a time", text)
        self.assertEqual(client.call(ECHO, b"goes on").payload, b"goes on")

    def test_replies_out_of_order(self) -> None:
        self.serve()
        client = self.client()
        slow = client.begin(SLEEP, b"60")
        quick = [client.begin(ECHO, bytes([i])) for i in range(100)]
        for number, call in enumerate(quick):
            self.assertEqual(client.result(call, self.soon()).payload, bytes([number]))
        self.assertFalse(slow.ended)

    def test_parts_of_a_reply(self) -> None:
        """Far more than the window: the server waits for credit, and this side for the server."""
        self.serve()
        client = self.client()
        call = client.begin(COUNT, b"20000")
        parts = self.parts(client, call)
        self.assertEqual(parts, [b"%d\n" % n for n in range(1, 20001)])
        self.assertEqual(client.result(call), Reply(b"", b""))

    def test_no_credit_no_parts(self) -> None:
        self.serve()
        client = self.client()
        call = client.begin(COUNT, b"20000")

        def came() -> int:
            return sum(len(part) + 64 for part in call.parts.came)

        while came() < WINDOW:
            client.turn(self.soon())
        for _ in range(20):  # in the meantime more would have come
            client.call(ECHO)
        self.assertLess(came(), WINDOW + 80)  # one part may exceed it
        self.assertEqual(len(self.parts(client, call)), 20000)

    def test_parts_of_a_request(self) -> None:
        self.serve()
        client = self.client()
        for size in (10, 5000, 100000):  # the last is more than the window
            call = client.begin(ECHO, b"front", parts_follow=True)
            sent, came = [], []
            for _ in range(max(3, 300000 // size)):
                part = self.bytes_of(size)
                sent.append(part)
                self.assertTrue(client.send_part(call, part, self.soon()))
                while call.parts.came:
                    came.append(client.next_part(call, self.soon()))
            client.end_parts(call)
            came += self.parts(client, call)
            self.assertEqual(came, sent)
            self.assertEqual(client.result(call).payload, b"front")

    def test_deadlines(self) -> None:
        self.serve()
        client = self.client()
        # The server ends the handler, and says why, if this side does not give up before.
        call = client.begin(SLEEP, b"60", timeout=0.05)
        with self.assertRaises(Failure) as caught:
            client.result(call, self.soon())
        self.assertEqual(caught.exception.code, Fault.DEADLINE_PASSED)
        # It has passed already.
        call = client.begin(ECHO, b"", timeout=-1)
        with self.assertRaises(Failure) as caught:
            client.result(call, self.soon())
        self.assertEqual((caught.exception.domain, caught.exception.code), (1, 2))
        # They are far away; the second is beyond what a signed number holds.
        for timeout in (3600, 1e10):
            call = client.begin(SLEEP, b"10ms", timeout=timeout)
            self.assertEqual(client.result(call, self.soon()).payload, b"")

    def test_cancelling(self) -> None:
        self.serve()
        client = self.client()
        for method, request in ((SLEEP, b"60"), (COUNT, b"100000000")):
            call = client.begin(method, request)
            client.call(ECHO)  # so the call has begun
            client.cancel(call)
            with self.assertRaises(Failure) as caught:
                client.result(call, self.soon())
            self.assertEqual((caught.exception.domain, caught.exception.code), (1, 3))
        self.assertEqual(client.call(ECHO, b"goes on").payload, b"goes on")

    def test_too_many_requests(self) -> None:
        self.serve("--max-in-flight", "3")
        client = self.client()
        slow = [client.begin(SLEEP, b"60") for _ in range(3)]
        self.fails(client, Domain.SERVICE, Fault.TOO_MANY_REQUESTS, ECHO)
        client.cancel(slow[0])
        with self.assertRaises(Failure):
            client.result(slow[0], self.soon())
        self.assertEqual(client.call(ECHO, b"now").payload, b"now")

    def test_statistics(self) -> None:
        self.serve()
        client, other = self.client(), self.client(ring_bytes=8192, wanted_ring_bytes=16384)
        for _ in range(5):
            other.call(ECHO, b"12345")
        self.fails(other, Domain.SERVICE, Fault.NO_SUCH_METHOD, 1)
        call = client.begin(STATISTICS)
        rows = b"".join(self.parts(client, call))
        self.assertEqual(client.result(call), Reply(b"", b""))
        self.assertEqual(len(rows), 2 * 22 * 8)
        by_asking = {row[12]: row for row in struct.iter_unpack("<22Q", rows)}
        self.assertEqual(by_asking[0][3:5], (6, 1))  # begun, failed
        self.assertEqual(by_asking[0][10:12], (8192, 16384))
        self.assertEqual(by_asking[0][13], 6)  # messages that it has sent
        self.assertEqual(by_asking[0][15], 6)
        self.assertEqual(by_asking[1][6], 1)  # this call itself
        self.assertLess(by_asking[1][2], 3600 * 10**9)

    def test_goodbye(self) -> None:
        server = self.serve()
        client = self.client()
        slow = client.begin(SLEEP, b"60")
        client.call(ECHO)  # so it has begun
        server.run.terminate()
        while not client.going_away:
            client.turn(self.soon())
        self.assertEqual(client.going_away, [Fault.STOPPING])
        self.fails(client, Domain.SERVICE, Fault.STOPPING, ECHO)
        # The reply that is owed comes, and then the end.
        client.cancel(slow)
        with self.assertRaises(Failure) as caught:
            client.result(slow, self.soon())
        self.assertEqual(caught.exception.code, Fault.CANCELLED)
        with self.assertRaises(EndOfStream):
            while True:
                client.turn(self.soon())
        self.assertEqual(client.going_away, [Fault.STOPPING] * 2)
        self.assertEqual(server.end().code, 0)

    def test_idle(self) -> None:
        self.serve("--idle-timeout", "50ms")
        client = self.client()
        with self.assertRaises(EndOfStream):
            while True:
                client.turn(self.soon())
        self.assertEqual(client.going_away, [Fault.IDLE] * 2)

    def test_violations_end_the_connection(self) -> None:
        self.serve()
        begun = Frame(REQUEST, 1, MORE, method=ECHO)
        slow = Frame(REQUEST, 1, method=SLEEP, payload=b"60")
        for what, frames in (
            ("too short", [b"\1\0\0\0\0\0\0"]),
            ("a short REQUEST", [Frame(REQUEST, 1).pack()[:23]]),
            ("kind 0", [bytes(8)]),
            ("kind 7", [b"\7" + bytes(7)]),
            ("a REPLY from the client", [Frame(REPLY, 1)]),
            ("a GOAWAY from the client", [Frame(6, 0, value=5)]),
            ("an unknown flag", [Frame(REQUEST, 1, 4)]),
            ("an error from the client", [Frame(REQUEST, 1, ERROR)]),
            ("a flag in CANCEL", [slow, Frame(CANCEL, 1, MORE)]),
            ("metadata that is not there", [b"\1\0\4\0" + bytes(20)]),
            ("long metadata", [Frame(REQUEST, 1, metadata=bytes(4097))]),
            ("metadata in PART", [begun, b"\2\1\1\0\1\0\0\0x"]),
            ("reserved bytes", [Frame(REQUEST, 1).pack()[:12] + b"\1" + bytes(11)]),
            ("a last PART with bytes", [begun, Frame(PART, 1, 0, payload=b"x")]),
            ("CANCEL with bytes", [slow, Frame(CANCEL, 1, payload=b"x")]),
            ("a number in use", [slow, slow]),
            ("parts that were not announced", [slow, Frame(PART, 1, MORE, payload=b"x")]),
            ("credit that is not due", [slow, Frame(CREDIT, 1, value=1)]),
            ("parts beyond the window", [slow._replace(flags=MORE)]
             + [Frame(PART, 1, MORE, payload=bytes(WINDOW))] * 2),
        ):  # fmt: skip
            with self.subTest(what=what):
                client = self.client()
                made = client.channel
                try:
                    for frame in frames:
                        made.send(frame.pack() if isinstance(frame, Frame) else frame, PATIENCE)
                    while True:
                        message = made.receive(PATIENCE)
                        self.assertNotEqual(message[0], REPLY, "it was answered")
                except (EndOfStream, PeerGone):
                    pass
                client.close()

    def test_what_is_ignored(self) -> None:
        """Frames for calls that the server does not know (any more)."""
        self.serve()
        client = self.client()
        for frame in (
            Frame(PART, 77, MORE, payload=b"x"),
            Frame(PART, 77),
            Frame(CANCEL, 77),
            Frame(CREDIT, 77, value=10**18),
        ):
            client.channel.send(frame.pack())
        self.assertEqual(client.call(ECHO, b"goes on").payload, b"goes on")


# What the Python service answers.


def echo(call: ServerCall) -> Generator[Wait, None, Result]:
    while True:
        yield Wait(lambda: bool(call.parts.came) or not call.more_parts or call.cancelled)
        if call.cancelled:
            raise Failure(Domain.SERVICE, Fault.CANCELLED)
        if not call.parts.came:
            return Reply(call.request, call.metadata)
        yield from call.send_part(call.take_part())


def count(call: ServerCall) -> Generator[Wait, None, Result]:
    yield from send_all(call, (b"%d\n" % n for n in range(1, int(call.request) + 1)))
    return b"end\n"


def total(call: ServerCall) -> Generator[Wait, None, Result]:
    parts = yield from whole_request(call)
    return b"%d" % sum(map(len, parts))


def fail(call: ServerCall) -> Generator[Wait, None, Result]:
    yield Wait(lambda: True)
    kind, _, number = call.request.decode().partition(" ")
    if kind == "system":
        raise OSError(int(number), "a system's text")
    raise Failure(Domain[kind], int(number), "a text with ä in it")


class PythonServer(Case):
    """A Python service answers `ringbell call`, or a Python client."""

    def setUp(self) -> None:
        super().setUp()
        self.listener = self.listen(default_ring=8192)
        self.seen: List[str] = []

    def sleep(self, call: ServerCall) -> Generator[Wait, None, Result]:
        """Waits as long as the caller wants the reply."""
        until = call.deadline / 1e9 - time.time() + time.monotonic() if call.deadline else None
        try:
            yield Wait(lambda: call.cancelled, until)
        finally:  # also when the client has gone
            self.seen.append("cancelled" if call.cancelled else "expired")
        raise Failure(Domain.SERVICE, Fault.CANCELLED if call.cancelled else Fault.DEADLINE_PASSED)

    def methods(self) -> Dict[int, Handler]:
        return {
            method_id("echo"): echo,
            method_id("count"): count,
            method_id("total"): total,
            method_id("fail"): fail,
            method_id("sleep"): self.sleep,
        }

    def call(
        self,
        method: str,
        *options: str,
        stdin: bytes = b"",
        server: Optional[Server] = None,
        ring: str = "4096",
    ):
        """Exit code, standard output and standard error of a call."""
        out = tempfile.TemporaryFile(dir=self.folder)
        self.addCleanup(out.close)
        calling = self.tool(
            "call", self.path, method, "--ring-bytes", ring, *options,
            stdin=self.file_of(stdin), stdout=out,
        )  # fmt: skip
        served = self.accept(self.listener)
        assert isinstance(served, channel.Channel)
        (server or Server(self.methods())).serve(served)
        code, _, errors = calling.end()
        return code, self.content_of(out), errors

    def test_calls(self) -> None:
        for size in (0, 1, 72, 4000, 200000):
            request = self.bytes_of(size)
            self.assertEqual(self.call("echo", stdin=request), (0, request, ""))
        self.assertEqual(self.call(str(method_id("echo")), "--data", "text")[:2], (0, b"text"))

    def test_errors(self) -> None:
        code, out, errors = self.call("nothing")
        self.assertEqual((code, out), (8, b""))
        self.assertIn("no such method", errors)
        code, out, errors = self.call("fail", "--data", "HANDLER -7")
        self.assertEqual((code, out), (8, b""))
        self.assertIn("with error -7: a text with ä in it", errors)
        code, _, errors = self.call("fail", "--data", "system 28")
        self.assertEqual(code, 8)
        self.assertIn("with system error 28 (No space left on device): ", errors)
        self.assertIn("a system's text", errors)
        code, _, errors = self.call("fail", "--data", "SERVICE 10")
        self.assertEqual(code, 4)
        for number in range(1, 11):
            code, _, errors = self.call("fail", "--data", f"SERVICE {number}")
            self.assertIn(code, (4, 6, 8), errors)
            self.assertIn("a text with ä in it", errors)

    def test_errors_that_are_none_end_the_connection(self) -> None:
        for failure in ("SERVICE 11", "SERVICE -1", "SERVICE 0"):
            code, _, errors = self.call("fail", "--data", failure)
            self.assertEqual(code, 5, errors)

    def test_metadata(self) -> None:
        seen = []

        def tell(call: ServerCall) -> Generator[Wait, None, Result]:
            yield Wait(lambda: True)
            seen.append(call.metadata)
            return Reply(b"answer", b"of the reply")

        server = Server({1: tell})
        for text in ("", "who=me", "x" * 4096):
            self.assertEqual(self.call("1", "--metadata", text, server=server), (0, b"answer", ""))
        self.assertEqual(seen, [b"", b"who=me", b"x" * 4096])

    def test_parts(self) -> None:
        expected = b"".join(b"%d\n" % n for n in range(1, 5001)) + b"end\n"
        self.assertEqual(self.call("count", "--data", "5000"), (0, expected, ""))
        data = self.bytes_of(400000)
        self.assertEqual(self.call("total", "--stream", stdin=data), (0, b"400000", ""))
        self.assertEqual(self.call("echo", "--stream", stdin=data), (0, data, ""))

    def test_deadlines(self) -> None:
        code, _, errors = self.call("sleep", "--timeout", "1")
        self.assertEqual(code, 6, errors)
        self.assertIn("no answer from", errors)
        self.assertEqual(len(self.seen), 1)

    def test_goodbye(self) -> None:
        """A request is under way: it is answered; the client then closes."""
        server = Server(self.methods())

        def stop(call: ServerCall) -> Generator[Wait, None, Result]:
            server.stopping = True
            yield Wait(lambda: False, time.monotonic() + 0.05)
            return b"the last answer"

        server.methods[1] = stop
        self.assertEqual(self.call("1", server=server), (0, b"the last answer", ""))

    def test_a_service_that_is_stopping(self) -> None:
        server = Server(self.methods())
        server.stopping = True
        code, _, errors = self.call("echo", server=server)
        self.assertEqual(code, 4, errors)
        self.assertIn("going away", errors)

    def test_both_sides_in_python(self) -> None:
        """What `ringbell call` cannot do: cancel, and several calls at once."""
        server = Server(self.methods(), max_in_flight=3)
        made = self.connect_while(server)
        client = Client(made)
        calls = [client.begin(method_id("sleep")) for _ in range(3)]
        with self.assertRaises(Failure) as caught:
            client.call(method_id("echo"))
        self.assertEqual(caught.exception.code, Fault.TOO_MANY_REQUESTS)
        for call in calls:
            client.cancel(call)
            with self.assertRaises(Failure) as caught:
                client.result(call, time.monotonic() + PATIENCE)
            self.assertEqual(caught.exception.code, Fault.CANCELLED)
        self.assertEqual(self.seen, ["cancelled"] * 3)
        client.close()

    def connect_while(self, server: Server) -> channel.Channel:
        def serve() -> None:
            served = self.listener.accept(PATIENCE)
            assert isinstance(served, channel.Channel)
            server.serve(served)

        serving = threading.Thread(target=serve)
        serving.start()
        self.addCleanup(serving.join)
        made = self.connect()
        assert isinstance(made, channel.Channel)
        return made


class PythonFrames(Case):
    def test_frames_that_are_none(self) -> None:
        from ringbell_peer.handshake import ProtocolError

        for message, from_client in (
            (b"", True),
            (Frame(REPLY, 1, MORE | ERROR).pack(), False),
            (Frame(6, 1, value=5).pack(), False),
            (Frame(6, 0, value=6).pack(), False),
            (Frame(CANCEL, 1).pack(), False),
        ):
            with self.assertRaises(ProtocolError):
                unpack(message, from_client)
        with self.assertRaises(ProtocolError):
            unpack_failure(bytes(8))
