// SPDX-License-Identifier: BSL-1.0
// One of two processes is killed, at any moment and in any state: the other one loses nothing that
// was published, hears of it at once in every wait, and leaks nothing.
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/coro/when_all.hpp>
#include <ringbell/loop/readiness.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "support/applies.hpp"
#include "support/child_process.hpp"
#include "support/patient.hpp"
#include "support/pattern.hpp"
#include "support/resources.hpp"

TEST_SUITE("kill") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

/// What the two are doing when it happens.
enum class state : unsigned { idle, full, fragments, handshake, ping_pong, streaming, count };
const std::string state_names[] = {
    "idle", "blocked on full rings", "within long messages", "handshake", "ping-pong", "streaming"};

/// How far the victim has come, for those who outlive it.
struct progress {
  std::atomic<std::uint64_t> sent{0};  // messages whose send has ended
  std::atomic<std::uint64_t> received{0};
  std::atomic<bool> connected{false};
};

std::size_t size_in(state s, std::uint64_t n) {
  switch (s) {
    case state::fragments: return (std::size_t{4} << 20) + pick(n, 1000);
    case state::ping_pong: return 8 + pick(n, 90);
    default: return pick(n, 8000);
  }
}

task<void> send_for_ever(sender& to, state s, std::atomic<std::uint64_t>& sent) {
  for (std::uint64_t n = 0;; ++n) {
    const auto bytes = patterned(size_in(s, n), n);
    co_await to.send(bytes);
    sent.store(n + 1, std::memory_order_release);
  }
}

task<void> receive_for_ever(receiver& from, state s, std::atomic<std::uint64_t>& received) {
  for (std::uint64_t n = 0;; ++n) {
    const auto m = co_await from.recv();
    expect(m.has_value(), "no orderly end");
    expect(m->size() == size_in(s, n) && matches(m->bytes(), n), "the next message, without a gap");
    received.store(n + 1, std::memory_order_release);
  }
}

task<void> send_without_reading(channel& ch, progress& own) {
  co_await send_for_ever(ch.sender(), state::full, own.sent);
}

task<void> ping_pong(channel& ch, bool first, progress& own) {
  for (std::uint64_t n = 0;; ++n) {
    const auto bytes = patterned(size_in(state::ping_pong, n), n);
    if (first) {
      co_await ch.send(bytes);
      own.sent.store(n + 1, std::memory_order_release);
    }
    {
      const auto m = co_await ch.recv();
      expect(m && m->size() == bytes.size() && matches(m->bytes(), n),
             "the next message, without a gap");
      own.received.store(n + 1, std::memory_order_release);
    }
    if (!first) {
      co_await ch.send(bytes);
      own.sent.store(n + 1, std::memory_order_release);
    }
  }
}

// -- the victim --

task<void> be_busy(channel& ch, state s, bool server, std::chrono::nanoseconds left,
                   progress& own) {
  if (s != state::handshake) be_killed_after(left);
  own.connected = true;
  switch (s) {
    case state::full: co_await send_without_reading(ch, own); break;
    case state::ping_pong: co_await ping_pong(ch, !server, own); break;
    case state::fragments:
    case state::streaming:
      co_await when_all(send_for_ever(ch.sender(), s, own.sent),
                        receive_for_ever(ch.receiver(), s, own.received));
      break;
    default: co_await receive_for_ever(ch.receiver(), s, own.received);
  }
}

task<channel> accept_one(loop& lp, std::string path) {
  listener l = listener::bind(lp, path);
  co_return co_await l.accept();
}

task<void> victim(loop& lp, std::string path, state s, bool server, std::chrono::nanoseconds left,
                  progress& own) {
  if (s == state::handshake) be_killed_after(left);
  channel ch;
  if (server)
    ch = co_await accept_one(lp, path);
  else
    ch = co_await connect(lp, path, patient());
  co_await be_busy(ch, s, server, left, own);
}

int be_victim(const std::string& path, state s, bool server, std::chrono::nanoseconds left,
              const shared_object<progress>& own) {
  loop lp;
  lp.run(victim(lp, path, s, server, left, *own));
  return 0;
}

// -- the survivor --

struct survivor {
  progress own;
  std::vector<loop::clock::time_point> ended;  // its waits
  loop::clock::time_point peer_died;
  bool connected = false;
};

// Runs a wait that goes on until the peer is gone; anything else than peer_closed is a failure.
task<void> until_peer_closed(task<void> wait, survivor& me) {
  const auto outcome = co_await as_result(std::move(wait));
  me.ended.push_back(loop::clock::now());
  expect(outcome.error() == errc::peer_closed, outcome.error().message().c_str());
}

task<void> note_death(sys::native_handle pid_handle, survivor& me) {
  co_await readable(pid_handle);
  me.peer_died = loop::clock::now();
}

// Blocked like its peer until that is dead; then takes all that is there.
task<void> drain_after_death(receiver& from, sys::native_handle pid_handle, survivor& me) {
  co_await readable(pid_handle);
  co_await receive_for_ever(from, state::full, me.own.received);
}

task<void> survive(channel& ch, state s, bool server, sys::native_handle pid_handle, survivor& me) {
  me.connected = true;
  switch (s) {
    case state::full:
      co_await when_all(until_peer_closed(send_without_reading(ch, me.own), me),
                        until_peer_closed(drain_after_death(ch.receiver(), pid_handle, me), me),
                        note_death(pid_handle, me));
      break;
    case state::ping_pong:
      co_await when_all(until_peer_closed(ping_pong(ch, !server, me.own), me),
                        note_death(pid_handle, me));
      break;
    case state::fragments:
    case state::streaming:
      co_await when_all(until_peer_closed(send_for_ever(ch.sender(), s, me.own.sent), me),
                        until_peer_closed(receive_for_ever(ch.receiver(), s, me.own.received), me),
                        note_death(pid_handle, me));
      break;
    default:
      co_await when_all(until_peer_closed(receive_for_ever(ch.receiver(), s, me.own.received), me),
                        note_death(pid_handle, me));
  }
}

task<void> accept_and_survive(listener& l, state s, sys::native_handle pid_handle, survivor& me) {
  auto accepted = co_await as_result(l.accept());
  if (!accepted) co_return;  // the victim died before, and we were told to stop
  channel ch = std::move(*accepted);
  co_await survive(ch, s, true, pid_handle, me);
}

task<void> stop_accepting(scope& accepting, sys::native_handle pid_handle, survivor& me) {
  co_await readable(pid_handle);
  co_await sleep_for(1ms);
  if (!me.connected) accepting.request_stop();
}

task<void> echo(channel& ch) {
  while (const auto m = co_await ch.recv()) co_await ch.send(m->bytes());
}

// Serves the first client that is alive. The victim may still be accepted, posthumously.
task<void> echo_once(listener& l) {
  for (bool served = false; !served;) {
    channel ch = co_await l.accept();
    const auto outcome = co_await as_result(echo(ch));
    served = outcome.has_value();
    expect(served || outcome.error() == errc::peer_closed, outcome.error().message().c_str());
  }
  expect(l.clients() == 0, "no client to be left");
}

task<void> ask_once(loop& lp, std::string path) {
  channel ch = co_await connect(lp, path, patient());
  co_await ch.send("still there?");
  const auto m = co_await ch.recv();
  expect(m && m->text() == "still there?", "an answer");
}

// As a server: the next client is served as if nothing had happened.
task<void> survive_as_server(loop& lp, std::string path, state s, sys::native_handle pid_handle,
                             survivor& me) {
  listener l = listener::bind(lp, path);
  {
    scope accepting{lp};
    accepting.spawn(accept_and_survive(l, s, pid_handle, me));
    accepting.spawn(stop_accepting(accepting, pid_handle, me));
    co_await accepting.join();
  }
  co_await when_all(echo_once(l), ask_once(lp, path));
}

task<void> succeed_and_serve(loop& lp, std::string path) {
  listener l = listener::bind(lp, path);  // the kernel has closed the dead server's handles
  co_await when_all(echo_once(l), ask_once(lp, path));
}

// As a client: the next server takes the dead one's name, and connects.
task<void> survive_as_client(loop& lp, std::string path, state s, sys::native_handle pid_handle,
                             survivor& me) {
  connect_options options = patient();
  if (s == state::handshake) options.timeout = 300ms;
  auto connected = co_await as_result(connect(lp, path, options));
  if (connected) {
    channel ch = std::move(*connected);
    co_await survive(ch, s, false, pid_handle, me);
  } else {
    const auto e = connected.error();
    expect(s == state::handshake,
           ("to connect to a server that lives for a while; got: " + e.message()).c_str());
    expect(e == errc::no_server || e == errc::timed_out || e == errc::peer_closed,
           e.message().c_str());
    co_await readable(pid_handle);
  }
  co_await succeed_and_serve(lp, path);
}

int listen_for_ever(const std::string& path, const shared_object<progress>& own) {
  loop lp;
  const listener l = listener::bind(lp, path);
  own->connected = true;
  lp.run();
  return 0;
}

// -- a round --

struct worst_notice {
  std::chrono::nanoseconds from_death{0};
  int notices = 0;
};

std::chrono::nanoseconds random_delay(state s, std::mt19937& random) {
  const auto below = [&](std::chrono::microseconds limit) {
    return std::chrono::microseconds(
        std::uniform_int_distribution<std::int64_t>(0, limit.count())(random));
  };
  return 1us + (s == state::handshake ? below(a_handshake)
                                      : below(30000us));  // no time at all would mean never
}

void kill_one(const std::string& path, state s, bool victim_is_server, std::mt19937& random,
              worst_notice& worst) {
  const shared_object<progress> of_victim;
  const auto delay = random_delay(s, random);
  child_process dying(&be_victim, path, s, victim_is_server, std::chrono::nanoseconds(delay),
                      of_victim);
  survivor me;
  {
    loop lp;
    if (victim_is_server)
      lp.run(timeout(2 * patience, survive_as_client(lp, path, s, dying.pid_handle(), me)));
    else
      lp.run(timeout(2 * patience, survive_as_server(lp, path, s, dying.pid_handle(), me)));
  }
  CHECK(dying.wait() == killed);

  // What the victim had sent for sure has come, and what has come was sent without a gap (see
  // receive_for_ever).
  if (me.connected) {
    CHECK(me.own.received >= of_victim->sent);
    CHECK(of_victim->received <= me.own.sent + 1);
    CHECK_FALSE(me.ended.empty());
    for (const auto ended : me.ended) {
      const auto notice = std::max<std::chrono::nanoseconds>(ended - me.peer_died, 0ns);
      worst.from_death = std::max(worst.from_death, notice);
      ++worst.notices;
    }
  } else {
    CHECK(of_victim->sent == 0);
  }
}

int ringbells_in_shared_memory() {
  std::error_code ignored;
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", ignored))
    // Only what has bytes: on the BSDs a process that is killed while it makes a region may leave
    // an empty name.
    if (entry.path().filename().string().find("ringbell") != std::string::npos &&
        entry.file_size(ignored) > 0)
      ++found;
  return found;
}

void kill_many(state s, int rounds) {
  const temporary_folder folder;
  const std::string path = folder / "victim";
  std::mt19937 random(static_cast<unsigned>(sys::current_process()) * 7 + static_cast<unsigned>(s));
  worst_notice worst;
  const auto regions = resources::now().regions;
  std::optional<resources> before;
  for (int round = 0; round < rounds; ++round) {
    if (round == 4) before = resources::now();  // by then all that is set up once is
    CAPTURE(round);
    kill_one(path, s, round % 2 == 0, random, worst);
    CHECK(
        left_in(folder).empty());  // the successor took the dead one's name, and has given it back
  }
  const resources after = resources::now();
  CHECK(after.descriptors == before->descriptors);
  CHECK(after.regions == regions);
  CHECK_FALSE(after.more_than(*before));
  CHECK(ringbells_in_shared_memory() == 0);
  MESSAGE(state_names[static_cast<unsigned>(s)]
          << ": " << rounds << " kills, " << worst.notices << " waits ended, the latest "
          << worst.from_death / 1us << " us after the peer's death");
}

}  // namespace

TEST_CASE("a side that waits for messages hears at once that its peer was killed") {
  kill_many(state::idle, 40);
}
TEST_CASE(
    "a side that waits for space hears of its peer's death, and receives all that was published") {
  kill_many(state::full, 40);
}
TEST_CASE("a peer killed within a long message leaves no part of it") {
  kill_many(state::fragments, 30);
}
TEST_CASE("a peer killed during the handshake leaves nothing behind, and the next one is served") {
  kill_many(state::handshake, 40);
}
TEST_CASE("a peer killed in a hot exchange is noticed") { kill_many(state::ping_pong, 40); }
TEST_CASE("a peer killed while messages go both ways loses none that was published") {
  kill_many(state::streaming, 40);
}

TEST_CASE("a killed server leaves its socket and its lock, which the next server takes over" *
          not_on(windows, "a pipe leaves no file")) {
  const temporary_folder folder;
  const std::string path = folder / "server";
  const shared_object<progress> of_victim;
  {
    child_process dying(&listen_for_ever, path, of_victim);
    REQUIRE(eventually([&] { return of_victim->connected.load(); }));
    dying.kill();
    CHECK(dying.wait() == killed);
  }
  auto left = left_in(folder);
  std::ranges::sort(left);
  CHECK(left == std::vector<std::string>{"server", "server.lock"});
  {
    loop lp;
    lp.run(succeed_and_serve(lp, path));
  }
  CHECK(left_in(folder).empty());
}

}  // TEST_SUITE("kill")
