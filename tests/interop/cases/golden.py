# SPDX-License-Identifier: BSL-1.0
"""The bytes of the protocol: what the C++ side writes today is what the file of its version has.

The second implementation is held against the same bytes: it packs the same frames, and reads the
recorded rings.
"""

from __future__ import annotations

import os
import pathlib
import re
import struct
from typing import Dict, List

from ringbell_peer import handshake, region, ring, service, system
from ringbell_peer.channel import Channel, EndOfStream, Stream, connection
from ringbell_peer.endpoint import Endpoint
from ringbell_peer.handshake import Bell, Hello, Refused, Welcome
from ringbell_peer.service import Frame, method_id

from . import support
from .support import Case

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "golden"
CHANGED = "the bytes changed: a new protocol version is needed, see docs/protocol.md"
WHAT_TO_DO = (
    "(Only if the document leaves these bytes to the writer, such as the lengths of fragments, "
    "record them again: {program} > tests/interop/golden/{file})"
)
NO_FILE = "no bytes of version {version} are recorded: {program} > tests/interop/golden/{file}"

Blocks = Dict[str, bytes]


def parse(text: str) -> Blocks:
    """The blocks of a recording, by their names."""
    blocks: Dict[str, bytearray] = {}
    block = bytearray()
    for line in text.splitlines():
        name = re.match(r"== ([^:]*):", line)
        size = re.match(r"\((\d+) bytes\)$", line)
        bytes_ = re.match(r"([0-9a-f]{4}):((?: [0-9a-f]{2})+)$", line)
        if name:
            block = blocks[name[1]] = bytearray()
        elif size:
            block += bytes(int(size[1]))
        elif bytes_:
            data = bytes.fromhex(bytes_[2])
            begin = int(bytes_[1], 16)
            block[begin : begin + len(data)] = data
        elif line and not line.startswith("#") and not line.startswith("protocol version"):
            raise ValueError(f"no line of a recording: {line!r}")
    return {name: bytes(block) for name, block in blocks.items()}


def differences(expected: Blocks, came: Blocks) -> List[str]:
    lines = []
    for name in expected.keys() - came.keys():
        lines.append(f"{name}: is not written any more")
    for name in came.keys() - expected.keys():
        lines.append(f"{name}: is not in the file")
    for name in sorted(expected.keys() & came.keys()):
        old, new = expected[name], came[name]
        if len(old) != len(new):
            lines.append(f"{name}: expected {len(old)} bytes, came {len(new)}")
        for begin in range(0, max(len(old), len(new)), 8):
            was, is_ = old[begin : begin + 8], new[begin : begin + 8]
            if was != is_:
                lines.append(
                    f"{name}: offset {begin:#06x}: expected {was.hex(' ') or 'nothing'}, "
                    f"came {is_.hex(' ') or 'nothing'}"
                )
    return lines


def pattern(size: int, seed: int) -> bytes:
    return bytes(7 * i + seed & 255 for i in range(size))


class Golden(Case):
    def recorded(self) -> Blocks:
        return parse((FOLDER / "version-1.txt").read_text(encoding="utf-8"))

    def test_todays_bytes(self) -> None:
        assert support.programs.record, "--record is needed"
        program = os.path.relpath(support.programs.record)
        code, out, errors = self.start(support.programs.record).end()
        self.assertEqual((code, errors), (0, ""))
        said = out.decode()
        version = re.search(r"^protocol version (\d+)", said, re.MULTILINE)
        assert version
        file = FOLDER / f"version-{version[1]}.txt"
        if not file.exists():
            self.fail(NO_FILE.format(version=version[1], program=program, file=file.name))
        wrong = differences(parse(file.read_text(encoding="utf-8")), parse(said))
        if wrong:
            hint = WHAT_TO_DO.format(program=program, file=file.name)
            self.fail("\n".join([CHANGED, hint, *wrong[:40]]))

    def test_a_change_is_seen(self) -> None:
        recorded = self.recorded()
        block = bytearray(recorded["express"])
        block[0x20:0x24] = b"HELL"
        wrong = differences(recorded, {**recorded, "express": bytes(block)})
        self.assertEqual(
            wrong,
            [
                "express: offset 0x0020: expected 68 65 6c 6c 6f 00 00 00, "
                "came 48 45 4c 4c 6f 00 00 00"
            ],
        )
        del recorded["hello"]
        self.assertEqual(differences(self.recorded(), recorded), ["hello: is not written any more"])

    def test_frames_of_the_handshake(self) -> None:
        recorded = self.recorded()
        expected = {
            "hello": Hello(1, 0x203, 0, 3, 7, 65536, 2**20, 0x0102030405060708),
            "hello stream": Hello(1, 1, 1, 3, 7, 65536, 0, 0x0102030405060708),
            "welcome": Welcome(1, Bell.EVENTFD, Bell.FUTEX, 4096, 0x1122334455667788),
            "welcome sockets": Welcome(1, Bell.SOCKET, Bell.SOCKET, 4096, 0x1122334455667788),
            **{f"refused {n}": Refused(n, 0x11, 0x22) for n in range(1, 11)},
        }
        for name, frame in expected.items():
            self.assertEqual(frame.pack(), recorded[name], name)
            self.assertEqual(handshake.unpack(recorded[name]), frame, name)

    def test_frames_of_a_service(self) -> None:
        recorded = self.recorded()
        call, echo = 0x01020304, method_id("echo")
        text = b"no"
        expected = {
            "request": Frame(service.REQUEST, call, 0, b"meta", b"ask", echo, 0x1112131415161718),
            "request with parts": Frame(
                service.REQUEST, call, service.MORE, payload=b"ask", method=echo
            ),
            "part": Frame(service.PART, call, service.MORE, payload=b"piece"),
            "last part": Frame(service.PART, call),
            "cancel": Frame(service.CANCEL, call),
            "credit": Frame(service.CREDIT, call, value=0x8001),
            "reply part": Frame(service.REPLY, call, service.MORE, payload=b"piece"),
            "reply": Frame(service.REPLY, call, 0, b"meta", b"answer"),
            "error of a handler": self.failure(call, 0, -7, text),
            "error of the system": self.failure(call, 2, 13, text),
            **{f"error {n}": self.failure(call, 1, n, b"") for n in range(1, 11)},
            "goaway 5": Frame(service.GOAWAY, 0, value=5),
            "goaway 7": Frame(service.GOAWAY, 0, value=7),
        }
        from_server = (service.REPLY, service.GOAWAY)
        for name, frame in expected.items():
            self.assertEqual(frame.pack(), recorded[name], name)
            decoded = service.unpack(recorded[name], frame.kind not in from_server)
            self.assertEqual(decoded, frame, name)
        row = struct.unpack("<22Q", recorded["statistics row"])
        self.assertEqual(row, tuple(range(1, 23)))

    @staticmethod
    def failure(call: int, domain: int, code: int, text: bytes) -> Frame:
        failure = service.Failure(domain, code, text.decode())
        return Frame(service.REPLY, call, service.ERROR, payload=service.pack_failure(failure))

    # -- regions --

    def endpoint(self, block: bytes) -> Endpoint:
        """One whose peer has written this region, and says nothing more."""
        descriptor, memory = system.create_region(len(block))
        self.addCleanup(memory.close)
        memory.write(0, block)
        own = region.OwnRegion(4096)
        made = Endpoint(own, region.PeerRegion(descriptor, 4096), _NoBells())  # type: ignore
        self.addCleanup(own.close)
        self.addCleanup(made.peer.close)
        return made

    def channel(self, name: str) -> Channel:
        greeting = (Hello(), Welcome(1, 1, 1, 4096, 2**20))
        made = connection(self.endpoint(self.recorded()[name]), *greeting, 2**20, 2**20)
        assert isinstance(made, Channel)
        return made

    def test_regions(self) -> None:
        recorded = self.recorded()
        own = region.OwnRegion(4096)
        self.addCleanup(own.close)
        own.memory.write(region.IDENTITY + 16, struct.pack("<QQ", 4242, 0x0123456789ABCDEF))
        self.assertEqual(own.memory.read(0, 8192), recorded["region"])
        # What this side writes for the same message.
        made = self.endpoint(recorded["region"])
        made.own.memory.write(region.IDENTITY + 16, struct.pack("<QQ", 4242, 0x0123456789ABCDEF))
        made.sender.put(b"hello")
        made.sender.publish()
        self.assertEqual(made.own.memory.read(0, 128), recorded["express"][:128])
        made.sender.put(b"second")
        made.sender.put(b"")
        made.sender.put(pattern(97, 3))
        made.sender.publish()
        self.assertEqual(made.own.memory.read(0, 128), recorded["records"][:128])
        self.assertEqual(made.own.memory.read(4096, 4096), recorded["records"][4096:])

    def test_messages(self) -> None:
        for name, messages in (
            ("region", []),
            ("express", [b"hello"]),
            ("records", [b"hello", b"second", b"", pattern(97, 3)]),
            ("fragments", [pattern(3000, 9)]),
        ):
            made = self.channel(name)
            self.assertEqual([made.try_receive() for _ in messages], messages, name)
            self.assertIsNone(made.try_receive(), name)

    def test_pad(self) -> None:
        """Its first messages were overwritten, so the reader begins behind them."""
        made = self.channel("pad")
        receiver = made.endpoint.receiver
        receiver.head = receiver.published = receiver.tail = 2 * ring.record_size(1500)
        self.assertEqual(made.try_receive(), pattern(1300, 5))
        self.assertIsNone(made.try_receive())
        self.assertEqual(receiver.head, 4096 + ring.record_size(1300))

    def test_an_abandoned_message(self) -> None:
        made = self.channel("parked sender")
        self.assertIsNone(made.try_receive())
        head = made.endpoint.receiver.head
        page = made.endpoint.peer.memory
        self.assertEqual(page.load(region.TX_TAIL), head)
        # It sleeps until what it has not sent yet fits: 1016 bytes of payload.
        self.assertEqual(page.load(region.SPACE_WAKE_AT), head + 1024 - 4096 - 1)
        # As the other recording has it, all of that was read, and `abandon` and a message came.
        made = self.channel("abandoned")
        receiver = made.endpoint.receiver
        receiver.head = receiver.published = receiver.tail = head
        made.start_joining(10000)
        self.assertEqual(made.try_receive(), b"next")
        self.assertIsNone(made.try_receive())

    def test_parked_receiver(self) -> None:
        page = self.endpoint(self.recorded()["parked receiver"]).peer.memory
        read = sum(map(ring.record_size, (5, 6, 0, 97)))
        self.assertEqual(page.load(region.RX_HEAD), read)
        self.assertEqual(page.load(region.DATA_WAKE_AT), read)
        self.assertEqual(page.load(region.SPACE_WAKE_AT), region.NEVER)

    def test_ends(self) -> None:
        made = self.channel("closed sending")
        self.assertEqual(made.try_receive(), b"last")
        with self.assertRaises(EndOfStream):
            made.try_receive()
        made = self.channel("closed receiving")
        made.post(b"nobody reads it")
        made.endpoint.sender.look()
        with self.assertRaises(EndOfStream):
            made.flush()

    def test_stream(self) -> None:
        greeting = (Hello(kind=handshake.STREAM), Welcome(1, 1, 1, 4096, 2**20))
        made = connection(self.endpoint(self.recorded()["stream"]), *greeting, 2**20, 2**20)
        assert isinstance(made, Stream)
        self.assertEqual([made.read(), made.read(), made.read()],
                         [pattern(3, 1), pattern(200, 2), b""])  # fmt: skip


class _NoBells:
    """Nobody is there to be woken."""

    hung_up = False

    def ring(self, words: List[int]) -> None:
        pass
