// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/when_all.hpp>
#include <ringbell/loop/loop.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "support/process.hpp"

namespace ringbell::test {

/// Both ends of a connection.
struct channel_pair {
  channel_pair(channel s, channel c) noexcept : server(std::move(s)), client(std::move(c)) {}
  channel server;
  channel client;
};

/// Connects two ends on one loop, through a listener on a path of its own.
inline task<channel_pair> connected(loop& lp, listener_options of_server = {},
                                    connect_options of_client = {}) {
  const temporary_folder folder;
  const std::string path = folder / "pair";
  listener l = listener::bind(lp, path, std::move(of_server));
  auto ends = co_await when_all(l.accept(), connect(lp, path, of_client));
  co_return channel_pair(std::move(std::get<0>(ends)), std::move(std::get<1>(ends)));
}

/// The same with two rings of `ring_bytes` each.
inline task<channel_pair> connected_by_rings_of(loop& lp, std::uint64_t ring_bytes) {
  listener_options of_server;
  of_server.default_ring_bytes = ring_bytes;
  connect_options of_client;
  of_client.ring_bytes = ring_bytes;
  return connected(lp, of_server, of_client);
}

/// Runs a coroutine `body(loop&)` on a loop of its own, to its end.
template <class F>
void on_a_loop(F body, loop_options options = {}) {
  loop lp(options);
  lp.run(body(lp));
}

/// Something that is awaited beside the test: starts with the loop's next turn; destroyed, with its
/// frame, when this is.
template <class A>
class beside {
public:
  using value_type = result<detail::await_result_t<A>>;
  beside(loop& lp, A awaitable) : scope_(lp) { scope_.spawn(await(std::move(awaitable), ended_)); }
  bool ended() const noexcept { return ended_.has_value(); }
  void request_stop() noexcept { scope_.request_stop(); }
  task<value_type> get() {
    co_await scope_.join();
    co_return std::move(*ended_);
  }

private:
  static task<void> await(A awaitable, std::optional<value_type>& into) {
    into.emplace(co_await as_result(std::move(awaitable)));
  }
  std::optional<value_type> ended_;
  scope scope_;
};

/// Lets everything that is ready go as far as it can without anything new.
inline task<void> settle() {
  for (int turns = 0; turns < 4; ++turns) co_await yield();
}

/// Lets the loop go to sleep, so that whoever waits is parked.
inline task<void> let_park(loop& lp) {
  const auto sleeps = lp.statistics().sleeps;
  // Longer and longer, until it is beyond what the loop spins through.
  for (auto pause = std::chrono::microseconds(200); lp.statistics().sleeps == sleeps; pause *= 2)
    co_await sleep_for(pause);
}

namespace channel_pair_detail {

template <class F>
task<void> serve(loop& lp, std::string path, listener_options options, F& body) {
  listener l = listener::bind(lp, path, std::move(options));
  channel ch = co_await l.accept();
  co_await body(lp, std::move(ch));
}

template <class F>
task<void> be_client(loop& lp, std::string path, connect_options options, F& body) {
  channel ch = co_await connect(lp, path, options);
  co_await body(lp, std::move(ch));
}

}  // namespace channel_pair_detail

/// Runs `server(loop&, channel)` and `client(loop&, channel)` on loops of their own, in two
/// threads. Throws what either threw.
template <class S, class C>
void on_two_loops(S server, C client, loop_options options = {}, listener_options of_server = {},
                  connect_options of_client = {}) {
  const temporary_folder folder;
  const std::string path = folder / "pair";
  std::exception_ptr failed;
  // Both made by this thread: liburing unmaps the memory of its trial ring unseen by
  // ThreadSanitizer, which would take another thread's ring at the same address for the same
  // memory.
  loop here(options);
  loop there(options);
  std::thread other([&] {
    try {
      there.run(channel_pair_detail::be_client(there, path, of_client, client));
    } catch (...) {
      failed = std::current_exception();
    }
  });
  std::exception_ptr failed_here;
  try {
    here.run(channel_pair_detail::serve(here, path, std::move(of_server), server));
  } catch (...) {
    failed_here = std::current_exception();
  }
  other.join();
  if (failed_here) std::rethrow_exception(failed_here);
  if (failed) std::rethrow_exception(failed);
}

}  // namespace ringbell::test
