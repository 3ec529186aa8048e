// SPDX-License-Identifier: BSL-1.0
// What connections on Asio cost while nothing happens on them, or little; and that no thread is started for them.
#include <ringbell/sys/cpu.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/bells.hpp"
#include "support/child_process.hpp"
#include "support/os_usage.hpp"
#include "support/variable.hpp"

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

constexpr int warm_up = 2000;

void sleep_in_the_kernel(std::chrono::milliseconds time) {
  timespec left{time / 1s, (time % 1s) / 1ns};
  while (::nanosleep(&left, &left) != 0) {}
}

std::int64_t nanoseconds_now() { return clock_type::now().time_since_epoch().count(); }

usage cheaper(const usage& a, const usage& b) { return b.cpu < a.cpu ? b : a; }

/// What the test tells its children to do, one byte at a time.
struct command_pipe {
  command_pipe() {
    expect(pipe_closed_on_exec(ends) == 0, "a pipe");
    do_not_block(ends);
  }
  ~command_pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  command_pipe(const command_pipe&) = delete;
  command_pipe& operator=(const command_pipe&) = delete;
  void write(char c) { expect(::write(ends[1], &c, 1) == 1, "to write to a pipe"); }
  int ends[2];
};

net::awaitable<char> next_command(net::posix::stream_descriptor& commands) {
  char command = 0;
  co_await net::async_read(commands, net::buffer(&command, 1), net::use_awaitable);
  co_return command;
}

// -- idle --

/// When what happened, for the test to see.
struct report {
  std::atomic<std::int64_t> sent_at{0};
  std::atomic<std::int64_t> received_at{0};
  std::atomic<std::int64_t> answered_at{0};
};

// Receives all the time, and goes on listening.
net::awaitable<void> answer(std::string path, report& to) {
  asio_listener l(co_await net::this_coro::executor, path);
  asio_channel ch = co_await l.async_accept(net::use_awaitable);
  l.async_accept([](net_error_code, const asio_channel&) {});
  while (const auto m = co_await ch.recv()) {
    to.received_at = nanoseconds_now();
    co_await ch.send(net::buffer(m->data(), m->size()));
  }
}

net::awaitable<void> note_answers(asio_channel& ch, report& to) {
  while (const auto m = co_await ch.recv()) to.answered_at = nanoseconds_now();
}

// Receives all the time, and sends on command.
net::awaitable<void> send_on_command(std::string path, int pipe, const milestone& done, report& to) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  net::posix::stream_descriptor commands(executor, ::dup(pipe));
  asio_channel ch = co_await async_connect(executor, path, net::use_awaitable);
  for (int i = 0; i < warm_up; ++i) {
    co_await ch.send(net::buffer("warm-up", 7));
    expect((co_await ch.recv()).has_value(), "an echo");
  }
  net::co_spawn(executor, note_answers(ch, to), rethrow);
  while (co_await next_command(commands) != 'q') {
    to.answered_at = 0;
    to.sent_at = nanoseconds_now();
    co_await ch.send(net::buffer("now", 3));
    done.reach();
  }
  ch.close_send();
  // Ends when the peer has answered all, and hung up.
  net::steady_timer timer(executor, 100ms);
  co_await timer.async_wait(net::use_awaitable);
}

template <class F>
int run_on_a_context(F make) {
  net::io_context context;
  net::co_spawn(context, make(), rethrow);
  context.run();
  return 0;
}

// -- paced --

constexpr int exchanges_per_slice = 150;
constexpr auto pace = 1ms;

/// A client and its server, which exchange a message every now and then, for a slice of time on command.
class paced_pair {
public:
  explicit paced_pair(const char* spin)
      : server_([=, this] {
          set_variable("RINGBELL_SPIN", spin);
          return run_on_a_context([this] { return echo(path()); });
        }),
        client_([=, this] {
          set_variable("RINGBELL_SPIN", spin);
          return run_on_a_context([this] { return exchange(path()); });
        }) {}
  /// What a slice has cost both together.
  usage slice() {
    const usage before = now();
    commands_.write('s');
    over_.wait();
    const usage after = now();
    return after - before;
  }
  int end() {
    commands_.write('q');
    return client_.wait(10s) + server_.wait(10s);
  }

private:
  std::string path() const { return folder_ / "paced"; }
  usage now() const {
    const usage s = usage::of(server_.id()), c = usage::of(client_.id());
    return {s.sleeps + c.sleeps, s.cpu + c.cpu};
  }
  static net::awaitable<void> echo(std::string path) {
    asio_listener l(co_await net::this_coro::executor, path);
    asio_channel ch = co_await l.async_accept(net::use_awaitable);
    while (const auto m = co_await ch.recv()) co_await ch.send(net::buffer(m->data(), m->size()));
  }
  net::awaitable<void> exchange(std::string path) {
    const net::any_io_executor executor = co_await net::this_coro::executor;
    net::posix::stream_descriptor commands(executor, ::dup(commands_.ends[0]));
    asio_channel ch = co_await async_connect(executor, path, net::use_awaitable);
    net::steady_timer timer(executor);
    while (co_await next_command(commands) != 'q') {
      auto next = clock_type::now();
      for (int i = 0; i < exchanges_per_slice; ++i) {
        timer.expires_at(next += pace);
        co_await timer.async_wait(net::use_awaitable);
        co_await ch.send(net::buffer("tick", 4));
        expect((co_await ch.recv()).has_value(), "an echo");
      }
      over_.reach();
    }
  }

  temporary_folder folder_;
  command_pipe commands_;
  milestone over_;
  child_process server_;
  child_process client_;
};

// -- threads --

net::awaitable<void> echo_all(asio_channel& ch) {
  while (const auto m = co_await ch.recv()) co_await ch.send(net::buffer(m->data(), m->size()));
  ch.close();
}

net::awaitable<void> ask(asio_channel& ch) {
  const std::vector<std::byte> large(300'000);
  for (const std::size_t size : {std::size_t{8}, std::size_t{5000}, large.size()})
    for (int i = 0; i < 50; ++i) {
      co_await ch.send(net::buffer(large.data(), size));
      const auto m = co_await ch.recv();
      expect(m && m->size() == size, "an echo");
    }
  ch.close();
}

/// Everything that a program does with channels, on one thread.
void do_everything() {
  net::io_context context;
  for (const auto bell : bells_here()) {
    connect_options options;
    options.bells = sys::bell_bit(bell);
    asio_pair p = connected(context, {}, options);
    net::co_spawn(context, echo_all(p.server), rethrow);
    net::co_spawn(context, ask(p.client), rethrow);
    context.run();
    context.restart();
  }
  const temporary_folder folder;
  connect_options impatient;
  impatient.timeout = 5ms;
  net_error_code error;
  async_connect(context, folder / "nobody", impatient, [&](net_error_code e, const asio_channel&) { error = e; });
  context.run();
  expect(std_error(error) == errc::no_server, "nobody to be there");
}

}  // namespace

TEST_CASE("an idle pair, and a listener with a pending accept, use no processor time, and wake at once when a message comes") {
  constexpr std::chrono::seconds quiet{3};
  const temporary_folder folder;
  const std::string path = folder / "idle";
  const shared_object<report> r;
  command_pipe commands;
  const milestone done;
  child_process server([&] { return run_on_a_context([&] { return answer(path, *r); }); });
  child_process client([&] { return run_on_a_context([&] { return send_on_command(path, commands.ends[0], done, *r); }); });
  const milestone listening;
  child_process listener_alone([&] {
    net::io_context context;
    asio_listener l(context, folder / "alone");
    l.async_accept([](net_error_code, const asio_channel&) {});
    listening.reach();
    context.run();
    return 0;
  });
  listening.wait();
  const pid_t processes[] = {server.id(), client.id(), listener_alone.id()};
  const auto exchange = [&] {
    commands.write('m');
    done.wait();
    REQUIRE(eventually([&] { return r->answered_at != 0; }));
  };

  exchange();
  REQUIRE(eventually([&] { return std::ranges::all_of(processes, asleep); }));
  std::array<usage, 3> before, spent;
  std::ranges::transform(processes, before.begin(), usage::of);
  sleep_in_the_kernel(quiet);
  for (std::size_t i = 0; i < spent.size(); ++i) spent[i] = usage::of(processes[i]) - before[i];
  exchange();

  for (const usage& u : spent) {
    CHECK(u.sleeps < quiet.count());
    CHECK(u.cpu < 1ms);
  }
  const std::chrono::nanoseconds woken{r->received_at - r->sent_at};
  const std::chrono::nanoseconds answered{r->answered_at - r->sent_at};
  MESSAGE("after " << quiet.count() << " s of silence: received after " << woken / 1us << " us, answered after " << answered / 1us
                   << " us; wake-ups " << spent[0].sleeps << ", " << spent[1].sleeps << " and " << spent[2].sleeps << ", processor time "
                   << spent[0].cpu.count() << ", " << spent[1].cpu.count() << " and " << spent[2].cpu.count() << " ns");
  CHECK(woken < 100ms);
  CHECK(answered < 200ms);
  commands.write('q');
  CHECK(client.wait(10s) == 0);
  server.kill();  // its listener has an accept pending, and so has work
}

TEST_CASE("sides that exchange a message every millisecond learn not to poll") {
  paced_pair adaptive("adaptive"), none("none");
  for (paced_pair* p : {&adaptive, &none}) p->slice();  // they learn here
  usage of_adaptive{0, 1h}, of_none{0, 1h};
  // Side by side in time, and the best of several: others use the processors as well.
  for (int i = 0; i < 6; ++i) {
    of_adaptive = cheaper(of_adaptive, adaptive.slice());
    of_none = cheaper(of_none, none.slice());
  }
  MESSAGE("one exchange costs both sides together "
          << of_adaptive.cpu.count() / exchanges_per_slice << " ns of processor time and "
          << static_cast<double>(of_adaptive.sleeps) / exchanges_per_slice << " sleeps, " << of_none.cpu.count() / exchanges_per_slice
          << " ns and " << static_cast<double>(of_none.sleeps) / exchanges_per_slice << " without polling; " << pace / 1us
          << " us pass between two");
  // To poll before every sleep makes it about twice as much.
  CHECK(2 * of_adaptive.cpu < 3 * of_none.cpu);
  CHECK(adaptive.end() == 0);
  CHECK(none.end() == 0);
}

TEST_CASE("nothing starts a thread, but for measuring once what a sleep costs") {
  const int before = threads();
  do_everything();
  CHECK(eventually([&] { return threads() == before; }));  // those of the measurement may be just going
  const int ended = child_process([] {
                      sys::park_cost();
                      if (!forbid_threads()) return 77;
                      do_everything();
                      expect(threads() == 1, "no other thread");
                      return 0;
                    }).wait();
  if (ended == 77) {
    MESSAGE("skipped: no seccomp filters here");
    return;
  }
  CHECK(ended == 0);
}
