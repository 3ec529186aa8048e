// SPDX-License-Identifier: BSL-1.0
// recv() and send() in a coroutine: they do not suspend when they need not, and leave the others
// their turn.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/applies.hpp"
#include "support/asio.hpp"
#include "support/asio_operations.hpp"
#include "support/pattern.hpp"

TEST_SUITE("asio awaitable") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

/// Runs a coroutine, to its end.
template <class F>
void run_coroutine(net::io_context& context, F body) {
  net::co_spawn(context, body, rethrow);
  run_out(context);
}

/// What a coroutine is left with: nothing, or the error that it threw.
template <class T>
net::awaitable<net_error_code> error_of(net::awaitable<T> coroutine) {
  try {
    co_await std::move(coroutine);
  } catch (const net_system_error& e) {
    co_return e.code();
  }
  co_return net_error_code();
}

constexpr auto hello = [] { return net::const_buffer("hello", 5); };

/// Posts itself over and over, until it is told to stop, and counts its turns.
class others_turns {
public:
  explicit others_turns(net::io_context& context) : context_(context) { post(); }
  int count = 0;
  bool stop = false;

private:
  void post() {
    net::post(context_, [this] {
      ++count;
      if (!stop) post();
    });
  }
  net::io_context& context_;
};

}  // namespace

// -- without suspending --

TEST_CASE("what the rings allow is done without returning to the executor") {
  bench b;
  bool done = false;
  run_coroutine(b.context, [&]() -> net::awaitable<void> {
    bool others_had_their_turn = false;
    net::post(b.context, [&] { others_had_their_turn = true; });
    for (int i = 0; i < 100; ++i) {
      co_await b.near->send(hello());
      const auto m = co_await b.far->recv();
      REQUIRE(m);
      CHECK(m->text() == "hello");
    }
    CHECK_FALSE(others_had_their_turn);
    b.near->close_send();
    CHECK_FALSE(co_await b.far->recv());
    CHECK_FALSE(others_had_their_turn);
    // The same as operations: each goes through the executor.
    co_await b.far->async_send(hello(), net::use_awaitable);
    CHECK(others_had_their_turn);
    done = true;
  });
  CHECK(done);
}

TEST_CASE("messages of every size go through send and recv") {
  bench b;
  const std::size_t limit = b.near->max_claim();
  const std::vector<std::size_t> sizes{0,     1,         95,   96,     1000,   limit - 1,
                                       limit, limit + 1, 4096, 20'000, 3 << 20};
  std::size_t received = 0;
  const auto send = [&]() -> net::awaitable<void> {
    for (const std::size_t size : sizes) {
      const auto bytes = patterned(size, size);
      co_await b.near->send(net::buffer(bytes));
    }
  };
  const auto receive = [&]() -> net::awaitable<void> {
    for (const std::size_t size : sizes) {
      CAPTURE(size);
      const auto m = co_await b.far->recv();
      REQUIRE(m);
      CHECK(m->size() == size);
      CHECK(matches(m->bytes(), size));
      ++received;
    }
  };
  net::co_spawn(b.context, send, rethrow);
  net::co_spawn(b.context, receive, rethrow);
  run_out(b.context);
  CHECK(received == sizes.size());
}

TEST_CASE("send takes a buffer sequence") {
  bench b;
  bool done = false;
  run_coroutine(b.context, [&]() -> net::awaitable<void> {
    for (const std::size_t count : {0U, 1U, 16U, 17U, 40U}) {
      const std::vector<net::const_buffer> pieces(count, net::const_buffer("ab", 2));
      co_await b.near->send(pieces);
      const auto m = co_await b.far->recv();
      REQUIRE(m);
      CHECK(m->size() == 2 * count);
      CHECK((m->empty() || m->text().substr(2 * count - 2) == "ab"));
    }
    done = true;
  });
  CHECK(done);
}

TEST_CASE("send waits while the ring is full, and recv while it is empty") {
  bench b;
  const std::size_t filled = bench::fill(*b.near, 500);
  bool sent = false;
  std::string heard;
  const auto send = [&]() -> net::awaitable<void> {
    co_await b.near->send(net::buffer(b.bytes));
    sent = true;
  };
  const auto receive = [&]() -> net::awaitable<void> {
    const auto m = co_await b.near->recv();
    if (m) heard = m->text();
  };
  net::co_spawn(b.context, send, rethrow);
  net::co_spawn(b.context, receive, rethrow);
  b.settle();
  CHECK_FALSE(sent);
  CHECK(b.near->statistics().parks >= 2);
  CHECK(bench::drain(*b.far) == filled);
  run_until(b.context, [&] { return sent; });
  CHECK(sent);
  CHECK(heard.empty());
  CHECK_FALSE(b.far->try_send(hello()));
  run_out(b.context);
  CHECK(heard == "hello");
}

TEST_CASE("a hot exchange between two threads" * needs_fast_round_trips) {
  const temporary_folder folder;
  net::io_context here, there;
  const int count = 20'000;
  int echoed = 0;
  asio_listener listener(here, folder / "listener");
  const auto serve = [&]() -> net::awaitable<void> {
    asio_channel ch = co_await listener.async_accept(net::use_awaitable);
    while (const auto m = co_await ch.recv()) co_await ch.send(net::buffer(m->data(), m->size()));
  };
  const auto ask = [&]() -> net::awaitable<void> {
    asio_channel ch = co_await async_connect(there, folder / "listener", net::use_awaitable);
    for (; echoed < count; ++echoed) {
      co_await ch.send(net::buffer(&echoed, sizeof echoed));
      const auto m = co_await ch.recv();
      if (!m || m->size() != sizeof echoed || std::memcmp(m->data(), &echoed, sizeof echoed) != 0)
        co_return;
    }
  };
  net::co_spawn(here, serve, rethrow);
  net::co_spawn(there, ask, rethrow);
  std::thread other([&] { there.run_for(patience); });
  here.run_for(patience);
  other.join();
  CHECK(echoed == count);
  CHECK(here.stopped());
}

// -- fairness --

TEST_CASE("others have their turn every some thousand messages") {
  bench b;
  others_turns others(b.context);
  const int count = 100'000;
  int longest = 0;
  run_coroutine(b.context, [&]() -> net::awaitable<void> {
    int since = 0;
    int turns = others.count;
    for (int i = 0; i < count; ++i) {
      co_await b.near->send(hello());
      const auto m = co_await b.far->recv();
      REQUIRE(m);
      longest = std::max(longest, ++since);
      if (std::exchange(turns, others.count) != others.count) since = 0;
    }
    others.stop = true;
  });
  CHECK(longest > 100);
  CHECK(longest < 1200);
}

TEST_CASE("others have their turn between large messages") {
  bench b;
  others_turns others(b.context);
  const auto bytes = patterned(1500, 1);
  int sent = 0;
  bool enough = false;
  net::steady_timer limit(b.context, patience);
  limit.async_wait([&](net_error_code) { enough = true; });
  run_coroutine(b.context, [&]() -> net::awaitable<void> {
    while (others.count < 20 && !enough && sent < 100'000) {
      co_await b.near->send(net::buffer(bytes));
      (void)co_await b.far->recv();
      ++sent;
    }
    others.stop = true;
    limit.cancel();
  });
  CHECK(others.count >= 20);
  CHECK(sent < 20 * 5000);
}

TEST_CASE("a timer fires while two coroutines keep each other busy" * needs_fast_round_trips) {
  bench b;
  bool fired = false;
  std::uint64_t round_trips = 0;
  const auto give_up = std::chrono::steady_clock::now() + patience;
  const auto ask = [&]() -> net::awaitable<void> {
    while (!fired && std::chrono::steady_clock::now() < give_up) {
      co_await b.near->send(hello());
      if (!co_await b.near->recv()) break;
      ++round_trips;
    }
    b.near->close();
  };
  const auto answer = [&]() -> net::awaitable<void> {
    while (const auto m = co_await b.far->recv())
      co_await b.far->send(net::buffer(m->data(), m->size()));
  };
  net::co_spawn(b.context, ask, rethrow);
  net::co_spawn(b.context, answer, rethrow);
  net::steady_timer timer(b.context);
  std::uint64_t round_trips_before = 0;
  // Again, until they have kept each other busy in between: this thread may have had no processor.
  std::function<void()> wait = [&] {
    round_trips_before = round_trips;
    timer.expires_after(20ms);
    timer.async_wait([&](net_error_code error) {
      if (error) return;
      fired = round_trips - round_trips_before > 100;
      if (!fired && std::chrono::steady_clock::now() < give_up) wait();
    });
  };
  wait();
  run_out(b.context);
  CHECK(fired);
}

TEST_CASE("a timer fires while a coroutine sends as fast as another one receives") {
  bench b;
  bool fired = false;
  std::uint64_t received = 0;
  const auto give_up = std::chrono::steady_clock::now() + patience;
  const auto send = [&]() -> net::awaitable<void> {
    while (!fired && std::chrono::steady_clock::now() < give_up) co_await b.near->send(hello());
    b.near->close_send();
  };
  const auto receive = [&]() -> net::awaitable<void> {
    while (co_await b.far->recv()) ++received;
  };
  net::co_spawn(b.context, receive, rethrow);
  net::co_spawn(b.context, send, rethrow);
  net::steady_timer timer(b.context, 20ms);
  timer.async_wait([&](net_error_code error) { fired = !error; });
  run_out(b.context);
  CHECK(fired);
  CHECK(received == b.near->statistics().messages_sent);
}

// -- ends --

TEST_CASE("recv gives an empty optional at the end, whether it has to wait for it or not") {
  for (const bool wait : {false, true}) {
    CAPTURE(wait);
    bench b;
    int ends = 0;
    const auto receive = [&]() -> net::awaitable<void> {
      const auto m = co_await b.near->recv();
      REQUIRE(m);
      CHECK(m->text() == "hello");
      for (int i = 0; i < 2; ++i) ends += !co_await b.near->recv();
    };
    CHECK_FALSE(b.far->try_send(hello()));
    if (!wait) b.far->close_send();
    net::co_spawn(b.context, receive, rethrow);
    if (wait) {
      b.settle();
      CHECK(ends == 0);
      b.far->close_send();
    }
    run_out(b.context);
    CHECK(ends == 2);
  }
}

TEST_CASE("other errors are thrown") {
  bench b;
  bool done = false;
  completion<recv_operation> received;
  const auto large = std::vector<std::byte>(connect_options().max_message + 1);
  run_coroutine(b.context, [&]() -> net::awaitable<void> {
    CHECK(co_await error_of(b.near->send(net::buffer(large))) == net::error::message_size);
    b.near->async_recv(received.handler());
    CHECK(co_await error_of(b.near->recv()) == errc::busy);
    b.near->cancel();
    net_error_code error;
    claim c = b.near->try_claim(1, error);
    CHECK(co_await error_of(b.near->send(hello())) == errc::busy);
    c.abandon();
    bench::fill(*b.near, 1);
    b.far->close();
    CHECK(co_await error_of(b.near->send(hello())) == net::error::connection_reset);
    b.near->close_send();
    CHECK(co_await error_of(b.near->send(hello())) == net::error::bad_descriptor);
    b.near->close();
    CHECK(co_await error_of(b.near->recv()) == net::error::bad_descriptor);
    CHECK(co_await error_of(b.near->send(hello())) == net::error::bad_descriptor);
    done = true;
  });
  CHECK(done);
  run_out(b.context);
  CHECK(received.ended_with(net::error::operation_aborted));
}

TEST_CASE(
    "recv and send that wait end with operation_aborted when the channel is closed, moved or cancelled") {
  for (const int how : {0, 1, 2}) {
    CAPTURE(how);
    bench b;
    bench::fill(*b.near, 500);
    net_error_code received, sent;
    const auto receive = [&]() -> net::awaitable<void> {
      received = co_await error_of(b.near->recv());
    };
    const auto send = [&]() -> net::awaitable<void> {
      sent = co_await error_of(b.near->send(net::buffer(b.bytes)));
    };
    net::co_spawn(b.context, receive, rethrow);
    net::co_spawn(b.context, send, rethrow);
    b.settle();
    if (how == 0) b.near->close();
    if (how == 1) b.near->cancel();
    if (how == 2) b.others.push_back(std::move(*b.near));
    run_out(b.context);
    CHECK(received == net::error::operation_aborted);
    CHECK(sent == net::error::operation_aborted);
  }
}

// -- alternatives --

TEST_CASE("no message is lost when recv is awaited beside a timer") {
  bench b;
  const int count = 3000;
  int next = 0;
  int timeouts = 0;
  bool in_order = true;
  const auto receive = [&]() -> net::awaitable<void> {
    net::steady_timer timer(b.context);
    while (next < count && in_order) {
      timer.expires_after(
          std::chrono::microseconds(pick(static_cast<std::uint64_t>(timeouts), 60)));
      auto first = co_await (b.near->recv() || timer.async_wait(net::use_awaitable));
      if (first.index() == 1) {
        ++timeouts;
        continue;
      }
      const std::optional<message>& m = std::get<0>(first);
      in_order = m && m->size() == sizeof next && std::memcmp(m->data(), &next, sizeof next) == 0;
      ++next;
    }
    b.near->close();
  };
  const auto send = [&]() -> net::awaitable<void> {
    net::steady_timer timer(b.context);
    for (int i = 0; i < count; ++i) {
      timer.expires_after(std::chrono::microseconds(pick(static_cast<std::uint64_t>(i), 60)));
      co_await timer.async_wait(net::use_awaitable);
      co_await b.far->send(net::buffer(&i, sizeof i));
    }
  };
  net::co_spawn(b.context, receive, rethrow);
  net::co_spawn(b.context, send, rethrow);
  run_out(b.context);
  CHECK(in_order);
  CHECK(next == count);
  CHECK(timeouts > 0);
}

TEST_CASE("a message that is there when recv loses to something else is there still") {
  bench b;
  bool done = false;
  run_coroutine(b.context, [&]() -> net::awaitable<void> {
    int lost = 0;
    for (int i = 0; i < 100; ++i) {
      CHECK_FALSE(b.far->try_send(hello()));
      net::steady_timer timer(b.context, 0s);
      const auto at_once = [&]() -> net::awaitable<void> {
        co_await timer.async_wait(net::use_awaitable);
      };
      auto first = co_await (at_once() || b.near->recv());
      net_error_code error;
      if (first.index() == 0)
        lost += b.near->try_recv(error).text() != "hello";
      else
        lost += std::get<1>(first)->text() != "hello";
    }
    CHECK(lost == 0);
    done = true;
  });
  CHECK(done);
}

}  // TEST_SUITE("asio awaitable")
