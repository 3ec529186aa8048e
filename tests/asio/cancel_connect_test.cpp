// SPDX-License-Identifier: BSL-1.0
// A cancelled accept, or connect, loses no client and leaves nothing behind.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>

#include "support/asio_scene.hpp"
#include "support/patient.hpp"
#include "support/raw_peer.hpp"
#include "support/resources.hpp"
#include "support/silent_server.hpp"

TEST_SUITE("asio cancel_connect") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

/// Checks that a listener and a connect find each other.
void meet(net::io_context& context, asio_listener& listener, const std::string& path) {
  outcome accepted, connected;
  listener.async_accept([&](net_error_code error, asio_channel ch) {
    CHECK(ch.is_open() == !error);
    accepted(error);
  });
  async_connect(context, path, [&](net_error_code error, asio_channel ch) {
    CHECK(ch.is_open() == !error);
    connected(error);
  });
  run_out(context);
  CHECK(accepted.succeeded());
  CHECK(connected.succeeded());
}

}  // namespace

TEST_CASE("a signal may outlive the context of an accept and of a connect") {
  for (const bool sleeping : {false, true})
    for (const bool emit : {false, true}) {
      CAPTURE(sleeping);
      CAPTURE(emit);
      const temporary_folder folder;
      const auto before = open_descriptors();
      {
        net::cancellation_signal of_accept, of_connect;
        {
          net::io_context context;
          asio_listener listener(context, folder / "service");
          listener.async_accept(net::bind_cancellation_slot(
              of_accept.slot(), [](net_error_code, const asio_channel&) { FAIL("nobody came"); }));
          async_connect(context, folder / "nobody", patient(),
                        net::bind_cancellation_slot(
                            of_connect.slot(),
                            [](net_error_code, const asio_channel&) { FAIL("nobody listens"); }));
          if (sleeping) context.poll();
        }
        if (emit) {
          of_accept.emit(net::cancellation_type::total);
          of_connect.emit(net::cancellation_type::total);
        }
      }
      CHECK(open_descriptors() == before);
    }
}

TEST_CASE("a cancelled accept loses no client") {
  for (const bool sleeping : {false, true})
    for (const auto type : all_cancellation_types)
      for (const int client : {0, 1, 2}) {
        CAPTURE(sleeping);
        CAPTURE(static_cast<int>(type));
        CAPTURE(
            client);  // there is none; one that has connected; one that has been welcomed as well
        const temporary_folder folder;
        net::io_context context, of_client;
        asio_listener listener(context, folder / "service");
        net::cancellation_signal signal;
        outcome ended;
        listener.async_accept(net::bind_cancellation_slot(
            signal.slot(), [&](net_error_code error, const asio_channel& ch) {
              CHECK_FALSE(ch.is_open());
              ended(error);
            }));
        if (sleeping) context.poll();
        std::optional<asio_channel> connected;
        if (client != 0) {
          async_connect(of_client, folder / "service", patient(),
                        [&](net_error_code error, asio_channel ch) {
                          REQUIRE_FALSE(error);
                          connected = std::move(ch);
                        });
          of_client.poll();
        }
        if (client == 2) {
          // Two accepts take two clients: so the second is welcomed, and waits, when the first has
          // been accepted.
          outcome other;
          signal.emit(type);
          context.poll();
          CHECK(ended.aborted());
          ended = {};
          async_connect(of_client, folder / "service", patient(),
                        [&](net_error_code error, asio_channel) { other(error); });
          of_client.poll();
          listener.async_accept(
              [](net_error_code error, const asio_channel&) { CHECK_FALSE(error); });
          run_out(context);
          run_out(of_client);
          CHECK(other.succeeded());
          CHECK(connected);
          listener.async_accept(net::bind_cancellation_slot(
              signal.slot(), [&](net_error_code error, const asio_channel&) { ended(error); }));
        }
        signal.emit(type);
        CHECK(ended.calls == 0);
        context.poll();
        context.restart();
        CHECK(ended.aborted());
        if (client != 0) {
          outcome accepted;
          listener.async_accept([&](net_error_code error, asio_channel ch) {
            accepted(error);
            // Said by the client below, if it is the one that was left.
            ch.close();
          });
          run_out(context);
          run_out(of_client);
          CHECK(accepted.succeeded());
          CHECK(connected);
        }
        meet(context, listener, folder / "service");
      }
}

TEST_CASE("cancel() of a listener ends its accept, and the next one can be started at once") {
  for (const bool sleeping : {false, true}) {
    CAPTURE(sleeping);
    const temporary_folder folder;
    net::io_context context;
    asio_listener listener(context, folder / "service");
    outcome first;
    listener.async_accept([&](net_error_code error, const asio_channel&) { first(error); });
    if (sleeping) context.poll();
    listener.cancel();
    CHECK(first.calls == 0);
    meet(context, listener, folder / "service");
    CHECK(first.aborted());
  }
}

TEST_CASE("a cancelled connect leaves nothing behind") {
  for (const bool somebody_silent : {false, true})
    for (const auto type : all_cancellation_types)
      for (const int turns : {0, 1, 100}) {
        CAPTURE(somebody_silent);
        CAPTURE(static_cast<int>(type));
        CAPTURE(turns);
        const temporary_folder folder;
        net::io_context context;
        {
          asio_listener warm_up(context, folder / "warm-up");  // the context's own descriptors
          meet(context, warm_up, folder / "warm-up");
        }
        const auto before = resources::now();
        {
          std::optional<sys::local_listener> silent;
          if (somebody_silent) silent.emplace(silent_server(folder / "service"));
          net::cancellation_signal signal;
          outcome ended;
          async_connect(context, folder / "service", patient(),
                        net::bind_cancellation_slot(
                            signal.slot(), [&](net_error_code error, const asio_channel& ch) {
                              CHECK_FALSE(ch.is_open());
                              ended(error);
                            }));
          // A connect that finds nobody tries again a millisecond later: also then it can be
          // cancelled.
          for (int turn = 0; turn < turns; ++turn) context.run_one_for(turns == 1 ? 20ms : 200us);
          REQUIRE(ended.calls == 0);
          signal.emit(type);
          CHECK(ended.calls == 0);
          run_out(context);
          CHECK(ended.aborted());
          signal.emit(type);
          if (silent) {
            // The connection, if it was made, was hung up on.
            std::error_code error;
            raw_peer never_answered(silent->accept(error));
            CHECK(static_cast<bool>(error) == (turns == 0));
            if (!error) CHECK(never_answered.hangs_up());
          }
        }
        const auto after = resources::now();
        CHECK(after.descriptors == before.descriptors);
        CHECK(after.regions == before.regions);
        asio_listener listener(context, folder / "service");
        meet(context, listener, folder / "service");
      }
}

#if RINGBELL_ASIO_VERSION >= 103100

TEST_CASE("cancel_after ends an accept and a connect") {
  const temporary_folder folder;
  net::io_context context;
  asio_listener listener(context, folder / "service");
  outcome accepted, connected;
  listener.async_accept(
      net::cancel_after(1ms, [&](net_error_code error, const asio_channel&) { accepted(error); }));
  async_connect(
      context, folder / "nobody", patient(),
      net::cancel_after(1ms, [&](net_error_code error, const asio_channel&) { connected(error); }));
  run_out(context);
  CHECK(accepted.aborted());
  CHECK(connected.aborted());
  meet(context, listener, folder / "service");
}

#endif

}  // TEST_SUITE("asio cancel_connect")
