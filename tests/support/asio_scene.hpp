// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_outcome.hpp"
#include "support/child_process.hpp"
#include "support/pattern.hpp"

/// Operations on a channel that have to wait, and what can happen to them while they do.
namespace ringbell::test {

/// Runs until there is nothing left to do. Throws when that takes longer than any test may.
inline void run_out(net::io_context& context) {
  context.restart();
  context.run_for(patience);
  expect(context.stopped(), "everything pending to end in time");
  context.restart();
}

/// How far an operation has come when something happens to it.
enum class phase { not_run, polling, asleep };
inline constexpr phase all_phases[] = {phase::not_run, phase::polling, phase::asleep};
inline std::ostream& operator<<(std::ostream& to, phase p) {
  return to << (p == phase::not_run ? "not run yet" : p == phase::polling ? "polling" : "asleep");
}

/// Both ends of a connection on one context. The client's operations have to wait: nothing is there
/// to be received, and its ring is full. They go as far as `until` says.
class scene {
public:
  explicit scene(phase until, bool full = true)
      : until_(until),
        owned_(std::make_shared<asio_pair>(connected(context, {}, small_ring()))),
        ends_(owned_.get()) {
    client().spin(until == phase::polling ? spin_policy::always : spin_policy::none);
    if (full) fill_ring();
  }

  asio_channel& client() noexcept { return ends_->client; }
  asio_channel& server() noexcept { return ends_->server; }
  /// Leaves the two ends to whoever holds the result, for instance a handler.
  std::shared_ptr<asio_pair> give_away() noexcept { return std::move(owned_); }

  /// Lets what was started come to its phase.
  void proceed() {
    context.restart();
    switch (until_) {
      case phase::not_run: break;
      case phase::polling:
        for (int turns = 0; turns < 6; ++turns) context.poll_one();
        break;
      case phase::asleep: context.poll(); break;
    }
  }

  /// Takes all that the client's ring holds.
  std::size_t drain() {
    std::size_t messages = 0;
    net_error_code error;
    while (server().try_recv(error), !error) ++messages;
    drained_ += messages;
    return messages;
  }
  void from_server(const char* text) {
    REQUIRE_FALSE(server().try_send(net::buffer(std::string(text))));
  }
  std::string at_client() {
    net_error_code error;
    const message m = client().try_recv(error);
    return error ? error.message() : std::string(m.text());
  }
  std::string at_server() {
    net_error_code error;
    const message m = server().try_recv(error);
    return error ? error.message() : std::string(m.text());
  }

  /// Checks that nothing but the filling was sent, and that messages go both ways.
  void goes_on() { goes_on_after(0); }
  /// The same when so many messages have been sent and received beside the filling.
  void goes_on_after(std::size_t others) {
    drain();
    CHECK(drained_ == filled_);
    std::string back, forth;
    client().async_recv([&](net_error_code error, const message& m) {
      back = error ? error.message() : std::string(m.text());
    });
    server().async_recv([&](net_error_code error, const message& m) {
      forth = error ? error.message() : std::string(m.text());
    });
    client().async_send(net::buffer("forth", 5), [](net_error_code error) { CHECK_FALSE(error); });
    server().async_send(net::buffer("back", 4), [](net_error_code error) { CHECK_FALSE(error); });
    run_out(context);
    CHECK(back == "back");
    CHECK(forth == "forth");
    CHECK(client().statistics().messages_sent == filled_ + others + 1);
    CHECK(server().statistics().messages_received == filled_ + others + 1);
  }

  net::io_context context;
  std::vector<std::byte> bytes = patterned(500, 1);      // a message
  std::vector<std::byte> large = patterned(100'000, 2);  // one that is longer than the ring
  std::vector<std::byte> buffer = std::vector<std::byte>(1000);

private:
  static connect_options small_ring() {
    connect_options o;
    o.ring_bytes = 4096;
    return o;
  }
  void fill_ring() {
    for (const std::size_t size : {500U, 1U})
      while (!client().try_send(net::buffer(bytes.data(), size))) ++filled_;
  }

  phase until_;
  std::size_t filled_ = 0;
  std::size_t drained_ = 0;
  std::shared_ptr<asio_pair> owned_;
  asio_pair* ends_;
};

/// One kind of operation on a scene's client. The handler checks that a value comes exactly when
/// there is no error.
struct operation {
  using handler = std::function<void(net_error_code)>;
  const char* name;
  bool receives;
  bool sends;
  void (*start)(scene&, net::cancellation_slot, handler);
};
inline std::ostream& operator<<(std::ostream& to, const operation& o) { return to << o.name; }

inline const operation all_operations[] = {
    {"async_recv", true, false,
     [](scene& s, net::cancellation_slot slot, operation::handler h) {
       s.client().async_recv(
           net::bind_cancellation_slot(slot, [h = std::move(h)](net_error_code error, message m) {
             CHECK((m.data() == nullptr) == static_cast<bool>(error));
             h(error);
           }));
     }},
    {"async_recv_into", true, false,
     [](scene& s, net::cancellation_slot slot, operation::handler h) {
       s.client().async_recv_into(
           net::buffer(s.buffer),
           net::bind_cancellation_slot(slot,
                                       [h = std::move(h)](net_error_code error, std::size_t n) {
                                         CHECK((n == 0) == static_cast<bool>(error));
                                         h(error);
                                       }));
     }},
    {"async_wait for messages", true, false,
     [](scene& s, net::cancellation_slot slot, operation::handler h) {
       s.client().async_wait(asio_channel::wait_recv,
                             net::bind_cancellation_slot(slot, std::move(h)));
     }},
    {"async_send", false, true,
     [](scene& s, net::cancellation_slot slot, operation::handler h) {
       s.client().async_send(net::buffer(s.bytes), net::bind_cancellation_slot(slot, std::move(h)));
     }},
    {"async_send of a message longer than the ring", false, true,
     [](scene& s, net::cancellation_slot slot, operation::handler h) {
       s.client().async_send(net::buffer(s.large), net::bind_cancellation_slot(slot, std::move(h)));
     }},
    {"async_claim", false, true,
     [](scene& s, net::cancellation_slot slot, operation::handler h) {
       s.client().async_claim(500, net::bind_cancellation_slot(
                                       slot, [h = std::move(h)](net_error_code error, claim c) {
                                         CHECK(static_cast<bool>(c) == !error);
                                         h(error);
                                       }));
     }},
    {"async_wait for space", false, true,
     [](scene& s, net::cancellation_slot slot, operation::handler h) {
       s.client().async_wait(asio_channel::wait_send,
                             net::bind_cancellation_slot(slot, std::move(h)));
     }},
    {"async_wait for either", true, true,
     [](scene& s, net::cancellation_slot slot, operation::handler h) {
       s.client().async_wait(asio_channel::wait_recv | asio_channel::wait_send,
                             net::bind_cancellation_slot(slot, std::move(h)));
     }},
};

inline constexpr net::cancellation_type all_cancellation_types[] = {
    net::cancellation_type::terminal, net::cancellation_type::partial,
    net::cancellation_type::total};

}  // namespace ringbell::test
