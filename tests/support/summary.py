#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Counts the test cases of a meson test run: summary.py BUILD_FOLDER

Prints what was skipped and why, then `N passed, N failed, N skipped` as the last line. Fails when a
case failed or none ran.

A doctest program and a Python unittest count with each of their cases, any other program as one. A
case that prints a line with `skipped: REASON` counts as skipped. RINGBELL_TALLY, when set, names a
file to which the counts are also appended, so that the counts of several runs can be added up.
"""

import json
import os
import re
import sys

CASES = re.compile(
    r"^\[doctest\] test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed", re.MULTILINE
)
SKIPPED = re.compile(r"\bskipped: (.*)", re.IGNORECASE)
UNITTEST = re.compile(r"^Ran (\d+) tests? in .*\n\n(?:OK|FAILED)(?: \((.*)\))?$", re.MULTILINE)
UNITTEST_SKIPPED = re.compile(r"\.\.\. skipped ['\"](.*)['\"]$", re.MULTILINE)


def count(test):
    """Passed, failed and skipped cases of one test program, and the reasons for skipping."""
    output = test.get("stdout", "")
    reasons = SKIPPED.findall(output + test.get("stderr", ""))
    result = test["result"]
    if result == "SKIP":
        return 0, 0, 1, reasons[-1:] or ["no reason given"]
    good = result in ("OK", "EXPECTEDFAIL")
    summaries = CASES.findall(output)
    of_unittest = UNITTEST.search(test.get("stderr", ""))
    if of_unittest:
        parts = dict(part.split("=") for part in (of_unittest[2] or "").split(", ") if part)
        failed = int(parts.get("failures", 0)) + int(parts.get("errors", 0))
        skipped = int(parts.get("skipped", 0))
        reasons = UNITTEST_SKIPPED.findall(test["stderr"])
        passed = int(of_unittest[1]) - failed - skipped
        return passed, failed or int(not good), skipped, reasons
    if not summaries:
        return int(good), int(not good), 0, []
    passed, failed = map(int, summaries[-1])  # the others are of programs that a case ran
    if not good and failed == 0:  # it died after its last case, or a sanitizer complained
        failed = 1
    skipped = min(len(reasons), passed)
    return passed - skipped, failed, skipped, reasons


def main():
    totals = [0, 0, 0]
    skips = []
    log = os.path.join(sys.argv[1], "meson-logs", "testlog.json")
    if os.path.exists(log):  # there is none when no test has the name asked for
        for line in open(log, encoding="utf-8"):
            test = json.loads(line)
            *numbers, reasons = count(test)
            totals = [total + number for total, number in zip(totals, numbers)]
            skips += [f"{test['name'].partition(':')[2]}: {reason}" for reason in reasons]
    lines = [f"skipped: {skip}" for skip in skips]
    summary = "{} passed, {} failed, {} skipped".format(*totals)
    tally = os.environ.get("RINGBELL_TALLY")
    if tally:
        with open(tally, "a", encoding="utf-8") as file:
            file.write("\n".join(lines + ["count {} {} {}".format(*totals)]) + "\n")
    print("\n".join(lines + [summary]))
    return 1 if totals[1] or not any(totals) else 0


if __name__ == "__main__":
    sys.exit(main())
