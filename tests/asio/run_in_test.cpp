// SPDX-License-Identifier: BSL-1.0

// A native loop driven by an io_context's thread.

#include <ringbell/ringbell.hpp>

#include "support/asio.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

TEST_SUITE("asio run_in") {

namespace net = ringbell::net;
using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

TEST_CASE("a loop's tasks, timers and posts go on while an io_context runs") {
  loop lp;
  net::io_context context;
  running_loop driving = run_in(lp, context);
  bool slept = false;
  bool posted = false;
  const auto body = [&]() -> task<void> {
    co_await sleep_for(2ms);
    slept = true;
  };
  lp.spawn(body());
  std::thread other([&] { lp.post([&] { posted = true; }); });
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (!(slept && posted) && std::chrono::steady_clock::now() < limit) context.run_one_for(1s);
  other.join();
  CHECK(slept);
  CHECK(posted);
}

TEST_CASE("native and Asio channels talk to each other on one thread") {
  loop lp;
  net::io_context context;
  running_loop driving = run_in(lp, context);
  const temporary_folder folder;
  const std::string name = folder / "service";
  int echoed = 0;
  const auto serve = [&]() -> task<void> {
    listener l = listener::bind(lp, name);
    channel ch = co_await l.accept();
    while (auto m = co_await ch.recv()) co_await ch.send(m->bytes());
  };
  const auto ask = [&]() -> net::awaitable<void> {
    asio_channel ch = co_await async_connect(context, name, net::use_awaitable);
    for (int i = 0; i < 300; ++i) {
      const std::string text = "message " + std::to_string(i);
      co_await ch.send(net::buffer(text));
      const auto answer = co_await ch.recv();
      if (answer && answer->text() == text) ++echoed;
    }
    ch.close();
    driving.stop();
  };
  lp.spawn(serve());
  net::co_spawn(context, ask(), rethrow);
  context.run();  // ends, as nothing drives the loop any more
  CHECK(echoed == 300);
}

TEST_CASE("what is started on the loop by an Asio handler is heard of") {
  loop lp;
  net::io_context context;
  running_loop driving = run_in(lp, context);
  context.run_for(5ms);
  bool ran = false;
  const auto body = [&]() -> task<void> {
    co_await sleep_for(1ms);
    ran = true;
    driving.stop();
  };
  net::post(context, [&] { lp.spawn(body()); });
  context.restart();
  context.run();
  CHECK(ran);
}

TEST_CASE(
    "an exception out of a posted function leaves the context's run, and the loop goes on with the next") {
  loop lp;
  net::io_context context;
  running_loop driving = run_in(lp, context);
  bool after = false;
  lp.post([] { throw std::runtime_error("from the loop"); });
  lp.post([&] {
    after = true;
    driving.stop();
  });
  CHECK_THROWS_WITH(context.run(), "from the loop");
  context.run();
  CHECK(after);
}

TEST_CASE("stopping lets run() return, and the loop can be run by other means") {
  loop lp;
  net::io_context context;
  {
    const running_loop driving = run_in(lp, context);
    context.run_for(1ms);
  }
  context.restart();
  context.run();  // no work left
  bool ran = false;
  lp.post([&] { ran = true; });
  lp.run_until_idle();
  CHECK(ran);
  running_loop again = run_in(lp, net::make_strand(context));
  ran = false;
  lp.post([&] {
    ran = true;
    again.stop();
  });
  context.restart();
  context.run();
  CHECK(ran);
}

TEST_CASE("an io_context may go while it drives a loop") {
  loop lp;
  {
    net::io_context context;
    running_loop driving = run_in(lp, context);
    lp.post([&] { context.stop(); });
    context.run();
    driving.stop();
  }
  lp.run_until_idle();
}

}  // TEST_SUITE("asio run_in")
