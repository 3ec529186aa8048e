// SPDX-License-Identifier: BSL-1.0
// What `ringbell doctor` and `ringbell top` say within and beside containers, which namespaces and
// filters stand for here. Real containers: containers.py.
#include "support/child_process.hpp"
#include "support/is_root.hpp"
#include "support/refused_call.hpp"
#include "support/service_process.hpp"

#include <doctest/doctest.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

TEST_SUITE("cli_container") {

using namespace ringbell::test;

namespace {

using words = std::vector<std::string>;

constexpr unsigned futex_waitv_number = 449;
constexpr int cannot = 77;

int become_tool(words arguments) {
  arguments.insert(arguments.begin(), "ringbell");
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  ::execv(path_of_tool().c_str(), argv.data());
  return 99;
}

/// Runs doctor in a process that `prepare` has changed; gives what it said. Empty when the system
/// does not allow that change.
template <class F>
std::string doctor_after(F prepare) {
  const temporary_folder folder;
  const descriptor out = writing(folder / "out");
  const int status = run_in_child([&] {
    if (!prepare()) return cannot;
    ::unsetenv("RINGBELL_LOOP");  // it looks at all that there is
    ::dup2(out.get(), STDOUT_FILENO);
    return become_tool({"doctor"});
  });
  if (status == cannot) return {};
  CHECK(status == 0);
  return contents_of(folder / "out");
}

/// The line about `what`.
std::string line_of(const std::string& said, const std::string& what) {
  constexpr std::size_t after_verdict = 9;
  std::istringstream lines(said);
  for (std::string line; std::getline(lines, line);)
    if (line.size() > after_verdict && line.substr(after_verdict).starts_with(what)) return line;
  return {};
}

bool write_text(const char* path, const std::string& text) {
  std::ofstream file(path);
  return static_cast<bool>(file << text << std::flush);
}

/// A running tool that is the first process of a pid namespace; ends with this object.
child_process in_new_pid_namespace(words arguments) {
  return child_process([&] {
    if (::unshare(CLONE_NEWPID) != 0) return cannot;
    return run_in_child([&] {
      die_with_parent();
      return become_tool(arguments);
    });
  });
}

bool has_pid_namespaces() {
  if (!is_root()) return false;
  if (run_in_child([] { return ::unshare(CLONE_NEWPID) == 0 ? 0 : cannot; }) == 0) return true;
  MESSAGE("skipped: there are no pid namespaces here");
  return false;
}

}  // namespace

TEST_CASE("doctor says that a filter hides calls, not that the kernel is too old") {
  const std::string said = doctor_after([] {
    return refuse_call(futex_waitv_number, ENOSYS) && refuse_call(SYS_io_uring_setup, EPERM);
  });
  if (said.empty()) {
    MESSAGE("skipped: no seccomp filters here");
    return;
  }
  CAPTURE(said);
  CHECK(line_of(said, "futexes").find("filter (seccomp) refuses it") != std::string::npos);
  CHECK(line_of(said, "call filter").find("there is one") != std::string::npos);
  CHECK(said.find("limited  futexes") != std::string::npos);
  CHECK(said.find("or later, and this is") == std::string::npos);
  CHECK(line_of(said, "io_uring").find("filter (seccomp) refuses it") != std::string::npos);
}

TEST_CASE("doctor says what namespaces hide, and who its user is outside") {
  const auto user = std::to_string(::geteuid());
  const std::string said = doctor_after([&] {
    return ::unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWUTS) == 0 &&
           write_text("/proc/self/uid_map", "7 " + user + " 1\n");
  });
  if (said.empty()) {
    MESSAGE("skipped: there are no user namespaces here");
    return;
  }
  CAPTURE(said);
  const std::string container = line_of(said, "container");
  CHECK(container.find("namespaces of its own: ipc, uts, user") != std::string::npos);
  CHECK(line_of(said, "users")
            .find("this one is 7 (outside of this user namespace user " + user +
                  "); 1 user is known here") != std::string::npos);
}

TEST_CASE("doctor finds all that it needs beside a /dev/shm of one page") {
  if (!is_root()) return;
  const std::string said = doctor_after([] {
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=4k") == 0;
  });
  if (said.empty()) {
    MESSAGE("skipped: nothing can be mounted here");
    return;
  }
  CHECK_MESSAGE(line_of(said, "/dev/shm").find("4.00 KiB; not used") != std::string::npos, said);
}

TEST_CASE("top shows no process of its own for a number of another pid namespace") {
  if (!has_pid_namespaces()) return;
  const temporary_folder folder;
  const std::string name = folder / "s";
  // Both in one container: 2 or so is the client's number there, and another process's here.
  const std::string both = path_of_tool() + " serve " + name + " > /dev/null & " + path_of_tool() +
                           " call " + name + " sleep --data 1min";
  const child_process inside([&] {
    if (::unshare(CLONE_NEWPID) != 0) return cannot;
    return run_in_child([&] {
      die_with_parent();
      ::execl("/bin/sh", "sh", "-c", both.c_str(), nullptr);
      return 99;
    });
  });
  REQUIRE(under_way(name, 1));
  const std::string all = statistics(name);
  const std::string clients = all.substr(all.find("\"clients\":"));
  CHECK_MESSAGE(clients.find("\"process\":null") != std::string::npos, all);
  CHECK_MESSAGE(clients.find("\"command\":\"\"") != std::string::npos, all);
  // The service is a process of this namespace, too.
  CHECK_MESSAGE(
      all.substr(0, all.find("\"clients\":")).find("\"process\":null") == std::string::npos, all);
  tool text({"top", name, "--once", "--interval", "10ms"});
  CHECK(text.wait() == 0);
  CHECK_MESSAGE(text.out().find("       - (other pid ns)") != std::string::npos, text.out());
}

TEST_CASE("top shows clients in containers by their numbers here, where the service has them") {
  if (!has_pid_namespaces()) return;
  const temporary_folder folder;
  const std::string name = folder / "s";
  service s(name);
  const child_process inside = in_new_pid_namespace({"call", name, "sleep", "--data", "1min"});
  REQUIRE(under_way(name, 1));
  const std::string all = statistics(name);
  const std::string clients = all.substr(all.find("\"clients\":"));
  CHECK_MESSAGE(clients.find("\"process\":null") == std::string::npos, all);
  CHECK_MESSAGE(clients.find("\"command\":\"ringbell\"") != std::string::npos, all);
}

TEST_CASE("top in a container knows no process of a service outside, and none of its clients") {
  if (!has_pid_namespaces()) return;
  const temporary_folder folder;
  const std::string name = folder / "s";
  service s(name);
  tool client({"call", name, "sleep", "--data", "1min"});
  REQUIRE(under_way(name, 1));
  const descriptor out = writing(folder / "out");
  // With the /proc of the container, as it is in one.
  CHECK(run_in_child([&] {
          if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return cannot;
          return run_in_child([&] {
            if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                ::mount("proc", "/proc", "proc", 0, nullptr) != 0)
              return 98;
            ::dup2(out.get(), STDOUT_FILENO);
            return become_tool({"top", name, "--once", "--json", "--interval", "10ms"});
          });
        }) == 0);
  const std::string all = contents_of(folder / "out");
  CHECK_MESSAGE(count_of(all, "\"process\":null") == 2, all);
  CHECK_MESSAGE(count_of(all, "\"command\":\"\"") == 2, all);
}

}  // TEST_SUITE("cli_container")
