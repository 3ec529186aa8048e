# SPDX-License-Identifier: BSL-1.0
"""Lets the second implementation of the protocol (ringbell_peer/) talk to this one.

The cases are in cases/CASES.py. A failure prints the seed; --seed N repeats its sizes, bytes and
pauses. RINGBELL_LOOP and RINGBELL_SPIN decide what the C++ side sleeps in, as everywhere.

RINGBELL_TEST_TURNS is a factor for what is repeated: 20 makes a long run.

Exit status: 0 all well, 1 a case failed, 2 bad usage, 77 this machine cannot run them.
"""

import argparse
import importlib
import sys
import unittest

CASES = ("handshake", "channel", "parking", "stream", "ends", "service", "tool", "golden")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("cases", choices=CASES)
    arguments.add_argument("--tool", help="the program `ringbell`")
    arguments.add_argument("--peer", help="the program made of peer.cpp")
    arguments.add_argument("--record", help="the program made of golden/record.cpp")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--only", metavar="NAME", help="cases with this in their names")
    given = arguments.parse_args()

    from ringbell_peer import system

    try:
        system.check_machine()
    except system.NotSupported as why:
        print(f"skipped: {why}")
        return 77
    if not system.has_futex_waitv():
        print("skipped: what wakes the Python side by a futex: there is no futex_waitv here")
    from cases import support

    support.programs = support.Programs(given.tool, given.peer, given.record)
    support.seed = given.seed
    loader = unittest.TestLoader()
    if given.only:
        loader.testNamePatterns = [f"*{given.only}*"]
    suite = loader.loadTestsFromModule(importlib.import_module(f"cases.{given.cases}"))
    runner = unittest.TextTestRunner(verbosity=2, failfast=True)
    result = runner.run(suite)
    if not result.wasSuccessful():
        print(f"the seed was {given.seed}: check {given.cases} --seed {given.seed}")
        return 1
    return 0


sys.exit(main())
