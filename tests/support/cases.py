#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Lists every test case of a build folder, and tells what a change of the tests has lost.

cases.py list BUILD_FOLDER         one line a case: suites, test and case, with a tab between them
cases.py compare BEFORE AFTER      what stands in one list only; fails when AFTER lacks something

A doctest program gives its own cases, those that the test's arguments choose; it is not run.
Any other test is one case.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys

# Stands in every program that is linked with doctest.
MARK = b"listing all test case names"
HEADINGS = ("[doctest]", "===")


def is_doctest(program):
    path = pathlib.Path(program)
    return path.is_file() and MARK in path.read_bytes()


def cases_of(test):
    """The names of the cases that one test runs."""
    if not any(is_doctest(word) for word in test["cmd"]):
        return [test["name"]]
    done = subprocess.run(
        [*test["cmd"], "--list-test-cases"],
        env={**os.environ, **test["env"]},
        capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == 77:  # what the test needs is missing here, and it would be skipped
        return [f"(skipped: {done.stdout.strip() or done.stderr.strip()})"]
    if done.returncode != 0:
        sys.exit(f"{' '.join(test['cmd'])} lists no cases: {done.stderr.strip()}")
    return [line for line in done.stdout.splitlines() if not line.startswith(HEADINGS)]


def list_cases(folder):
    told = subprocess.run(["meson", "introspect", "--tests", folder],
                          capture_output=True, text=True, check=True)
    lines = []
    for test in json.loads(told.stdout):
        suites = " ".join(sorted(suite.partition(":")[2] for suite in test["suite"]))
        lines.extend(f"{suites}\t{test['name']}\t{case}" for case in cases_of(test))
    print("\n".join(sorted(lines)))
    return 0


def read(name):
    """How many lists of suites each case of each test is in, for those that choose a loop."""
    loops = {"io_uring", "epoll", "refused", "kqueue", "iocp"}
    found = collections.Counter()
    for line in pathlib.Path(name).read_text(encoding="utf-8").splitlines():
        suites, test, case = line.split("\t")
        loop = " ".join(suite for suite in suites.split() if suite in loops)
        found[(test, loop, case)] += 1
    return found


def compare(before, after):
    old, new = read(before), read(after)
    for sign, only in (("-", old - new), ("+", new - old)):
        for test, loop, case in sorted(only):
            print(f"{sign} {test}{' on ' + loop if loop else ''}: {case}")
    print(f"{sum(old.values())} cases before, {sum(new.values())} after, "
          f"{sum((old - new).values())} lost")
    return 1 if old - new else 0


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "list":
        return list_cases(sys.argv[2])
    if len(sys.argv) == 4 and sys.argv[1] == "compare":
        return compare(sys.argv[2], sys.argv[3])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
