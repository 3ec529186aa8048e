// SPDX-License-Identifier: BSL-1.0
// What is pending when a context stops, a context ends, or a listener goes: nothing is lost, leaked
// or touched afterwards. lifetime_fork_test.cpp has processes that fork.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/asio_scene.hpp"
#include "support/patient.hpp"
#include "support/raw_peer.hpp"
#include "support/resources.hpp"

TEST_SUITE("asio lifetime") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

/// Whether this process holds more of the system than before. Other mappings are the allocator's.
bool more_than(const resources& before) {
  const auto now = resources::now();
  return now.descriptors > before.descriptors + handles_of_the_system ||
         now.regions > before.regions;
}

/// Captured by a handler that is not to be called, and whose end shows.
std::function<void(net_error_code)> uncalled(std::shared_ptr<int> token) {
  return [token = std::move(token)](net_error_code) {
    FAIL("called by a context that was destroyed");
  };
}

}  // namespace

// -- contexts that stop --

TEST_CASE("a context that is stopped again and again loses no message") {
  for (const spin_policy policy : {spin_policy::none, spin_policy::adaptive, spin_policy::always}) {
    CAPTURE(static_cast<int>(policy));
    constexpr int messages = 300;
    scene s(phase::asleep, false);
    s.client().spin(policy);
    s.server().spin(policy);
    std::vector<std::vector<std::byte>> to_send;
    for (std::uint64_t n = 0; n < messages; ++n)
      to_send.push_back(patterned(1 + (n % 32 == 31 ? 10'000 : pick(n, 1000)), n));
    int sent = 0, received = 0, handlers = 0, stops = 0;
    const auto maybe_stop = [&] {
      if (++handlers % 3 == 0) s.context.stop();
    };
    std::function<void()> send = [&] {
      s.client().async_send(net::buffer(to_send[static_cast<std::size_t>(sent)]),
                            [&](net_error_code error) {
                              REQUIRE_FALSE(error);
                              if (++sent < messages) send();
                              maybe_stop();
                            });
    };
    std::function<void()> receive = [&] {
      s.server().async_recv([&](net_error_code error, const message& m) {
        REQUIRE_FALSE(error);
        CHECK(m.size() == to_send[static_cast<std::size_t>(received)].size());
        CHECK(matches(m.bytes(), static_cast<std::uint64_t>(received)));
        if (++received < messages) receive();
        maybe_stop();
      });
    };
    send();
    receive();
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (received < messages) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      s.context.restart();
      s.context.run_for(received % 2 == 0 ? 100us
                                          : patience);  // also in the middle of whatever it does
      ++stops;
    }
    run_out(s.context);
    CHECK(sent == messages);
    CHECK(stops > messages / 3);
  }
}

TEST_CASE("an accept and a connect go on when their context is started again") {
  const temporary_folder folder;
  net::io_context context;
  asio_listener listener(context, folder / "service");
  outcome accepted, connected;
  listener.async_accept([&](net_error_code error, const asio_channel&) { accepted(error); });
  async_connect(context, folder / "service", patient(),
                [&](net_error_code error, const asio_channel&) { connected(error); });
  for (int turns = 0; turns < 10'000 && !(accepted.succeeded() && connected.succeeded()); ++turns) {
    context.restart();
    context.run_one_for(20ms);
    context.stop();
  }
  CHECK(accepted.succeeded());
  CHECK(connected.succeeded());
}

// -- contexts that end --

TEST_CASE("a context that is destroyed takes what is pending with it") {
  for (const operation& op : all_operations)
    for (const phase at : all_phases)
      for (const bool stopped : {false, true})
        for (const bool handler_owns_ends : {false, true}) {
          CAPTURE(op);
          CAPTURE(at);
          CAPTURE(stopped);
          CAPTURE(handler_owns_ends);
          const auto before = resources::now();
          const auto token = std::make_shared<int>();
          {
            scene s(at);
            auto handler = uncalled(token);
            if (handler_owns_ends)
              handler = [handler, ends = s.give_away()](net_error_code error) { handler(error); };
            op.start(s, {}, std::move(handler));
            s.proceed();
            if (stopped) s.context.stop();
          }
          CHECK(token.use_count() == 1);
          CHECK_FALSE(more_than(before));
        }
}

TEST_CASE(
    "a context that is destroyed takes both directions, aborted operations and their successors with it") {
  for (const phase at : all_phases) {
    CAPTURE(at);
    const auto before = resources::now();
    const auto token = std::make_shared<int>();
    {
      scene s(at);
      for (int successor = 0; successor < 3; ++successor) {
        s.client().cancel();
        s.client().async_recv([token](net_error_code error, const message&) {
          CHECK(error == net::error::operation_aborted);
        });
        s.client().async_send(net::buffer(s.large), [token](net_error_code error) {
          CHECK(error == net::error::operation_aborted);
        });
        if (successor == 1) s.client() = asio_channel(std::move(s.client()));
      }
      s.proceed();
      if (at == phase::asleep) s.client().close();
    }
    CHECK(token.use_count() == 1);
    CHECK_FALSE(more_than(before));
  }
}

TEST_CASE("a context that is destroyed takes an accept and a connect with it, wherever they are") {
  for (const bool handler_owns_listener : {false, true})
    for (int turns = 0; turns < 12; ++turns) {
      CAPTURE(handler_owns_listener);
      CAPTURE(turns);
      const auto before = resources::now();
      const auto token = std::make_shared<int>();
      {
        const temporary_folder folder;
        {
          net::io_context context;
          auto listener = std::make_shared<asio_listener>(context, folder / "service");
          const auto taken = handler_owns_listener ? listener : nullptr;
          asio_listener& l = *listener;
          if (handler_owns_listener) listener.reset();
          l.async_accept(
              [token, taken](net_error_code error, const asio_channel&) { CHECK_FALSE(error); });
          async_connect(context, folder / "service", patient(),
                        [token](net_error_code error, const asio_channel&) { CHECK_FALSE(error); });
          async_connect(
              context, folder / "nobody", patient(),
              [h = uncalled(token)](net_error_code error, const asio_channel&) { h(error); });
          for (int turn = 0; turn < turns; ++turn) context.poll_one();
        }
        CHECK(left_in(folder).empty());
      }
      CHECK(token.use_count() == 1);
      CHECK_FALSE(more_than(before));
    }
}

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

// g++ 12 inlines one half of Asio's allocation of a coroutine's frame, and then takes the two for a
// mismatched pair.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {

constexpr int waits_of_owner = 9;

/// Waits, in one of many ways, for what never comes.
net::awaitable<void> wait_in_vain(asio_channel& ch, const std::string& path, int what) {
  const net::any_io_executor here = co_await net::this_coro::executor;
  const std::vector<std::byte> large = patterned(100'000, 1);
  std::optional<asio_listener> listener;
  net::steady_timer timer(here, 1h);
  switch (what) {
    case 0: co_await ch.async_recv(net::use_awaitable); break;
    case 1: co_await ch.recv(); break;
    case 2: co_await ch.async_send(net::buffer(large), net::use_awaitable); break;
    case 3: co_await ch.send(net::buffer(large)); break;
    case 4: {
      const claim c = co_await ch.async_claim(100, net::use_awaitable);
      co_await ch.async_wait(asio_channel::wait_recv, net::use_awaitable);
      break;
    }
    case 5: co_await (ch.recv() || timer.async_wait(net::use_awaitable)); break;
    case 6:
      co_await (ch.async_recv(net::use_awaitable) &&
                ch.async_send(net::buffer(large), net::use_awaitable));
      break;
    case 7:
      listener.emplace(here, path);
      co_await listener->async_accept(net::use_awaitable);
      break;
    default: co_await async_connect(here, path, patient(), net::use_awaitable); break;
  }
}

/// A coroutine that owns its channel, and a message that it has received.
struct owner {
  std::shared_ptr<int> token;
  asio_pair ends;
  std::string path;
  int what;
  net::awaitable<void> operator()() {
    asio_channel ch = std::move(ends.client);
    co_await ends.server.async_send(net::buffer("held", 4), net::use_awaitable);
    const message held = co_await ch.async_recv(net::use_awaitable);
    co_await wait_in_vain(ch, path, what);
    ++*token;  // it came
  }
};

}  // namespace

TEST_CASE(
    "a context that is destroyed takes coroutines with it that own channels, listeners and messages") {
  for (int what = 0; what < waits_of_owner; ++what)
    for (const spin_policy policy : {spin_policy::none, spin_policy::always})
      for (const bool on_a_strand : {false, true})
        for (const int turns : {0, 1, 3, 5, 30}) {
          if (slow_here && (turns == 1 || turns == 5)) continue;
          CAPTURE(what);
          CAPTURE(static_cast<int>(policy));
          CAPTURE(on_a_strand);
          CAPTURE(turns);
          const auto before = resources::now();
          const auto token = std::make_shared<int>();
          {
            const temporary_folder folder;
            net::io_context context;
            owner o{token, connected(context), folder / "service", what};
            o.ends.client.spin(policy);
            net::any_io_executor executor = context.get_executor();
            if (on_a_strand) executor = net::make_strand(context);
            net::co_spawn(executor, std::move(o), net::detached);
            for (int turn = 0; turn < turns; ++turn) context.poll_one();
          }
          CHECK(*token == 0);
          CHECK(token.use_count() == 1);
          CHECK_FALSE(more_than(before));
        }
}

#endif

// -- what outlives --

TEST_CASE("messages and claims may be held when everything else is gone") {
  for (const bool peer_first : {false, true})
    for (const bool in_order : {false, true}) {
      CAPTURE(peer_first);
      CAPTURE(in_order);
      const auto before = resources::now();
      {
        std::array<message, 3> held;
        claim never_sent, committed_late;
        {
          scene s(phase::asleep, false);
          net_error_code error;
          s.server().async_send(net::buffer(s.large),
                                [](net_error_code failed) { CHECK_FALSE(failed); });
          s.client().async_recv([&](net_error_code, message m) { held[0] = std::move(m); });
          run_out(s.context);
          s.from_server("short");
          s.from_server("");
          held[1] = s.client().try_recv(error);
          held[2] = s.client().try_recv(error);
          REQUIRE_FALSE(error);
          never_sent = s.client().try_claim(100, error);
          REQUIRE(never_sent);
          committed_late = s.server().try_claim(100, error);
          REQUIRE(committed_late);
          (peer_first ? s.server() : s.client()).close();
        }
        CHECK(held[0].size() == 100'000);
        CHECK(matches(held[0].bytes(), 2));
        CHECK(held[1].text() == "short");
        CHECK(held[2].empty());
        fill(never_sent.bytes(), 1);
        fill(committed_late.bytes(), 1);
        committed_late.commit();
        if (in_order)
          for (message& m : held) m.release();
        else
          for (auto m = held.rbegin(); m != held.rend(); ++m) m->release();
      }
      CHECK_FALSE(more_than(before));
    }
}

TEST_CASE("a listener that goes hangs up on clients that are half-way, and ends its accept") {
  for (const bool accepting : {false, true})
    for (const bool by_context : {false, true}) {
      CAPTURE(accepting);
      CAPTURE(by_context);
      const auto before = resources::now();
      {
        const temporary_folder folder;
        const std::string path = folder / "service";
        outcome accepted;
        std::optional<raw_peer> silent, hesitant, late;
        net::io_context of_clients;
        outcome connected;
        net::cancellation_signal give_up;
        {
          net::io_context context;
          asio_listener listener(context, path);
          silent.emplace(raw_peer::connected_to(path));
          hesitant.emplace(raw_peer::connected_to(path));
          const handshake::encoded_frame hello = handshake::encode(raw_client::greeting());
          REQUIRE(hesitant->send(hello.bytes().first(10)));
          if (accepting)
            listener.async_accept(
                [&](net_error_code error, const asio_channel&) { accepted(error); });
          context.poll();
          late.emplace(raw_peer::connected_to(path));  // in the backlog, or not looked at yet
          async_connect(of_clients, path, patient(),
                        net::bind_cancellation_slot(
                            give_up.slot(),
                            [&](net_error_code error, const asio_channel&) { connected(error); }));
          of_clients.poll();
          if (!by_context) {
            listener.close();
            CHECK(accepted.calls == 0);
            run_out(context);
            CHECK((accepting ? accepted.aborted() : accepted.calls == 0));
          }
        }
        for (std::optional<raw_peer>* peer : {&silent, &hesitant, &late}) {
          CHECK((*peer)->hangs_up());
          peer->reset();  // the name of a pipe is in use until then
        }
        // The one that can try again does, and finds the next listener.
        of_clients.poll();
        CHECK(connected.calls == 0);
        CHECK(left_in(folder).empty());
        asio_listener next(of_clients, path);
        outcome accepted_next;
        next.async_accept([&](net_error_code error, const asio_channel&) { accepted_next(error); });
        run_out(of_clients);
        CHECK(accepted_next.succeeded());
        CHECK(connected.succeeded());
      }
      CHECK_FALSE(more_than(before));
    }
}

TEST_CASE(
    "a listener that goes drops the clients that nobody has accepted, and leaves those that somebody has") {
  const temporary_folder folder;
  const std::string path = folder / "service";
  net::io_context context, of_clients;
  std::vector<asio_channel> clients;
  std::vector<asio_channel> accepted;
  std::optional<asio_listener> listener(std::in_place, context, path);
  for (int n = 0; n < 3; ++n) {
    async_connect(of_clients, path, patient(), [&](net_error_code error, asio_channel ch) {
      REQUIRE_FALSE(error);
      clients.push_back(std::move(ch));
    });
  }
  of_clients.poll();
  listener->async_accept([&](net_error_code error, asio_channel ch) {
    REQUIRE_FALSE(error);
    accepted.push_back(std::move(ch));
  });
  run_out(context);
  run_out(of_clients);
  REQUIRE(accepted.size() == 1);
  CHECK(clients.size() == 3);  // all were welcomed while the first was accepted
  listener.reset();
  std::string got;
  int ended = 0;
  for (asio_channel& ch : clients)
    ch.async_recv([&](net_error_code error, const message& m) {
      if (error == net::error::eof)
        ++ended;
      else
        got = m.text();
    });
  CHECK_FALSE(accepted[0].try_send(net::buffer("hello", 5)));
  run_out(of_clients);
  CHECK(got == "hello");
  CHECK(ended == 2);
}

}  // TEST_SUITE("asio lifetime")
