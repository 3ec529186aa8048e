// SPDX-License-Identifier: BSL-1.0
// What is pending when a process forks: the child destroys its copies, and the parent goes on.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "support/applies.hpp"
#include "support/asio_scene.hpp"
#include "support/child_process.hpp"
#include "support/patient.hpp"
#include "support/raw_peer.hpp"

TEST_SUITE("asio lifetime_fork") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr auto fork_prepare = net::execution_context::fork_prepare;
constexpr auto fork_parent = net::execution_context::fork_parent;
constexpr auto fork_child = net::execution_context::fork_child;

/// Forks as Asio wants it; `in_child` says by its value how it went. Both have told the context
/// when this returns or `in_child` begins.
template <class F>
int fork_with(net::io_context& context, F in_child) {
  context.notify_fork(fork_prepare);
  child_process child([&] {
    context.notify_fork(fork_child);
    return in_child();
  });
  context.notify_fork(fork_parent);
  return child.wait();
}

/// Whether the context comes to an end of what is pending.
bool runs_out(net::io_context& context) {
  context.restart();
  context.run_for(patience);
  return context.stopped();
}

/// What a child does with its copy of `s`.
int leave(std::optional<scene>& s, bool with_context) {
  if (with_context) {
    s.reset();
    return 0;
  }
  s->client().close();
  s->server().close();
  return runs_out(s->context) ? 0 : 1;
}

}  // namespace

TEST_CASE("a forked child destroys its copies, and the parent's pending operations complete" *
          needs_fork) {
  for (const operation& op : all_operations)
    for (const phase at : all_phases)
      for (const bool with_context : {false, true}) {
        CAPTURE(op);
        CAPTURE(at);
        CAPTURE(with_context);
        std::optional<scene> s(std::in_place, at);
        outcome ended;
        op.start(*s, {}, ended.handler());
        s->proceed();
        REQUIRE(fork_with(s->context, [&] { return leave(s, with_context); }) == 0);
        CHECK(ended.calls == 0);
        if (op.receives) s->from_server("message");
        CHECK(run_until(s->context, [&] {
          if (op.sends && ended.calls == 0) s->drain();
          return ended.calls != 0;
        }));
        CHECK(ended.succeeded());
      }
}

TEST_CASE(
    "a forked child destroys its copies, and a message that is half-way in the parent arrives" *
    needs_fork) {
  for (const phase at : {phase::polling, phase::asleep})
    for (const bool space : {false, true})
      for (const bool with_context : {false, true}) {
        CAPTURE(at);
        CAPTURE(
            // has come meanwhile: the child could go on, or say in the parent's name that the
            // message was given up
            space);
        CAPTURE(with_context);
        std::optional<scene> s(std::in_place, at, false);
        outcome sent, received;
        s->client().async_send(net::buffer(s->large), sent.handler());
        s->proceed();
        REQUIRE(sent.calls == 0);
        if (space) CHECK(s->at_server() == net_error_code(net::error::would_block).message());
        REQUIRE(fork_with(s->context, [&] { return leave(s, with_context); }) == 0);
        s->server().async_recv([&](net_error_code error, const message& m) {
          received(error);
          CHECK(m.size() == s->large.size());
          CHECK(matches(m.bytes(), 2));
        });
        run_out(s->context);
        CHECK(sent.succeeded());
        CHECK(received.succeeded());
        s->goes_on_after(1);
      }
}

TEST_CASE(
    "a forked child destroys its copies of messages and claims after their channel, and the parent's stay what they are" *
    needs_fork) {
  std::optional<scene> s(std::in_place, phase::asleep, false);
  s->from_server("held by both");
  net_error_code error;
  message held = s->client().try_recv(error);
  claim claimed = s->client().try_claim(100, error);
  REQUIRE(claimed);
  CHECK(fork_with(s->context, [&] {
          s.reset();
          const bool readable = held.text() == "held by both";
          held.release();
          claimed.commit();
          return readable ? 0 : 1;
        }) == 0);
  CHECK(held.text() == "held by both");
  CHECK(s->at_server() == net_error_code(net::error::would_block).message());
  fill(claimed.bytes(), 7);
  claimed.commit();
  const message m = s->server().try_recv(error);
  REQUIRE_FALSE(error);
  CHECK(matches(m.bytes(), 7));
  held.release();
  s->from_server("next");
  CHECK(s->at_client() == "next");
}

TEST_CASE("a forked child destroys its listener, and the parent's goes on, with its socket file" *
          needs_fork) {
  for (const bool accepting : {false, true})
    for (const bool sleeping : {false, true})
      for (const int half_way : {0, 1, 2}) {
        CAPTURE(accepting);
        CAPTURE(sleeping);
        CAPTURE(
            // nobody; one that has said nothing yet; one that was welcomed and not accepted
            half_way);
        const temporary_folder folder;
        const std::string path = folder / "service";
        net::io_context context;
        std::optional<asio_listener> listener(std::in_place, context, path);
        outcome accepted, connected;
        const auto accept = [&] {
          listener->async_accept(
              [&](net_error_code error, const asio_channel&) { accepted(error); });
        };
        const auto connect = [&] {
          async_connect(context, path, patient(),
                        [&](net_error_code error, const asio_channel&) { connected(error); });
        };
        std::optional<raw_peer> silent;
        if (half_way == 1) silent.emplace(raw_peer::connected_to(path));
        if (half_way == 2) {
          connect();
          connect();
          accept();
          run_out(context);
          CHECK(connected.calls == 2);
          REQUIRE(accepted.succeeded());
          accepted = connected = {};
        }
        if (accepting && half_way != 2) accept();
        if (sleeping) context.poll();
        REQUIRE(fork_with(context, [&] {
                  listener.reset();
                  if (!runs_out(context)) return 1;
                  return std::filesystem::exists(path) ? 0 : 2;
                }) == 0);
        CHECK(std::filesystem::exists(path));
        if (half_way == 2) {
          accept();
          run_out(context);
          CHECK(accepted.succeeded());
          accepted = {};
        }
        if (!accepting || half_way == 2) accept();
        connect();
        CHECK(run_until(context, [&] { return accepted.calls != 0 && connected.calls != 0; }));
        CHECK(accepted.succeeded());
        CHECK(connected.succeeded());
      }
}

TEST_CASE("a forked child destroys its copy of a connect, and the parent's connects" * needs_fork) {
  for (const bool listening : {false, true})
    for (const bool destroy_context : {false, true}) {
      CAPTURE(listening);
      CAPTURE(destroy_context);
      const temporary_folder folder;
      const std::string path = folder / "service";
      net::io_context of_server;
      std::optional<asio_listener> listener;
      if (listening) listener.emplace(of_server, path);  // and does not answer yet
      std::optional<net::io_context> context(std::in_place);
      net::cancellation_signal signal;
      outcome connected;
      async_connect(
          *context, path, patient(),
          net::bind_cancellation_slot(
              signal.slot(), [&](net_error_code error, const asio_channel&) { connected(error); }));
      context->poll();
      REQUIRE(fork_with(*context, [&] {
                if (destroy_context) {
                  context.reset();
                  return 0;
                }
                signal.emit(net::cancellation_type::terminal);
                return runs_out(*context) ? 0 : 1;
              }) == 0);
      if (!listening) listener.emplace(of_server, path);
      outcome accepted;
      listener->async_accept([&](net_error_code error, const asio_channel&) { accepted(error); });
      CHECK(run_until(*context, [&] {
        of_server.poll();
        return connected.calls != 0;
      }));
      CHECK(connected.succeeded());
    }
}

TEST_CASE("a forked child can go on with the context, and connect to its parent" * needs_fork) {
  const temporary_folder folder;
  const std::string path = folder / "service";
  net::io_context context;
  std::optional<asio_listener> listener(std::in_place, context, path);
  std::optional<asio_channel> from_child;
  listener->async_accept([&](net_error_code error, asio_channel ch) {
    if (!error) from_child = std::move(ch);
  });
  context.poll();
  context.notify_fork(fork_prepare);
  child_process child([&] {
    context.notify_fork(fork_child);
    listener.reset();
    std::string answer;
    std::optional<asio_channel> to_parent;
    async_connect(context, path, patient(), [&](net_error_code error, asio_channel ch) {
      if (error) return;
      to_parent = std::move(ch);
      (void)to_parent->try_send(net::buffer("hello", 5));
      to_parent->async_recv([&](net_error_code, const message& m) { answer = m.text(); });
    });
    if (!runs_out(context)) return 1;
    return answer == "welcome" ? 0 : 2;
  });
  context.notify_fork(fork_parent);
  std::string greeting;
  CHECK(run_until(context, [&] { return from_child.has_value(); }));
  if (from_child) {
    from_child->async_recv([&](net_error_code, const message& m) { greeting = m.text(); });
    CHECK(run_until(context, [&] { return !greeting.empty(); }));
    CHECK_FALSE(from_child->try_send(net::buffer("welcome", 7)));
  }
  CHECK(greeting == "hello");
  CHECK(child.wait() == 0);
}

}  // TEST_SUITE("asio lifetime_fork")
