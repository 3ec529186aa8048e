// SPDX-License-Identifier: BSL-1.0
// A name leads to a server of the own user or of root, and to nobody else: see
// tests/unit/channel/connect_names_test.cpp.
#include <ringbell/channel/connect.hpp>

#include <doctest/doctest.h>

#include <optional>

#include "support/asio_meeting.hpp"
#include "support/foreign_server.hpp"
#include "support/is_root.hpp"

TEST_SUITE("asio names") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

connect_options for_long() {
  connect_options options;
  options.timeout = patience;
  return options;
}

std::error_code channel_refused(const std::string& name) {
  net::io_context context;
  attempt one(context, name, for_long());
  REQUIRE(run_until(context, [&] { return one.ended(); }));
  return std_error(one.error);
}

std::error_code client_refused(const std::string& name) {
  net::io_context context;
  asio_client client(context);
  client_options options;
  options.connection = for_long();
  std::optional<net_error_code> error;
  client.async_connect(name, options, [&](net_error_code e) { error = e; });
  REQUIRE(run_until(context, [&] { return error.has_value(); }));
  return std_error(*error);
}

}  // namespace

TEST_CASE(
    "a server of another user behind a name is refused before it gets a byte, though its folder looks safe") {
  if (!is_root()) return;
  foreign_server server;
  CHECK(channel_refused("echo") == errc::unsafe_directory);
  CHECK(client_refused("echo") == errc::unsafe_directory);
  CHECK(server.bytes_received() == 0);
}

TEST_CASE("a folder that another user made first is refused at once") {
  if (!is_root()) return;
  const squatted_folder folder;
  CHECK(channel_refused("echo") == errc::unsafe_directory);
  CHECK(client_refused("echo") == errc::unsafe_directory);
  net::io_context context;
  CHECK_THROWS_WITH_AS(asio_listener(context, "echo"),
                       doctest::Contains("belongs to user 65533 and has mode 0777"),
                       std::system_error);
}

}  // TEST_SUITE("asio names")
