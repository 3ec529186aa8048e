# SPDX-License-Identifier: BSL-1.0
"""A process of the second implementation that is to be killed: victim.py ROLE PATH BELL

The client sends a message and receives its answer; the server echoes one message. Then each waits
for ever.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from ringbell_peer import channel  # noqa: E402
from ringbell_peer.handshake import Bell, Hello, Terms, bell_set  # noqa: E402


def main() -> None:
    role, path, bell = sys.argv[1:]
    bells = bell_set([Bell[bell]])
    if role == "client":
        made = channel.connect(path, Hello(can_wait_on=bells, can_ring=7, ring_bytes=4096))
        made.send(b"hello")
        made.receive()
    else:
        listener = channel.Listener(path, Terms(can_wait_on=bells, default_ring=4096))
        print("listening", flush=True)
        made = listener.accept(60)
        made.send(made.receive())
    print("waits", flush=True)
    made.receive()


main()
