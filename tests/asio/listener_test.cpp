// SPDX-License-Identifier: BSL-1.0
// Who listens under a name, and what becomes of those who come. listener_accept_test.cpp has what
// an accept does.
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/when_all.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/applies.hpp"
#include "support/asio_meeting.hpp"
#include "support/child_process.hpp"
#include "support/no_descriptors_left.hpp"
#include "support/raw_peer.hpp"

TEST_SUITE("asio listener") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

std::error_code listen_error(net::io_context& context, const std::string& name,
                             const listener_options& options = {}) {
  try {
    const asio_listener l(context, name, options);
    return {};
  } catch (const std::system_error& e) {
    CHECK(std::string_view(e.what()).find(name) != std::string_view::npos);
    return e.code();
  }
}

}  // namespace

// -- names --

TEST_CASE(
    "a name that a live listener has is in use, whichever front end has it, and is free again after it") {
  net::io_context context;
  const temporary_folder folder;
  {
    asio_listener l(context, folder / "name");
    CHECK(l.is_open());
    CHECK(l.path() == folder / "name");
    CHECK(l.clients() == 0);
    CHECK(listen_error(context, folder / "name") == errc::name_in_use);
    loop lp;
    CHECK_THROWS_AS(listener::bind(lp, folder / "name"), std::system_error);
    l.close();
    CHECK_FALSE(l.is_open());
    CHECK_FALSE(listen_error(context, folder / "name"));
    l.close();
  }
  {
    loop lp;
    const listener native = listener::bind(lp, folder / "name");
    CHECK(listen_error(context, folder / "name") == errc::name_in_use);
  }
  CHECK_FALSE(listen_error(context, folder / "name"));
  CHECK(left_in(folder).empty());
}

TEST_CASE("names and options that cannot be used are refused by the constructor" * needs_folders) {
  net::io_context context;
  const temporary_folder folder;
  CHECK(listen_error(context, "") == errc::bad_name);
  CHECK(listen_error(context, "not a name") == errc::bad_name);
  CHECK(listen_error(context, folder / std::string(200, 'x')) == errc::bad_name);
  CHECK(listen_error(context, folder / "no/such/folder") == errc::bad_name);
  listener_options options;
  options.min_ring_bytes = 128 << 10;
  CHECK(listen_error(context, folder / "name", options) == errc::bad_ring_size);
  options = {};
  options.default_ring_bytes = 5000;
  CHECK(listen_error(context, folder / "name", options) == errc::bad_ring_size);
  CHECK(context.run() == 0);
}

TEST_CASE(
    "a listener that cannot be made for lack of descriptors says so, and leaves nothing behind" *
    needs_scarce_handles) {
  net::io_context context;
  const temporary_folder folder;
  CHECK_FALSE(
      listen_error(context, folder / "name"));  // what Asio makes once is made before counting
  const int before = open_descriptors();
  for (std::size_t spare = 0; spare < 8; ++spare) {
    CAPTURE(spare);
    std::error_code error;
    {
      const no_descriptors_left scarce(spare);
      try {
        const asio_listener l(context, folder / "name");
      } catch (const std::system_error& e) {
        error = e.code();
      }
    }
    if (spare == 0) CHECK(error == std::errc::too_many_files_open);
    CHECK(open_descriptors() == before);
  }
  CHECK(left_in(folder).empty());
}

// -- many clients --

TEST_CASE("many clients that come at the same time are all served, however few may be half open") {
  constexpr std::uint32_t count = 60;
  net::io_context context;
  const temporary_folder folder;
  for (const std::size_t at_a_time : {std::size_t{256}, std::size_t{2}}) {
    CAPTURE(at_a_time);
    listener_options options;
    options.max_half_open = at_a_time;
    asio_listener l(context, folder / "many", options);
    std::deque<attempt> clients;
    for (std::uint32_t i = 0; i < count; ++i) clients.emplace_back(context, l.path());

    std::vector<asio_channel> accepted;
    std::function<void()> accept_next = [&] {
      l.async_accept([&](net_error_code e, asio_channel ch) {
        REQUIRE_FALSE(e);
        accepted.push_back(std::move(ch));
        if (accepted.size() < count) accept_next();
      });
    };
    accept_next();
    CHECK(run_until(context, [&] {
      return accepted.size() == count &&
             std::ranges::all_of(clients, [](const attempt& c) { return c.succeeded(); });
    }));
    CHECK(l.clients() == count);

    // Each client has its own channel: all numbers arrive, each once.
    std::vector<bool> seen(count);
    std::uint32_t arrived = 0;
    for (std::uint32_t i = 0; i < count; ++i)
      CHECK_FALSE(clients[i].ch.try_send(net::buffer(&i, sizeof i)));
    for (asio_channel& ch : accepted)
      ch.async_recv([&](net_error_code e, message m) {
        REQUIRE_FALSE(e);
        std::uint32_t number = count;
        REQUIRE(m.size() == sizeof number);
        std::memcpy(&number, m.data(), sizeof number);
        CHECK_FALSE(seen.at(number));
        seen[number] = true;
        ++arrived;
      });
    CHECK(run_until(context, [&] { return arrived == count; }));

    accepted.erase(accepted.begin() + count / 2, accepted.end());
    CHECK(l.clients() == count / 2);
    accepted.clear();
    CHECK(l.clients() == 0);
  }
  context.restart();
  context.run();
}

TEST_CASE("native clients and Asio's are served by one Asio listener") {
  constexpr int of_each = 20;
  net::io_context context;
  const temporary_folder folder;
  asio_listener l(context, folder / "mixed");
  native_thread natives([path = l.path()](loop& lp) -> task<void> {
    std::vector<task<channel>> connecting;
    for (int i = 0; i < of_each; ++i) connecting.push_back(connect(lp, path));
    auto clients = co_await when_all(std::move(connecting));
    for (channel& ch : clients) {
      co_await ch.send("native");
      const auto m = co_await ch.recv();
      expect(m && m->text() == "native", "an echo");
    }
  });
  std::deque<attempt> clients;
  for (int i = 0; i < of_each; ++i) clients.emplace_back(context, l.path());

  std::deque<asio_channel> accepted;
  int echoes = 0;
  std::function<void()> accept_next = [&] {
    l.async_accept([&](net_error_code e, asio_channel given) {
      REQUIRE_FALSE(e);
      asio_channel& ch = accepted.emplace_back(std::move(given));
      ch.async_recv([&](net_error_code failed, message m) {
        REQUIRE_FALSE(failed);
        CHECK_FALSE(ch.try_send(net::buffer(m.data(), m.size())));
        ++echoes;
      });
      if (accepted.size() < 2 * of_each) accept_next();
    });
  };
  accept_next();
  CHECK(run_until(context, [&] {
    return std::ranges::all_of(clients, [](const attempt& c) { return c.succeeded(); });
  }));
  for (attempt& c : clients) CHECK_FALSE(c.ch.try_send(net::buffer("asio", 4)));
  CHECK(run_until(context, [&] { return echoes == 2 * of_each; }));
  CHECK(natives.join().empty());
  for (attempt& c : clients) CHECK(receive(context, c.ch).text == "asio");
}

TEST_CASE("a native listener serves Asio clients") {
  constexpr int count = 20;
  net::io_context context;
  const temporary_folder folder;
  const std::string path = folder / "native";
  native_thread server([path](loop& lp) -> task<void> {
    listener l = listener::bind(lp, path);
    std::vector<channel> accepted;
    for (int i = 0; i < count; ++i) accepted.push_back(co_await l.accept());
    for (channel& ch : accepted) {
      const auto m = co_await ch.recv();
      expect(m && m->text() == "hello", "a greeting");
      co_await ch.send("welcome");
    }
    for (channel& ch : accepted) expect(!co_await ch.recv(), "the end");
  });
  {
    std::deque<attempt> clients;
    for (int i = 0; i < count; ++i) clients.emplace_back(context, path);
    REQUIRE(run_until(context, [&] {
      return std::ranges::all_of(clients, [](const attempt& c) { return c.succeeded(); });
    }));
    for (attempt& c : clients) CHECK_FALSE(c.ch.try_send(net::buffer("hello", 5)));
    for (attempt& c : clients) {
      CHECK(receive(context, c.ch).text == "welcome");
      CHECK(c.ch.peer().process == static_cast<std::int64_t>(sys::current_process()));
    }
  }
  CHECK(server.join().empty());
}

// -- the context --

TEST_CASE(
    "a context has no work while nothing is pending, although a listener and channels are open") {
  net::io_context context;
  const temporary_folder folder;
  asio_listener l(context, folder / "quiet");
  CHECK(context.run() == 0);
  asio_pair p = meet(context, l);
  // All that was pending has ended: what may be left is internal, and ends by itself.
  context.restart();
  context.run();
  CHECK(context.stopped());

  bool ended = false;
  p.server.async_recv([&](net_error_code, const message&) { ended = true; });
  context.restart();
  CHECK(context.run_for(20ms) > 0);
  CHECK_FALSE(context.stopped());  // this is work
  p.server.cancel();
  context.restart();
  context.run();
  CHECK(context.stopped());
  CHECK(ended);

  // Nor does what comes in make any.
  CHECK_FALSE(p.client.try_send(net::buffer("unasked", 7)));
  const raw_peer knocks = raw_peer::connected_to(l.path());
  context.restart();
  context.run();
  CHECK(context.stopped());
  CHECK(receive(context, p.server).text == "unasked");
}

TEST_CASE("a context that is destroyed with an accept and a connect pending takes them along") {
  const temporary_folder folder;
  const int before = open_descriptors();
  int called = 0;
  const auto kept = std::make_shared<int>();
  for (const int steps : {0, 1, 20}) {
    net::io_context context;
    asio_listener l(context, folder / "short");
    const auto count_calls = [&called, kept](net_error_code, const asio_channel&) { ++called; };
    l.async_accept(count_calls);
    async_connect(context, folder / "nobody", count_calls);
    for (int i = 0; i < steps; ++i) context.poll_one();
  }
  CHECK(called == 0);
  CHECK(kept.use_count() == 1);
  CHECK(open_descriptors() == before);
}

}  // TEST_SUITE("asio listener")
