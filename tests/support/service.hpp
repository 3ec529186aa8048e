// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/detail/one_shot_event.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/when_all.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/server.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/channel_pair.hpp"
#include "support/process.hpp"

namespace ringbell::test {

inline constexpr std::uint32_t echo_method = method_id("echo");

/// A server under a name of its own, and clients of it, all on one loop.
class served {
public:
  served(loop& lp, server::handler_type handler, server_options options = {})
      : loop_(lp),
        server_(std::make_unique<ringbell::server>(lp, path(), std::move(handler),
                                                   std::move(options))) {}
  std::string path() const { return folder_ / "service"; }
  task<client> connected(client_options options = {}) {
    return client::connect(loop_, path(), options);
  }
  ringbell::server& server() { return *server_; }
  void destroy_server() { server_.reset(); }
  /// Another one under the same name; the first is destroyed before, or has stopped.
  void replace_server(server::handler_type handler, server_options options = {}) {
    server_ =
        std::make_unique<ringbell::server>(loop_, path(), std::move(handler), std::move(options));
  }

private:
  temporary_folder folder_;
  loop& loop_;
  std::unique_ptr<ringbell::server> server_;
};

/// The text of the `call_error` that a call ends with, with its code; empty if it ends otherwise.
template <class A>
task<std::pair<std::error_code, std::string>> error_of(A call) {
  try {
    (void)co_await std::move(call);
  } catch (const call_error& e) {
    co_return std::pair(e.code(), e.text());
  } catch (const std::system_error& e) {
    co_return std::pair(e.code(), std::string("(not from the service) ") + e.what());
  }
  co_return std::pair(std::error_code(), std::string("(no error)"));
}

/// Set once; whoever waits for it then goes on.
class event_flag {
public:
  void set() noexcept { event_.set(); }
  auto wait() noexcept { return event_.wait(); }

private:
  detail::one_shot_event event_;
};

/// Counts itself while it lives.
class counted {
public:
  explicit counted(int& number) noexcept : number_(number) { ++number_; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { --number_; }

private:
  int& number_;
};

/// Whether `condition` comes to hold, while the loop goes on.
template <class F>
task<bool> holds_soon(F condition) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) co_return false;
    co_await sleep_for(std::chrono::microseconds(50));
  }
  co_return true;
}

/// Its codec throws in either direction.
struct unspeakable {
  bool also_of_size = true;
};

}  // namespace ringbell::test

template <>
struct ringbell::codec<ringbell::test::unspeakable> {
  static std::size_t size(const ringbell::test::unspeakable& u) {
    if (u.also_of_size) throw std::runtime_error("unspeakable");
    return 10;
  }
  static void encode(const ringbell::test::unspeakable&, std::span<std::byte>) {
    throw std::runtime_error("unspeakable");
  }
  static ringbell::test::unspeakable decode(std::span<const std::byte>) {
    throw std::runtime_error("unspeakable");
  }
};
