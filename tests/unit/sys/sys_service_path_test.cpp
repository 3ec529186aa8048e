// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/service_path.hpp>

#include "support/process.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <ostream>
#include <string>

TEST_SUITE("sys_service_path") {

using namespace ringbell::sys;
using namespace ringbell::test;
using ringbell::errc;

namespace {

constexpr uid_t somebody = 65534;

// Sets a variable for one test; null removes it.
class variable {
public:
  variable(const char* name, const char* value) : name_(name) {
    if (const char* before = ::getenv(name)) {
      had_ = true;
      before_ = before;
    }
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;
  ~variable() { had_ ? ::setenv(name_, before_.c_str(), 1) : ::unsetenv(name_); }

private:
  const char* name_;
  bool had_ = false;
  std::string before_;
};

bool is_path(std::string_view name, const std::string& expected) {
  const auto path = service_path(name);
  INFO(path.error().message());
  CHECK(path.has_value());
  if (path) CHECK(*path == expected);
  return path && *path == expected;
}

unsigned mode_of(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

}  // namespace

TEST_CASE("a name lives below the runtime directory") {
  const variable runtime("XDG_RUNTIME_DIR", "/run/user/7");
  CHECK(is_path("echo", "/run/user/7/ringbell/echo"));
  CHECK(is_path("Echo_2.v-1", "/run/user/7/ringbell/Echo_2.v-1"));
}

TEST_CASE(
    "without a runtime directory root's names live below /run, other users' below the temporary directory") {
  const variable runtime("XDG_RUNTIME_DIR", nullptr);
  const variable temporary("TMPDIR", "/var/tmp");
  if (::geteuid() == 0) {
    CHECK(is_path("echo", std::string(root_services) + "/echo"));
    CHECK(run_in_child([] {
            if (::setuid(somebody) != 0) return 1;
            if (*service_path("echo") != "/var/tmp/ringbell-65534/echo") return 2;
            ::unsetenv("TMPDIR");
            return *service_path("echo") == "/tmp/ringbell-65534/echo" ? 0 : 3;
          }) == 0);
  } else {
    CHECK(is_path("echo", "/var/tmp/ringbell-" + std::to_string(::geteuid()) + "/echo"));
    ::unsetenv("TMPDIR");
    CHECK(is_path("echo", "/tmp/ringbell-" + std::to_string(::geteuid()) + "/echo"));
  }
}

TEST_CASE("a runtime directory that is no absolute path does not count") {
  const variable temporary("TMPDIR", "also/relative");
  const std::string elsewhere = [] {
    const variable none("XDG_RUNTIME_DIR", nullptr);
    return *service_path("echo");
  }();
  CHECK(elsewhere.front() == '/');
  for (const char* value : {"", "run/user/7", "."}) {
    const variable runtime("XDG_RUNTIME_DIR", value);
    CHECK(is_path("echo", elsewhere));
  }
}

TEST_CASE("a name with a slash is a path and returned as it is") {
  CHECK(is_path("/a/b c/ü.sock", "/a/b c/ü.sock"));
  CHECK(is_path("./here", "./here"));
  CHECK(is_path("below/.hidden", "below/.hidden"));
}

TEST_CASE("a name of other characters, or of none, or too many, is bad_name") {
  for (const std::string& name :
       {std::string(), std::string(65, 'a'), std::string("a b"), std::string(".hidden"),
        std::string(".."), std::string("ü"), std::string("a\0b", 3), std::string("a\n"),
        std::string("echo.lock")}) {
    CAPTURE(name);
    CHECK(service_path(name).error() == errc::bad_name);
    CHECK(prepare_service_folder(name) == errc::bad_name);
  }
  CHECK(service_path(std::string(64, 'a')).has_value());
}

TEST_CASE("a path longer than a socket address holds is bad_name") {
  const std::string fits = '/' + std::string(106, 'a');
  CHECK(is_path(fits, fits));
  CHECK(service_path(fits + 'a').error() == errc::bad_name);
  CHECK(service_path(std::string("/a\0b", 4)).error() == errc::bad_name);
  const variable runtime("XDG_RUNTIME_DIR", ('/' + std::string(100, 'a')).c_str());
  CHECK(service_path("echo").error() == errc::bad_name);
}

TEST_CASE("a missing folder is created for its user alone, whatever the umask") {
  const temporary_folder parent;
  const variable runtime("XDG_RUNTIME_DIR", parent.path().c_str());
  const mode_t before = ::umask(0);
  CHECK_FALSE(prepare_service_folder("echo"));
  ::umask(before);
  CHECK(mode_of(parent / "ringbell") == 0700);
  CHECK_FALSE(prepare_service_folder("another"));
}

TEST_CASE("a folder that others may enter, read or write is unsafe") {
  const temporary_folder parent;
  const variable runtime("XDG_RUNTIME_DIR", parent.path().c_str());
  REQUIRE(::mkdir((parent / "ringbell").c_str(), 0700) == 0);
  for (const mode_t open : {0701u, 0704u, 0702u, 0710u, 0740u, 0720u, 01777u}) {
    REQUIRE(::chmod((parent / "ringbell").c_str(), open) == 0);
    CAPTURE(open);
    CHECK(prepare_service_folder("echo") == errc::unsafe_directory);
    CHECK(check_service_folder("echo") == errc::unsafe_directory);
    CHECK(mode_of(parent / "ringbell") == open);
  }
}

TEST_CASE("the folder around must be this user's or root's") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can make one of another user");
    return;
  }
  const temporary_folder parent;
  REQUIRE(::mkdir((parent / "run").c_str(), 0700) == 0);
  const variable runtime("XDG_RUNTIME_DIR", (parent / "run").c_str());
  REQUIRE(::chown((parent / "run").c_str(), somebody, somebody) == 0);
  CHECK(prepare_service_folder("echo") == errc::unsafe_directory);
  CHECK(check_service_folder("echo") == errc::unsafe_directory);
  CHECK(mode_of(parent / "run/ringbell") == 0);  // nothing was made
  CHECK(describe_service("echo").find(parent / "run" +
                                      " belongs to user 65534 and has mode 0700: expected root") !=
        std::string::npos);

  REQUIRE(::chown((parent / "run").c_str(), 0, 0) == 0);
  REQUIRE(::chmod((parent / "run").c_str(), 01777) == 0);
  REQUIRE(::chmod(parent.path().c_str(), 0755) == 0);
  CHECK(run_in_child([] {
          if (::setuid(somebody) != 0) return 1;
          if (prepare_service_folder("echo")) return 2;
          return check_service_folder("echo") ? 3 : 0;
        }) == 0);
  CHECK(check_service_folder("echo") == errc::unsafe_directory);
}

TEST_CASE("a folder around in which others may rename is unsafe, unless it is sticky") {
  const temporary_folder parent;
  const variable runtime("XDG_RUNTIME_DIR", parent.path().c_str());
  for (const mode_t open : {0777u, 0770u, 0720u, 0702u}) {
    CAPTURE(open);
    REQUIRE(::chmod(parent.path().c_str(), open) == 0);
    CHECK(prepare_service_folder("echo") == errc::unsafe_directory);
    CHECK(check_service_folder("echo") == errc::unsafe_directory);
    CHECK(mode_of(parent / "ringbell") == 0);
  }
  for (const mode_t safe : {01777u, 01770u, 0755u, 0700u}) {
    CAPTURE(safe);
    REQUIRE(::chmod(parent.path().c_str(), safe) == 0);
    CHECK_FALSE(prepare_service_folder("echo"));
    CHECK_FALSE(check_service_folder("echo"));
  }
}

TEST_CASE(
    "a link to the folder around counts as what it leads to, unless another user may turn it") {
  const temporary_folder parent;
  REQUIRE(::mkdir((parent / "real").c_str(), 0700) == 0);
  REQUIRE(::symlink("real", (parent / "link").c_str()) == 0);
  for (const char* name : {"link", "link/", "link//"}) {
    const variable runtime("XDG_RUNTIME_DIR", (parent / name).c_str());
    CHECK(is_path("echo", parent / "link/ringbell/echo"));
    CHECK_FALSE(prepare_service_folder("echo"));
    CHECK_FALSE(check_service_folder("echo"));
  }
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can make a link of another user");
    return;
  }
  REQUIRE(::lchown((parent / "link").c_str(), somebody, somebody) == 0);
  for (const char* name : {"link", "link/"}) {
    const variable runtime("XDG_RUNTIME_DIR", (parent / name).c_str());
    CHECK(prepare_service_folder("echo") == errc::unsafe_directory);
    CHECK(check_service_folder("echo") == errc::unsafe_directory);
  }
}

TEST_CASE("a client creates nothing, and finds no server where there is no folder") {
  const temporary_folder parent;
  const variable runtime("XDG_RUNTIME_DIR", parent.path().c_str());
  CHECK(check_service_folder("echo") == errc::no_server);
  CHECK(mode_of(parent / "ringbell") == 0);
  const variable missing("XDG_RUNTIME_DIR", (parent / "missing").c_str());
  CHECK(check_service_folder("echo") == errc::no_server);
}

TEST_CASE("a name stands for this user's servers and root's, a path for anybody's") {
  peer_identity server;
  server.user = ::geteuid();
  CHECK_FALSE(check_server("echo", server));
  server.user = 0;
  CHECK_FALSE(check_server("echo", server));
  server.user = somebody - 1;
  CHECK(check_server("echo", server) == errc::unsafe_directory);
  CHECK_FALSE(check_server("./echo", server));
}

TEST_CASE(
    "the description of a name tells its folder, what the variable has to do with it, and what is wrong") {
  const temporary_folder parent;
  const auto describes = [](const std::string& words) {
    const std::string text = describe_service("echo");
    INFO(text);
    CHECK(text.find(words) != std::string::npos);
  };
  {
    const variable runtime("XDG_RUNTIME_DIR", parent.path().c_str());
    describes("'echo' in " + parent / "ringbell" + " (from $XDG_RUNTIME_DIR; " +
              parent / "ringbell" + " does not exist; " + parent.path() + " belongs to");
    REQUIRE(::mkdir((parent / "ringbell").c_str(), 0700) == 0);
    CHECK(describe_service("echo") ==
          "'echo' in " + parent / "ringbell" + " (from $XDG_RUNTIME_DIR)");
    REQUIRE(::chmod((parent / "ringbell").c_str(), 0755) == 0);
    describes("has mode 0755: expected user " + std::to_string(::geteuid()) + " and mode 0700)");
  }
  {
    const variable runtime("XDG_RUNTIME_DIR", (parent / "missing").c_str());
    describes(parent / "missing" + " does not exist: create it");
  }
  {
    const variable runtime("XDG_RUNTIME_DIR", nullptr);
    describes("($XDG_RUNTIME_DIR is not set");
  }
  {
    const variable runtime("XDG_RUNTIME_DIR", "run/user/7");
    describes("($XDG_RUNTIME_DIR is 'run/user/7', which is no absolute path, so it does not count");
  }
  {
    const variable runtime("XDG_RUNTIME_DIR", ('/' + std::string(100, 'a')).c_str());
    describes("that path has 115 bytes, and a socket's at most ");
  }
  CHECK(describe_service("./echo") == "'./echo'");
}

TEST_CASE("a folder that this user may not enter is unsafe, and the description says whose it is") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can make one of another user");
    return;
  }
  const temporary_folder parent;
  const variable runtime("XDG_RUNTIME_DIR", parent.path().c_str());  // root's, with mode 0700
  CHECK(run_in_child([] {
          if (::setuid(somebody) != 0) return 1;
          if (check_service_folder("echo") != errc::unsafe_directory) return 2;
          return describe_service("echo").find(
                     "belongs to user 0 and has mode 0700: user 65534 may not enter it") !=
                         std::string::npos
                     ? 0
                     : 3;
        }) == 0);
}

TEST_CASE("a folder of another user is unsafe") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can make one");
    return;
  }
  const temporary_folder parent;
  const variable runtime("XDG_RUNTIME_DIR", parent.path().c_str());
  REQUIRE(::mkdir((parent / "ringbell").c_str(), 0700) == 0);
  REQUIRE(::chown((parent / "ringbell").c_str(), somebody, somebody) == 0);
  CHECK(prepare_service_folder("echo") == errc::unsafe_directory);
}

TEST_CASE("a link or a file in place of the folder is unsafe") {
  const temporary_folder parent;
  const variable runtime("XDG_RUNTIME_DIR", parent.path().c_str());
  REQUIRE(::mkdir((parent / "real").c_str(), 0700) == 0);
  REQUIRE(::symlink("real", (parent / "ringbell").c_str()) == 0);
  CHECK(prepare_service_folder("echo") == errc::unsafe_directory);
  REQUIRE(::unlink((parent / "ringbell").c_str()) == 0);
  REQUIRE(::close(::open((parent / "ringbell").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) ==
          0);
  CHECK(prepare_service_folder("echo") == errc::unsafe_directory);
}

TEST_CASE("a missing runtime directory is the system's error") {
  const temporary_folder parent;
  const variable runtime("XDG_RUNTIME_DIR", (parent / "missing").c_str());
  CHECK(prepare_service_folder("echo") == std::errc::no_such_file_or_directory);
}

TEST_CASE("the folder of an explicit path is left alone") {
  const temporary_folder parent;
  REQUIRE(::chmod(parent.path().c_str(), 0755) == 0);
  CHECK_FALSE(prepare_service_folder(parent / "echo"));
  CHECK_FALSE(prepare_service_folder(parent / "missing/echo"));
  CHECK(mode_of(parent.path()) == 0755);
  CHECK(mode_of(parent / "missing") == 0);
}

}  // TEST_SUITE("sys_service_path")
