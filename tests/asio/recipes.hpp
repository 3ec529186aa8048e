// SPDX-License-Identifier: BSL-1.0
#pragma once

// The recipes of docs/asio.md, as they are printed there: recipes_in_docs compares them.

#include <ringbell/asio.hpp>

#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "support/asio.hpp"

namespace ringbell::test::recipes {

#ifdef RINGBELL_BOOST_ASIO
namespace asio {
using namespace boost::asio;
using boost::system::error_code;
using boost::system::system_error;
}  // namespace asio
#endif

inline std::chrono::milliseconds silence{50};

inline asio::awaitable<void> conversation(asio_channel& client, asio::steady_timer& deadline) {
  while (auto message = co_await client.recv()) {
    deadline.expires_after(silence);
    co_await client.send(buffer(*message));
  }
}

// clang-format off

asio::awaitable<void> session(ringbell::asio_channel client) {
  // throws timed_out, or connection_reset when the client has died; empty when it has closed
  while (auto message = co_await client.recv(silence))
    co_await client.async_send(buffer(*message), silence, asio::use_awaitable);
}

asio::awaitable<std::string> ask(ringbell::asio_client& service, std::string_view question) {
  // throws timed_out, connection_reset
  const ringbell::payload answer = co_await service.call(1, asio::buffer(question), silence);
  co_return std::string(answer.text());
}

asio::awaitable<void> watchdog(asio::steady_timer& deadline) {
  while (deadline.expiry() > std::chrono::steady_clock::now()) {
    asio::error_code moved;
    co_await deadline.async_wait(asio::redirect_error(asio::use_awaitable, moved));
  }
}

asio::awaitable<std::exception_ptr> end_of(asio::awaitable<void> work) {
  try {
    co_await std::move(work);
  } catch (...) {
    co_return std::current_exception();
  }
  co_return nullptr;
}

asio::awaitable<void> guarded(ringbell::asio_channel client) {
  asio::steady_timer deadline(co_await asio::this_coro::executor, silence);
  auto ended = co_await (end_of(conversation(client, deadline)) || watchdog(deadline));
  if (ended.index() == 1) throw asio::system_error(asio::error::timed_out);
  if (std::get<0>(ended)) std::rethrow_exception(std::get<0>(ended));
}

// clang-format on

}  // namespace ringbell::test::recipes
