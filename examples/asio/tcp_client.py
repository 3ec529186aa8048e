#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The TCP side of ./check.

tcp_client.py echo PORT
    sends some megabytes and the end of its stream; all bytes must come back, then the end
tcp_client.py ends PORT PROCESS SIGNAL
    ends the service while bytes are under way; the first of them must come back, then the end
tcp_client.py count PORT PROCESS OUTPUT
    prints how many more threads the service has with 20 clients than with none
"""

import os
import re
import signal
import socket
import sys
import threading
import time

TIMEOUT = 60


def connect(port):
    return socket.create_connection(("127.0.0.1", int(port)), timeout=TIMEOUT)


def received(client):
    """All bytes up to the end of the stream."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def echo(port):
    client = connect(port)
    sent = os.urandom(4_000_000)

    def send():
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    assert received(client) == sent
    sender.join()


def ends(port, process, name):
    client = connect(port)
    first = os.urandom(1000)
    client.sendall(first)
    back = b""
    while len(back) < len(first):
        back += client.recv(len(first))
    # These are more bytes than the ring and the sockets hold, so not all have been read when the
    # service goes.
    sent = os.urandom(16_000_000)

    def send():
        try:
            client.sendall(sent)
        except OSError:
            pass  # the gateway has hung up

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    back += client.recv(65536)
    os.kill(int(process), getattr(signal, "SIG" + name))
    back += received(client)
    assert (first + sent).startswith(back)
    client.close()
    sender.join()


def counts(process, output):
    """What the service says of its clients and its threads."""
    before = os.path.getsize(output)
    os.kill(int(process), signal.SIGUSR1)
    with open(output, "rb") as file:
        file.seek(before)
        said = b""
        limit = time.monotonic() + TIMEOUT
        while not said.endswith(b"\n"):
            assert time.monotonic() < limit, "no answer to SIGUSR1"
            said += file.read()
            time.sleep(0.001)
    return tuple(map(int, re.fullmatch(rb"(\d+) clients, (\d+) threads\n", said).groups()))


def count(port, process, output):
    # The service may still count clients that have just gone.
    limit = time.monotonic() + TIMEOUT
    while (without := counts(process, output))[0] != 0:
        assert time.monotonic() < limit, "clients that have closed are still there"
    clients = [connect(port) for _ in range(20)]
    for client in clients:
        client.sendall(b"here")
    for client in clients:
        assert client.recv(4) == b"here"
    connected, threads = counts(process, output)
    assert connected == 20
    print(threads - without[1])


commands = {"echo": echo, "ends": ends, "count": count}
commands[sys.argv[1]](*sys.argv[2:])
