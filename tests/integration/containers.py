#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Tests programs in containers: they share a folder, and nothing else.

    containers.py --tool RINGBELL [-k PATTERN]

Each container has namespaces of its own (pid, net, ipc, mount, uts, cgroup), no network, and the
default profile of system calls. Its root holds the tool and the libraries that the tool is linked
with, so no image is needed. It needs root, podman and runc.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

RINGBELL = ""
LIMIT = 60  # seconds; what takes longer hangs
SHARED = "/run/shared"  # the folder, as containers see it

# Nothing of the machine's own containers is used or touched.
CONFIGURATION = """
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "runc"
[containers]
default_ulimits = []
log_driver = "none"
"""


class Machine:
    """Has the root of the containers, and podman with a storage of its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="ringbell-containers-")
        # Users of a user namespace have to reach what is in it.
        os.chmod(self.folder, 0o755)
        self.root = self.make_root()
        with open(self.path("containers.conf"), "w", encoding="utf-8") as file:
            file.write(CONFIGURATION)
        self.environment = os.environ | {"CONTAINERS_CONF": self.path("containers.conf")}
        self.podman = ["podman", "--storage-driver", "vfs"]
        for option in ("root", "runroot", "tmpdir"):
            os.mkdir(self.path(option))
            self.podman += ["--" + option, self.path(option)]

    def path(self, name):
        return os.path.join(self.folder, name)

    def make_root(self):
        root = self.path("rootfs")
        for folder in ("dev", "proc", "sys", "tmp", "usr/bin", SHARED[1:]):
            os.makedirs(os.path.join(root, folder))
        os.chmod(os.path.join(root, "tmp"), 0o1777)
        shutil.copy(RINGBELL, os.path.join(root, "usr/bin/ringbell"))
        libraries = subprocess.run(["ldd", RINGBELL], capture_output=True, text=True, check=True)
        for library in re.findall(r"/\S+", libraries.stdout):
            os.makedirs(root + os.path.dirname(library), exist_ok=True)
            shutil.copy(library, root + library)
        return root

    def run(self, *arguments, **options):
        """Runs podman to its end."""
        return subprocess.run(
            [*self.podman, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            timeout=LIMIT,
            check=False,
            **options,
        )

    def remove(self):
        self.run("rm", "--all", "--force", "--time", "0")
        shutil.rmtree(self.folder)


def in_container(folder, *options):
    """Gives the arguments of podman that precede the program's name and arguments."""
    volume = f"{folder}:{SHARED}"
    fixed = ["run", "--rm", "--network", "none", "--ulimit", "host", "--volume", volume]
    return [*fixed, *options, "--rootfs", MACHINE.root]


class Running:
    """A program that runs beside the test, on this machine or in a container."""

    def __init__(self, command, name=None, **options):
        self.name = name
        self.line = ""  # the first one, of what says that it listens
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command,
            cwd=MACHINE.folder,  # conmon leaves a file there when memory runs out
            env=MACHINE.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            **options,
        )

    def listens(self):
        """Waits until the program has said that it listens. Gives the line in which it did."""
        self.line = self.process.stdout.readline().decode()
        return self.line

    def said(self):
        """Gives what the program has written to standard error."""
        self.errors.seek(0)
        return self.errors.read().decode()

    def pid(self):
        """Gives the number that the program of a container has on this machine, or 0."""
        inspected = MACHINE.run("inspect", "--format", "{{.State.Pid}}", self.name)
        return int(inspected.stdout or 0)

    def kill(self, how="KILL"):
        """Sends a signal to the program."""
        MACHINE.run("kill", "--signal", how, self.name)

    def wait(self):
        """Gives the exit code: 128 and its number for a signal."""
        return self.process.wait(LIMIT)

    def close(self):
        if self.name and self.process.poll() is None:
            self.kill()
        self.process.kill()
        self.process.wait(LIMIT)
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.errors.close()


class Case(unittest.TestCase):
    """Has a folder that containers share, and ends all programs that it has started."""

    def setUp(self):
        self.cleanup = contextlib.ExitStack()
        self.addCleanup(self.cleanup.close)
        self.folder = self.cleanup.enter_context(tempfile.TemporaryDirectory())
        # As a volume that every user of every container may write to.
        os.chmod(self.folder, 0o1777)
        self.started = 0

    def start(self, *arguments, options=()):
        """Starts the tool in a container."""
        self.started += 1
        name = f"{self.id().rpartition('.')[2]}_{self.started}"
        options = ["--interactive", "--name", name, *options]
        command = [*MACHINE.podman, *in_container(self.folder, *options), "/usr/bin/ringbell"]
        running = Running([*command, *arguments], name)
        self.cleanup.callback(running.close)
        return running

    def service(self, *arguments, options=()):
        """Starts a service in a container, at `s`."""
        service = self.start("serve", f"{SHARED}/s", *arguments, options=options)
        self.assertIn(f"on {SHARED}/s", service.listens(), service.said())
        return service

    def run_in_container(self, *arguments, options=(), given=b""):
        """Runs the tool in a container. Gives its exit code, its output and its errors."""
        command = [*in_container(self.folder, "--interactive", *options), "/usr/bin/ringbell"]
        done = MACHINE.run(*command, *arguments, input=given)
        return done.returncode, done.stdout, done.stderr.decode()

    def run_here(self, *arguments, given=b""):
        done = subprocess.run(
            [RINGBELL, *arguments], input=given, capture_output=True, timeout=LIMIT, check=False
        )
        return done.returncode, done.stdout, done.stderr.decode()

    def answers(self, options=()):
        """Checks that a container gets answers of the service at `s`."""
        asked = self.run_in_container(
            "call", f"{SHARED}/s", "echo", "--data", "hello", options=options
        )
        self.assertEqual(asked, (0, b"hello", ""))

    def clients(self):
        """Gives what the service at `s` says of its clients."""
        code, out, errors = self.run_here(
            "top", f"{self.folder}/s", "--once", "--json", "--interval", "20ms"
        )
        self.assertEqual(code, 0, errors)
        return json.loads(out)["clients"]

    def until(self, condition, what):
        end = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"this did not come: {what}")
            time.sleep(0.05)


class TwoContainers(Case):
    def test_share_a_folder_and_no_namespace_and_exchange_messages(self):
        service = self.service()
        client = self.start("call", f"{SHARED}/s", "sleep", "--data", "1min")
        self.until(lambda: len(self.clients()) == 1, "the client")
        for kind in ("pid", "net", "ipc", "mnt", "uts"):
            links = [f"/proc/{p}/ns/{kind}" for p in ("self", service.pid(), client.pid())]
            self.assertEqual(len({os.readlink(link) for link in links}), 3, kind)
        # A system call filter, and the loop that it leaves.
        self.assertIn("loop: epoll", service.line)
        with open(f"/proc/{service.pid()}/status", encoding="utf-8") as status:
            self.assertRegex(status.read(), r"Seccomp:\t2\n")
        self.answers()

    def test_pass_a_megabyte_each_way_through_a_pipe(self):
        one, two = os.urandom(1 << 20), os.urandom(1 << 20)
        listening = self.start("pipe", "--listen", f"{SHARED}/p")
        other = {}

        def connect():
            other["done"] = self.run_in_container("pipe", "--connect", f"{SHARED}/p", given=two)

        thread = threading.Thread(target=connect)
        thread.start()
        out, _ = listening.process.communicate(one, timeout=LIMIT)
        thread.join()
        self.assertEqual(listening.wait(), 0, listening.said())
        self.assertEqual(hashlib.sha256(out).digest(), hashlib.sha256(two).digest())
        code, out, errors = other["done"]
        self.assertEqual(code, 0, errors)
        self.assertEqual(hashlib.sha256(out).digest(), hashlib.sha256(one).digest())

    def test_measure_round_trips(self):
        echo = self.start("echo", f"{SHARED}/e")
        self.assertIn("echo listens", echo.listens(), echo.said())
        arguments = ("ping", f"{SHARED}/e", "--count", "1000", "--interval", "0", "--json")
        code, out, errors = self.run_in_container(*arguments)
        self.assertEqual(code, 0, errors)
        self.assertEqual(json.loads(out)["received"], 1000)


class Tools(Case):
    def test_doctor_says_what_a_container_hides(self):
        arguments = ("--memory", "32m", "--shm-size", "64k")
        code, out, errors = self.run_in_container("doctor", "--json", options=arguments)
        self.assertEqual(code, 0, errors)
        found = {f["what"]: f for f in json.loads(out)["findings"]}
        for call in ("io_uring", "futexes"):
            self.assertEqual(found[call]["verdict"], "limited")
            self.assertIn("filter (seccomp) refuses it", found[call]["detail"])
        self.assertEqual(found["memory"]["verdict"], "limited")
        self.assertIn("allows 33554432 bytes", found["memory"]["detail"])
        self.assertIn("looks like one (podman)", found["container"]["detail"])
        self.assertIn("pid, ipc, uts", found["container"]["detail"])
        self.assertIn("64.0 KiB", found["/dev/shm"]["detail"])

    def test_doctor_says_who_its_user_is_outside(self):
        mapped = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]
        code, out, errors = self.run_in_container("doctor", options=mapped)
        self.assertEqual(code, 0, errors)
        self.assertIn(b"outside of this user namespace user 100000", out)
        self.assertIn(b"65536 users are known here", out)

    def test_top_on_the_host_shows_no_process_of_its_own_for_a_client_of_a_container(self):
        self.service()
        client = self.start("call", f"{SHARED}/s", "sleep", "--data", "1min")
        self.until(lambda: len(self.clients()) == 1, "the client")
        # The service sees no number of a process in another container, and gives none.
        self.assertEqual([(c["process"], c["command"]) for c in self.clients()], [(None, "")])
        self.assertGreater(client.pid(), 0)


class TheHost(Case):
    def test_reaches_a_service_in_a_container(self):
        self.service()
        asked = self.run_here("call", f"{self.folder}/s", "echo", "--data", "hello")
        self.assertEqual(asked, (0, b"hello", ""))

    def test_is_reached_by_a_container(self):
        service = Running([RINGBELL, "serve", f"{self.folder}/s"])
        self.cleanup.callback(service.close)
        self.assertIn("answers", service.listens(), service.said())
        self.answers()


class LessIsEnough(Case):
    """What a hardened container takes away is not needed."""

    def test_a_root_that_is_read_only(self):
        read_only = ["--read-only", "--read-only-tmpfs=false"]
        self.service(options=read_only)
        self.answers(read_only)

    def test_no_capabilities_and_no_new_privileges(self):
        bare = ["--cap-drop", "all", "--security-opt", "no-new-privileges"]
        self.service(options=bare)
        self.answers(bare)

    def test_a_dev_shm_that_is_smaller_than_the_rings(self):
        tiny = ["--shm-size", "64k"]
        self.service("--ring-bytes", "4MiB", options=tiny)
        data = os.urandom(8 << 20)
        arguments = ("call", f"{SHARED}/s", "echo", "--ring-bytes", "4MiB", "--stream")
        code, out, errors = self.run_in_container(*arguments, options=tiny, given=data)
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(len(out), len(data))
        self.assertEqual(hashlib.sha256(out).digest(), hashlib.sha256(data).digest())


class Users(Case):
    ANOTHER = ["--user", "1234:1234"]

    def test_one_user_that_is_not_root(self):
        self.service(options=self.ANOTHER)
        self.answers(self.ANOTHER)

    def test_another_user_is_kept_out_by_the_mode_of_the_socket(self):
        self.service()
        code, _, errors = self.run_in_container(
            "call", f"{SHARED}/s", "echo", "--data", "x", options=self.ANOTHER
        )
        self.assertEqual(code, 4, errors)
        self.assertIn("Permission denied", errors)

    def test_another_user_is_let_in_where_the_service_says_so(self):
        self.service("--all-users")
        self.answers(self.ANOTHER)

    def test_a_user_namespace_that_both_share_makes_no_difference(self):
        mapped = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]
        self.service(options=mapped)
        self.answers(mapped)

    def test_users_of_two_user_namespaces_are_different_users(self):
        one = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]
        two = ["--uidmap", "0:200000:65536", "--gidmap", "0:200000:65536"]
        service = self.service(options=one)
        code, _, errors = self.run_in_container(
            "call", f"{SHARED}/s", "echo", "--data", "x", options=two
        )
        self.assertEqual(code, 4, errors)
        service.kill("TERM")
        self.assertEqual(service.wait(), 0, service.said())
        self.service("--all-users", options=one)
        self.answers(two)


class Memory(Case):
    LITTLE = ["--memory", "32m"]

    def test_32_mib_are_enough(self):
        self.service(options=self.LITTLE)
        data = os.urandom(4 << 20)
        code, out, errors = self.run_in_container(
            "call", f"{SHARED}/s", "echo", options=self.LITTLE, given=data
        )
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(hashlib.sha256(out).digest(), hashlib.sha256(data).digest())

    def two_ends(self, ring_bytes):
        """Starts two ends of a pipe. The listening one has little memory."""
        ring = ("--ring-bytes", ring_bytes)
        writing = self.start("pipe", "--listen", f"{SHARED}/p", *ring, options=self.LITTLE)
        reading = self.start("pipe", "--connect", f"{SHARED}/p", *ring)
        return writing, reading

    def feed(self, running, amount):
        """Writes zeros to standard input, until the pipe is stuck or has ended."""

        def write():
            with contextlib.suppress(OSError):
                for _ in range(amount >> 16):
                    running.process.stdin.write(bytes(1 << 16))
                running.process.stdin.flush()

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        self.cleanup.callback(thread.join, LIMIT)
        # Registered last, so run first: a thread that is stuck ends.
        self.cleanup.callback(running.close)

    def shared_memory(self, running):
        """Gives the bytes of shared memory that count for a container; 0 before it runs."""
        pid = running.pid()
        if pid == 0:
            return 0
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as groups:
            text = groups.read()
        old = re.search(r"^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$", text, re.MULTILINE)
        new = re.search(r"^0::(.*)$", text, re.MULTILINE)
        group = "/sys/fs/cgroup/memory" + old[1] if old else "/sys/fs/cgroup" + new[1]
        with open(f"{group}/memory.stat", encoding="utf-8") as file:
            return int(re.search(r"^shmem (\d+)$", file.read(), re.MULTILINE)[1])

    def test_of_a_ring_counts_for_the_container_that_writes_it(self):
        writing, reading = self.two_ends("16MiB")
        self.feed(writing, 64 << 20)  # nobody reads the other end's output, so the ring fills
        self.until(lambda: self.shared_memory(writing) > 8 << 20, "a full ring")
        self.assertLess(self.shared_memory(reading), 1 << 20)

    def test_that_a_container_may_not_have_ends_it_and_its_peer_sees_that(self):
        writing, reading = self.two_ends("256MiB")
        self.feed(writing, 200 << 20)
        self.assertEqual(writing.wait(), 128 + signal.SIGKILL)
        reading.process.stdout.read()
        self.assertEqual(reading.wait(), 5, reading.said())


class Killed(Case):
    def test_a_service_is_seen_to_have_gone_and_the_next_one_takes_its_place(self):
        service = self.service()
        client = self.start("call", f"{SHARED}/s", "sleep", "--data", "1min")
        self.until(lambda: len(self.clients()) == 1, "the client")
        service.kill()
        self.assertEqual(service.wait(), 128 + signal.SIGKILL)
        self.assertEqual(client.wait(), 5, client.said())
        self.assertTrue(os.path.exists(f"{self.folder}/s"))
        self.service()
        self.answers()

    def test_a_client_leaves_its_service(self):
        self.service()
        client = self.start("call", f"{SHARED}/s", "sleep", "--data", "1min")
        self.until(lambda: len(self.clients()) == 1, "the client")
        client.kill()
        self.assertEqual(client.wait(), 128 + signal.SIGKILL)
        self.until(lambda: not self.clients(), "the end of the client")
        self.answers()

    def test_a_live_service_keeps_its_name(self):
        self.service()
        code, _, errors = self.run_in_container("serve", f"{SHARED}/s")
        self.assertEqual(code, 1, errors)
        self.answers()


def obstacle():
    """Says why no container can be run here, or gives nothing."""
    if os.geteuid() != 0:
        return "containers are run as root here"
    for program in ("podman", "runc"):
        if not shutil.which(program):
            return f"there is no {program}"
    return ""


def trial():
    """Says why a container does not run here, or gives nothing."""
    done = MACHINE.run(*in_container(MACHINE.folder), "/usr/bin/ringbell", "--version")
    lines = done.stderr.decode().strip().splitlines() or ["podman says nothing"]
    return f"podman cannot run a container here: {lines[-1]}" if done.returncode else ""


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def main():
    global RINGBELL, MACHINE
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tool", required=True, help="the program ringbell")
    arguments, rest = parser.parse_known_args()
    RINGBELL = os.path.abspath(arguments.tool)
    reason = obstacle()
    if reason:
        skip(reason)
    # What meson ends, ends in order: no container stays.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    MACHINE = Machine()
    try:
        reason = trial()
        if reason:
            skip(reason)
        unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
    finally:
        MACHINE.remove()


if __name__ == "__main__":
    main()
