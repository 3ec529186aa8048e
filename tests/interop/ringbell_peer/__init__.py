# SPDX-License-Identifier: BSL-1.0
"""A second implementation of the ringbell protocol, written from docs/protocol.md.

It uses the standard library only, and nothing of the C++ sources. So a test that has it talk to the
C++ implementation shows that the document says everything that a peer must know. It is written to
be read, not to be fast.

    system.py      what the kernel gives: memory, seals, futexes, eventfds, a fence
    handshake.py   the frames on the control socket, and the handles that come with them
    region.py      the control page: offsets, own and foreign regions
    ring.py        records, the express slot, positions; no waiting
    bells.py       how a side sleeps, and how its peer wakes it
    endpoint.py    the park protocol: ring and bells together
    channel.py     connect, listen, messages (whole or in fragments), streams of bytes
    service.py     requests and replies: frames, a client, a server
"""
