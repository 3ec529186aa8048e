// SPDX-License-Identifier: BSL-1.0
// The command line tool with what only POSIX has: sockets for streams, terminals that a program can
// make, other users that root can become.
#include "support/service_process.hpp"
#include "support/tool_as_user.hpp"
#include "support/tool_on_terminal.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

TEST_SUITE("cli_posix") {

using namespace ringbell::test;

namespace {

/// Runs the tool as another user, with its errors in a file that is there already; gives its exit
/// status. A copy of it, since the other user may not reach the original.
int run_as_nobody(std::vector<std::string> arguments, int err) {
  constexpr uid_t nobody = 65534;
  const temporary_folder folder;
  const std::string program = folder / "ringbell";
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  std::filesystem::copy_file(path_of_tool(), program);
  return run_as(nobody, program, std::move(arguments), err);
}

constexpr const char* other_screen = "\x1b[?1049h";
constexpr const char* back_again = "\x1b[?25h\x1b[?1049l";

}  // namespace

TEST_CASE("pipe reads and writes sockets") {
  const temporary_folder folder;
  const file_folder files;
  int ends[2];
  REQUIRE(socket_pair_closed_on_exec(ends) == 0);
  descriptor here(ends[0]), there(ends[1]);
  const std::string bytes(1 << 20, 'b');
  write_file(files / "in", bytes);
  const descriptor in = reading(files / "in");
  tool listener({"pipe", "--listen", folder / "s"}, in);
  tool client({"pipe", "--timeout", "1min", "--connect", folder / "s"}, there, there);
  there.reset();
  std::string got;
  char piece[65536];
  ssize_t n = 0;
  while (got.size() < bytes.size() && (n = ::read(here.get(), piece, sizeof piece)) > 0)
    got.append(piece, static_cast<std::size_t>(n));
  CHECK(got == bytes);
  CHECK(::send(here.get(), "thanks", 6, 0) == 6);
  here.reset();
  CHECK(client.wait() == 0);
  CHECK(listener.wait() == 0);
  CHECK(listener.out() == "thanks");
}

TEST_CASE("other users may call where they are let in, but see no statistics") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can become another user");
    return;
  }
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  const auto complaint_of = [&](const std::vector<std::string>& arguments, int expected) {
    const descriptor err = writing(folder / "err");
    CHECK(run_as_nobody(arguments, err.get()) == expected);
    return contents_of(folder / "err");
  };
  {
    service open(folder / "s", {"--all-users"});
    CHECK(complaint_of({"call", folder / "s", "echo", "--data", "x"}, 0).empty());
    const std::string refused = complaint_of({"top", folder / "s", "--once"}, 4);
    CHECK_MESSAGE(refused.find("own user and root") != std::string::npos, refused);
    CHECK(count_of(refused, "\n") == 1);
  }
  service closed(folder / "c");
  CHECK(count_of(complaint_of({"call", folder / "c", "echo", "--data", "x"}, 4), "\n") == 1);
}

TEST_CASE(
    "top in a terminal shows the clients, follows keys and its size, and gives the terminal back") {
  const temporary_folder folder;
  service s(folder / "s");
  tool client({"call", folder / "s", "sleep", "--data", "1min"});
  REQUIRE(under_way(folder / "s", 1));
  tool_on_terminal top({"top", folder / "s", "--interval", "20ms"});
  CHECK(top.shows(other_screen));
  CHECK(top.shows("1 client  "));
  CHECK(top.shows("total"));
  top.type("f");
  CHECK(top.shows("\x1b[0;1mf:FLIGHT"));
  top.resize(20, 200);
  CHECK(top.shows("SPIN/s"));
  top.type("q");
  CHECK(top.shows(back_again));
  CHECK(top.wait() == 0);
  CHECK(top.has_settings_as_before());
}

TEST_CASE("top gives the terminal back when it is ended by a signal") {
  const temporary_folder folder;
  service s(folder / "s");
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGABRT}) {
    CAPTURE(signal);
    tool_on_terminal top({"top", folder / "s", "--interval", "20ms"});
    CHECK(top.shows(other_screen));
    CHECK(top.shows("total"));
    if (signal == SIGINT)
      top.type("\x03");
    else
      top.send(signal);
    CHECK(top.shows(back_again));
    CHECK(top.wait() == (signal == SIGINT                         ? 0
                         : signal == SIGSEGV || signal == SIGABRT ? 1000 + signal
                                                                  : 128 + signal));
    CHECK(top.has_settings_as_before());
  }
}

TEST_CASE("top gives the terminal back while it is stopped") {
  const temporary_folder folder;
  service s(folder / "s");
  tool_on_terminal top({"top", folder / "s", "--interval", "20ms"});
  CHECK(top.shows(other_screen));
  CHECK(top.shows("total"));
  top.type("\x1a");
  CHECK(top.shows(back_again));
  CHECK(eventually([&] { return top.has_settings_as_before(); }));
  // Until it has stopped, going on is nothing that it would notice.
  CHECK(eventually([&] {
    top.send(SIGCONT);
    return top.shows_now(other_screen);
  }));
  CHECK(top.shows("total"));
  top.type("q");
  CHECK(top.wait() == 0);
}

TEST_CASE("top whose service ends says so on the terminal that was there before") {
  const temporary_folder folder;
  for (const int signal : {SIGTERM, SIGKILL}) {
    CAPTURE(signal);
    service s(folder / "s");
    tool_on_terminal top({"top", folder / "s", "--interval", "20ms"});
    CHECK(top.shows(other_screen));
    CHECK(top.shows("total"));
    s.process().send(signal);
    CHECK(top.shows(back_again));
    CHECK(top.shows(signal == SIGTERM ? "has stopped" : "has gone"));
    CHECK(top.wait() == (signal == SIGTERM ? 3 : 5));
  }
}

}  // TEST_SUITE("cli_posix")
