// SPDX-License-Identifier: BSL-1.0
// Asio's channels and services, and native loops in a context, on a machine that is short of
// memory, or of something else, at any moment.
#include <ringbell/ringbell.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "inject/jobs.hpp"
#include "inject/shots.hpp"
#include "support/asio.hpp"

TEST_SUITE("inject asio") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

// Nothing within a scenario has a limit of its own: what waits in vain is found by the limit of
// the whole.
constexpr auto no_limit = std::chrono::nanoseconds::max();

void want(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

listener_options patient_listener() {
  listener_options o;
  o.handshake_timeout = no_limit;
  return o;
}
connect_options patient_connect() {
  connect_options o;
  o.timeout = no_limit;
  return o;
}
client_options patient_client() {
  client_options o;
  o.connection.timeout = no_limit;
  return o;
}
server_options patient_server() {
  server_options o;
  o.listening.handshake_timeout = no_limit;
  return o;
}
loop_options that_sleeps() {
  loop_options o;
  o.spin = spin_policy::none;
  return o;
}

/// Polling would only make the calls differ from run to run.
void let_each_call_fail_asleep(const scenario& run, bool first_of_each) {
  REQUIRE(::setenv("RINGBELL_SPIN", "none", 1) == 0);
  let_each_call_fail(run, 20, first_of_each);
}

// -- channels --

job echo(asio_channel ch) {
  try {
    for (;;) {
      const message m = co_await begin<message>([&](auto h) { ch.async_recv(std::move(h)); });
      co_await begin([&](auto h) { ch.async_send(buffer(m), std::move(h)); });
    }
  } catch (...) {
    // The client sees the end.
  }
}

job accept_all(stage& on, asio_listener& l) {
  // A client may be lost to a lack of something, and an accept as well. Not more than fail.
  for (int failures = 0; failures < 10; ++failures) {
    try {
      for (;;) echo(co_await begin<asio_channel>([&](auto h) { l.async_accept(std::move(h)); }));
    } catch (...) {
      if (!l.is_open()) co_return;
      on.failed();
    }
  }
}

net::const_buffer text(const char* of) {
  return net::buffer(of, std::char_traits<char>::length(of));
}

/// Lets no client in any more when it is destroyed: with a job that has ended, or whose timer could
/// not tell it.
class closing {
public:
  explicit closing(asio_listener& l) noexcept : listener_(l) {}
  closing(const closing&) = delete;
  closing& operator=(const closing&) = delete;
  ~closing() { listener_.close(); }

private:
  asio_listener& listener_;
};

job exchange(stage& on, std::string path, asio_listener& accepting) {
  const closing at_end(accepting);
  try {
    asio_channel ch = co_await begin<asio_channel>(
        [&](auto h) { async_connect(on.executor, path, patient_connect(), std::move(h)); });
    for (int i = 0; i < 2; ++i) {
      co_await begin([&](auto h) { ch.async_send(text("hello"), std::move(h)); });
      const message m = co_await begin<message>([&](auto h) { ch.async_recv(std::move(h)); });
      want(m.text() == "hello", "the message that was sent");
      net::steady_timer pause(on.executor, 100us);
      co_await begin([&](auto h) { pause.async_wait(std::move(h)); });
    }
    {
      co_await begin([&](auto h) { ch.async_send(text("in time"), 1h, std::move(h)); });
      const message m = co_await begin<message>([&](auto h) { ch.async_recv(1h, std::move(h)); });
      want(m.text() == "in time", "the message that was sent in time");
    }
    try {
      (void)co_await begin<message>([&](auto h) { ch.async_recv(200us, std::move(h)); });
      throw std::runtime_error("a message that nobody has sent");
    } catch (const std::system_error& e) {
      if (e.code() != std_error(net::error::timed_out)) throw;
    }
    {
      claim space = co_await begin<claim>([&](auto h) { ch.async_claim(7, std::move(h)); });
      std::memcpy(space.bytes().data(), "claimed", 7);
      space.commit();
    }
    co_await begin([&](auto h) { ch.async_wait(asio_channel::wait_recv, std::move(h)); });
    std::array<char, 7> into{};
    const auto size = co_await begin<std::size_t>(
        [&](auto h) { ch.async_recv_into(net::buffer(into), std::move(h)); });
    want(std::string_view(into.data(), size) == "claimed", "the message that was claimed");
    const std::string big(300'000, 'b');
    co_await begin([&](auto h) { ch.async_send(net::buffer(big), std::move(h)); });
    const message all = co_await begin<message>([&](auto h) { ch.async_recv(std::move(h)); });
    want(all.text() == big, "the long message that was sent");
  } catch (...) {
    on.failed();
  }
}

net::awaitable<void> serve_once(asio_listener& l) {
  asio_channel ch = co_await l.async_accept(net::use_awaitable);
  while (const auto m = co_await ch.recv()) co_await ch.send(buffer(*m));
}
net::awaitable<void> ask(net::any_io_executor executor, std::string path) {
  asio_channel ch = co_await async_connect(executor, path, patient_connect(), net::use_awaitable);
  for (int i = 0; i < 2; ++i) {
    co_await ch.send(text("hello"));
    const auto m = co_await ch.recv();
    if (!m) throw std::system_error(errc::peer_closed);
    want(m->text() == "hello", "the message that was sent");
  }
}
/// What is called when a coroutine has ended. Unless that was in order nothing goes on: the other
/// side would wait for ever.
class spawned {
public:
  explicit spawned(stage& on) noexcept : on_(&on) {}
  spawned(spawned&& other) noexcept : on_(std::exchange(other.on_, nullptr)) {}
  spawned& operator=(spawned&&) = delete;
  ~spawned() {
    if (on_) on_->context.stop();
  }
  void operator()(const std::exception_ptr& e) {
    stage* const on = e ? on_ : std::exchange(on_, nullptr);
    if (e) on->failed(e);
  }

private:
  stage* on_;
};
void spawn(stage& on, net::awaitable<void> what) {
  net::co_spawn(on.executor, std::move(what), spawned(on));
}

void meet(stage& on, asio_listener& l) {
  accept_all(on, l);
  exchange(on, l.path(), l);
}

// -- services --

net::awaitable<reply> answer(asio_request r) {
  switch (r.method()) {
    case 2: {
      const std::string row(3000, 'r');
      for (int i = 0; i < 40; ++i) co_await r.async_write(net::buffer(row), net::use_awaitable);
      co_return reply("end");
    }
    case 3: {
      std::size_t bytes = 0;
      while (const std::optional<payload> part = co_await r.async_read(net::use_awaitable))
        bytes += part->size();
      co_return reply(std::to_string(bytes));
    }
    case 4: {
      net::steady_timer later(r.get_executor(), 200us);
      co_await later.async_wait(net::use_awaitable);
      co_return reply(r.bytes());
    }
    case 5: {
      net::steady_timer never(r.get_executor(), 1h);
      co_await never.async_wait(net::use_awaitable);
      co_return reply();
    }
    default: co_return reply(r.bytes());
  }
}

job call_all(stage& on, asio_server& s) {
  asio_client c(on.executor);
  try {
    co_await begin([&](auto h) { c.async_connect(s.path(), patient_client(), std::move(h)); });
    const auto call = [&](std::uint32_t method, const net::const_buffer& bytes,
                          const call_options& options = {}) {
      return begin<payload>([&c, method, bytes, options](auto h) {
        c.async_call(method, bytes, options, std::move(h));
      });
    };
    payload p = co_await call(1, text("hello"));
    want(p.text() == "hello", "the bytes of the request");
    p = co_await call(4, text("later"));
    want(p.text() == "later", "the bytes of the slow request");
    const std::string big(200'000, 'x');
    p = co_await call(1, net::buffer(big));
    want(p.text() == big, "the bytes of the long request");
    {
      asio_call_stream rows = c.open(2);
      std::size_t bytes = 0;
      for (;;) {
        const auto part =
            co_await begin<std::optional<payload>>([&](auto h) { rows.async_read(std::move(h)); });
        if (!part) break;
        bytes += part->size();
      }
      p = co_await begin<payload>([&](auto h) { rows.async_reply(std::move(h)); });
      want(p.text() == "end" && bytes == 120'000, "the rows, and the reply after them");
    }
    {
      asio_call_stream parts = c.open(3);
      const std::string part(5000, 'p');
      for (int i = 0; i < 30; ++i)
        co_await begin([&](auto h) { parts.async_write(net::buffer(part), std::move(h)); });
      parts.finish();
      p = co_await begin<payload>([&](auto h) { parts.async_reply(std::move(h)); });
      want(p.text() == "150000", "the count of the bytes that were written");
    }
    try {
      (void)co_await call(5, {}, call_options(200us));
      throw std::runtime_error("a reply that nobody has given");
    } catch (const std::system_error& e) {
      if (e.code() != std_error(net::error::timed_out)) throw;
    }
  } catch (...) {
    on.failed();
  }
  c.close();
  try {
    (void)co_await begin<bool>([&](auto h) { s.async_stop(100ms, std::move(h)); });
  } catch (...) {
    on.failed();
  }
  s.close();
}

// -- native loops --

task<void> native_echo(channel ch) {
  for (;;) {
    const auto m = co_await as_result(ch.recv());
    if (!m || !*m) co_return;
    if (!co_await as_result(ch.send((*m)->bytes()))) co_return;
  }
}
task<void> native_accept_all(loop& lp, listener& l) {
  scope sessions{lp};
  sessions.on_error([](std::exception_ptr) {});
  for (;;) sessions.spawn(native_echo(co_await l.accept()));
}
task<void> native_exchange(loop& lp, const std::string& path) {
  task<channel> connecting = connect(lp, path, patient_connect());
  channel ch = co_await std::move(connecting);
  for (int i = 0; i < 3; ++i) {
    co_await ch.send("hello");
    const std::optional<message> m = co_await ch.recv();
    if (!m) throw std::system_error(errc::peer_closed);
    want(m->text() == "hello", "the message that was sent");
    co_await sleep_for(100us);
  }
}
task<int> native_meet(loop& lp, std::string path) {
  listener l = listener::bind(lp, path, patient_listener());
  task<void> accepting = native_accept_all(lp, l);
  task<void> talking = native_exchange(lp, path);
  (void)co_await when_any(std::move(accepting), std::move(talking));
  co_return 7;
}

net::awaitable<int> a_moment() {
  net::steady_timer timer(co_await net::this_coro::executor, 100us);
  co_await timer.async_wait(net::use_awaitable);
  co_return 7;
}
task<int> wait_for_asio(net::any_io_executor executor) {
  int sum = 0;
  for (int i = 0; i < 3; ++i) sum += co_await from_asio(executor, a_moment());
  co_return sum;
}
net::awaitable<int> an_hour() {
  net::steady_timer timer(co_await net::this_coro::executor, 1h);
  co_await timer.async_wait(net::use_awaitable);
  co_return 7;
}
task<int> wait_for_asio_in_vain(net::any_io_executor executor) {
  try {
    co_return co_await timeout(200us, from_asio(executor, an_hour()));
  } catch (const std::system_error& e) {
    if (e.code() != errc::timed_out) throw;
  }
  co_return 21;
}

task<void> wait_for_asio_in_vain_and_silence(net::any_io_executor executor) {
  try {
    (void)co_await from_asio(executor, an_hour());
  } catch (...) {
    // The context has gone.
  }
}

/// Runs a native task on a loop that the context drives, and stops that.
template <class Make>
job run_natively(stage& on, loop& lp, running_loop& driving, Make make, int expected) {
  try {
    const int got =
        co_await begin<int>([&](auto h) { async_run(on.executor, lp, make(), std::move(h)); });
    want(got == expected, "the value of the native task");
  } catch (...) {
    on.failed();
  }
  driving.stop();
}

}  // namespace

/// With the executor of a context, and with a strand, which needs memory for whatever it runs.
void let_each_call_fail_on_both(void (*run)(stage& on, const std::string& folder)) {
  bool strand = false;
  SUBCASE("on a context") {}
  SUBCASE("on a strand") { strand = true; }
  const scenario all = [&](const std::string& folder) {
    stage on(strand);
    run(on, folder);
  };
  let_each_call_fail_asleep(all, !strand);
}

TEST_CASE("channels") {
  let_each_call_fail_on_both([](stage& on, const std::string& folder) {
    asio_listener l(on.executor, folder + "/s", patient_listener());
    meet(on, l);
    on.run();
  });
}

TEST_CASE("channels in Asio's coroutines") {
  let_each_call_fail_on_both([](stage& on, const std::string& folder) {
    asio_listener l(on.executor, folder + "/s", patient_listener());
    spawn(on, serve_once(l));
    spawn(on, ask(on.executor, l.path()));
    on.run();
  });
}

TEST_CASE("a service") {
  let_each_call_fail_on_both([](stage& on, const std::string& folder) {
    asio_server s(on.executor, folder + "/s", answer, patient_server());
    call_all(on, s);
    on.run();
  });
}

TEST_CASE("a native loop in a context") {
  let_each_call_fail_on_both([](stage& on, const std::string& folder) {
    loop lp(that_sleeps());
    running_loop driving = run_in(lp, on.executor);
    run_natively(on, lp, driving, [&] { return native_meet(lp, folder + "/s"); }, 7);
    on.run();
  });
}

TEST_CASE("coroutines of Asio's that native tasks wait for") {
  let_each_call_fail_on_both([](stage& on, const std::string&) {
    loop lp(that_sleeps());
    running_loop driving = run_in(lp, on.executor);
    run_natively(on, lp, driving, [&] { return wait_for_asio(on.executor); }, 21);
    on.run();
  });
}

TEST_CASE("coroutines of Asio's that native tasks give up") {
  let_each_call_fail_on_both([](stage& on, const std::string&) {
    loop lp(that_sleeps());
    running_loop driving = run_in(lp, on.executor);
    run_natively(on, lp, driving, [&] { return wait_for_asio_in_vain(on.executor); }, 21);
    on.run();
  });
}

task<int> sleep_twice() {
  for (int i = 0; i < 2; ++i) co_await sleep_for(1ms);
  co_return 7;
}

/// A task sleeps on a loop whose kernel cannot be told so for some times. How often `run()` threw.
int sleep_untold(int error, std::uint64_t times) {
  loop_options on_epoll = that_sleeps();
  on_epoll.backend = loop_backend::epoll;
  stage on;
  loop lp(on_epoll);
  running_loop driving = run_in(lp, on.executor);
  on.run_for(1ms);
  run_natively(on, lp, driving, sleep_twice, 7);
  for (injected_call* const call : injector::calls())
    if (call->name == std::string_view("timerfd_settime")) injector::fail(*call, 1, error, times);
  const int thrown = on.run_for(patience);
  injector::off();
  CHECK(on.context.stopped());
  return thrown;
}

TEST_CASE("a loop that the kernel has no memory to wake goes on by itself, and nothing is thrown") {
  CHECK(sleep_untold(ENOMEM, 20) == 0);
}

TEST_CASE(
    "a loop that the kernel does not wake for another reason says so, and goes on all the same") {
  CHECK(sleep_untold(EPERM, 20) > 0);
}

TEST_CASE("a context that is stopped, and goes on") {
  const scenario all = [](const std::string& folder) {
    stage on;
    asio_listener l(on.executor, folder + "/s", patient_listener());
    meet(on, l);
    for (int i = 0; i < 20; ++i) {
      net::steady_timer soon(on.executor, 50us);
      soon.async_wait([&](net_error_code) { on.context.stop(); });
      on.run_for(patience);
    }
    on.run();
  };
  let_each_call_fail_asleep(all, false);
}

TEST_CASE("a context that is destroyed with all that waits on it") {
  const scenario all = [](const std::string& folder) {
    loop lp(that_sleeps());
    std::optional<running_loop> driving;
    std::optional<asio_listener> l;
    std::optional<asio_server> s;
    stage on;
    l.emplace(on.executor, folder + "/a", patient_listener());
    meet(on, *l);
    s.emplace(on.executor, folder + "/b", answer, patient_server());
    call_all(on, *s);
    driving.emplace(run_in(lp, on.executor));
    run_natively(on, lp, *driving, [&] { return native_meet(lp, folder + "/c"); }, 7);
    lp.spawn(wait_for_asio_in_vain_and_silence(on.executor));
    on.run_for(1ms);
  };
  let_each_call_fail_asleep(all, false);
}

}  // TEST_SUITE("inject asio")
