# SPDX-License-Identifier: BSL-1.0
"""What the cases share: the C++ programs, a folder for sockets, and time limits.

Nothing sleeps to give the other side time: each wait is for something that the other side does. A
time limit only ends what hangs.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from dataclasses import dataclass
from typing import IO, Any, Callable, Dict, List, Optional, Sequence

from ringbell_peer import channel, system
from ringbell_peer.handshake import Bell, Hello, Terms, bell_set

PATIENCE = 60.0  # seconds until something counts as hanging, as in tests/support/patience.hpp
LONGEST_CASE = 240  # seconds; a whole case ends then, whatever it waits for


@dataclass
class Programs:
    tool: Optional[str]
    peer: Optional[str]
    record: Optional[str]


programs = Programs(None, None, None)
seed = 1

# What can wake this side.
BELLS = tuple(bell for bell in Bell if bell != Bell.FUTEX or system.has_futex_waitv())
ALL_BELLS = bell_set(list(Bell))


def turns(usual: int) -> int:
    """How often a case repeats something."""
    return max(1, int(usual * float(os.environ.get("RINGBELL_TEST_TURNS", "1"))))


class Process:
    """A C++ program. It is killed at the end of its case, if it has not ended by then."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Optional[Dict[str, str]] = None,
        stdin: Any = subprocess.DEVNULL,
        stdout: Any = subprocess.PIPE,
    ) -> None:
        self.what = " ".join(arguments)
        self._said: List[str] = []
        self.run = subprocess.Popen(
            list(arguments),
            bufsize=0,  # else line() would take more than a line from the pipe
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )

    def line(self) -> str:
        """Its next line; raises when it ends instead."""
        assert self.run.stdout
        line = self.run.stdout.readline()
        if not line:
            code, _, errors = self.end()
            raise AssertionError(f"{self.what}: ended with {code}: {self._said}: {errors!r}")
        self._said.append(line.decode(errors="replace").rstrip())
        return self._said[-1]

    def end(self, stdin: Optional[bytes] = None) -> "Ended":
        """Waits for its end."""
        try:
            out, errors = self.run.communicate(stdin, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.what}: hangs; it has said {self._said}") from None
        return Ended(self.run.returncode, out or b"", errors.decode(errors="replace"))

    def kill(self) -> None:
        self.run.kill()
        self.run.wait()

    def clean_up(self) -> None:
        self.kill()
        for pipe in (self.run.stdin, self.run.stdout, self.run.stderr):
            if pipe:
                pipe.close()


@dataclass
class Ended:
    code: int
    out: bytes
    errors: str

    def __iter__(self):
        return iter((self.code, self.out, self.errors))


class Case(unittest.TestCase):
    def setUp(self) -> None:
        # A socket's path has at most 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="ringbell-interop-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "socket")
        self.random = random.Random(f"{seed}/{self.id()}")
        # A hang is a failure that says where; nothing waits for ever.
        signal.signal(signal.SIGALRM, self._hangs)
        signal.alarm(LONGEST_CASE)
        self.addCleanup(signal.alarm, 0)

    @staticmethod
    def _hangs(*_: object) -> None:
        raise AssertionError("this case hangs")

    def bytes_of(self, size: int) -> bytes:
        return self.random.getrandbits(8 * size).to_bytes(size, "little") if size else b""

    def sizes(self, number: int, largest: int) -> List[int]:
        """Half of them small, because small records are handled differently."""
        return [
            self.random.randint(0, min(largest, 128) if self.random.random() < 0.5 else largest)
            for _ in range(number)
        ]

    # -- the C++ side --

    def start(self, *arguments: str, **how: object) -> Process:
        process = Process(arguments, **how)  # type: ignore[arg-type]
        self.addCleanup(process.clean_up)
        return process

    def peer(self, command: str, **options: object) -> Process:
        """peer.cpp; a server listens when this returns."""
        assert programs.peer, "--peer is needed"
        environment = options.pop("environment", None)
        options.setdefault("seed", self.random.randint(0, 2**32))
        words = [f"{key}={value}" for key, value in options.items()]
        process = self.start(programs.peer, command, self.path, *words, environment=environment)
        if command.endswith("echo"):
            self.assertEqual(process.line(), "listening")
        return process

    def tool(self, *arguments: str, **how: object) -> Process:
        """A command of `ringbell`."""
        assert programs.tool, "--tool is needed"
        return self.start(programs.tool, *arguments, **how)

    def file_of(self, content: bytes) -> IO[bytes]:
        """For standard input: no pipe that could be full."""
        file = tempfile.TemporaryFile(dir=self.folder)
        self.addCleanup(file.close)
        file.write(content)
        file.seek(0)
        return file

    @staticmethod
    def content_of(file: IO[bytes]) -> bytes:
        file.seek(0)
        return file.read()

    def ends_well(self, process: Process, line: bytes = b"done\n") -> None:
        code, out, errors = process.end()
        self.assertEqual((code, out[-len(line) :], errors), (0, line, ""), process.what)

    # -- the Python side --

    def listen(self, **terms: object) -> channel.Listener:
        terms.setdefault("default_ring", 4096)
        terms.setdefault("can_wait_on", bell_set(BELLS))
        listener = channel.Listener(self.path, Terms(**terms))  # type: ignore[arg-type]
        self.addCleanup(listener.close)
        return listener

    def connect(self, **hello: object) -> channel.Anything:
        hello.setdefault("can_wait_on", bell_set(BELLS))
        hello.setdefault("can_ring", ALL_BELLS)
        hello.setdefault("ring_bytes", 4096)
        made = channel.connect(self.path, Hello(**hello))  # type: ignore[arg-type]
        self.addCleanup(made.close)
        return made

    def accept(self, listener: channel.Listener) -> channel.Anything:
        made = listener.accept(PATIENCE)
        self.addCleanup(made.close)
        return made

    def raw_connection(self) -> socket.socket:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(control.close)
        control.settimeout(PATIENCE)
        control.connect(self.path)
        return control

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """For the few things that nothing tells: looks again and again."""
        end = time.monotonic() + PATIENCE
        while not reached():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.001)


def echo_all(served: channel.Channel, pause: Callable[[], None] = lambda: None) -> int:
    """Sends back every message until the client ends; returns their number."""
    number = 0
    while True:
        try:
            message = served.receive(PATIENCE)
        except channel.EndOfStream:
            served.close_sending()
            return number
        pause()
        served.send(message, PATIENCE)
        number += 1


def exchange(with_: channel.Channel, message: bytes) -> bytes:
    """Sends a message and receives one, doing both at once where the rings are small."""
    until = time.monotonic() + PATIENCE
    with_.post(message)
    while True:
        with_.flush()
        answer = with_.try_receive()
        if answer is not None:
            return answer
        if time.monotonic() >= until:
            raise channel.TimedOut("no answer came")
        with_.wait(until)
