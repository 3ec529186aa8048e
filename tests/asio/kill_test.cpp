// SPDX-License-Identifier: BSL-1.0
// The peer of an Asio side is killed, at any moment and in any state: the Asio side loses nothing
// that was published, hears of it at once in every operation, leaks nothing, and its context and
// its other channels go on.
#include <ringbell/asio/detail/waited_handle.hpp>
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_kill.hpp"
#include "support/child_process.hpp"
#include "support/patient.hpp"
#include "support/resources.hpp"

TEST_SUITE("asio kill") {

using namespace ringbell;
using namespace ringbell::test;
using namespace ringbell::test::asio_kill;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

// -- the survivor --

enum class way : unsigned { awaitables, operations, in_place, count };

struct survivor {
  progress own;
  std::vector<clock_type::time_point> ended;  // its waits
  std::optional<clock_type::time_point> peer_died;
  bool connected = false;
  bool over = false;
  std::exception_ptr failed;
};

// Something that goes on until the peer is gone; anything else than connection_reset is a failure.
net::awaitable<void> until_reset(net::awaitable<void> wait, survivor& me) {
  net_error_code error;
  try {
    co_await std::move(wait);
  } catch (const net_system_error& e) {
    error = e.code();
  }
  me.ended.push_back(clock_type::now());
  expect(error == net::error::connection_reset, error.message().c_str());
}

/// Runs both to their end, in coroutines that nobody can cancel: so awaitables may go on without
/// suspending.
net::awaitable<void> side_by_side(net::awaitable<void> one, net::awaitable<void> other) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  net::steady_timer one_ended(executor, net::steady_timer::time_point::max());
  std::exception_ptr failed;
  bool ended = false;
  net::co_spawn(executor, std::move(one), [&](std::exception_ptr e) {
    failed = e;
    ended = true;
    one_ended.cancel();
  });
  co_await std::move(other);
  net_error_code ignored;
  if (!ended) co_await one_ended.async_wait(net::redirect_error(net::use_awaitable, ignored));
  if (failed) std::rethrow_exception(failed);
}

template <class Channel>
net::awaitable<void> survive(Channel& ch, const fate& peer, survivor& me) {
  using result = net::awaitable<void>;
  const state s = peer.doing;
  switch (s) {
    case state::full:
      co_await until_reset(send_for_ever<result>(ch, s, me.own), me);
      // Nothing was received until now: all that the peer had published is there.
      co_await until_reset(receive_for_ever<result>(ch, s, me.own), me);
      break;
    case state::ping_pong:
      co_await until_reset(ping_pong<result>(ch, peer.server, me.own), me);
      break;
    case state::fragments:
    case state::streaming:
      co_await side_by_side(until_reset(send_for_ever<result>(ch, s, me.own), me),
                            until_reset(receive_for_ever<result>(ch, s, me.own), me));
      break;
    default: co_await until_reset(receive_for_ever<result>(ch, s, me.own), me);
  }
}

net::awaitable<void> survive(asio_channel ch, const fate& peer, way w, survivor& me) {
  me.connected = true;
  if (peer.doing == state::asleep) ch.spin(spin_policy::none);
  if (peer.doing == state::polling)
    ch.spin(w == way::operations ? spin_policy::adaptive : spin_policy::always);
  switch (w) {
    case way::awaitables: co_await survive(ch, peer, me); break;
    case way::operations: {
      by_operations by{ch};
      co_await survive(by, peer, me);
      break;
    }
    default: {
      in_place by(ch);
      co_await survive(by, peer, me);
    }
  }
}

/// Notes when the process has ended, and then calls `then`.
template <class F>
void note_death(const net::any_io_executor& executor, sys::native_handle pid_handle, survivor& me,
                F then) {
  const auto process =
      std::make_shared<detail::waited_handle>(net::query(executor, net::execution::context));
  net_error_code failed;
  process->assign(pid_handle, failed);
  if (failed) throw net_system_error(failed, "waiting for a process");
  process->async_wait(net::bind_executor(executor, [&me, process, then](net_error_code error) {
    process->release();
    if (error) throw net_system_error(error, "waiting for a process");
    me.peer_died = clock_type::now();
    then();
  }));
}

net::awaitable<void> pause(std::chrono::milliseconds time) {
  net::steady_timer timer(co_await net::this_coro::executor, time);
  co_await timer.async_wait(net::use_awaitable);
}

// As a server: whoever comes is served until the victim is dead and has been accepted, maybe
// posthumously, or does not come any more.
net::awaitable<void> survive_as_server(asio_listener& l, const fate& peer, way w,
                                       sys::native_handle pid_handle, survivor& me) {
  net::cancellation_signal stop;
  note_death(l.get_executor(), pid_handle, me, [&] {
    if (!me.connected) stop.emit(net::cancellation_type::terminal);
  });
  net_error_code error;
  asio_channel ch = co_await l.async_accept(
      net::bind_cancellation_slot(stop.slot(), net::redirect_error(net::use_awaitable, error)));
  if (!error) {
    co_await survive(std::move(ch), peer, w, me);
  } else {
    expect(error == net::error::operation_aborted, "nothing but the cancellation");
  }
  while (!me.peer_died) co_await pause(1ms);
}

net::awaitable<void> survive_as_client(std::string path, const fate& peer, way w,
                                       sys::native_handle pid_handle, survivor& me) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  note_death(executor, pid_handle, me, [] {});
  connect_options options = patient();
  if (peer.doing == state::handshake) options.timeout = 100ms;
  net_error_code error;
  asio_channel ch = co_await async_connect(executor, path, options,
                                           net::redirect_error(net::use_awaitable, error));
  if (!error) {
    co_await survive(std::move(ch), peer, w, me);
  } else {
    expect(peer.doing == state::handshake, "to connect to a server that lives for a while");
    const std::error_code e = std_error(error);
    expect(e == errc::no_server || error == net::error::timed_out ||
               error == net::error::connection_reset,
           e.message().c_str());
  }
  while (!me.peer_died) co_await pause(1ms);
}

net::awaitable<void> ask_once(const std::string& path) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  asio_channel ch = co_await async_connect(executor, path, patient(), net::use_awaitable);
  co_await ch.send(net::buffer("still there?", 12));
  const auto m = co_await ch.recv();
  expect(m && m->text() == "still there?", "an answer");
}

// Whoever was accepted before him is dead.
net::awaitable<void> answer_once(asio_listener& l) {
  for (bool answered = false; !answered;) {
    asio_channel ch = co_await l.async_accept(net::use_awaitable);
    net_error_code error;
    const message m = co_await ch.async_recv(net::redirect_error(net::use_awaitable, error));
    answered = !error;
    expect(answered || error == net::error::connection_reset, error.message().c_str());
    if (!answered) continue;
    co_await ch.send(net::buffer(m.data(), m.size()));
    expect(!co_await ch.recv(), "the end");
  }
}

/// The next client is served as if nothing had happened; those that died before they were accepted
/// are let go.
void serve_a_good_one(net::io_context& context, asio_listener& l) {
  int over = 0;
  std::exception_ptr failed;
  const auto note_end = [&](std::exception_ptr e) {
    ++over;
    if (e) failed = e;
  };
  net::co_spawn(context, answer_once(l), note_end);
  net::co_spawn(context, ask_once(l.path()), note_end);
  REQUIRE(run_until(context, [&] { return over == 2; }));
  if (failed) std::rethrow_exception(failed);
}

net::awaitable<void> echo(std::string path) {
  asio_listener l(co_await net::this_coro::executor, path);
  asio_channel ch = co_await l.async_accept(net::use_awaitable);
  while (const auto m = co_await ch.recv()) co_await ch.send(net::buffer(m->data(), m->size()));
}

int be_echo(const std::string& path) {
  net::io_context context;
  net::co_spawn(context, echo(path), rethrow);
  context.run();
  return 0;
}

/// A channel that has nothing to do with it, on the same context: its peer lives, and echoes.
class bystander {
public:
  explicit bystander(net::io_context& context) : echo_(&be_echo, path()), ch_(context) {
    net::co_spawn(context, exchange(), rethrow);
    REQUIRE(run_until(context, [this] { return round_trips_ > 0; }));
  }
  std::uint64_t round_trips() const noexcept { return round_trips_; }
  std::chrono::nanoseconds longest() const noexcept { return longest_; }
  /// Ends it in order.
  void stop(net::io_context& context) {
    stop_ = true;
    CHECK(run_until(context, [this] { return !ch_.is_open(); }));
    CHECK(echo_.wait() == 0);
  }

private:
  std::string path() const { return folder_ / "bystander"; }
  net::awaitable<void> exchange() {
    const net::any_io_executor executor = co_await net::this_coro::executor;
    ch_ = co_await async_connect(executor, path(), patient(), net::use_awaitable);
    while (!stop_) {
      const auto begin = clock_type::now();
      co_await ch_.send(net::buffer(&round_trips_, sizeof round_trips_));
      {
        const auto m = co_await ch_.recv();
        expect(m && m->size() == sizeof round_trips_ &&
                   std::memcmp(m->data(), &round_trips_, sizeof round_trips_) == 0,
               "an echo");
      }
      longest_ = std::max<std::chrono::nanoseconds>(longest_, clock_type::now() - begin);
      ++round_trips_;
      co_await pause(1ms);
    }
    ch_.close();
  }

  temporary_folder folder_;
  child_process echo_;
  asio_channel ch_;
  std::uint64_t round_trips_ = 0;
  std::chrono::nanoseconds longest_{0};
  bool stop_ = false;
};

// -- a round --

struct worst_notice {
  std::chrono::nanoseconds from_death{0};
  int notices = 0;
  int unconnected = 0;
};

std::chrono::nanoseconds random_delay(state s, std::mt19937& random) {
  const auto below = [&](std::chrono::microseconds limit) {
    return std::chrono::microseconds(
        std::uniform_int_distribution<std::int64_t>(0, limit.count())(random));
  };
  return 1us + (s == state::handshake ? below(a_handshake)
                                      : below(20000us));  // no time at all would mean never
}

/// `path`: of whichever of the two is the server.
void kill_one(net::io_context& context, asio_listener& l, const std::string& path, const fate& f,
              way w, worst_notice& worst) {
  const shared_object<progress> of_victim;
  child_process dying(&be_victim, path, f, of_victim);
  survivor me;
  net::co_spawn(context,
                f.server ? survive_as_client(path, f, w, dying.pid_handle(), me)
                         : survive_as_server(l, f, w, dying.pid_handle(), me),
                [&](std::exception_ptr e) {
                  me.over = true;
                  me.failed = e;
                });
  REQUIRE(run_until(context, [&] { return me.over; }));
  if (me.failed) std::rethrow_exception(me.failed);
  CHECK(dying.wait() == killed);

  if (!me.connected) {
    CHECK(of_victim->sent == 0);
    ++worst.unconnected;
    return;
  }
  // What the victim had sent for sure has come, and what has come was sent without a gap (see
  // receiving()).
  CHECK(me.own.received >= of_victim->sent);
  CHECK(of_victim->received <= me.own.sent + 1);
  CHECK_FALSE(me.ended.empty());
  for (const auto ended : me.ended) {
    const auto notice = std::max<std::chrono::nanoseconds>(ended - *me.peer_died, 0ns);
    worst.from_death = std::max(worst.from_death, notice);
    ++worst.notices;
  }
}

void kill_many(state s, int rounds_elsewhere) {
  const int rounds = slow_here ? 24 : rounds_elsewhere;  // each way of both kinds of victims, twice
  const temporary_folder folder;
  std::mt19937 random(static_cast<unsigned>(sys::current_process()) * 7 + static_cast<unsigned>(s));
  worst_notice worst;
  std::optional<resources> before;
  net::io_context context;
  asio_listener l(context, folder / "survivor");
  bystander other(context);
  for (int round = 0; round < rounds; ++round) {
    if (round == 12) before = resources::now();  // by then all that is set up once is
    fate f;
    f.doing = s;
    f.server = round % 2 == 0;
    f.native = round / 2 % 2 == 0;
    f.left = random_delay(s, random);
    const auto w = static_cast<way>(round / 4 % static_cast<int>(way::count));
    CAPTURE(round);
    CAPTURE(f.left / 1us);
    const std::uint64_t round_trips = other.round_trips();
    kill_one(context, l, f.server ? folder / "victim" : l.path(), f, w, worst);
    CHECK(run_until(context, [&] { return other.round_trips() > round_trips + 1; }));
    // In a handshake they may die before they are accepted, and are then found dead by a later
    // accept.
    if (s != state::handshake) CHECK(l.clients() == 0);
  }
  serve_a_good_one(context, l);
  CHECK(l.clients() == 0);
  const resources after = resources::now();
  CHECK(after.descriptors <= before->descriptors + handles_of_the_system);
  CHECK(after.regions == before->regions);
  CHECK_FALSE(after.more_than(*before));
  other.stop(context);
  context.restart();
  context.run();  // nothing is left to be done
  MESSAGE(state_names[static_cast<unsigned>(s)]
          << ": " << rounds << " kills, " << worst.unconnected << " before there was a connection; "
          << worst.notices << " waits ended, the latest " << worst.from_death / 1us
          << " us after the peer's death; meanwhile " << other.round_trips()
          << " round trips of others, the longest took " << other.longest() / 1us << " us");
}

}  // namespace

TEST_CASE("an Asio side that sleeps hears at once that its peer was killed") {
  kill_many(state::asleep, 36);
}
TEST_CASE("an Asio side that polls hears at once that its peer was killed") {
  kill_many(state::polling, 36);
}
TEST_CASE(
    "an Asio side that waits for space hears of its peer's death, and receives all that was published") {
  kill_many(state::full, 36);
}
TEST_CASE("a peer killed within a long message leaves no part of it to an Asio side") {
  kill_many(state::fragments, 24);
}
TEST_CASE("a peer killed in a hot exchange is noticed by an Asio side") {
  kill_many(state::ping_pong, 36);
}
TEST_CASE(
    "a peer killed while messages go both ways loses none that was published to an Asio side") {
  kill_many(state::streaming, 36);
}
TEST_CASE("a peer killed during the handshake leaves nothing behind, and the next one is served") {
  kill_many(state::handshake, 48);
}

}  // TEST_SUITE("asio kill")
