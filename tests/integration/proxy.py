#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Tests `ringbell proxy` with real programs at both ends.

    proxy.py --tool RINGBELL [--line-protocol PROGRAM] [--http PROGRAM] [-k PATTERN]

Most cases put two proxies in a row: from a socket to a service of streams, and from there to a
socket again. So each case passes the proxy both ways.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

RINGBELL = LINE_PROTOCOL = HTTP = ""
LIMIT = 120  # seconds; what takes longer hangs


def until(condition, what):
    """Waits until `condition` holds."""
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"this did not come: {what}")
        time.sleep(0.01)


class Program:
    """A program that runs beside the test, and says in its first line that it listens."""

    def __init__(self, folder, arguments):
        self.errors = tempfile.NamedTemporaryFile(dir=folder)
        self.process = subprocess.Popen(
            [str(a) for a in arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        self.line = self.process.stdout.readline().decode()

    def said(self):
        """Gives what the program has written to standard error."""
        with open(self.errors.name, encoding="utf-8") as errors:
            return errors.read()

    def port(self):
        """Gives the port in the first line."""
        return int(re.search(r"(\d+)(?: |$)", self.line.split(" and ")[0]).group(1))

    def stop(self, how=signal.SIGTERM):
        """Ends the program, and gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(LIMIT)
        self.process.stdout.close()
        return code

    def descriptors(self):
        """Counts the open descriptors."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def threads(self):
        """Counts the threads."""
        return len(os.listdir(f"/proc/{self.process.pid}/task"))


class Case(unittest.TestCase):
    """Has a folder for sockets, and ends all programs that it has started."""

    def setUp(self):
        self.cleanup = contextlib.ExitStack()
        self.addCleanup(self.cleanup.close)
        self.folder = self.cleanup.enter_context(tempfile.TemporaryDirectory())

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, *arguments):
        program = Program(self.folder, arguments)
        self.cleanup.callback(program.stop, signal.SIGKILL)
        return program

    def proxy(self, listen, to, *options):
        program = self.start(RINGBELL, "proxy", "--listen", listen, "--to", to, *options)
        self.assertIn("proxy listens on", program.line, program.said())
        return program

    def refused(self, listen, to, *options):
        """Runs a proxy that cannot start. Gives its exit code and what it says."""
        done = subprocess.run(
            [RINGBELL, "proxy", "--listen", listen, "--to", to, *options],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr

    def keep(self, connection):
        connection.settimeout(LIMIT)
        self.cleanup.callback(connection.close)
        return connection

    def listen(self):
        """Gives a TCP socket that listens."""
        return self.keep(socket.create_server(("127.0.0.1", 0), backlog=512))

    def connect(self, port):
        return self.keep(socket.create_connection(("127.0.0.1", port), timeout=LIMIT))

    def accept(self, server):
        return self.keep(server.accept()[0])

    def row(self, *options):
        """Starts two proxies in a row. Gives both, and the server that they lead to."""
        server = self.listen()
        port = server.getsockname()[1]
        service = self.path(f"service-{port}")
        back = self.proxy(service, f"tcp:127.0.0.1:{port}", *options)
        front = self.proxy("tcp:127.0.0.1:0", service, *options)
        return front, back, server

    def pair(self, front, server):
        client = self.connect(front.port())
        return client, self.accept(server)

    def expect_reset(self, connection):
        with self.assertRaises(ConnectionResetError):
            read_all(connection)


def reset(connection):
    """Closes a TCP connection at once, so that the peer sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_all(connection):
    """Reads until the peer has ended its writing."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


class Bytes(Case):
    """Bytes are carried in both directions."""

    def test_everything_arrives_in_both_directions_at_once(self):
        front, _, server = self.row("--ring-bytes", "4KiB")
        client, accepted = self.pair(front, server)
        data = [random.Random(1).randbytes(3_000_000), random.Random(2).randbytes(5_000_000)]
        got = {}

        def write(to, which):
            sizes = random.Random(which)
            at = 0
            while at < len(data[which]):
                n = sizes.choice([1, 100, 5000, 200_000])
                to.sendall(data[which][at : at + n])
                at += n
            to.shutdown(socket.SHUT_WR)

        def read(which, connection):
            got[which] = read_all(connection)

        threads = [
            threading.Thread(target=write, args=(client, 0)),
            threading.Thread(target=write, args=(accepted, 1)),
            threading.Thread(target=read, args=(0, accepted)),
            threading.Thread(target=read, args=(1, client)),
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join(LIMIT)
        self.assertTrue(got[0] == data[0] and got[1] == data[1])

    def test_a_reader_that_does_not_read_holds_the_writer_up(self):
        front, _, server = self.row()
        client, accepted = self.pair(front, server)
        client.settimeout(1)
        sent = 0
        with self.assertRaises(TimeoutError):
            while sent < 200_000_000:
                sent += client.send(b"x" * 100_000)
        client.settimeout(LIMIT)
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(len(read_all(accepted)), sent)

    def test_many_connections_at_once_leave_nothing_behind(self):
        front, back, server = self.row("--verbose")
        alone = front.threads(), back.threads()  # a sanitizer may have one
        many = 300

        def exchange(count):
            clients = [self.connect(front.port()) for _ in range(count)]
            for i, client in enumerate(clients):
                client.sendall(f"{i:6}".encode())
            for _ in clients:
                accepted = self.accept(server)
                accepted.sendall(accepted.recv(6, socket.MSG_WAITALL) + b"!")
                accepted.shutdown(socket.SHUT_WR)
            for i, client in enumerate(clients):
                self.assertEqual(read_all(client), f"{i:6}!".encode())
                client.close()

        exchange(1)
        ended = "connection {} ended"
        for proxy in (front, back):
            until(lambda p=proxy: ended.format(1) in p.said(), "the end of the first connection")
        until(lambda: (front.threads(), back.threads()) == alone, "no thread of their own")
        before = front.descriptors(), back.descriptors()
        exchange(many)
        for proxy in (front, back):
            until(lambda p=proxy: p.said().count(" ended ") == many + 1, "all ends")
        self.assertEqual((front.threads(), back.threads()), alone)
        until(lambda: (front.descriptors(), back.descriptors()) == before, "no more descriptors")
        for proxy in (front, back):
            self.assertEqual(proxy.stop(), 0)
            self.assertIn("301 in all, 0 open, 0 failed; 1.76 KiB there, 2.06 KiB back",
                          proxy.said())


class Ends(Case):
    """Ends and resets are carried over."""

    def test_the_end_of_one_direction_is_carried_over_and_the_other_goes_on(self):
        front, _, server = self.row()
        client, accepted = self.pair(front, server)
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(read_all(accepted), b"question")
        accepted.sendall(b"answer")
        accepted.shutdown(socket.SHUT_WR)
        self.assertEqual(read_all(client), b"answer")

        client, accepted = self.pair(front, server)
        accepted.sendall(b"greeting")
        accepted.shutdown(socket.SHUT_WR)
        self.assertEqual(read_all(client), b"greeting")
        client.sendall(b"thanks")
        client.close()
        self.assertEqual(read_all(accepted), b"thanks")

    def test_a_reset_is_carried_over_both_ways(self):
        front, _, server = self.row()
        client, accepted = self.pair(front, server)
        client.sendall(b"half a que")
        self.assertEqual(accepted.recv(100), b"half a que")
        reset(client)
        self.expect_reset(accepted)
        client, accepted = self.pair(front, server)
        reset(accepted)
        self.expect_reset(client)

    def test_a_reset_is_no_end_while_the_other_direction_is_full(self):
        front, _, server = self.row()
        for resets, other in ((0, 1), (1, 0)):
            both = self.pair(front, server)
            both[resets].sendall(b"half of it")
            both[other].settimeout(0.2)
            with self.assertRaises(TimeoutError):
                while True:
                    both[other].send(b"x" * 100_000)
            both[other].settimeout(LIMIT)
            self.assertEqual(both[other].recv(100), b"half of it")
            reset(both[resets])
            self.expect_reset(both[other])

    def test_an_answer_to_who_is_still_sending_arrives_whole(self):
        front = self.proxy("tcp:127.0.0.1:0", self.path("service"))
        server = self.keep(socket.socket(socket.AF_UNIX))
        server.bind(self.path("socket"))
        server.listen()
        self.proxy(self.path("service"), "unix:" + self.path("socket"))
        client = self.connect(front.port())
        client.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            while True:
                client.send(b"x" * 100_000)
        client.settimeout(LIMIT)
        accepted = self.accept(server)
        accepted.shutdown(socket.SHUT_RD)
        read_all(accepted)  # a close with something unread is a reset
        answer = os.urandom(1_500_000)
        got = []
        reader = threading.Thread(target=lambda: got.append(read_all(client)))
        reader.start()
        accepted.sendall(answer)
        accepted.close()
        reader.join(LIMIT)
        self.assertTrue(got[0] == answer)

    def test_a_proxy_that_is_killed_looks_like_no_orderly_end(self):
        front, back, server = self.row()
        client, accepted = self.pair(front, server)
        client.sendall(b"x")
        self.assertEqual(accepted.recv(1), b"x")
        back.stop(signal.SIGKILL)
        self.expect_reset(client)
        accepted.close()

        front, back, server = self.row()
        client, accepted = self.pair(front, server)
        client.sendall(b"x")
        self.assertEqual(accepted.recv(1), b"x")
        front.stop(signal.SIGKILL)
        self.expect_reset(accepted)

    def test_a_connection_on_which_nothing_comes_is_reset(self):
        front, back, _ = self.row("--idle-timeout", "300ms", "--verbose")
        self.expect_reset(self.connect(front.port()))
        until(lambda: "nothing has come for 300 ms" in front.said() + back.said(), "a reason")


class Targets(Case):
    """The proxy connects to its target, or says why it cannot."""

    def test_a_unix_socket_whose_queue_is_full_is_waited_for(self):
        server = self.keep(socket.socket(socket.AF_UNIX))
        server.bind(self.path("socket"))
        server.listen(0)
        self.proxy(self.path("service"), "unix:" + self.path("socket"), "--connect-timeout", "100s")
        front = self.proxy("tcp:127.0.0.1:0", self.path("service"))
        clients = [self.connect(front.port()) for _ in range(5)]
        for i, client in enumerate(clients):
            client.sendall(b"%d" % i)
        self.assertEqual(
            sorted(self.accept(server).recv(1) for _ in clients), [b"0", b"1", b"2", b"3", b"4"]
        )


    def test_a_target_that_is_not_there_ends_the_connection_and_not_the_proxy(self):
        server = self.listen()
        port = server.getsockname()[1]
        server.close()
        back = self.proxy(self.path("service"), f"tcp:127.0.0.1:{port}")
        front = self.proxy("tcp:127.0.0.1:0", self.path("service"))
        self.expect_reset(self.connect(front.port()))
        text = f"ringbell: connection 1: connecting to tcp:127.0.0.1:{port}: Connection refused\n"
        until(lambda: text in back.said(), text)
        server = self.keep(socket.create_server(("127.0.0.1", port)))
        client, accepted = self.pair(front, server)
        client.sendall(b"x")
        self.assertEqual(accepted.recv(1), b"x")
        client.close()

        back.stop(signal.SIGKILL)
        self.expect_reset(self.connect(self.proxy(
            "tcp:127.0.0.1:0", self.path("service"), "--connect-timeout", "50ms").port()))

    def test_a_service_of_messages_is_refused_and_named(self):
        self.start(RINGBELL, "echo", self.path("echo"))
        front = self.proxy("tcp:127.0.0.1:0", self.path("echo"))
        self.expect_reset(self.connect(front.port()))
        until(lambda: "messages" in front.said() and "stream" in front.said(), "a reason")

    def test_a_real_service_of_streams_answers_over_tcp_and_unix_sockets(self):
        need_example("line_protocol", LINE_PROTOCOL)
        self.start(LINE_PROTOCOL, "serve", "0", self.path("lines"))
        until(lambda: os.path.exists(self.path("lines")), "the service")
        front = self.proxy("tcp:127.0.0.1:0", self.path("lines"))
        with self.connect(front.port()) as client:
            client.sendall(b"hello\nworld\n")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(client), b"HELLO\nWORLD\n")
        self.proxy("unix:" + self.path("socket"), self.path("lines"))
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LIMIT)
            client.connect(self.path("socket"))
            client.sendall(b"hello\n")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(client), b"HELLO\n")

    def test_a_client_of_streams_reaches_a_server_on_tcp_and_on_a_unix_socket(self):
        need_example("line_protocol", LINE_PROTOCOL)
        lines = self.start(LINE_PROTOCOL, "serve", "0", self.path("lines"))
        self.proxy(self.path("back"), f"tcp:127.0.0.1:{lines.port()}")
        self.proxy("unix:" + self.path("socket"), self.path("lines"))
        self.proxy(self.path("again"), "unix:" + self.path("socket"))
        for name in ("back", "again"):
            answer = subprocess.run(
                [LINE_PROTOCOL, "ask", self.path(name), "hello", "again"],
                capture_output=True, timeout=LIMIT, check=True)
            self.assertEqual(answer.stdout, b"HELLO\nAGAIN\n")


class Listening(Case):
    """The proxy listens where it is told to, and stops as it is told to."""

    def test_a_unix_socket_is_its_users_own_and_goes_with_the_proxy(self):
        path = self.path("socket")
        proxy = self.proxy("unix:" + path, self.path("none"), "--connect-timeout", "50ms")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        code, text = self.refused("unix:" + path, self.path("none"))
        self.assertEqual(code, 1)
        self.assertIn(f"listening on 'unix:{path}'", text)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        self.assertEqual(proxy.stop(), 0)
        self.assertFalse(os.path.exists(path))

        killed = self.proxy("unix:" + path, self.path("none"), "--all-users")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o666)
        killed.stop(signal.SIGKILL)
        self.assertTrue(os.path.exists(path))
        self.assertEqual(self.proxy("unix:" + path, self.path("none")).stop(), 0)

        with open(path, "w", encoding="utf-8") as file:
            file.write("not a socket")
        self.assertEqual(self.refused("unix:" + path, self.path("none"))[0], 2)
        self.assertTrue(os.path.exists(path))
        os.remove(path)
        with socket.socket(socket.AF_UNIX) as other:  # a server of another kind
            other.bind(path)
            other.listen()
            self.assertEqual(self.refused("unix:" + path, self.path("none"))[0], 1)
        self.assertTrue(os.path.exists(path))

    def test_of_proxies_that_want_one_path_one_gets_it(self):
        path = self.path("socket")
        for _ in range(10):
            command = [RINGBELL, "proxy", "--listen", "unix:" + path, "--to", self.path("none")]
            racing = [Program(self.folder, command) for _ in range(4)]
            winners = [p for p in racing if p.line]
            self.assertEqual(len(winners), 1)
            self.assertTrue(os.path.exists(path))
            self.assertEqual(sorted(p.stop() for p in racing), [0, 1, 1, 1])
            self.assertFalse(os.path.exists(path))

    def test_what_cannot_be_used_is_said(self):
        server = self.listen()
        port = server.getsockname()[1]
        code, text = self.refused(f"tcp:127.0.0.1:{port}", "x")
        self.assertEqual(code, 1)
        self.assertIn(f"listening on 'tcp:127.0.0.1:{port}'", text)
        code, text = self.refused("tcp:no.such.host.invalid:1", "x")
        self.assertEqual(code, 1)
        self.assertIn("tcp:no.such.host.invalid:1", text)
        for listen, to in (
            ("tcp:127.0.0.1", "x"),
            ("tcp:127.0.0.1:65536", "x"),
            ("tcp:::1:80", "x"),
            ("tcp::80", "x"),
            ("unix:", "x"),
            ("", "unix:/x"),
            ("x", "y"),
            ("tcp:127.0.0.1:0", "unix:/x"),
            ("bad name", "unix:/x"),
            ("unix:/" + "x" * 200, "x"),
        ):
            code, text = self.refused(listen, to)
            self.assertEqual((code, text.count("\n")), (2, 1), (listen, to, text))

    def test_ipv6_addresses_stand_in_brackets(self):
        need_example("line_protocol", LINE_PROTOCOL)
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("this system has no IPv6")
        self.start(LINE_PROTOCOL, "serve", "0", self.path("lines"))
        until(lambda: os.path.exists(self.path("lines")), "the service")
        front = self.proxy("tcp:[::1]:0", self.path("lines"))
        self.assertIn("tcp:[::1]:", front.line)
        with self.keep(socket.create_connection(("::1", front.port()))) as client:
            client.sendall(b"six\n")
            self.assertEqual(client.recv(100), b"SIX\n")

    def test_further_clients_of_a_socket_wait_and_those_of_a_name_are_refused(self):
        server = self.listen()
        back = self.proxy(
            self.path("service"), f"tcp:127.0.0.1:{server.getsockname()[1]}",
            "--max-connections", "2")
        front = self.proxy("tcp:127.0.0.1:0", self.path("service"))
        one, two = self.pair(front, server), self.pair(front, server)
        self.expect_reset(self.connect(front.port()))
        until(lambda: "connection 3: connecting to" in front.said(), "a reason")
        for connection in (*one, *two):
            connection.close()
        until(lambda: back.descriptors() < 20, "room")

        front = self.proxy(
            "tcp:127.0.0.1:0", self.path("service"), "--max-connections", "1", "--verbose")
        one = self.pair(front, server)
        waiting = self.connect(front.port())
        waiting.sendall(b"I can wait")
        one[0].sendall(b"x")
        self.assertEqual(one[1].recv(1), b"x")
        self.assertNotIn("connection 2 ", front.said())
        for connection in one:
            connection.close()
        self.assertEqual(self.accept(server).recv(100), b"I can wait")

    def test_a_signal_lets_connections_end(self):
        front, _, server = self.row()
        client, accepted = self.pair(front, server)
        client.sendall(b"x")
        self.assertEqual(accepted.recv(1), b"x")
        front.process.send_signal(signal.SIGTERM)
        until(lambda: not listens(front), "the end of listening")
        client.sendall(b"still there")
        self.assertEqual(accepted.recv(100), b"still there")
        client.close()
        accepted.close()
        self.assertEqual(front.stop(0), 0)
        self.assertEqual(front.said(), "")

    def test_connections_that_do_not_end_are_reset_after_the_grace(self):
        front, _, server = self.row("--grace", "100ms")
        client, accepted = self.pair(front, server)
        client.sendall(b"x")
        self.assertEqual(accepted.recv(1), b"x")
        self.assertEqual(front.stop(), 0)
        self.expect_reset(client)
        self.expect_reset(accepted)
        self.assertIn("1 connections that had not ended within 100 ms were reset", front.said())

    def test_a_second_signal_ends_them_at_once(self):
        front, _, server = self.row("--grace", "1000s", "--verbose")
        client, accepted = self.pair(front, server)
        client.sendall(b"x")
        self.assertEqual(accepted.recv(1), b"x")
        front.process.send_signal(signal.SIGTERM)
        until(lambda: not listens(front), "the end of listening")
        self.assertEqual(front.stop(signal.SIGINT), 0)
        self.expect_reset(client)


    def test_a_second_signal_ends_a_connection_that_is_being_made(self):
        front = self.proxy("tcp:127.0.0.1:0", self.path("none"), "--connect-timeout", "1000s",
                           "--grace", "1000s", "--verbose")
        client = self.connect(front.port())
        until(lambda: "connection 1 from" in front.said(), "the connection")
        front.process.send_signal(signal.SIGTERM)
        until(lambda: not listens(front), "the end of listening")
        self.assertEqual(front.stop(), 0)
        self.expect_reset(client)

    def test_it_ends_though_a_timer_is_due_at_that_moment(self):
        for _ in range(5):
            front, _, server = self.row("--idle-timeout", "80ms")
            with self.connect(front.port()):
                front.process.send_signal(signal.SIGTERM)
                until(lambda f=front: not listens(f), "the end of listening")
                front.process.send_signal(signal.SIGSTOP)
                time.sleep(0.1)  # now the timer is due, and so is the end
            front.process.send_signal(signal.SIGCONT)
            self.assertEqual(front.stop(0), 0)

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run(
                [RINGBELL, "proxy", "--listen", "tcp:127.0.0.1:0", "--to", "x"],
                stdout=full, stderr=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("writing standard output: No space left on device", done.stderr)


def listens(program):
    """Tells whether the port of a program is still open."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        return f":{program.port():04X} 00000000:0000 0A" in table.read()


class Programs(Case):
    """Programs that nobody changed talk through the proxy."""

    def test_curl_reaches_an_http_server_behind_two_proxies(self):
        need("curl")
        page = os.urandom(3_000_000)
        with open(self.path("page"), "wb") as file:
            file.write(page)
        server = self.start(
            sys.executable, "-u", "-m", "http.server", "-b", "127.0.0.1", "-d", self.folder, "0")
        port = re.search(r"port (\d+)", server.line).group(1)
        self.proxy(self.path("service"), f"tcp:127.0.0.1:{port}")
        front = self.proxy("tcp:127.0.0.1:0", self.path("service"))
        self.assertTrue(curl(f"http://127.0.0.1:{front.port()}/page") == page)

    def test_curl_reaches_the_http_example(self):
        need("curl")
        need_example("http", HTTP)
        self.start(HTTP, "serve", "0", self.path("http"))
        until(lambda: os.path.exists(self.path("http")), "the service")
        front = self.proxy("tcp:127.0.0.1:0", self.path("http"))
        url = f"http://127.0.0.1:{front.port()}"
        self.assertEqual(curl(url + "/one"), b"you asked for /one\n")
        both = curl("--http1.1", url + "/one", url + "/two")  # on one connection
        self.assertEqual(both, b"you asked for /one\nyou asked for /two\n")
        with urllib.request.urlopen(url + "/three", timeout=LIMIT) as answer:
            self.assertEqual(answer.read(), b"you asked for /three\n")

    def test_redis_clients_reach_a_redis_server_both_ways(self):
        need("redis-cli", "redis-benchmark")
        # Debian's redis-tools has the server's program as well, under this other name.
        program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
        at = self.path("redis")
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", at, "--save", "", "--dir",
             self.folder],
            executable=program,
            stdout=subprocess.DEVNULL)
        self.cleanup.callback(server.wait, LIMIT)
        self.cleanup.callback(server.kill)
        until(lambda: os.path.exists(at), "redis-server")
        self.proxy(self.path("service"), "unix:" + at)
        front = self.proxy("tcp:127.0.0.1:0", self.path("service"))
        at_front = ["-h", "127.0.0.1", "-p", str(front.port())]

        def run(*command):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=LIMIT, check=True)
            self.assertEqual(done.stderr, "")
            return done.stdout

        self.assertEqual(run("redis-cli", *at_front, "set", "name", "value"), "OK\n")
        self.assertEqual(run("redis-cli", "-s", at, "get", "name"), "value\n")
        for options in (["-c", "20"], ["-c", "10", "-P", "16"], ["-c", "5", "-d", "100000"]):
            report = run(
                "redis-benchmark", *at_front, "-t", "set,get", "-n", "1000", "-q", *options)
            self.assertEqual(report.count("requests per second"), 2, report)


def need(*programs):
    """Skips a case for which a program is missing."""
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest(f"there is no {program} (on Debian: curl, redis-tools)")


def need_example(name, program):
    """Skips a case for which an example is missing."""
    if not program:
        raise unittest.SkipTest(f"the example {name} is not built here")


def curl(*arguments):
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--max-time", str(LIMIT), *arguments],
        stdout=subprocess.PIPE, check=True).stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tool", required=True, help="the program ringbell")
    parser.add_argument("--line-protocol", default="", help="the example of that name")
    parser.add_argument("--http", default="", help="the example of that name")
    parser.add_argument("-k", action="append", default=[], help="only cases with this in the name")
    asked = parser.parse_args()
    RINGBELL, LINE_PROTOCOL, HTTP = asked.tool, asked.line_protocol, asked.http
    unittest.main(argv=[sys.argv[0], "-v", *(f"-k{pattern}" for pattern in asked.k)])
