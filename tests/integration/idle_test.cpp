// SPDX-License-Identifier: BSL-1.0
// What a connection costs while nothing happens on it, and while everything does.
#include <ringbell/coro/scope.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/sys/cpu.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>

#include "support/hot_exchange.hpp"
#include "support/os_usage.hpp"
#include "support/pair.hpp"
#include "support/patient.hpp"
#include "support/pattern.hpp"
#include "support/waitable.hpp"

TEST_SUITE("idle") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr int warm_up = 2000;

std::int64_t nanoseconds_now() { return loop::clock::now().time_since_epoch().count(); }

/// What the two processes of the idle test tell the parent, and whether it tells the client, with
/// the next command, that all is over.
struct idle_report {
  std::atomic<std::uint64_t> server_sleeps{0};
  std::atomic<std::uint64_t> client_sleeps{0};
  std::atomic<std::int64_t> sent_at{0};
  std::atomic<std::int64_t> received_at{0};
  std::atomic<std::int64_t> answered_at{0};
  std::atomic<bool> over{false};
};

// Says how often its loop has slept, whenever a message comes.
task<void> answer(loop& lp, std::string path, idle_report& report) {
  listener l = listener::bind(lp, path);
  channel ch = co_await l.accept();
  while (auto m = co_await ch.recv()) {
    report.received_at = nanoseconds_now();
    report.server_sleeps = lp.statistics().sleeps;
    co_await ch.send(m->bytes());
  }
}

// Waits for messages all the time, like the server.
task<void> note_answers(loop& lp, receiver& from, idle_report& report) {
  while (auto m = co_await from.recv()) {
    report.answered_at = nanoseconds_now();
    report.client_sleeps = lp.statistics().sleeps;
  }
}

task<void> send_on_command(loop& lp, std::string path, const waitable& command,
                           const milestone& done, idle_report& report) {
  channel ch = co_await connect(lp, path, patient());
  for (int i = 0; i < warm_up; ++i) {
    co_await ch.send("warm-up");
    co_await ch.recv();
  }
  auto [to, from] = std::move(ch).split();
  scope receiving{lp};
  receiving.spawn(note_answers(lp, from, report));
  for (;;) {
    co_await readable(command.native());
    command.take();
    if (report.over) break;
    report.answered_at = 0;
    report.sent_at = nanoseconds_now();
    co_await to.send("now");
    done.reach();
  }
  to.close();
  co_await receiving.join();
}

int be_server(const std::string& path, const shared_object<idle_report>& report) {
  loop lp;
  lp.run(answer(lp, path, *report));
  return 0;
}

int be_client(const std::string& path, const waitable& command, const milestone& done,
              const shared_object<idle_report>& report) {
  loop lp;
  lp.run(send_on_command(lp, path, command, done, *report));
  return 0;
}

// -- hot --

constexpr int messages_per_stretch = 200;
constexpr std::uint64_t few = messages_per_stretch / 100;

task<void> echo(loop&, channel ch) {
  while (auto m = co_await ch.recv()) {
    std::byte copy[64];
    const std::size_t size = std::min(m->size(), sizeof copy);
    std::copy_n(m->data(), size, copy);
    m->release();
    co_await ch.send(std::span<const std::byte>(copy, size));
  }
}

/// Everything that can be a system call, or the reason for one, so far.
std::uint64_t calls(const loop& lp, const channel& ch) {
  const channel_statistics s = ch.statistics();
  return s.bells_rung + s.parks + lp.statistics().sleeps + switches_of_this_process();
}

/// Exchanges a stretch of messages; the calls that it took.
task<std::uint64_t> exchange_a_stretch(loop& lp, channel& ch) {
  const std::byte bytes[64] = {};
  const std::uint64_t before = calls(lp, ch);
  for (int i = 0; i < messages_per_stretch; ++i) {
    co_await ch.send(std::span<const std::byte>(bytes));
    const auto m = co_await ch.recv();
    expect(m && m->size() == sizeof bytes, "an echo");
  }
  co_return calls(lp, ch) - before;
}

/// The fewest calls of several stretches, which it prints: those until one has few. Where others
/// want both processors, every message may take two turns of theirs.
task<std::uint64_t> fewest_calls(loop& lp, channel& ch, const char* how) {
  std::uint64_t fewest = ~std::uint64_t{0};
  for (int i = 0; i < 10 && fewest >= few; ++i)
    fewest = std::min(fewest, co_await exchange_a_stretch(lp, ch));
  std::printf("hot, %s: %d round trips with %d bells, parks, sleeps and context switches\n", how,
              messages_per_stretch, static_cast<int>(fewest));
  std::fflush(stdout);
  co_return fewest;
}

// Both sides poll until something comes, even while the other one has no processor.
task<void> expect_no_system_calls(loop& lp, channel ch) {
  const std::uint64_t fewest = co_await fewest_calls(lp, ch, "polling without end");
  expect(fewest < few, "less than one system call in a hundred round trips");
}

// How many polls pay, of those that end after a while, depends on who else wants the processors:
// one has to.
task<void> expect_polling_to_pay(loop& lp, channel ch) {
  const auto until = loop::clock::now() + patience;
  while (lp.statistics().spins_paid == 0 && loop::clock::now() < until)
    co_await exchange_a_stretch(lp, ch);
  expect(lp.statistics().spins_paid != 0, "a message to come while this side polls");
  co_await fewest_calls(lp, ch, "as programs have it");
}

}  // namespace

TEST_CASE("an idle pair uses no processor time, and wakes at once when a message comes") {
  constexpr std::chrono::seconds quiet{3};
  // A side that does not sleep takes hundreds of times as much.
  constexpr std::chrono::nanoseconds most_cpu = 10ms + usage::cpu_step;
  const temporary_folder folder;
  const std::string path = folder / "idle";
  const shared_object<idle_report> report;
  const waitable command;
  const milestone done;
  child_process server(&be_server, path, report);
  child_process client(&be_client, path, command, done, report);
  const auto exchange = [&] {
    command.signal();
    done.wait();
    REQUIRE(eventually([&] { return report->answered_at != 0; }));
  };

  exchange();
  REQUIRE(eventually([&] { return asleep(server.id()) && asleep(client.id()); }));
  const std::uint64_t server_sleeps = report->server_sleeps, client_sleeps = report->client_sleeps;
  const usage server_before = usage::of(server.id()), client_before = usage::of(client.id());
  CHECK(server_before.cpu + usage::cpu_step > 0ns);
  CHECK(client_before.cpu + usage::cpu_step > 0ns);
  std::this_thread::sleep_for(quiet);
  const usage server_after = usage::of(server.id()), client_after = usage::of(client.id());
  exchange();

  // The sleep that began before the quiet time, and those around the second exchange, are none of
  // the quiet time's.
  constexpr std::uint64_t around_an_exchange = 3;
  CHECK(report->server_sleeps - server_sleeps < quiet.count() + around_an_exchange);
  CHECK(report->client_sleeps - client_sleeps < quiet.count() + around_an_exchange);
  CHECK(server_after.sleeps - server_before.sleeps < quiet.count());
  CHECK(client_after.sleeps - client_before.sleeps < quiet.count());
  CHECK(server_after.cpu - server_before.cpu < most_cpu);
  CHECK(client_after.cpu - client_before.cpu < most_cpu);

  // How soon is printed: it says more of the machine, and of what else it does, than of the two.
  const std::chrono::nanoseconds woken{report->received_at - report->sent_at};
  const std::chrono::nanoseconds answered{report->answered_at - report->sent_at};
  MESSAGE("after " << quiet.count() << " s of silence: received after " << woken / 1us
                   << " us, answered after " << answered / 1us << " us; "
                   << "wake-ups " << server_after.sleeps - server_before.sleeps << " and "
                   << client_after.sleeps - client_before.sleeps << ", processor time "
                   << (server_after.cpu - server_before.cpu).count() << " and "
                   << (client_after.cpu - client_before.cpu).count() << " ns");
  report->over = true;
  command.signal();
  CHECK(client.wait() == 0);
  CHECK(server.wait() == 0);
}

TEST_CASE("a hot exchange makes no system call per message") {
  if (sys::usable_cpus() < 2) {
    MESSAGE("skipped: with one processor every message needs a switch");
    return;
  }
  pair_options options;
  options.spin = spin_policy::always;
  CHECK(run_pair(echo, expect_no_system_calls, options) == both_well);
  options.spin = hot_policy;
  CHECK(run_pair(echo, expect_polling_to_pay, options) == both_well);
}

}  // TEST_SUITE("idle")
