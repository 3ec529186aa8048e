// SPDX-License-Identifier: BSL-1.0
// One program with two Asios: the standalone one here, and Boost's in a library that it uses
// (two_asios_boost.cpp).
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <string>

#include "support/process.hpp"

/// How many of a hundred calls were answered rightly, and messages echoed, by a server and a
/// listener on Boost's Asio below that folder.
int right_with_boost(const std::string& folder);

TEST_SUITE("asio two_asios") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

net::awaitable<reply> answer(asio_request r) { co_return reply(r.bytes()); }

net::awaitable<void> ask(net::io_context& context, std::string path, int& right) {
  asio_client c(context);
  co_await c.async_connect(path, net::use_awaitable);
  for (int i = 0; i < 100; ++i)
    right += (co_await c.call(1, net::buffer("hello", 5))).text() == "hello" ? 1 : 0;
}

int right_here(const std::string& folder) {
  net::io_context context;
  int right = 0;
  asio_server server(context, folder + "/standalone", answer);
  net::co_spawn(context, ask(context, folder + "/standalone", right), [&](std::exception_ptr e) {
    server.close();
    if (e) std::rethrow_exception(e);
  });
  context.run();
  return right;
}

}  // namespace

TEST_CASE("a program on the standalone Asio uses a library on Boost's, in either order") {
  const temporary_folder folder;
  CHECK(right_here(folder / "") == 100);
  CHECK(right_with_boost(folder / "") == 100);
  CHECK(right_here(folder / "") == 100);
}

}  // TEST_SUITE("asio two_asios")
