// SPDX-License-Identifier: BSL-1.0
// `ringbell top`, as a shell sees it; on a terminal: cli_posix_test.cpp.
#include "support/service_names.hpp"
#include "support/service_process.hpp"

#include <ringbell/sys/user_id.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <string>

TEST_SUITE("cli_top") {

using namespace ringbell::test;
using ringbell::sys::current_user;
using ringbell::sys::number_of;

namespace {

/// What the tool is called in lists of processes.
const std::string command = std::filesystem::path(path_of_tool()).filename().string();

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
  CHECK(count_of(all, "\"user\":" + std::to_string(number_of(current_user())) + ",\"command\":\"" +
                          command + '"') == 2);
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
  s.process().stop();
  CHECK(silent.wait() == 6);
  CHECK_MESSAGE(silent.one_line(), silent.err());
}

TEST_CASE("top --once goes on when the service drops idle clients meanwhile") {
  const temporary_folder folder;
  // Not so short that a client is dropped before it has asked for anything, on a busy machine.
  service s(folder / "s", {"--idle-timeout", "600ms"});
  tool t({"top", folder / "s", "--once", "--interval", "1500ms"});
  CHECK(t.wait() == 0);
  CHECK(t.err().empty());
}

TEST_CASE("top --once without a name lists the services of the user's folder that are alive") {
  const own_service_names names;
  tool none({"top", "--once"});
  const int status = none.wait();
  if (!names.can_be_listed()) {
    CHECK(status == 1);
    CHECK_MESSAGE(none.one_line(), none.err());
    MESSAGE("skipped: this system does not list the names of services");
    return;
  }
  CHECK(status == 0);
  CHECK(none.out().starts_with("no service runs in " + names.place()));
  service one("one"), two("two"), dead("dead");
  dead.process().kill();
  CHECK(dead.process().wait() == killed);
  tool text({"top", "--once"});
  CHECK(text.wait() == 0);
  CHECK(text.out().starts_with("one "));
  CHECK(count_of(text.out(), "\n") == 2);
  CHECK(text.out().find('(' + command + ')') != std::string::npos);
  tool as_json({"top", "--once", "--json"});
  CHECK(as_json.wait() == 0);
  CHECK(as_json.out().starts_with("{\"services\":[{\"name\":\"one\",\"path\":\""));
  CHECK(count_of(as_json.out(), "\"process\":") == 2);
}

}  // TEST_SUITE("cli_top")
