// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/when_all.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "support/asio.hpp"
#include "support/child_process.hpp"
#include "support/patient.hpp"
#include "support/pattern.hpp"

/// What both sides do when one of them is killed, and the one that is killed.
namespace ringbell::test::asio_kill {

/// What the two are doing when it happens.
enum class state : unsigned {
  asleep,
  polling,
  full,
  fragments,
  ping_pong,
  streaming,
  handshake,
  count
};
inline const std::string state_names[] = {
    "asleep",    "polling",   "waiting for space", "within long messages",
    "ping-pong", "streaming", "handshake"};

/// How far a side has come. The victim's is shared with those who outlive it.
struct progress {
  std::atomic<std::uint64_t> sent{0};  // messages whose send has ended
  std::atomic<std::uint64_t> received{0};
};

inline std::size_t size_in(state s, std::uint64_t n) {
  switch (s) {
    case state::fragments: return (std::size_t{1} << 20) + pick(n, 1000);
    case state::ping_pong: return 8 + pick(n, 90);
    default: return pick(n, 8000);
  }
}

// -- one way to write all the sides --

/// An Asio channel by its operations, in place of its awaitables.
struct by_operations {
  asio_channel& ch;
};
/// ... by those that work in place, and copy.
struct in_place {
  explicit in_place(asio_channel& c) : ch(c) {}
  asio_channel& ch;
  std::vector<std::byte> buffer = std::vector<std::byte>(2 << 20);
};

inline auto sending(channel& ch, std::span<const std::byte> bytes) { return ch.send(bytes); }
inline net::awaitable<void> sending(asio_channel& ch, std::span<const std::byte> bytes) {
  return ch.send(net::buffer(bytes.data(), bytes.size()));
}
inline net::awaitable<void> sending(by_operations& by, std::span<const std::byte> bytes) {
  return by.ch.async_send(net::buffer(bytes.data(), bytes.size()), net::use_awaitable);
}
inline net::awaitable<void> sending(in_place& by, std::span<const std::byte> bytes) {
  if (bytes.size() > by.ch.max_claim()) {
    co_await by.ch.async_send(net::buffer(bytes.data(), bytes.size()), net::use_awaitable);
    co_return;
  }
  claim c = co_await by.ch.async_claim(bytes.size(), net::use_awaitable);
  std::ranges::copy(bytes, c.bytes().begin());
  c.commit();
}

// Takes the next message, which must be `n` of its kind.
inline task<void> receiving(channel& ch, state s, std::uint64_t n) {
  const auto m = co_await ch.recv();
  expect(m && m->size() == size_in(s, n) && matches(m->bytes(), n),
         "the next message, without a gap");
}
inline net::awaitable<void> receiving(asio_channel& ch, state s, std::uint64_t n) {
  const auto m = co_await ch.recv();
  expect(m && m->size() == size_in(s, n) && matches(m->bytes(), n),
         "the next message, without a gap");
}
inline net::awaitable<void> receiving(by_operations& by, state s, std::uint64_t n) {
  const message m = co_await by.ch.async_recv(net::use_awaitable);
  expect(m.size() == size_in(s, n) && matches(m.bytes(), n), "the next message, without a gap");
}
inline net::awaitable<void> receiving(in_place& by, state s, std::uint64_t n) {
  co_await by.ch.async_wait(asio_channel::wait_recv, net::use_awaitable);
  const std::size_t size =
      co_await by.ch.async_recv_into(net::buffer(by.buffer), net::use_awaitable);
  expect(size == size_in(s, n) && matches(std::span(by.buffer).first(size), n),
         "the next message, without a gap");
}

template <class Result, class Channel>
Result send_next(Channel& ch, state s, progress& own) {
  const std::uint64_t n = own.sent;
  const auto bytes = patterned(size_in(s, n), n);
  co_await sending(ch, bytes);
  own.sent.store(n + 1, std::memory_order_release);
}
template <class Result, class Channel>
Result receive_next(Channel& ch, state s, progress& own) {
  co_await receiving(ch, s, own.received);
  own.received.fetch_add(1, std::memory_order_release);
}
template <class Result, class Channel>
Result send_for_ever(Channel& ch, state s, progress& own) {
  for (;;) co_await send_next<Result>(ch, s, own);
}
template <class Result, class Channel>
Result receive_for_ever(Channel& ch, state s, progress& own) {
  for (;;) co_await receive_next<Result>(ch, s, own);
}
template <class Result, class Channel>
Result ping_pong(Channel& ch, bool first, progress& own) {
  if (first) co_await send_next<Result>(ch, state::ping_pong, own);
  for (;;) {
    co_await receive_next<Result>(ch, state::ping_pong, own);
    co_await send_next<Result>(ch, state::ping_pong, own);
  }
}

// -- the victim --

/// What happens to a victim.
struct fate {
  state doing = state::asleep;
  bool server = false;
  bool native = false;
  std::chrono::nanoseconds left{0};
};

inline task<void> be_busy(channel& ch, const fate& f, progress& own) {
  switch (f.doing) {
    case state::full: return send_for_ever<task<void>>(ch, f.doing, own);
    case state::ping_pong: return ping_pong<task<void>>(ch, !f.server, own);
    default: return receive_for_ever<task<void>>(ch, f.doing, own);
  }
}
inline task<void> be_native(loop& lp, std::string path, const fate& f, progress& own) {
  std::optional<listener> l;
  channel ch;
  if (f.server) {
    l = listener::bind(lp, path);
    ch = co_await l->accept();
  } else {
    ch = co_await connect(lp, path, patient());
  }
  if (f.doing != state::handshake) be_killed_after(f.left);
  if (f.doing == state::streaming || f.doing == state::fragments)
    co_await when_all(send_for_ever<task<void>>(ch, f.doing, own),
                      receive_for_ever<task<void>>(ch, f.doing, own));
  else
    co_await be_busy(ch, f, own);
}

inline net::awaitable<void> be_busy(asio_channel& ch, const fate& f, progress& own) {
  using result = net::awaitable<void>;
  switch (f.doing) {
    case state::full: return send_for_ever<result>(ch, f.doing, own);
    case state::ping_pong: return ping_pong<result>(ch, !f.server, own);
    default: return receive_for_ever<result>(ch, f.doing, own);
  }
}
inline net::awaitable<void> be_on_asio(std::string path, const fate& f, progress& own) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  std::optional<asio_listener> l;
  asio_channel ch(executor);
  if (f.server) {
    l.emplace(executor, path);
    ch = co_await l->async_accept(net::use_awaitable);
  } else {
    ch = co_await async_connect(executor, path, patient(), net::use_awaitable);
  }
  if (f.doing != state::handshake) be_killed_after(f.left);
  if (f.doing == state::streaming || f.doing == state::fragments)
    net::co_spawn(executor, send_for_ever<net::awaitable<void>>(ch, f.doing, own), rethrow);
  co_await be_busy(ch, f, own);
}

inline int be_victim(const std::string& path, const fate& f, const shared_object<progress>& own) {
  if (f.doing == state::handshake) be_killed_after(f.left);
  if (f.native) {
    loop lp;
    lp.run(be_native(lp, path, f, *own));
  } else {
    net::io_context context;
    net::co_spawn(context, be_on_asio(path, f, *own), rethrow);
    context.run();
  }
  return 0;
}

}  // namespace ringbell::test::asio_kill
