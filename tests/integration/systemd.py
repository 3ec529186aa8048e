#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Tests services that a service manager starts on the first connection.

    systemd.py --tool RINGBELL [--greeter PROGRAM] [-k PATTERN]

The service manager is a small one of this file: it binds and listens, waits until a client has
connected, and starts the service with the socket, by the protocol of sd_listen_fds(3). The same is
done with systemd's own systemd-socket-activate, where that is installed.
"""

import argparse
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

RINGBELL = GREETER = ""
LIMIT = 60  # seconds; what takes longer hangs


def listening(path, kind=socket.SOCK_STREAM):
    """Gives a socket that listens, as a service manager makes it."""
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(path)
    if kind != socket.SOCK_DGRAM:
        made.listen(128)
    return made


def start(arguments, sockets, pid=None, **variables):
    """Starts a program with these sockets, from descriptor 3 on."""
    environment = dict(os.environ, LISTEN_FDS=str(len(sockets)), **variables)
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        if name not in variables:
            environment.pop(name, None)
    out, child_out = os.pipe()
    err = tempfile.TemporaryFile()
    child = os.fork()
    if child == 0:
        # Copies that stand in the way of none: the numbers from 3 on are for the sockets.
        copies = [os.dup(s.fileno()) for s in sockets]
        above = [os.dup2(c, 100 + i) for i, c in enumerate(copies)]
        os.dup2(child_out, 1)
        os.dup2(err.fileno(), 2)
        os.closerange(3, 100)
        for i, handle in enumerate(above):
            os.dup2(handle, 3 + i, inheritable=True)
        os.closerange(100, 200)
        environment["LISTEN_PID"] = str(pid or os.getpid())
        try:
            os.execve(arguments[0], arguments, environment)
        finally:
            os._exit(99)
    os.close(child_out)
    return Service(child, os.fdopen(out, encoding="utf-8"), err)


class Service:
    """A service that was started."""

    def __init__(self, pid, out, err):
        self.pid, self.out, self.err = pid, out, err
        self.code = None

    def wait(self):
        """Gives the exit code."""
        end = time.monotonic() + LIMIT
        while self.code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise AssertionError(f"the service did not end: {self.said()}")
            else:
                time.sleep(0.01)
        return self.code

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def said(self):
        """Gives what the service has written to standard error."""
        self.err.seek(0)
        return self.err.read().decode()

    def close(self):
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        self.out.close()
        self.err.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.cleanup = contextlib.ExitStack()
        self.addCleanup(self.cleanup.close)
        self.folder = self.cleanup.enter_context(tempfile.TemporaryDirectory())
        self.path = os.path.join(self.folder, "s")

    def keep(self, thing):
        self.cleanup.callback(thing.close)
        return thing

    def listen(self, kind=socket.SOCK_STREAM):
        return self.keep(listening(self.path, kind))

    def serve(self, sockets, name=None, **variables):
        return self.keep(start([RINGBELL, "serve", name or self.path], sockets, **variables))

    def call(self, *arguments):
        """Begins a call. The client connects and waits for an answer."""
        client = subprocess.Popen(
            [RINGBELL, "call", self.path, *arguments, "--timeout", "1min"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.cleanup.callback(client.communicate)
        self.cleanup.callback(client.kill)
        return client

    def echo(self):
        return self.call("echo", "--data", "hello")

    def answered(self, client):
        out, err = client.communicate(timeout=LIMIT)
        self.assertEqual((client.returncode, out, err), (0, b"hello", b""))

    def wait_for_client(self, listener):
        """Waits until a client has connected, as the service manager does."""
        self.assertTrue(select.select([listener], [], [], LIMIT)[0], "no client came")

    def refused(self, sockets, code, *words, name=None):
        service = self.serve(sockets, name=name)
        self.assertEqual(service.wait(), code, service.said())
        said = service.said()
        self.assertEqual(said.count("\n"), 1)
        for word in words:
            self.assertIn(word, said)


class Activation(Case):
    def test_clients_that_came_before_the_service_are_all_answered(self):
        listener = self.listen()
        clients = [self.echo() for _ in range(5)]
        self.wait_for_client(listener)
        service = self.serve([listener])
        self.assertIn(f"on {self.path} ", service.out.readline(), service.said())
        for client in clients:
            self.answered(client)

    def test_the_next_connection_starts_the_service_again(self):
        listener = self.listen()
        for _ in range(3):
            client = self.echo()
            self.wait_for_client(listener)
            service = self.serve([listener])
            self.answered(client)
            self.assertEqual(service.stop(), 0, service.said())
            # The socket is the service manager's.
            self.assertTrue(os.path.exists(self.path))
        self.assertEqual(os.listdir(self.folder), ["s"])

    def test_no_client_is_left_alone_by_a_service_that_ends_again_and_again(self):
        listener = self.listen()
        clients = [self.echo() for _ in range(20)]
        end = time.monotonic() + LIMIT
        while any(client.poll() is None for client in clients):
            self.assertLess(time.monotonic(), end, "a client waits in vain")
            if not select.select([listener], [], [], 0.1)[0]:
                continue
            service = self.serve([listener])
            service.out.readline()
            self.assertEqual(service.stop(), 0, service.said())
        # One that was let in as the service stopped was told so.
        codes = {client.returncode for client in clients}
        self.assertLessEqual(codes, {0, 4}, codes)
        self.assertIn(0, codes)

    def test_a_service_that_is_killed_leaves_the_socket_to_the_next_one(self):
        listener = self.listen()
        service = self.serve([listener])
        self.answered(self.echo())
        os.kill(service.pid, signal.SIGKILL)
        service.wait()
        client = self.echo()
        self.wait_for_client(listener)
        self.serve([listener])
        self.answered(client)

    def test_variables_for_another_process_are_left_alone(self):
        listener = self.listen()
        elsewhere = os.path.join(self.folder, "own")
        service = self.serve([listener], name=elsewhere, pid=1)
        self.assertIn(f"on {elsewhere} ", service.out.readline(), service.said())

    def test_threads_answer_as_well(self):
        listener = self.listen()
        client = self.echo()
        self.wait_for_client(listener)
        self.keep(start([RINGBELL, "serve", self.path, "--threads", "2"], [listener]))
        self.answered(client)


class Refusals(Case):
    def test_a_datagram_socket(self):
        self.refused([self.listen(socket.SOCK_DGRAM)], 1, "it is no stream socket", "expected")

    def test_a_socket_for_packets(self):
        self.refused([self.listen(socket.SOCK_SEQPACKET)], 1, "it is no stream socket", "expected")

    def test_a_socket_that_does_not_listen(self):
        bound = self.keep(socket.socket(socket.AF_UNIX))
        bound.bind(self.path)
        self.refused([bound], 1, "it does not listen", "expected")

    def test_a_socket_of_tcp(self):
        tcp = self.keep(socket.create_server(("127.0.0.1", 0)))
        self.refused([tcp], 1, "it is no Unix socket", "expected")

    def test_what_is_no_socket(self):
        self.refused([self.keep(open("/dev/null", "rb"))], 1, "it is no socket", "expected")

    def test_a_socket_that_has_no_path(self):
        hidden = self.keep(listening("\0ringbell-test-" + str(os.getpid())))
        self.refused([hidden], 1, "not bound to a path", "expected")

    def test_a_socket_of_another_name(self):
        other = os.path.join(self.folder, "other")
        self.refused([self.listen()], 2, f"bound to {self.path}", other, name=other)

    def test_several_sockets(self):
        one = self.listen()
        two = self.keep(listening(os.path.join(self.folder, "two")))
        self.refused([one, two], 1, "expected one socket", "got 2")


class Notification(Case):
    def manager(self, address):
        made = self.keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        made.bind(address)
        made.settimeout(LIMIT)
        return made

    def tells(self, manager, where):
        service = self.serve([self.listen()], NOTIFY_SOCKET=where)
        self.assertEqual(manager.recv(100), b"READY=1")
        self.answered(self.echo())  # it is ready
        self.assertEqual(service.stop(), 0, service.said())
        self.assertEqual(manager.recv(100), b"STOPPING=1")
        self.assertEqual(service.said(), "")

    def test_a_service_says_when_it_is_ready_and_when_it_stops(self):
        path = os.path.join(self.folder, "notify")
        self.tells(self.manager(path), path)

    def test_the_socket_of_the_manager_may_be_an_abstract_one(self):
        name = f"ringbell-notify-{os.getpid()}"
        self.tells(self.manager("\0" + name), "@" + name)

    def test_a_manager_that_has_gone_is_complained_of_and_the_service_runs(self):
        gone = os.path.join(self.folder, "gone")
        service = self.serve([self.listen()], NOTIFY_SOCKET=gone)
        self.answered(self.echo())
        self.assertIn(gone, service.said())

    def test_a_watchdog_is_fed_while_the_loop_runs(self):
        if not GREETER:
            self.skipTest("the examples are not built")
        path = os.path.join(self.folder, "notify")
        manager = self.manager(path)
        said = []

        def listen():
            while said[-1:] != [b"STOPPING=1"]:
                said.append(manager.recv(100))

        variables = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "20000"}
        service = self.keep(start([GREETER], [self.listen()], **variables))
        hearing = threading.Thread(target=listen, daemon=True)
        hearing.start()
        out = subprocess.run(
            [RINGBELL, "call", self.path, "greet", "--data", "you"],
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
        self.assertEqual((out.returncode, out.stdout), (0, b"hello, you"), out.stderr)
        end = time.monotonic() + LIMIT
        while said.count(b"WATCHDOG=1") < 5 and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(service.stop(), 0, service.said())
        hearing.join(LIMIT)
        self.assertGreaterEqual(said.count(b"WATCHDOG=1"), 5)
        self.assertEqual(said.count(b"READY=1"), 1)
        self.assertEqual(said[-1], b"STOPPING=1")


class Systemd(Case):
    def test_systemd_s_own_activator_starts_the_service(self):
        if not shutil.which("systemd-socket-activate"):
            self.skipTest("there is no systemd-socket-activate")
        activator = subprocess.Popen(
            ["systemd-socket-activate", "--listen", self.path, RINGBELL, "serve", self.path],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.cleanup.callback(activator.communicate)
        self.cleanup.callback(activator.kill)
        # It says so once it listens; from then on it becomes the service.
        while b"Listening on" not in activator.stderr.readline():
            self.assertIsNone(activator.poll(), "it ended")
        clients = [self.echo() for _ in range(3)]
        for client in clients:
            self.answered(client)
        activator.terminate()
        self.assertEqual(activator.wait(LIMIT), 0)
        self.assertTrue(os.path.exists(self.path))

    def test_the_unit_files_are_valid(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("there is no systemd-analyze")
        examples = os.path.join(os.path.dirname(__file__), "../../examples/systemd")
        for name in os.listdir(examples):
            if name.endswith((".service", ".socket")):
                with open(os.path.join(examples, name), encoding="utf-8") as file:
                    text = file.read().replace("/usr/bin/ringbell", RINGBELL)
                with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
        units = [os.path.join(self.folder, n) for n in os.listdir(self.folder)]
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *units],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        ours = [line for line in done.stderr.splitlines() if "ringbell-serve" in line]
        self.assertEqual(ours, [])


def main():
    global RINGBELL, GREETER
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tool", required=True, help="the program ringbell")
    parser.add_argument("--greeter", default="", help="the example of that name")
    arguments, rest = parser.parse_known_args()
    RINGBELL = os.path.abspath(arguments.tool)
    GREETER = os.path.abspath(arguments.greeter) if arguments.greeter else ""
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
