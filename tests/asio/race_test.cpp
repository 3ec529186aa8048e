// SPDX-License-Identifier: BSL-1.0
// Operations that race a timer, again and again: whoever loses has done nothing.
#include <ringbell/asio.hpp>
#include <ringbell/coro/sleep.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "support/asio.hpp"
#include "support/native_peer.hpp"
#include "support/pattern.hpp"
#include "support/turns.hpp"

TEST_SUITE("asio race") {

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

using namespace ringbell;
using namespace ringbell::test;

namespace {

using std::chrono::nanoseconds;

std::uint64_t races() { return turns(40'000); }

/// What the two threads tell each other beside the channel: how far the races are, so that the peer
/// keeps pace on any machine.
struct pace {
  std::atomic<std::uint64_t> races{0};
  std::atomic<bool> over{false};
  /// Waits for that race. False when there will be none.
  bool await(std::uint64_t race) const {
    while (races.load(std::memory_order_relaxed) < race) {
      if (over.load(std::memory_order_relaxed)) return false;
      std::this_thread::yield();
    }
    return true;
  }
};

/// However a test ends, its peer is not to wait for further races.
class over_at_end {
public:
  explicit over_at_end(pace& p) noexcept : pace_(p) {}
  over_at_end(const over_at_end&) = delete;
  over_at_end& operator=(const over_at_end&) = delete;
  ~over_at_end() { pace_.over.store(true, std::memory_order_relaxed); }

private:
  pace& pace_;
};

/// Passes some time, up to about half a microsecond.
void dawdle(std::uint64_t seed) {
  for (auto left = pick(seed, 300); left > 0; --left)
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

struct tally {
  std::uint64_t by_operation = 0;
  std::uint64_t by_timer = 0;
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();

  void add(std::size_t index) { ++(index == 0 ? by_operation : by_timer); }
  /// Checks that each side has won often enough for it to have been a race, and says how it went.
  /// How often is up to the system's scheduler, too.
  void report(const char* what, std::uint64_t enough) const {
    const std::uint64_t all = by_operation + by_timer;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    MESSAGE(std::string(what) << ": " << all << " races, "
                              << static_cast<std::uint64_t>(static_cast<double>(all) / took.count())
                              << " per second; won by " << by_operation << ", by the timer "
                              << by_timer);
    CHECK(by_operation >= enough);
    CHECK(by_timer >= enough);
  }
};

// Mostly those that poll, since a timer for which the thread has to sleep takes its time.
spin_policy policy_of(std::uint64_t race) {
  switch (race / 500 % 16) {
    case 0: return spin_policy::none;
    case 1: return spin_policy::adaptive;
    default: return spin_policy::always;
  }
}

/// Runs a coroutine, which must end in time.
template <class F>
void in_time(net::io_context& context, F body) {
  bool ended = false;
  net::co_spawn(context, std::move(body), [&](std::exception_ptr e) {
    rethrow(e);
    ended = true;
  });
  context.run_for(std::max(patience, std::chrono::seconds(turns(300))));
  REQUIRE(ended);
}

connect_options patient() {
  connect_options o;
  o.timeout = patience;
  return o;
}

// -- receiving --

std::uint64_t number_in(std::span<const std::byte> bytes) {
  std::uint64_t number = ~std::uint64_t{0};
  if (bytes.size() == sizeof number) std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

task<void> send_numbers(channel ch, const pace& at, std::uint64_t& sent) {
  // One message for two races, more or less, at any moment of a race.
  for (std::uint64_t n = 0; at.await(2 * n + pick(n, 5)); ++n) {
    dawdle(n);
    co_await ch.send(std::as_bytes(std::span(&n, 1)));
    sent = n + 1;
    if (n % 64 == 0) co_await sleep_for(nanoseconds(pick(n, 3000)));
  }
}

struct receiving {
  tally score;
  std::uint64_t next = 0;
  std::uint64_t wrong = 0;
  void got(std::uint64_t number) {
    if (number != next) ++wrong;
    next = number + 1;
  }
};

net::awaitable<void> race_receives(asio_channel& ch, pace& at, receiving& r) {
  net::steady_timer timer(co_await net::this_coro::executor);
  std::array<std::byte, 64> buffer;
  for (std::uint64_t race = 0, count = races(); race < count; ++race) {
    ch.spin(policy_of(race));
    timer.expires_after(nanoseconds(pick(race, 4000)));
    switch (race % 3) {
      case 0: {
        const auto first =
            co_await (ch.async_recv(net::use_awaitable) || timer.async_wait(net::use_awaitable));
        r.score.add(first.index());
        if (first.index() == 0) r.got(number_in(std::get<0>(first).bytes()));
        break;
      }
      case 1: {
        const auto first = co_await (ch.recv() || timer.async_wait(net::use_awaitable));
        r.score.add(first.index());
        if (first.index() == 0) r.got(number_in(std::get<0>(first).value().bytes()));
        break;
      }
      default: {
        const auto first = co_await (ch.async_recv_into(net::buffer(buffer), net::use_awaitable) ||
                                     timer.async_wait(net::use_awaitable));
        r.score.add(first.index());
        if (first.index() == 0) r.got(number_in(std::span(buffer).first(std::get<0>(first))));
        break;
      }
    }
    at.races.store(race + 1, std::memory_order_relaxed);
  }
  at.over.store(true, std::memory_order_relaxed);
  while (const std::optional<message> m = co_await ch.recv()) r.got(number_in(m->bytes()));
}

// -- sending --

/// Takes a message for two races, more or less, at any moment of a race.
task<void> take_numbers(channel ch, const pace& at, std::vector<std::uint64_t>& received) {
  for (std::uint64_t n = 0;; ++n) {
    at.await(2 * n + pick(n, 5));
    dawdle(n);
    const std::optional<message> m = co_await ch.recv();
    if (!m) co_return;
    const std::uint64_t number = number_in(m->bytes().first(std::min<std::size_t>(8, m->size())));
    received.push_back(number);
    if (!matches(m->bytes().subspan(8), number)) received.push_back(~number);
  }
}

/// The message with this number: mostly a short one, now and then one that is longer than the ring.
std::span<std::byte> message_of(std::uint64_t number, std::vector<std::byte>& memory) {
  const std::size_t size = number % 16 == 0 ? 4096 + pick(number, 4096) : pick(number, 1200);
  memory.resize(8 + size);
  std::memcpy(memory.data(), &number, 8);
  fill(std::span(memory).subspan(8), number);
  return memory;
}

net::awaitable<void> race_sends(asio_channel& ch, pace& at, tally& score,
                                std::vector<std::uint64_t>& sent) {
  net::steady_timer timer(co_await net::this_coro::executor);
  std::vector<std::byte> memory;
  for (std::uint64_t race = 0, count = races() / 10; race < count; ++race) {
    ch.spin(policy_of(race));
    const auto bytes = message_of(race, memory);
    timer.expires_after(nanoseconds(pick(race, race % 16 == 0 ? 50'000 : 4000)));
    std::size_t winner;
    if (race % 3 == 0 && bytes.size() <= ch.max_claim()) {
      auto first = co_await (ch.async_claim(bytes.size(), net::use_awaitable) ||
                             timer.async_wait(net::use_awaitable));
      winner = first.index();
      if (winner == 0) {
        std::ranges::copy(bytes, std::get<0>(first).bytes().begin());
        std::get<0>(first).commit();
      }
    } else {
      const auto first = co_await (ch.async_send(net::buffer(memory), net::use_awaitable) ||
                                   timer.async_wait(net::use_awaitable));
      winner = first.index();
    }
    score.add(winner);
    if (winner == 0) sent.push_back(race);
    at.races.store(race + 1, std::memory_order_relaxed);
  }
  at.over.store(true, std::memory_order_relaxed);
  ch.close();
}

// -- accepting --

/// Comes for two races, more or less, at any moment of a race.
task<void> come_again(loop& lp, channel first, const std::string& path, const pace& at,
                      std::uint64_t clients) {
  std::uint64_t number = 0;
  co_await first.send(std::as_bytes(std::span(&number, 1)));
  while (++number < clients && at.await(2 * number + pick(number, 5))) {
    if (number % 2 == 0) co_await sleep_for(nanoseconds(pick(number, 40'000)));
    channel ch = co_await connect(lp, path, patient());
    co_await ch.send(std::as_bytes(std::span(&number, 1)));
  }
}

net::awaitable<void> race_accepts(asio_listener& listener, pace& at, std::uint64_t clients,
                                  receiving& r) {
  net::steady_timer timer(co_await net::this_coro::executor);
  for (std::uint64_t race = 0; r.next < clients; ++race) {
    timer.expires_after(nanoseconds(race % 2 == 0 ? 0 : pick(race, 40'000)));
    auto first = co_await (listener.async_accept(net::use_awaitable) ||
                           timer.async_wait(net::use_awaitable));
    r.score.add(first.index());
    at.races.store(race + 1, std::memory_order_relaxed);
    if (first.index() != 0) continue;
    const message m = co_await std::get<0>(first).async_recv(net::use_awaitable);
    r.got(number_in(m.bytes()));
  }
}

}  // namespace

TEST_CASE("receives that race a timer lose, repeat and reorder no message") {
  const temporary_folder folder;
  pace at;
  std::uint64_t sent = 0;
  receiving r;
  native_peer sender(folder / "service", patient(),
                     [&](loop&, channel ch) { return send_numbers(std::move(ch), at, sent); });
  {
    const over_at_end guard(at);
    net::io_context context(1);
    asio_listener listener(context, folder / "service");
    in_time(context, [&]() -> net::awaitable<void> {
      asio_channel ch = co_await listener.async_accept(net::use_awaitable);
      co_await race_receives(ch, at, r);
    });
  }
  sender.join();
  CHECK(r.wrong == 0);
  CHECK(r.next == sent);
  r.score.report("receive or timer", std::min<std::uint64_t>(races() / 100, 10'000));
}

TEST_CASE("sends and claims that race a timer arrive exactly when they say so") {
  const temporary_folder folder;
  pace at;
  tally score;
  std::vector<std::uint64_t> sent, received;
  native_peer receiver(folder / "service", patient(), [&](loop&, channel ch) {
    return take_numbers(std::move(ch), at, received);
  });
  {
    const over_at_end guard(at);
    net::io_context context(1);
    listener_options small;
    small.default_ring_bytes = 4096;
    asio_listener listener(context, folder / "service", small);
    in_time(context, [&]() -> net::awaitable<void> {
      asio_channel ch = co_await listener.async_accept(net::use_awaitable);
      co_await race_sends(ch, at, score, sent);
    });
  }
  receiver.join();
  CHECK(sent == received);
  score.report("send or timer", std::min<std::uint64_t>(races() / 1000, 10'000));
}

TEST_CASE("accepts that race a timer lose no client") {
  const temporary_folder folder;
  const std::string path = folder / "service";
  const std::uint64_t clients = std::max<std::uint64_t>(races() / 500, 20);
  pace at;
  receiving r;
  native_peer comer(path, patient(), [&](loop& lp, channel ch) {
    return come_again(lp, std::move(ch), path, at, clients);
  });
  {
    const over_at_end guard(at);
    net::io_context context(1);
    asio_listener listener(context, path);
    in_time(context, [&] { return race_accepts(listener, at, clients, r); });
  }
  comer.join();
  CHECK(r.wrong == 0);
  CHECK(r.next == clients);
  r.score.report("accept or timer", clients / 20);
}

#endif

}  // TEST_SUITE("asio race")
