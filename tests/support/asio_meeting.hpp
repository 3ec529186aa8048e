// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/loop.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "support/asio.hpp"
#include "support/process.hpp"

/// Listeners and those who connect to them, on one context.
namespace ringbell::test {

/// A channel that an operation is to give: its handler, and what that was called with. Stays where
/// it is until then.
struct pending_channel {
  explicit pending_channel(net::io_context& context) : ch(context) {}
  pending_channel(const pending_channel&) = delete;
  pending_channel& operator=(const pending_channel&) = delete;
  auto handler() {
    return [this](net_error_code e, asio_channel given) {
      ++calls;
      error = e;
      ch = std::move(given);
    };
  }
  bool ended() const noexcept { return calls != 0; }
  bool succeeded() const noexcept { return calls == 1 && !error && ch.is_open(); }

  int calls = 0;
  net_error_code error;
  asio_channel ch;
};

/// Connects; the channel, or the error.
struct attempt : pending_channel {
  attempt(net::io_context& context, const std::string& path, const connect_options& options = {})
      : pending_channel(context) {
    async_connect(context, path, options, handler());
  }
};

/// Both ends of the next connection to `listener`.
inline asio_pair meet(net::io_context& context, asio_listener& listener,
                      const connect_options& options = {}) {
  pending_channel server(context);
  listener.async_accept(server.handler());
  attempt client(context, listener.path(), options);
  REQUIRE(run_until(context, [&] { return server.ended() && client.ended(); }));
  REQUIRE(server.succeeded());
  REQUIRE(client.succeeded());
  return asio_pair(std::move(server.ch), std::move(client.ch));
}

/// Whether one message passes that way.
inline bool passes(net::io_context& context, asio_channel& from, asio_channel& to,
                   std::string_view text) {
  bool sent = false, received = false, same = false;
  from.async_send(net::buffer(text), [&](net_error_code e) { sent = !e; });
  to.async_recv([&](net_error_code e, message m) {
    received = true;
    same = !e && m.text() == text;
  });
  return run_until(context, [&] { return sent && received; }) && same;
}
inline bool works(net::io_context& context, asio_pair& p) {
  return passes(context, p.client, p.server, "hello") &&
         passes(context, p.server, p.client, "welcome");
}

/// What a receive gives: a text, or an error.
struct received {
  bool ended = false;
  net_error_code error;
  std::string text;
};
inline received receive(net::io_context& context, asio_channel& from) {
  received r;
  from.async_recv([&](net_error_code e, message m) {
    r.ended = true;
    r.error = e;
    r.text = m.text();
  });
  run_until(context, [&] { return r.ended; });
  return r;
}

inline void let_go_on(net::io_context& context, std::chrono::milliseconds time) {
  context.restart();
  context.run_for(time);
  context.restart();
  context
      .poll();  // what is ready by now, though this process may have had no processor all the time
}

/// Runs a native coroutine `body(loop&)` on a loop and a thread of its own; ends with this object
/// at the latest.
class native_thread {
public:
  template <class F>
  explicit native_thread(F body)
      : thread_([this, body] {
          try {
            loop_.run(body(loop_));
          } catch (const std::exception& e) {
            failure_ = e.what();
          }
        }) {}
  native_thread(const native_thread&) = delete;
  native_thread& operator=(const native_thread&) = delete;
  ~native_thread() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }
  /// Waits for its end; what it threw.
  std::string join() {
    thread_.join();
    return failure_;
  }

private:
  loop loop_;
  std::string failure_;
  std::thread thread_;
};

}  // namespace ringbell::test
