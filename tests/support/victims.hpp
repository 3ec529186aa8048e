// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "support/child_process.hpp"
#include "support/os_usage.hpp"
#include "support/patient.hpp"

namespace ringbell::test {

/// How sessions have ended at the server's, and how its honest client fares.
struct outcomes {
  std::atomic<int> orderly{0};
  std::atomic<int> peer_closed{0};
  std::atomic<int> bad_peer{0};
  std::atomic<int> others{0};
  std::atomic<std::uint64_t> honest_round_trips{0};
  std::atomic<std::int64_t> longest_round_trip{0};  // ns
};

// Every other session copies what it receives before it looks at it.
inline task<void> echo(channel& ch, bool copying) {
  std::vector<std::byte> buffer(copying ? 1 << 20 : 0);
  for (;;) {
    if (copying) {
      const auto size = co_await ch.recv_into(buffer);
      if (!size) co_return;
      co_await ch.send(std::span<const std::byte>(buffer).first(*size));
    } else {
      const auto m = co_await ch.recv();
      if (!m) co_return;
      co_await ch.send(m->bytes());
    }
  }
}

inline task<void> session(channel ch, bool copying, outcomes& to) {
  const auto ended = co_await as_result(echo(ch, copying));
  if (ended)
    ++to.orderly;
  else if (ended.error() == errc::peer_closed)
    ++to.peer_closed;
  else if (ended.error() == errc::bad_peer)
    ++to.bad_peer;
  else
    ++to.others;
}

inline task<void> serve(loop& lp, std::string path, listener_options options, outcomes& to) {
  scope clients{lp};
  listener l = listener::bind(lp, path, std::move(options));
  for (bool copying = false;; copying = !copying)
    clients.spawn(session(co_await l.accept(), copying, to));
}

inline task<void> honest(loop& lp, std::string path, const milestone& connected, outcomes& to) {
  channel ch = co_await connect(lp, path, patient());
  connected.reach();
  for (std::uint64_t n = 0;; ++n) {
    const auto begin = std::chrono::steady_clock::now();
    co_await ch.send(std::as_bytes(std::span(&n, 1)));
    const auto m = co_await timeout(patience, ch.recv());
    expect(m && m->size() == sizeof n && std::memcmp(m->data(), &n, sizeof n) == 0, "an echo");
    to.longest_round_trip = std::max<std::int64_t>(
        to.longest_round_trip, (std::chrono::steady_clock::now() - begin).count());
    ++to.honest_round_trips;
    co_await sleep_for(std::chrono::milliseconds(1));
  }
}

inline listener_options for_tests() {
  listener_options options;
  options.max_message = 1 << 20;
  options.handshake_timeout = patience;
  options.default_ring_bytes = 4096;
  return options;
}

/// What servers that are forked from now on do first; they end when it is false. Where there is no
/// fork, nothing.
inline bool (*servers_prepare)() = nullptr;

inline int be_server(const std::string& path, const shared_object<outcomes>& to) {
  if (servers_prepare && !servers_prepare()) return 1;
  loop lp;
  lp.run(serve(lp, path, for_tests(), *to));
  return 0;
}

inline int be_honest_client(const std::string& path, const milestone& connected,
                            const shared_object<outcomes>& to) {
  loop lp;
  lp.run(honest(lp, path, connected, *to));
  return 0;
}

/// A server and an honest client of it, each in a process of its own. At the end both must still be
/// there, and at work.
class victims {
public:
  victims()
      : server_(&be_server, path(), outcomes_),
        client_(&be_honest_client, path(), connected_, outcomes_) {
    connected_.wait();
  }
  ~victims() {
    const std::uint64_t so_far = outcomes_->honest_round_trips;
    CHECK(eventually([&] { return outcomes_->honest_round_trips > so_far + 3; }));
    MESSAGE("meanwhile the honest client's longest round trip took "
            << outcomes_->longest_round_trip / 1000 << " us");
    CHECK_FALSE(poll_for(server_.pid_handle(), POLLIN, std::chrono::milliseconds(0)));
    CHECK_FALSE(poll_for(client_.pid_handle(), POLLIN, std::chrono::milliseconds(0)));
  }
  std::string path() const { return folder_ / "server"; }
  auto server() const { return server_.id(); }
  outcomes& counts() const { return *outcomes_; }
  int server_descriptors() const { return descriptors_of(server_.id()); }

private:
  temporary_folder folder_;
  shared_object<outcomes> outcomes_;
  milestone connected_;
  child_process server_;
  child_process client_;
};

}  // namespace ringbell::test
