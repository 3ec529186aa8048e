// SPDX-License-Identifier: BSL-1.0
// Operations as parts of what Asio composes: groups, chains, channels, time limits, and classes
// with operations of their own.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "asio/inbox.hpp"
#include "support/asio.hpp"
#include "support/asio_scene.hpp"
#include "support/asio_streams.hpp"

#ifdef RINGBELL_BOOST_ASIO
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#if RINGBELL_ASIO_VERSION >= 102600
#include <boost/asio/experimental/co_composed.hpp>
#endif
#else
#include <asio/experimental/channel.hpp>
#include <asio/experimental/parallel_group.hpp>
#if RINGBELL_ASIO_VERSION >= 102600
#include <asio/experimental/co_composed.hpp>
#endif
#endif

namespace ringbell::test {

/// A token that begins nothing, and returns the executor of the initiation.
struct executor_of_initiation {};

}  // namespace ringbell::test

template <class R, class... Arguments>
class ringbell::net::async_result<ringbell::test::executor_of_initiation, R(Arguments...)> {
public:
  template <class Initiation, class... Rest>
  static auto initiate(Initiation&& initiation, ringbell::test::executor_of_initiation, Rest&&...) {
    static_assert(std::is_same_v<typename std::decay_t<Initiation>::executor_type,
                                 decltype(initiation.get_executor())>);
    return initiation.get_executor();
  }
};

TEST_SUITE("asio composed") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

// -- groups, channels, chains --

TEST_CASE("of a group of receives the first ends all, and the others have taken nothing") {
  net::io_context context;
  asio_pair a = connected(context);
  asio_pair b = connected(context);
  int calls = 0;
  net::experimental::make_parallel_group(a.client.async_recv(test::deferred),
                                         b.client.async_recv(test::deferred))
      .async_wait(net::experimental::wait_for_one(),
                  [&](std::array<std::size_t, 2> order, net_error_code first, const message&,
                      net_error_code second, const message& m) {
                    CHECK(order[0] == 1);
                    CHECK(first == net::error::operation_aborted);
                    CHECK_FALSE(second);
                    CHECK(m.text() == "b");
                    ++calls;
                  });
  context.poll();
  REQUIRE_FALSE(b.server.try_send(net::buffer("b", 1)));
  REQUIRE(run_until(context, [&] { return calls == 1; }));
  REQUIRE_FALSE(a.server.try_send(net::buffer("a", 1)));
  net_error_code error;
  CHECK(a.client.try_recv(error).text() == "a");
}

TEST_CASE("a group of connects and accepts ends when all of them have") {
  net::io_context context;
  const temporary_folder folder;
  asio_listener listener(context, folder / "messages");
  asio_stream_acceptor acceptor(context, folder / "bytes");
  asio_stream accepted(context);
  const auto executor = context.get_executor();
  int calls = 0;
  net::experimental::make_parallel_group(
      listener.async_accept(test::deferred),
      async_connect(executor, listener.path(), test::deferred),
      acceptor.async_accept(accepted, test::deferred),
      async_connect_stream(executor, acceptor.path(), test::deferred))
      .async_wait(
          net::experimental::wait_for_all(),
          [&](std::array<std::size_t, 4>, net_error_code e1, const asio_channel& server,
              net_error_code e2, const basic_asio_channel<net::io_context::executor_type>& client,
              net_error_code e3, net_error_code e4,
              const basic_asio_stream<net::io_context::executor_type>& connected) {
            CHECK_FALSE((e1 || e2 || e3 || e4));
            CHECK(server.is_open());
            CHECK(client.is_open());
            CHECK(accepted.is_open());
            CHECK(connected.is_open());
            ++calls;
          });
  REQUIRE(run_until(context, [&] { return calls == 1; }));
}

TEST_CASE("messages go on through a channel of Asio's, with their leases") {
  net::io_context context;
  asio_pair p = connected(context);
  net::experimental::channel<void(net_error_code, message)> queue(context, 2);
  std::vector<std::string> seen;
  const auto receive = [&]() -> net::awaitable<void> {
    for (int i = 0; i < 5; ++i) {
      message m = co_await p.client.async_recv(net::use_awaitable);
      co_await queue.async_send(net_error_code(), std::move(m), net::use_awaitable);
    }
    queue.close();
  };
  const auto use = [&]() -> net::awaitable<void> {
    for (int i = 0; i < 5; ++i) {
      const message m = co_await queue.async_receive(net::use_awaitable);
      seen.emplace_back(m.text());
    }
  };
  net::co_spawn(context, receive(), rethrow);
  net::co_spawn(context, use(), rethrow);
  for (const std::string text : {"1", "2", "3", "4", "5"})
    REQUIRE_FALSE(p.server.try_send(net::buffer(text)));
  run_out(context);
  CHECK(seen == std::vector<std::string>{"1", "2", "3", "4", "5"});
}

TEST_CASE("a deferred chain sends a question and receives its answer") {
  net::io_context context;
  asio_pair p = connected(context);
  std::string answer;
  const auto ask =
      p.client.async_send(net::buffer("question", 8), test::deferred([&](net_error_code error) {
                            CHECK_FALSE(error);
                            return p.client.async_recv(test::deferred);
                          }));
  for (int round = 0; round < 3; ++round) {
    answer.clear();
    auto again = ask;
    std::move(again)([&](net_error_code error, const message& m) {
      CHECK_FALSE(error);
      answer = m.text();
    });
    p.server.async_recv([&](net_error_code error, const message& m) {
      CHECK_FALSE(error);
      CHECK(m.text() == "question");
      REQUIRE_FALSE(p.server.try_send(net::buffer("answer", 6)));
    });
    REQUIRE(run_until(context, [&] { return !answer.empty(); }));
    CHECK(answer == "answer");
  }
}

// -- operations that are coroutines --

namespace {

#if RINGBELL_ASIO_VERSION >= 102600
template <class Token>
auto async_ask(asio_channel& ch, std::string question, Token&& token) {
  return net::async_initiate<Token, void(net_error_code, std::string)>(
      net::experimental::co_composed<void(net_error_code, std::string)>(
          [](auto state, asio_channel* on, std::string text) -> void {
            state.reset_cancellation_state(net::enable_terminal_cancellation());
            const auto [sent] =
                co_await on->async_send(net::buffer(text), test::as_tuple(test::deferred));
            if (sent) co_return {sent, std::string()};
            auto [error, m] = co_await on->async_recv(test::as_tuple(test::deferred));
            co_return {error, std::string(m.text())};
          },
          ch),
      token, &ch, std::move(question));
}
#endif

}  // namespace

TEST_CASE("co_composed makes an operation of a send and a receive, which can be cancelled") {
#if RINGBELL_ASIO_VERSION >= 102600
  net::io_context context;
  asio_pair p = connected(context);
  std::string answer;
  async_ask(p.client, "question", [&](net_error_code error, const std::string& text) {
    CHECK_FALSE(error);
    answer = text;
  });
  p.server.async_recv([&](net_error_code error, const message& m) {
    CHECK_FALSE(error);
    CHECK(m.text() == "question");
    REQUIRE_FALSE(p.server.try_send(net::buffer("answer", 6)));
  });
  REQUIRE(run_until(context, [&] { return !answer.empty(); }));
  CHECK(answer == "answer");

  net::cancellation_signal stop;
  net_error_code ended;
  async_ask(p.client, "another",
            net::bind_cancellation_slot(
                stop.slot(), [&](net_error_code error, const std::string&) { ended = error; }));
  context.restart();
  context.poll();
  stop.emit(net::cancellation_type::terminal);
  REQUIRE(run_until(context, [&] { return static_cast<bool>(ended); }));
  CHECK(ended == net::error::operation_aborted);
#else
  MESSAGE("skipped: co_composed is in Asio 1.26 and newer, and this is ", RINGBELL_ASIO_VERSION);
#endif
}

// -- handlers that own what they allocate with --

namespace {

struct owned_memory {
  int blocks = 0;
};

/// Allocates with what a handler owns, as the allocator of an any_completion_handler does.
template <class T>
class owned_allocator {
public:
  using value_type = T;
  explicit owned_allocator(owned_memory& of) noexcept : of_(&of) {}
  template <class U>
  owned_allocator(const owned_allocator<U>& other) noexcept : of_(other.of_) {}
  T* allocate(std::size_t n) {
    T* const memory = std::allocator<T>().allocate(n);
    ++of_->blocks;
    return memory;
  }
  void deallocate(T* memory, std::size_t n) noexcept {
    --of_->blocks;
    std::allocator<T>().deallocate(memory, n);
  }
  template <class U>
  friend bool operator==(const owned_allocator& a, const owned_allocator<U>& b) noexcept {
    return a.of_ == b.of_;
  }

private:
  template <class U>
  friend class owned_allocator;
  owned_memory* of_;
};

/// A handler that owns nothing once it was moved from.
class owning_handler {
public:
  using allocator_type = owned_allocator<void>;
  explicit owning_handler(int& calls) : memory_(std::make_unique<owned_memory>()), calls_(&calls) {}
  owning_handler(owning_handler&&) noexcept = default;
  ~owning_handler() {
    if (memory_) CHECK(memory_->blocks == 0);
  }
  allocator_type get_allocator() const noexcept { return allocator_type(*memory_); }
  template <class... Values>
  void operator()(const net_error_code&, Values&&...) {
    CHECK(memory_->blocks == 0);
    ++*calls_;
  }

private:
  std::unique_ptr<owned_memory> memory_;
  int* calls_;
};

}  // namespace

TEST_CASE("a handler is not asked for its allocator once it was moved from") {
  int calls = 0;
  {
    net::io_context context;
    const temporary_folder folder;
    asio_listener listener(context, folder / "messages");
    asio_channel near(context);
    listener.async_accept([&](net_error_code, asio_channel ch) {
      near = std::move(ch);
      near.async_recv(owning_handler(calls));
      near.async_send(net::buffer("x", 1), owning_handler(calls));
      listener.async_accept(owning_handler(calls));
    });
    async_connect(context, listener.path(), owning_handler(calls));
    REQUIRE(run_until(context, [&] { return calls == 3; }));
    // This and the accept wait until the context ends.
    async_connect(context, folder / "nobody", owning_handler(calls));
    context.restart();
    context.poll();
  }
  CHECK(calls == 3);
}

// -- the executors of initiations --

TEST_CASE("every initiation has the executor of its object") {
  net::io_context context;
  const temporary_folder folder;
  const auto strand = net::make_strand(context);
  const net::any_io_executor expected = strand;
  constexpr executor_of_initiation token;
  std::array<char, 4> bytes{};

  asio_channel ch(strand);
  CHECK(ch.async_recv(token) == expected);
  CHECK(ch.async_recv(1s, token) == expected);
  CHECK(ch.async_recv_into(net::buffer(bytes), token) == expected);
  CHECK(ch.async_send(net::buffer(bytes), token) == expected);
  CHECK(ch.async_send(net::buffer(bytes), 1s, token) == expected);
  CHECK(ch.async_claim(1, token) == expected);
  CHECK(ch.async_wait(asio_channel::wait_recv, token) == expected);
  asio_listener listener(strand, folder / "messages");
  CHECK(listener.async_accept(token) == expected);
  CHECK(listener.async_accept(context.get_executor(), token) == expected);
  CHECK(async_connect(strand, "nobody", token) == strand);
  CHECK(async_connect(expected, "nobody", connect_options(), token) == expected);
  CHECK(async_connect(context, "nobody", token) == net::any_io_executor(context.get_executor()));

  asio_stream s(strand);
  CHECK(s.async_read_some(net::buffer(bytes), token) == expected);
  CHECK(s.async_write_some(net::buffer(bytes), token) == expected);
  CHECK(s.async_read_view(token) == expected);
  asio_stream_acceptor acceptor(strand, folder / "bytes");
  CHECK(acceptor.async_accept(token) == expected);
  CHECK(acceptor.async_accept(context.get_executor(), token) == expected);
  CHECK(acceptor.async_accept(s, token) == expected);
  CHECK(async_connect_stream(strand, "nobody", token) == strand);

  asio_client client{expected};
  CHECK(client.async_connect("nobody", token) == expected);
  CHECK(client.async_call(1, net::buffer(bytes), token) == expected);
  asio_call_stream call = client.open(1);
  CHECK(call.async_read(token) == expected);
  CHECK(call.async_write(net::buffer(bytes), token) == expected);
  CHECK(call.async_reply(token) == expected);
}

// -- time limits of Asio's --

TEST_CASE("cancel_after and cancel_at end whatever waits") {
#if RINGBELL_ASIO_VERSION >= 103100
  asio_streams s;
  const temporary_folder folder;
  asio_listener listener(s.context, folder / "messages");
  asio_stream_acceptor acceptor(s.context, folder / "bytes");
  asio_stream peer(s.context);
  std::array<char, 4> bytes{};
  int aborted = 0;
  const auto note = [&](const net_error_code& error, auto&&...) {
    CHECK(error == net::error::operation_aborted);
    ++aborted;
  };
  const auto soon = std::chrono::steady_clock::now() + 1ms;
  s.client.async_read_some(net::buffer(bytes), net::cancel_after(1ms, note));
  s.server.async_read_view(net::cancel_at(soon, note));
  listener.async_accept(net::cancel_at(soon, note));
  acceptor.async_accept(peer, net::cancel_after(1ms, note));
  async_connect(s.context, folder / "nobody", net::cancel_after(1ms, note));
  async_connect_stream(s.context.get_executor(), folder / "nobody", net::cancel_at(soon, note));
  net_error_code error;
  net::async_read(s.server, net::buffer(bytes), [&](net_error_code e, std::size_t) { error = e; });
  run_until(s.context, [&] { return aborted == 6 && error; });
  CHECK(aborted == 6);
  CHECK(std_error(error) == errc::busy);  // a view was waited for
  net::async_read(s.server, net::buffer(bytes), net::cancel_after(1ms, note));
  run_out(s.context);
  CHECK(aborted == 7);
#else
  MESSAGE("skipped: cancel_after is in Asio 1.31 and newer, and this is ", RINGBELL_ASIO_VERSION);
#endif
}

// -- a class of the user's --

TEST_CASE("a class that keeps any handler in an any_completion_handler") {
#if RINGBELL_ASIO_VERSION >= 102800
  net::io_context context;
  asio_pair p = connected(context);
  in_docs::inbox box(std::move(p.client));
  CHECK(box.async_next(executor_of_initiation()) == net::any_io_executor(context.get_executor()));

  std::vector<std::string> seen;
  const auto strand = net::make_strand(context);
  box.async_next(net::bind_executor(strand, [&](net_error_code error, const std::string& text) {
    CHECK_FALSE(error);
    CHECK(strand.running_in_this_thread());
    seen.push_back(text);
  }));
  REQUIRE_FALSE(p.server.try_send(net::buffer("a line", 6)));
  REQUIRE(run_until(context, [&] { return seen.size() == 1; }));
  net::co_spawn(
      context,
      [&]() -> net::awaitable<void> {
        seen.push_back(co_await box.async_next(net::use_awaitable));
      },
      rethrow);
  REQUIRE_FALSE(p.server.try_send(net::buffer("another", 7)));
  REQUIRE(run_until(context, [&] { return seen.size() == 2; }));
  CHECK(seen == std::vector<std::string>{"a line", "another"});

  net::cancellation_signal stop;
  net_error_code ended;
  box.async_next(net::bind_cancellation_slot(
      stop.slot(), [&](net_error_code error, const std::string&) { ended = error; }));
  context.restart();
  context.poll();
  stop.emit(net::cancellation_type::total);
  REQUIRE(run_until(context, [&] { return static_cast<bool>(ended); }));
  CHECK(ended == net::error::operation_aborted);
#if RINGBELL_ASIO_VERSION >= 103100
  ended = {};
  box.async_next(
      net::cancel_after(1ms, [&](net_error_code error, const std::string&) { ended = error; }));
  REQUIRE(run_until(context, [&] { return static_cast<bool>(ended); }));
  CHECK(ended == net::error::operation_aborted);
#endif
#else
  MESSAGE("skipped: any_completion_handler is in Asio 1.28 and newer, and this is ",
          RINGBELL_ASIO_VERSION);
#endif
}

}  // TEST_SUITE("asio composed")
