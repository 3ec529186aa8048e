// SPDX-License-Identifier: BSL-1.0
#pragma once

// The recipes of docs/asio.md: the build takes them from there.

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

#include "docs_time_limits.hpp"

}  // namespace ringbell::test::recipes
