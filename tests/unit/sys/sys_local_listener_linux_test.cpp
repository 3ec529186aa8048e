// SPDX-License-Identifier: BSL-1.0
// What stays of a dead server in a sticky folder, to which fs.protected_regular may apply. The
// machine's setting stays as it is: a filter refuses what that setting refuses, and more.
#include <ringbell/sys/local_socket.hpp>

#include "support/is_root.hpp"
#include "support/process.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <string>

TEST_SUITE("sys_local_listener_linux") {

using namespace ringbell::sys;
using namespace ringbell::test;
using ringbell::errc;

namespace {

constexpr uid_t somebody = 65534;
constexpr uid_t another = 65533;

/// From now on nobody opens with O_CREAT what may exist.
bool protect_regular_files() {
  constexpr unsigned flags = offsetof(seccomp_data, args) + 2 * sizeof(__u64);
  std::array<sock_filter, 7> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, flags),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, O_CREAT | O_EXCL),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, O_CREAT, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog program{filter.size(), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// A server of that user that was killed left its socket and its lock file.
void die_as(uid_t user, const std::string& path) {
  CHECK(run_in_child([&] {
          if (::setuid(user) != 0) return 1;
          std::error_code error;
          const local_listener made = local_listener::bind(path, false, error);
          ::_exit(error ? 2 : 0);
          return 3;
        }) == 0);
}

}  // namespace

TEST_CASE(
    "root takes over what a dead server of another user left in a sticky folder, also where files are protected") {
  if (!is_root()) return;
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 01777) == 0);
  die_as(somebody, folder / "s");
  const int ended = run_in_child([&] {
    if (!protect_regular_files()) return 77;
    std::error_code error;
    const local_listener made = local_listener::bind(folder / "s", false, error);
    return error ? 1 : 0;
  });
  if (ended == 77)
    MESSAGE("skipped: no seccomp filters here");
  else
    CHECK(ended == 0);
}

TEST_CASE("another user is told whose lock file it is, and what to do") {
  if (!is_root()) return;
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 01777) == 0);
  die_as(somebody, folder / "s");
  CHECK(run_in_child([&] {
          if (::setuid(another) != 0) return 1;
          std::error_code error;
          const local_listener made = local_listener::bind(folder / "s", false, error);
          return error == std::errc::permission_denied ? 0 : 2;
        }) == 0);
  const std::string text = local_listener::obstacles(folder / "s");
  CHECK_MESSAGE(
      text.find("the socket " + folder / "s" + " belongs to user 65534") != std::string::npos,
      text);
  CHECK_MESSAGE(text.find("the lock file " + folder / "s.lock" +
                          " belongs to user 65534; when no server") != std::string::npos,
                text);
}

TEST_CASE(
    "what is no socket, or no lock file, is named; what is this user's own is in nobody's way") {
  const temporary_folder folder;
  std::error_code error;
  const local_listener made = local_listener::bind(folder / "own", false, error);
  REQUIRE_FALSE(error);
  CHECK(local_listener::obstacles(folder / "own").empty());
  CHECK(local_listener::obstacles(folder / "nothing").empty());
  std::ofstream(folder / "file") << "text";
  std::ofstream(folder / "s.lock") << "text";
  CHECK(local_listener::obstacles(folder / "file").find(folder / "file" + " is no socket") !=
        std::string::npos);
  CHECK(local_listener::obstacles(folder / "s").find(folder / "s.lock" + " is no lock file") !=
        std::string::npos);
}

}  // TEST_SUITE("sys_local_listener_linux")
