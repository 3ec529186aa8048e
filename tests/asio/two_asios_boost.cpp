// SPDX-License-Identifier: BSL-1.0
// A library on Boost's Asio, in a program on the standalone one.
#define RINGBELL_BOOST_ASIO
#include <ringbell/asio.hpp>

#include <string>

using namespace ringbell;

int right_with_boost(const std::string& folder);

static net::awaitable<reply> answer(asio_request r) { co_return reply(r.bytes()); }

static net::awaitable<void> ask(net::io_context& context, std::string path, int& right) {
  asio_client c(context);
  co_await c.async_connect(path, net::use_awaitable);
  for (int i = 0; i < 100; ++i)
    right += (co_await c.call(1, net::buffer("hello", 5))).text() == "hello" ? 1 : 0;
}

int right_with_boost(const std::string& folder) {
  net::io_context context;
  int right = 0;
  asio_server server(context, folder + "/boost", answer);
  net::co_spawn(context, ask(context, folder + "/boost", right), [&](std::exception_ptr e) {
    server.close();
    if (e) std::rethrow_exception(e);
  });
  context.run();
  return right;
}
