// SPDX-License-Identifier: BSL-1.0
// What old_and_new asks of a design that it measures.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace ringbell::bench {

/// Of the requests and the replies that are measured.
inline constexpr std::size_t payload_bytes = 64;

struct call_count {
  std::uint64_t answered = 0;
  std::uint64_t failed = 0;
};

/// The connections of one client process, each with one request at a time. Used by one thread;
/// inside it may have others.
class client_side {
public:
  using time_point = std::chrono::steady_clock::time_point;

  client_side() = default;
  client_side(const client_side&) = delete;
  client_side& operator=(const client_side&) = delete;
  virtual ~client_side() = default;

  /// Makes `n` connections, once; returns how many failed. Those are left out below.
  virtual std::size_t connect_all(std::size_t n) = 0;
  /// How many connections there are.
  virtual std::size_t connections() const = 0;
  /// A request of `payload_bytes` on connection `i`, and its reply; nothing else goes on meanwhile.
  /// False when it failed.
  virtual bool one_call(std::size_t i) = 0;
  /// Every connection calls, and again once it has its reply, until that time: once at least.
  virtual call_count everybody_calls(time_point until) = 0;
};

/// A design that is measured. A server and its clients are processes of their own, forked by one
/// that has a single thread.
struct design {
  std::string name;
  /// Answers each request with itself, for ever; calls `ready` once clients can connect.
  std::function<void(const std::string& path, const std::function<void()>& ready)> serve;
  std::function<std::unique_ptr<client_side>(const std::string& path)> make_clients;
};

/// A blocked thread for each connection (old_design.hpp).
design thread_per_connection();
/// A `ringbell::server` on one loop, and a `ringbell::client` for each connection.
design service_design();

}  // namespace ringbell::bench
