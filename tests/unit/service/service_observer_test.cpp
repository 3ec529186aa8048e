// SPDX-License-Identifier: BSL-1.0
// What observers hear, and in which order.
#include <ringbell/coro/timeout.hpp>
#include <ringbell/service/observer.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "support/patience.hpp"
#include "support/service.hpp"

TEST_SUITE("service_observer") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

using events = std::vector<std::string>;

std::string text_of(const char* what, const observed_call& c) {
  std::string s = what;
  s += " method " + std::to_string(c.method) + ", " + std::to_string(c.request_bytes) + " in, " +
       std::to_string(c.reply_bytes) + " out";
  if (c.error)
    s += ": " + std::string(c.error.category().name()) + ' ' + std::to_string(c.error.value());
  return s;
}
std::string code(errc e) { return std::to_string(static_cast<int>(e)); }

class server_log final : public server_observer {
public:
  void connected(const sys::peer_identity&) noexcept override { all.emplace_back("connected"); }
  void disconnected(const sys::peer_identity&, std::error_code why) noexcept override {
    all.push_back("disconnected " + std::to_string(why.value()));
  }
  void call_began(const sys::peer_identity&, const observed_call& c) noexcept override {
    all.push_back(text_of("began", c));
  }
  void call_ended(const sys::peer_identity&, const observed_call& c) noexcept override {
    all.push_back(text_of("ended", c));
  }
  void refused(const sys::peer_identity&, std::error_code why) noexcept override {
    all.push_back("refused " + std::to_string(why.value()));
  }
  events all;
};

class client_log final : public client_observer {
public:
  void connected(const sys::peer_identity&) noexcept override { all.emplace_back("connected"); }
  void disconnected(std::error_code why) noexcept override {
    all.push_back("disconnected " + std::to_string(why.value()));
  }
  void call_began(const observed_call& c) noexcept override {
    all.push_back(text_of("began", c));
    number = c.number;
  }
  void call_ended(const observed_call& c) noexcept override {
    all.push_back(text_of("ended", c));
    same_number = c.number == number;
    duration = c.duration;
  }
  events all;
  std::uint32_t number = 0;
  bool same_number = false;
  std::chrono::nanoseconds duration{0};
};

task<reply> serve(request r) {
  if (r.method() == 2) throw call_error(9, "no");
  if (r.method() == 3) co_await sleep_for(1h);
  co_return reply(r.bytes());
}

/// Drops the last client within one of its calls.
class dropper final : public client_observer {
public:
  enum class at : std::uint8_t { connected, disconnected, call_began, call_ended };
  explicit dropper(at when) noexcept : when_(when) {}
  void connected(const sys::peer_identity&) noexcept override { drop(at::connected); }
  void disconnected(std::error_code) noexcept override { drop(at::disconnected); }
  void call_began(const observed_call&) noexcept override { drop(at::call_began); }
  void call_ended(const observed_call&) noexcept override { drop(at::call_ended); }
  std::optional<client> last;
  bool dropped = false;

private:
  void drop(at now) noexcept {
    if (now != when_ || !last) return;
    last.reset();
    dropped = true;
  }
  at when_;
};

}  // namespace

TEST_CASE("a server's observer hears of connections, calls and refusals in order") {
  on_a_loop([](loop& lp) -> task<void> {
    server_log log;
    server_options options;
    options.observer = &log;
    options.max_in_flight = 1;
    served s(lp, serve, options);
    {
      client c = co_await s.connected();
      (void)co_await c.call(1, "abc");
      (void)co_await error_of(c.call(2));
      beside waiting(lp, c.call(3));
      co_await settle();
      (void)co_await error_of(c.call(1));
    }
    CHECK(co_await holds_soon([&] { return s.server().clients() == 0; }));
    CHECK(log.all ==
          events{"connected", "began method 1, 3 in, 0 out", "ended method 1, 3 in, 3 out",
                 "began method 2, 0 in, 0 out", "ended method 2, 0 in, 10 out: ringbell-handler 9",
                 "began method 3, 0 in, 0 out", "refused " + code(errc::refused_in_flight),
                 log.all.size() > 7 ? log.all[7] : "ended method 3", "disconnected 0"});
    CHECK(log.all[7].starts_with("ended method 3"));
  });
}

TEST_CASE("a server's observer hears why connections end") {
  on_a_loop([](loop& lp) -> task<void> {
    for (const bool stops : {true, false}) {
      server_log log;
      server_options options;
      options.observer = &log;
      served s(lp, serve, options);
      client c = co_await s.connected();
      (void)co_await c.call(1, "abc");
      if (stops) {
        task<bool> stopping = s.server().stop(patience);
        CHECK(co_await std::move(stopping));
      }
      s.destroy_server();
      REQUIRE(log.all.size() == 4);
      if (stops)
        CHECK((log.all.back() == "disconnected " + code(errc::refused_stopping) ||
               log.all.back() == "disconnected 0"));
      else
        CHECK(log.all.back() == "disconnected " + code(errc::closed));
    }
  });
}

TEST_CASE(
    "a client's observer hears of connections and calls, by the same number from begin to end") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, serve);
    client_log log;
    client_options options;
    options.observer = &log;
    client c = co_await s.connected(options);
    (void)co_await c.call(1, "abc");
    CHECK(log.same_number);
    CHECK(log.duration.count() > 0);
    (void)co_await error_of(c.call(2));
    call_options quick;
    quick.timeout = 1ms;
    (void)co_await error_of(c.call(3, std::string_view(), quick));
    CHECK(log.same_number);
    s.destroy_server();
    CHECK(co_await holds_soon([&] { return !c.connected(); }));
    (void)co_await error_of(c.call(1));
    const std::string gone = code(errc::peer_closed);
    CHECK(log.all == events{"connected", "began method 1, 0 in, 0 out",
                            "ended method 1, 0 in, 3 out", "began method 2, 0 in, 0 out",
                            "ended method 2, 0 in, 0 out: ringbell-handler 9",
                            "began method 3, 0 in, 0 out",
                            "ended method 3, 0 in, 0 out: ringbell " + code(errc::timed_out),
                            "disconnected " + gone, "began method 1, 0 in, 0 out",
                            "ended method 1, 0 in, 0 out: ringbell " + gone});
  });
}

TEST_CASE("an observer may drop the last client, whatever it hears of") {
  on_a_loop([](loop& lp) -> task<void> {
    using at = dropper::at;
    for (const at when : {at::connected, at::disconnected, at::call_began, at::call_ended}) {
      for (const bool calling : {false, true}) {
        CAPTURE(static_cast<int>(when));
        CAPTURE(calling);
        served s(lp, serve);
        dropper observer(when);
        client_options options;
        options.observer = &observer;
        options.reconnect = reconnect_policy::with_backoff;
        client c = co_await s.connected(options);
        std::optional<beside<decltype(c.call(3))>> call;
        if (when == at::connected) {  // the first time it hears of that there is no client yet
          s.destroy_server();
          CHECK(co_await holds_soon([&] { return !c.connected(); }));
          s.replace_server(serve);
        }
        observer.last = std::move(c);
        if (calling) call.emplace(lp, observer.last->call(3));
        if (calling)
          CHECK(co_await holds_soon([&] { return observer.dropped || s.server().clients() == 1; }));
        co_await settle();
        s.destroy_server();
        if (when == at::disconnected || calling)
          CHECK(co_await holds_soon([&] { return observer.dropped; }));
        if (calling) {
          const auto got = co_await timeout(patience, call->get());
          CHECK(got.error() == errc::peer_closed);
        }
        observer.last.reset();
      }
    }
  });
}

}  // TEST_SUITE("service_observer")
