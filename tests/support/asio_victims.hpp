// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/hostile_client.hpp"
#include "support/raw_peer.hpp"
#include "support/victims.hpp"

/// A server and an honest client on Asio, for those who mean harm.
namespace ringbell::test {

/// How a server's sessions receive: each in its turn.
enum class asio_way : unsigned { in_place, fast, copies, count };
inline constexpr unsigned asio_ways = static_cast<unsigned>(asio_way::count);

namespace asio_victims_detail {

inline void note_end(const net_error_code& error, outcomes& to) {
  if (error == net::error::eof)
    ++to.orderly;
  else if (error == net::error::connection_reset)
    ++to.peer_closed;
  else if (std_error(error) == errc::bad_peer)
    ++to.bad_peer;
  else
    ++to.others;
}

inline net::awaitable<void> echo_in_place(asio_channel& ch) {
  for (;;) {
    const message m = co_await ch.async_recv(net::use_awaitable);
    co_await ch.async_send(net::buffer(m.data(), m.size()), net::use_awaitable);
  }
}
inline net::awaitable<void> echo_fast(asio_channel& ch) {
  while (const auto m = co_await ch.recv()) co_await ch.send(net::buffer(m->data(), m->size()));
}
inline net::awaitable<void> echo_copies(asio_channel& ch) {
  std::vector<std::byte> buffer(1 << 20);
  for (;;) {
    const std::size_t size = co_await ch.async_recv_into(net::buffer(buffer), net::use_awaitable);
    co_await ch.async_send(net::buffer(buffer.data(), size), net::use_awaitable);
  }
}

inline net::awaitable<void> session(asio_channel ch, asio_way w, outcomes& to) {
  net_error_code error = net::error::eof;  // an echo that returns has come to the end
  try {
    switch (w) {
      case asio_way::in_place: co_await echo_in_place(ch); break;
      case asio_way::fast: co_await echo_fast(ch); break;
      default: co_await echo_copies(ch);
    }
  } catch (const net_system_error& e) {
    error = e.code();
  }
  note_end(error, to);
}

inline net::awaitable<void> serve(std::string path, outcomes& to) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  asio_listener l(executor, path, for_tests());
  for (unsigned n = 0;; ++n) {
    asio_channel ch = co_await l.async_accept(net::use_awaitable);
    net::co_spawn(executor, session(std::move(ch), static_cast<asio_way>(n % asio_ways), to),
                  rethrow);
  }
}

inline net::awaitable<void> honest(std::string path, const milestone& connected, outcomes& to) {
  using clock_type = std::chrono::steady_clock;
  const net::any_io_executor executor = co_await net::this_coro::executor;
  asio_channel ch = co_await async_connect(executor, path, patient(), net::use_awaitable);
  connected.reach();
  net::steady_timer timer(executor);
  for (std::uint64_t n = 0;; ++n) {
    const auto begin = clock_type::now();
    co_await ch.send(net::buffer(&n, sizeof n));
    {
      const auto m = co_await ch.recv();
      expect(m && m->size() == sizeof n && std::memcmp(m->data(), &n, sizeof n) == 0, "an echo");
    }
    to.longest_round_trip =
        std::max<std::int64_t>(to.longest_round_trip, (clock_type::now() - begin).count());
    ++to.honest_round_trips;
    timer.expires_after(std::chrono::milliseconds(1));
    co_await timer.async_wait(net::use_awaitable);
  }
}

inline int be_server(const std::string& path, const shared_object<outcomes>& to) {
  net::io_context context;
  net::co_spawn(context, serve(path, *to), rethrow);
  context.run();
  return 0;
}

inline int be_honest_client(const std::string& path, const milestone& connected,
                            const shared_object<outcomes>& to) {
  net::io_context context;
  net::co_spawn(context, honest(path, connected, *to), rethrow);
  context.run();
  return 0;
}

}  // namespace asio_victims_detail

/// A server on Asio in a process of its own.
class lone_server {
public:
  lone_server() : server_(&asio_victims_detail::be_server, path(), outcomes_) {}
  /// It must still be there.
  ~lone_server() {
    CHECK_FALSE(poll_for(server_.pid_handle(), POLLIN, std::chrono::milliseconds(0)));
  }
  lone_server(const lone_server&) = delete;
  lone_server& operator=(const lone_server&) = delete;

  std::string path() const { return folder_ / "server"; }
  auto id() const { return server_.id(); }
  outcomes& counts() const { return *outcomes_; }
  int descriptors() const { return descriptors_of(server_.id()); }

protected:
  const shared_object<outcomes>& shared_counts() const { return outcomes_; }

private:
  temporary_folder folder_;
  shared_object<outcomes> outcomes_;
  child_process server_;
};

/// ... with an honest client of it, on Asio as well. At the end both must still be there, and at
/// work.
class asio_victims : public lone_server {
public:
  asio_victims()
      : client_(&asio_victims_detail::be_honest_client, path(), connected_, shared_counts()) {
    connected_.wait();
    REQUIRE(eventually([this] {
      return counts().honest_round_trips > 0;
    }));  // from now on the server holds all that it will
  }
  ~asio_victims() {
    const std::uint64_t so_far = counts().honest_round_trips;
    CHECK(eventually([&] { return counts().honest_round_trips > so_far + 3; }));
    MESSAGE("meanwhile the honest client's longest round trip took "
            << counts().longest_round_trip / 1000 << " us");
    CHECK(counts().others == 0);
    CHECK_FALSE(poll_for(client_.pid_handle(), POLLIN, std::chrono::milliseconds(0)));
  }

private:
  milestone connected_;
  child_process client_;
};

/// Whether the session of an attacker that has sent nothing yet still answers: parked, it has to
/// hear the bell.
inline bool answers(raw_client& attacker) {
  publish(attacker, header(8, 0), 16);
  return eventually([&] { return attacker.peer_page().tx_tail.load() == 16; });
}

/// Until its session sleeps for data: from then on the attacker's bell is listened to.
inline bool is_parked(const raw_client& attacker) {
  return eventually([&] { return attacker.peer_page().data_wake_at.load() != ring::never; });
}

}  // namespace ringbell::test
