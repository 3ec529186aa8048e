// SPDX-License-Identifier: BSL-1.0
// What connections on Asio cost while nothing happens on them, or little.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

#include "support/asio.hpp"
#include "support/asio_waitable.hpp"
#include "support/child_process.hpp"
#include "support/os_usage.hpp"
#include "support/patient.hpp"
#include "support/variable.hpp"

TEST_SUITE("asio idle") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

constexpr int warm_up = 2000;

std::int64_t nanoseconds_now() { return clock_type::now().time_since_epoch().count(); }

// -- idle --

/// When what happened, and how many handlers the three contexts have called, for the test to see;
/// and whether it tells the client, with the next command, that all is over.
struct report {
  std::atomic<std::int64_t> sent_at{0};
  std::atomic<std::int64_t> received_at{0};
  std::atomic<std::int64_t> answered_at{0};
  std::atomic<std::int64_t> handlers[3] = {};
  std::atomic<bool> over{false};
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
net::awaitable<void> send_on_command(std::string path, const waitable& command,
                                     const milestone& done, report& to) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  asio_waitable commands(executor, command);
  asio_channel ch = co_await async_connect(executor, path, patient(), net::use_awaitable);
  for (int i = 0; i < warm_up; ++i) {
    co_await ch.send(net::buffer("warm-up", 7));
    expect((co_await ch.recv()).has_value(), "an echo");
  }
  net::co_spawn(executor, note_answers(ch, to), rethrow);
  while (co_await commands.next(), !to.over) {
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

net::awaitable<void> accept_in_vain(std::string path, const milestone& listening) {
  asio_listener l(co_await net::this_coro::executor, path);
  listening.reach();
  co_await l.async_accept(net::use_awaitable);
}

int run_counted(net::awaitable<void> coroutine, std::atomic<std::int64_t>& handlers) {
  net::io_context context;
  net::co_spawn(context, std::move(coroutine), rethrow);
  while (context.run_one() != 0) ++handlers;
  return 0;
}

int be_server(const std::string& path, const shared_object<report>& r) {
  return run_counted(answer(path, *r), r->handlers[0]);
}

int be_client(const std::string& path, const waitable& command, const milestone& done,
              const shared_object<report>& r) {
  return run_counted(send_on_command(path, command, done, *r), r->handlers[1]);
}

int be_listener_alone(const std::string& path, const milestone& listening,
                      const shared_object<report>& r) {
  return run_counted(accept_in_vain(path, listening), r->handlers[2]);
}

// -- paced --

constexpr int exchanges_per_slice = 150;
constexpr auto pace = 1ms;

net::awaitable<void> echo(std::string path) {
  asio_listener l(co_await net::this_coro::executor, path);
  asio_channel ch = co_await l.async_accept(net::use_awaitable);
  while (const auto m = co_await ch.recv()) co_await ch.send(net::buffer(m->data(), m->size()));
}

net::awaitable<void> exchange_on_command(std::string path, const waitable& command,
                                         const milestone& slice_over,
                                         const std::atomic<bool>& all_over) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  asio_waitable commands(executor, command);
  asio_channel ch = co_await async_connect(executor, path, patient(), net::use_awaitable);
  net::steady_timer timer(executor);
  while (co_await commands.next(), !all_over) {
    for (int i = 0; i < exchanges_per_slice; ++i) {
      timer.expires_after(pace);
      co_await timer.async_wait(net::use_awaitable);
      co_await ch.send(net::buffer("tick", 4));
      expect((co_await ch.recv()).has_value(), "an echo");
    }
    slice_over.reach();
  }
}

/// What a pair tells the test, and the test its client.
struct paced_report {
  std::atomic<std::int64_t> server_handlers{0};
  std::atomic<std::int64_t> client_handlers{0};
  std::atomic<bool> over{false};
};

int be_paced_server(const std::string& spin, const std::string& path,
                    const shared_object<paced_report>& r) {
  set_variable("RINGBELL_SPIN", spin.c_str());
  return run_counted(echo(path), r->server_handlers);
}

int be_paced_client(const std::string& spin, const std::string& path, const waitable& command,
                    const milestone& slice_over, const shared_object<paced_report>& r) {
  set_variable("RINGBELL_SPIN", spin.c_str());
  return run_counted(exchange_on_command(path, command, slice_over, r->over), r->client_handlers);
}

/// What a slice has cost.
struct slice_cost {
  usage both_sides;
  std::int64_t server_handlers = 0;
};
slice_cost cheaper(const slice_cost& a, const slice_cost& b) {
  return b.server_handlers < a.server_handlers ? b : a;
}

/// A client and its server, which exchange a message every now and then, for a slice of time on
/// command.
class paced_pair {
public:
  explicit paced_pair(const std::string& spin)
      : server_(&be_paced_server, spin, folder_ / "paced", report_),
        client_(&be_paced_client, spin, folder_ / "paced", command_, slice_over_, report_) {}
  slice_cost slice() {
    const usage before = now();
    const std::int64_t handlers_before = report_->server_handlers;
    command_.signal();
    slice_over_.wait();
    return {now() - before, report_->server_handlers - handlers_before};
  }
  int end() {
    report_->over = true;
    command_.signal();
    return client_.wait() + server_.wait();
  }

private:
  usage now() const {
    const usage s = usage::of(server_.id()), c = usage::of(client_.id());
    return {s.sleeps + c.sleeps, s.cpu + c.cpu};
  }

  temporary_folder folder_;
  waitable command_;
  milestone slice_over_;
  shared_object<paced_report> report_;
  child_process server_;
  child_process client_;
};

}  // namespace

TEST_CASE(
    "an idle pair, and a listener with a pending accept, use no processor time, and wake at once when a message comes") {
  constexpr std::chrono::seconds quiet{3};
  // A side that does not sleep takes hundreds of times as much.
  constexpr std::chrono::nanoseconds most_cpu = 10ms + usage::cpu_step;
  const temporary_folder folder;
  const std::string path = folder / "idle";
  const shared_object<report> r;
  const waitable command;
  const milestone done, listening;
  child_process server(&be_server, path, r);
  child_process client(&be_client, path, command, done, r);
  child_process listener_alone(&be_listener_alone, folder / "alone", listening, r);
  listening.wait();
  const std::array processes{server.id(), client.id(), listener_alone.id()};
  const auto exchange = [&] {
    command.signal();
    done.wait();
    REQUIRE(eventually([&] { return r->answered_at != 0; }));
  };

  exchange();
  REQUIRE(eventually([&] { return std::ranges::all_of(processes, asleep); }));
  std::array<usage, 3> before, spent;
  std::array<std::int64_t, 3> handlers;
  std::ranges::transform(processes, before.begin(), usage::of);
  std::ranges::copy(r->handlers, handlers.begin());
  CHECK(before[0].cpu + usage::cpu_step > 0ns);
  CHECK(before[1].cpu + usage::cpu_step > 0ns);
  std::this_thread::sleep_for(quiet);
  for (std::size_t i = 0; i < spent.size(); ++i) spent[i] = usage::of(processes[i]) - before[i];
  for (std::size_t i = 0; i < handlers.size(); ++i) handlers[i] = r->handlers[i] - handlers[i];
  exchange();

  for (const usage& u : spent) {
    CHECK(u.sleeps < quiet.count());
    CHECK(u.cpu < most_cpu);
  }
  for (const std::int64_t called : handlers) CHECK(called < quiet.count());
  // How soon is printed: it says more of the machine, and of what else it does, than of them.
  const std::chrono::nanoseconds woken{r->received_at - r->sent_at};
  const std::chrono::nanoseconds answered{r->answered_at - r->sent_at};
  MESSAGE("after " << quiet.count() << " s of silence: received after " << woken / 1us
                   << " us, answered after " << answered / 1us << " us; wake-ups "
                   << spent[0].sleeps << ", " << spent[1].sleeps << " and " << spent[2].sleeps
                   << ", processor time " << spent[0].cpu.count() << ", " << spent[1].cpu.count()
                   << " and " << spent[2].cpu.count() << " ns");
  r->over = true;
  command.signal();
  CHECK(client.wait() == 0);
  server.kill();  // its listener has an accept pending, and so has work
}

TEST_CASE("sides that exchange a message every millisecond learn not to poll") {
  paced_pair adaptive("adaptive"), none("none");
  for (int i = 0; i < 2; ++i)  // they learn here
    for (paced_pair* p : {&adaptive, &none}) p->slice();
  slice_cost of_adaptive = adaptive.slice(), of_none = none.slice();
  for (int i = 0; i < 3; ++i) {
    of_adaptive = cheaper(of_adaptive, adaptive.slice());
    of_none = cheaper(of_none, none.slice());
  }
  const auto each = [](std::int64_t all) { return static_cast<double>(all) / exchanges_per_slice; };
  for (const auto& [name, cost] :
       {std::pair("adaptive", of_adaptive), std::pair("without polling", of_none)})
    MESSAGE(std::string(name) << ": one exchange costs both sides together "
                              << each(cost.both_sides.cpu.count()) << " ns of processor time and "
                              << each(cost.both_sides.sleeps) << " sleeps, the server "
                              << each(cost.server_handlers) << " handlers; " << pace / 1us
                              << " us pass between two");
  // Its context calls a handler for each short while of polling, and the server waits long for each
  // message: to poll for each would take at least one more.
  CHECK(of_adaptive.server_handlers < of_none.server_handlers + exchanges_per_slice);
  CHECK(adaptive.end() == 0);
  CHECK(none.end() == 0);
}

}  // TEST_SUITE("asio idle")
