// SPDX-License-Identifier: BSL-1.0
#include "design.hpp"
#include "old_design.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ringbell::bench {

namespace {

/// So many threads share the connections when all are busy: each rings all of its own, then
/// collects the replies, so that the server has as much to do at once as there are clients.
constexpr std::size_t most_threads = 32;

class blocking_clients final : public client_side {
public:
  explicit blocking_clients(std::string path) : path_(std::move(path)) {}

  std::size_t connect_all(std::size_t n) override {
    connections_.resize(n);
    in_threads([this](connection& c) {
      try {
        c.client = std::make_unique<old_design::client>(path_);
      } catch (const std::exception&) {}
    });
    std::erase_if(connections_, [](const connection& c) { return !c.client; });
    return n - connections_.size();
  }

  std::size_t connections() const override { return connections_.size(); }

  bool one_call(std::size_t i) override {
    connection& c = connections_[i];
    return send(c) && receive(c);
  }

  call_count everybody_calls(time_point until) override {
    std::atomic<std::uint64_t> answered = 0;
    std::atomic<std::uint64_t> failed = 0;
    in_slices([&](std::span<connection> own) {
      call_count here;
      do {
        for (connection& c : own) c.waits = send(c);
        for (connection& c : own) ++(c.waits && receive(c) ? here.answered : here.failed);
      } while (std::chrono::steady_clock::now() < until);
      // Relaxed: joining the threads orders them.
      answered.fetch_add(here.answered, std::memory_order_relaxed);
      failed.fetch_add(here.failed, std::memory_order_relaxed);
    });
    return {answered, failed};
  }

private:
  struct connection {
    std::unique_ptr<old_design::client> client;
    std::uint64_t number = 0;
    bool waits = false;
  };

  static bool send(connection& c) {
    std::array<std::byte, payload_bytes> request{};
    ++c.number;
    std::memcpy(request.data(), &c.number, sizeof c.number);
    try {
      c.client->send(request);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }
  static bool receive(connection& c) {
    try {
      const std::span<const std::byte> reply = c.client->receive();
      return reply.size() == payload_bytes &&
             std::memcmp(reply.data(), &c.number, sizeof c.number) == 0;
    } catch (const std::exception&) {
      return false;
    }
  }

  template <class F>
  void in_slices(F f) {
    const std::size_t count = connections_.size();
    const std::size_t threads = std::min(count, most_threads);
    std::vector<std::jthread> pool;
    for (std::size_t t = 0; t < threads; ++t) {
      const std::size_t begin = count * t / threads;
      const std::size_t end = count * (t + 1) / threads;
      pool.emplace_back(
          [&f, own = std::span(connections_).subspan(begin, end - begin)] { f(own); });
    }
  }
  template <class F>
  void in_threads(F f) {
    in_slices([&f](std::span<connection> own) { std::ranges::for_each(own, f); });
  }

  std::string path_;
  std::vector<connection> connections_;
};

void serve(const std::string& path, const std::function<void()>& ready) {
  old_design::server server(path, [](std::span<const std::byte> request) { return request; });
  ready();
  server.run();
}

}  // namespace

design thread_per_connection() {
  return {"thread per connection", serve,
          [](const std::string& path) { return std::make_unique<blocking_clients>(path); }};
}

}  // namespace ringbell::bench
