// SPDX-License-Identifier: BSL-1.0
// `ringbell top`, as a shell and as a terminal see it.
#include "support/service_process.hpp"
#include "support/tool_on_terminal.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace ringbell::test;

namespace {

/// Runs the tool as another user, with its errors in a file that is there already; gives its exit status. A copy of it, since the other user may not reach
/// the original.
int run_as_nobody(std::vector<std::string> arguments, int err) {
  constexpr uid_t nobody = 65534;
  const temporary_folder folder;
  const std::string program = folder / "ringbell";
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  std::filesystem::copy_file(::getenv("RINGBELL_TOOL"), program);
  arguments.insert(arguments.begin(), "ringbell");
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  return run_in_child([&] {
    ::dup2(err, STDERR_FILENO);
    ::dup2(::open("/dev/null", O_RDWR), STDOUT_FILENO);
    if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) return 98;
    ::execv(program.c_str(), argv.data());
    return 99;
  });
}

constexpr const char* other_screen = "\x1b[?1049h";
constexpr const char* back_again = "\x1b[?25h\x1b[?1049l";

}  // namespace

TEST_CASE("top --once shows each client, and not itself") {
  const temporary_folder folder;
  service s(folder / "s", {"--threads", "2"});
  tool one({"call", folder / "s", "sleep", "--data", "1min"});
  tool two({"call", folder / "s", "sleep", "--data", "1min"});
  REQUIRE(under_way(folder / "s", 2));
  tool text({"top", folder / "s", "--once", "--interval", "20ms"});
  CHECK(text.wait() == 0);
  CHECK_MESSAGE(text.out().find("2 clients") != std::string::npos, text.out());
  CHECK(count_of(text.out(), "\n") == 5);
  const std::string all = statistics(folder / "s");
  CHECK(all.starts_with("{\"name\":\""));
  CHECK(all.ends_with("}\n"));
  CHECK(count_of(all, "{") == count_of(all, "}"));
  CHECK(count_of(all, "\"user\":" + std::to_string(::geteuid()) + ",\"command\":\"ringbell\"") == 2);
  for (const char* key : {"process",
                          "command",
                          "interval_ns",
                          "connected_ns",
                          "requests_per_second",
                          "errors_per_second",
                          "messages_in_per_second",
                          "bytes_in_per_second",
                          "messages_out_per_second",
                          "bytes_out_per_second",
                          "stalls_per_second",
                          "bells_per_second",
                          "bells_suppressed_per_second",
                          "parks_per_second",
                          "spins_paid_per_second",
                          "in_flight",
                          "bytes_in_flight",
                          "depth_to_server",
                          "depth_to_client",
                          "ring_to_server",
                          "ring_to_client",
                          "since_connected",
                          "requests",
                          "failed",
                          "refused",
                          "total",
                          "clients"})
    CHECK_MESSAGE(all.find('"' + std::string(key) + "\":") != std::string::npos, key);
}

TEST_CASE("top of what is no service, of nobody, and of a stopped one says so") {
  const temporary_folder folder;
  {
    echo_server echo(folder / "e");
    tool t({"top", folder / "e", "--once"});
    CHECK(t.wait() == 5);
    CHECK_MESSAGE(t.one_line(), t.err());
  }
  tool nobody({"top", folder / "s", "--once", "--timeout", "100ms"});
  CHECK(nobody.wait() == 3);
  CHECK_MESSAGE(nobody.one_line(), nobody.err());
  service s(folder / "s");
  tool silent({"top", folder / "s", "--once", "--timeout", "200ms", "--interval", "1s"});
  s.process().send(SIGSTOP);
  CHECK(silent.wait() == 6);
  CHECK_MESSAGE(silent.one_line(), silent.err());
}

TEST_CASE("top --once goes on when the service drops idle clients meanwhile") {
  const temporary_folder folder;
  service s(folder / "s", {"--idle-timeout", "20ms"});
  tool t({"top", folder / "s", "--once", "--interval", "300ms"});
  CHECK(t.wait() == 0);
  CHECK(t.err().empty());
}

TEST_CASE("top --once without a name lists the services of the user's folder that are alive") {
  const temporary_folder folder;
  ::setenv("XDG_RUNTIME_DIR", folder.path().c_str(), 1);
  {
    tool none({"top", "--once"});
    CHECK(none.wait() == 0);
    CHECK(none.out().starts_with("no service runs in " + folder.path()));
    service one("one"), two("two"), dead("dead");
    dead.process().send(SIGKILL);
    CHECK(dead.process().wait() == 1000 + SIGKILL);
    tool text({"top", "--once"});
    CHECK(text.wait() == 0);
    CHECK(text.out().starts_with("one "));
    CHECK(count_of(text.out(), "\n") == 2);
    CHECK(text.out().find("(ringbell)") != std::string::npos);
    tool as_json({"top", "--once", "--json"});
    CHECK(as_json.wait() == 0);
    CHECK(as_json.out().starts_with("{\"services\":[{\"name\":\"one\",\"path\":\""));
    CHECK(count_of(as_json.out(), "\"process\":") == 2);
  }
  ::unsetenv("XDG_RUNTIME_DIR");
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

TEST_CASE("top in a terminal shows the clients, follows keys and its size, and gives the terminal back") {
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
    CHECK(top.wait() == (signal == SIGINT ? 0 : signal == SIGSEGV || signal == SIGABRT ? 1000 + signal : 128 + signal));
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
