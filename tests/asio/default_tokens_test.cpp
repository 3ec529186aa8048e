// SPDX-License-Identifier: BSL-1.0
// What follows from the executor that a channel or listener is made for: default tokens,
// conversions, strands, other contexts.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <future>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_scene.hpp"

TEST_SUITE("asio default_tokens") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

using concrete_channel = basic_asio_channel<net::io_context::executor_type>;
using strand_type = net::strand<net::io_context::executor_type>;
using awaiting_channel = net::use_awaitable_t<>::as_default_on_t<asio_channel>;
using awaiting_listener = net::use_awaitable_t<>::as_default_on_t<asio_listener>;
using awaiting_executor = awaiting_channel::executor_type;

/// Sends, receives, claims and waits, with no token anywhere. What comes back is `echo`'s.
template <class Channel>
net::awaitable<void> converse(Channel& ch, std::vector<std::string>& heard) {
  co_await ch.async_send(net::buffer("sent", 4));
  {
    const message m = co_await ch.async_recv();
    heard.emplace_back(m.text());
  }
  {
    claim c = co_await ch.async_claim(7);
    std::memcpy(c.bytes().data(), "claimed", 7);
    c.commit();
  }
  co_await ch.async_wait(asio_channel::wait_recv | asio_channel::wait_send);
  char buffer[10];
  const std::size_t size = co_await ch.async_recv_into(net::buffer(buffer));
  heard.emplace_back(buffer, size);
  ch.close_send();
}

const std::vector<std::string> all_heard{"sent", "claimed"};

net::awaitable<void> echo(asio_channel& ch) {
  while (const auto m = co_await ch.recv()) co_await ch.send(net::buffer(m->data(), m->size()));
}

/// Runs `coroutine` against an echoing peer.
void run_with_echo(net::io_context& context, asio_channel& peer, net::awaitable<void> coroutine) {
  net::co_spawn(context, echo(peer), rethrow);
  net::co_spawn(context, std::move(coroutine), rethrow);
  run_out(context);
}

}  // namespace

TEST_CASE("a channel with use_awaitable as its default is awaited without a token") {
  net::io_context context;
  asio_pair pair = connected(context);
  awaiting_channel ch(std::move(pair.client));
  CHECK_FALSE(pair.client.is_open());
  std::vector<std::string> heard;
  run_with_echo(context, pair.server, converse(ch, heard));
  CHECK(heard == all_heard);
}

TEST_CASE("as_default_on makes such a channel of a plain one") {
  net::io_context context;
  asio_pair pair = connected(context);
  auto ch = net::use_awaitable.as_default_on(std::move(pair.client));
  CHECK(std::is_same_v<decltype(ch), awaiting_channel>);
  std::vector<std::string> heard;
  run_with_echo(context, pair.server, converse(ch, heard));
  CHECK(heard == all_heard);
}

TEST_CASE("a listener with use_awaitable as its default gives channels with that default") {
  net::io_context context;
  const temporary_folder folder;
  awaiting_listener listener(context, folder / "listener");
  std::vector<std::string> heard;
  const auto serve = [&]() -> net::awaitable<void> {
    awaiting_channel ch = co_await listener.async_accept();
    co_await converse(ch, heard);
  };
  const auto visit = [&]() -> net::awaitable<void> {
    asio_channel ch = co_await async_connect(context, listener.path(), net::use_awaitable);
    co_await echo(ch);
  };
  net::co_spawn(context, visit, rethrow);
  net::co_spawn(context, serve, rethrow);
  run_out(context);
  CHECK(heard == all_heard);
}

TEST_CASE(
    "connecting with an executor that has a default token gives a channel with that default") {
  net::io_context context;
  const temporary_folder folder;
  asio_listener listener(context, folder / "listener");
  std::vector<std::string> heard;
  const auto serve = [&]() -> net::awaitable<void> {
    asio_channel ch = co_await listener.async_accept(net::use_awaitable);
    co_await echo(ch);
  };
  const auto visit = [&](const connect_options* options) -> net::awaitable<void> {
    const awaiting_executor executor(context.get_executor());
    if (options) {
      awaiting_channel ch = co_await async_connect(executor, listener.path(), *options);
      co_await converse(ch, heard);
    } else {
      awaiting_channel ch = co_await async_connect(executor, listener.path());
      co_await converse(ch, heard);
    }
  };
  const connect_options options;
  for (const connect_options* const with :
       {&options, static_cast<const connect_options*>(nullptr)}) {
    heard.clear();
    net::co_spawn(context, serve, rethrow);
    net::co_spawn(context, visit(with), rethrow);
    run_out(context);
    CHECK(heard == all_heard);
  }
}

TEST_CASE("deferred as the default of a channel") {
  using deferring_channel = std::decay_t<decltype(test::deferred)>::as_default_on_t<asio_channel>;
  net::io_context context;
  asio_pair pair = connected(context);
  deferring_channel ch(std::move(pair.client));
  auto sending = ch.async_send(net::buffer("later", 5));
  auto receiving = ch.async_recv();
  run_out(context);
  CHECK(ch.statistics().messages_sent == 0);
  std::string heard;
  std::move(receiving)([&](net_error_code error, const message& m) {
    heard = error ? error.message() : std::string(m.text());
  });
  std::move(sending)([](net_error_code error) { CHECK_FALSE(error); });
  net::co_spawn(context, echo(pair.server), rethrow);
  run_until(context, [&] { return !heard.empty(); });
  CHECK(heard == "later");
  ch.close();
  run_out(context);
}

#if RINGBELL_ASIO_VERSION >= 102400
TEST_CASE("a channel with deferred as its default is awaited without a token") {
  using deferring_channel = std::decay_t<decltype(test::deferred)>::as_default_on_t<asio_channel>;
  net::io_context context;
  asio_pair pair = connected(context);
  deferring_channel ch(std::move(pair.client));
  std::vector<std::string> heard;
  run_with_echo(context, pair.server, converse(ch, heard));
  CHECK(heard == all_heard);
}
#endif

#if RINGBELL_ASIO_VERSION >= 103100
TEST_CASE(
    "a plain channel is awaited without a token, deferred being the default of every executor") {
  net::io_context context;
  asio_pair pair = connected(context);
  std::vector<std::string> heard;
  run_with_echo(context, pair.server, converse(pair.client, heard));
  CHECK(heard == all_heard);
}

TEST_CASE("a plain listener and connect are awaited without a token") {
  net::io_context context;
  const temporary_folder folder;
  asio_listener listener(context, folder / "listener");
  std::vector<std::string> heard;
  const auto serve = [&]() -> net::awaitable<void> {
    asio_channel ch = co_await listener.async_accept();
    co_await echo(ch);
  };
  const auto visit = [&]() -> net::awaitable<void> {
    asio_channel ch = co_await async_connect(context, listener.path());
    co_await converse(ch, heard);
  };
  net::co_spawn(context, serve, rethrow);
  net::co_spawn(context, visit, rethrow);
  run_out(context);
  CHECK(heard == all_heard);
}
#endif

// -- executors --

TEST_CASE("rebind_executor names the same object on another executor") {
  CHECK(std::is_same_v<asio_channel::executor_type, net::any_io_executor>);
  CHECK(std::is_same_v<asio_channel::rebind_executor<strand_type>::other,
                       basic_asio_channel<strand_type>>);
  CHECK(
      std::is_same_v<concrete_channel::rebind_executor<net::any_io_executor>::other, asio_channel>);
  CHECK(std::is_same_v<asio_listener::rebind_executor<strand_type>::other,
                       basic_asio_listener<strand_type>>);
}

TEST_CASE("get_executor gives what the object was made for") {
  net::io_context context;
  const temporary_folder folder;
  CHECK(asio_channel(context).get_executor() == context.get_executor());
  CHECK(asio_channel(context.get_executor()).get_executor() == context.get_executor());
  CHECK(asio_listener(context, folder / "listener").get_executor() == context.get_executor());
  asio_pair pair = connected(context);
  CHECK(pair.client.get_executor() == context.get_executor());
  CHECK(pair.server.get_executor() == context.get_executor());
}

TEST_CASE("an executor converts with the channel where it converts by itself, and only there") {
  CHECK(std::is_convertible_v<concrete_channel&&, asio_channel>);
  CHECK(std::is_assignable_v<asio_channel&, concrete_channel&&>);
  CHECK_FALSE(std::is_constructible_v<concrete_channel, asio_channel&&>);
  CHECK_FALSE(std::is_assignable_v<concrete_channel&, asio_channel&&>);
  CHECK_FALSE(std::is_copy_constructible_v<asio_channel>);
  CHECK_FALSE(std::is_copy_assignable_v<asio_channel>);
  CHECK_FALSE(std::is_constructible_v<asio_channel, const concrete_channel&>);
  CHECK(std::is_convertible_v<basic_asio_listener<strand_type>&&, asio_listener>);
  CHECK_FALSE(std::is_constructible_v<basic_asio_listener<strand_type>, asio_listener&&>);
}

namespace {

/// A connection on one context, with a client's end for any executor.
template <class Executor>
struct pair_for {
  explicit pair_for(net::io_context& context, const Executor& executor)
      : server(context), client(executor) {
    const temporary_folder folder;
    asio_listener listener(context, folder / "pair");
    listener.async_accept([this](net_error_code error, asio_channel ch) {
      REQUIRE_FALSE(error);
      server = std::move(ch);
    });
    async_connect(executor, folder / "pair",
                  [this](net_error_code error, basic_asio_channel<Executor> ch) {
                    REQUIRE_FALSE(error);
                    client = std::move(ch);
                  });
    run_out(context);
  }
  asio_channel server;
  basic_asio_channel<Executor> client;
};

}  // namespace

TEST_CASE("a channel for a concrete executor moves into one for any executor, and goes on there") {
  for (const bool by_assignment : {false, true}) {
    CAPTURE(by_assignment);
    net::io_context context;
    pair_for<net::io_context::executor_type> pair(context, context.get_executor());
    std::optional<asio_channel> general;
    if (by_assignment) {
      general.emplace(context);
      *general = std::move(pair.client);
    } else {
      general.emplace(std::move(pair.client));
    }
    CHECK_FALSE(pair.client.is_open());
    REQUIRE(general->is_open());
    CHECK(general->get_executor() == context.get_executor());
    std::vector<std::string> heard;
    const auto talk = [&]() -> net::awaitable<void> {
      co_await general->send(net::buffer("hello", 5));
      const auto m = co_await general->recv();
      if (m) heard.emplace_back(m->text());
      general->close();
    };
    run_with_echo(context, pair.server, talk());
    CHECK(heard == std::vector<std::string>{"hello"});
  }
}

TEST_CASE(
    "what is pending when a channel moves into one for another executor is aborted, and can be started there at once") {
  net::io_context context;
  pair_for<net::io_context::executor_type> pair(context, context.get_executor());
  for (const bool asleep : {false, true}) {
    CAPTURE(asleep);
    int aborted = 0;
    const auto count = [&](net_error_code error, auto&&...) {
      aborted += error == net::error::operation_aborted;
    };
    concrete_channel from(std::move(pair.client));
    from.spin(spin_policy::none);
    from.async_recv(count);
    from.async_claim(10, [&](net_error_code error, claim c) {
      CHECK(static_cast<bool>(c) == !error);
      count(error);
    });
    if (asleep) context.poll();
    from.async_wait(asio_channel::wait_send, count);  // busy, unless the claim is there by now
    asio_channel to(std::move(from));
    std::string heard;
    to.async_recv([&](net_error_code error, const message& m) {
      heard = error ? error.message() : std::string(m.text());
    });
    to.async_send(net::buffer("ping", 4), [](net_error_code error) { CHECK_FALSE(error); });
    CHECK_FALSE(pair.server.try_send(net::buffer("pong", 4)));
    run_out(context);
    CHECK(aborted == 2);
    CHECK(heard == "pong");
    net_error_code error;
    CHECK(pair.server.try_recv(error).text() == "ping");
    pair = pair_for<net::io_context::executor_type>(context, context.get_executor());
  }
}

TEST_CASE("handlers of a channel on a strand run in the strand") {
  net::io_context context;
  const strand_type strand(context.get_executor());
  pair_for<strand_type> pair(context, strand);
  basic_asio_channel<strand_type>& ch = pair.client;
  CHECK(ch.get_executor() == strand);
  int in_strand = 0;
  const auto look = [&](net_error_code error, auto&&...) {
    CHECK_FALSE(error);
    in_strand += strand.running_in_this_thread();
  };
  char buffer[10];
  ch.async_recv(look);
  ch.async_send(net::buffer("hello", 5), look);
  context.restart();
  context.poll();  // the receive sleeps, or polls
  CHECK_FALSE(pair.server.try_send(net::buffer("one", 3)));
  run_out(context);
  CHECK(in_strand == 2);
  CHECK_FALSE(pair.server.try_send(net::buffer("two", 3)));
  ch.async_recv_into(net::buffer(buffer), look);
  ch.async_claim(10, look);
  run_out(context);
  ch.async_wait(asio_channel::wait_send, look);
  run_out(context);
  CHECK(in_strand == 5);
}

TEST_CASE("an accepted channel can be given a strand of its own") {
  net::io_context context;
  const temporary_folder folder;
  awaiting_listener listener(context, folder / "listener");
  const strand_type strand(context.get_executor());
  bool with_token = false;
  listener.async_accept(strand,
                        [&](net_error_code error, const basic_asio_channel<strand_type>& ch) {
                          with_token = !error && ch.get_executor() == strand;
                        });
  async_connect(context, listener.path(), net::detached);
  run_out(context);
  CHECK(with_token);

  bool by_default = false;
  const auto serve = [&]() -> net::awaitable<void> {
    strand_type mine = strand;  // not const: an executor all the same, not a token
    basic_asio_channel<strand_type> ch = co_await listener.async_accept(mine);
    by_default = ch.get_executor() == strand;
  };
  net::co_spawn(context, serve, rethrow);
  async_connect(context, listener.path(), net::detached);
  run_out(context);
  CHECK(by_default);
}

TEST_CASE("a listener for a strand moves into one for any executor") {
  net::io_context context;
  const temporary_folder folder;
  const strand_type strand(context.get_executor());
  basic_asio_listener<strand_type> specific(strand, folder / "listener");
  net_error_code first;
  specific.async_accept([&](net_error_code error, const basic_asio_channel<strand_type>& ch) {
    first = error;
    CHECK_FALSE(ch.is_open());
  });
  asio_listener general(std::move(specific));
  CHECK_FALSE(specific.is_open());
  bool accepted = false;
  general.async_accept(
      [&](net_error_code error, const asio_channel& ch) { accepted = !error && ch.is_open(); });
  async_connect(context, general.path(), net::detached);
  run_out(context);
  CHECK(first == net::error::operation_aborted);
  CHECK(accepted);
}

TEST_CASE("channels work on a thread_pool") {
  net::thread_pool pool(2);
  const temporary_folder folder;
  const net::strand<net::thread_pool::executor_type> here(pool.get_executor());
  const net::strand<net::thread_pool::executor_type> there(pool.get_executor());
  asio_listener listener(here, folder / "listener");
  std::vector<std::string> heard;
  const auto serve = [&]() -> net::awaitable<void> {
    asio_channel ch = co_await listener.async_accept(net::use_awaitable);
    co_await echo(ch);
  };
  const auto visit = [&]() -> net::awaitable<void> {
    awaiting_channel ch = co_await async_connect(awaiting_executor(there), folder / "listener");
    co_await converse(ch, heard);
    net_error_code end;
    co_await ch.async_recv(net::redirect_error(net::use_awaitable, end));
    heard.emplace_back(end == net::error::eof ? "end" : end.message());
  };
  net::co_spawn(here, serve, rethrow);
  auto done = net::co_spawn(there, visit, net::use_future);
  REQUIRE(done.wait_for(patience) == std::future_status::ready);
  done.get();
  pool.join();
  CHECK(heard == std::vector<std::string>{"sent", "claimed", "end"});
}

TEST_CASE("recv and send are awaited in a plain awaitable whatever the channel's executor" *
          doctest::should_fail()) {
  CHECK(std::is_same_v<decltype(std::declval<asio_channel&>().recv()),
                       net::awaitable<std::optional<message>>>);
  CHECK(std::is_same_v<decltype(std::declval<awaiting_channel&>().recv()),
                       net::awaitable<std::optional<message>>>);
  CHECK(std::is_same_v<decltype(std::declval<concrete_channel&>().recv()),
                       net::awaitable<std::optional<message>>>);
  CHECK(std::is_same_v<decltype(std::declval<basic_asio_channel<strand_type>&>().send(
                           net::const_buffer())),
                       net::awaitable<void>>);
}

}  // TEST_SUITE("asio default_tokens")
