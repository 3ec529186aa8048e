// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/detail/handshake.hpp>
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <vector>

#include "support/channel_pair.hpp"
#include "support/patience.hpp"

TEST_SUITE("connect") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

connect_options patient_for(std::chrono::nanoseconds limit) {
  connect_options o;
  o.timeout = limit;
  return o;
}

/// A server that is not ringbell's: takes connections, and does with them as it is told.
class fake_server {
public:
  explicit fake_server(const std::string& path)
      : listener_(sys::local_listener::bind(path, false, error_)) {
    REQUIRE_FALSE(error_);
  }
  /// The next connection, once there is one; with what it has sent until then.
  task<sys::local_socket> next() {
    for (;;) {
      std::error_code error;
      sys::local_socket socket = listener_.accept(error);
      if (!error) co_return socket;
      co_await yield();
    }
  }

private:
  std::error_code error_;
  sys::local_listener listener_;
};

task<void> answer_with(fake_server& server, handshake::frame frame) {
  sys::local_socket socket = co_await server.next();
  const auto bytes = handshake::encode(frame);
  CHECK(socket.send(bytes.bytes()));
  co_await sleep_for(1s);
}

}  // namespace

TEST_CASE("a client waits for a server that comes late") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    const std::string path = folder / "late";
    beside client(lp, connect(lp, path));
    co_await sleep_for(20ms);
    CHECK_FALSE(client.ended());
    listener l = listener::bind(lp, path);
    channel server = co_await l.accept();
    auto ch = co_await client.get();
    REQUIRE(ch.has_value());
    co_await ch->send("at last");
    CHECK((co_await server.recv())->text() == "at last");
  });
}

TEST_CASE("when nobody listens in time the error is no_server, and the text names the path") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    const std::string path = folder / "nobody";
    std::string text;
    std::error_code code;
    try {
      co_await connect(lp, path, patient_for(5ms));
    } catch (const std::system_error& e) {
      code = e.code();
      text = e.what();
    }
    CHECK(code == errc::no_server);
    CHECK(text.find(path) != std::string::npos);
    CHECK((co_await as_result(connect(lp, path, patient_for(0ms)))).error() == errc::no_server);
  });
}

TEST_CASE("bad names and ring sizes are told at once") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    CHECK((co_await as_result(connect(lp, "not a name"))).error() == errc::bad_name);
    for (const std::uint64_t bytes :
         {std::uint64_t{0}, std::uint64_t{5000}, std::uint64_t{2048}, std::uint64_t{1} << 31}) {
      connect_options options = patient_for(std::chrono::hours(1));
      options.ring_bytes = bytes;
      CHECK((co_await as_result(connect(lp, folder / "nobody", options))).error() ==
            errc::bad_ring_size);
    }
  });
}

TEST_CASE("a server that never answers is given up after the timeout") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    const fake_server silent(folder / "silent");
    CHECK((co_await as_result(connect(lp, folder / "silent", patient_for(20ms)))).error() ==
          errc::timed_out);
  });
}

TEST_CASE("a server that hangs up is tried again until the timeout") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    fake_server rude(folder / "rude");
    int hung_up = 0;
    const auto hang_up = [](fake_server& server, int& times) -> task<void> {
      for (;;) {
        co_await server.next();
        ++times;
      }
    };
    scope others{lp};
    others.spawn(hang_up(rude, hung_up));
    // Four times as long each time, until it is long enough for two tries.
    for (std::chrono::nanoseconds limit = 50ms; hung_up < 2 && limit < patience; limit *= 4) {
      hung_up = 0;
      const std::error_code error =
          (co_await as_result(connect(lp, folder / "rude", patient_for(limit)))).error();
      CHECK((error == errc::peer_closed ||
             error == errc::timed_out));  // as the last try was over, or not, when the time was
    }
    CHECK(hung_up >= 2);
  });
}

TEST_CASE("what a server must not answer is bad_peer") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    handshake::welcome good;
    good.ring_bytes = 4096;
    good.wakes_client = sys::bell_kind::socket;
    good.wakes_server = sys::bell_kind::socket;
    handshake::welcome eventfd = good;  // says that it sends an eventfd, and sends none
    eventfd.wakes_server = sys::bell_kind::eventfd;
    handshake::welcome size = good;
    size.ring_bytes = 5000;
    handshake::welcome version = good;
    version.version = 99;
    const std::vector<handshake::frame> answers{good, eventfd, size, version, handshake::hello()};
    int i = 0;
    for (const auto& frame : answers) {
      CAPTURE(i++);
      const std::string path = folder / std::to_string(i);
      fake_server server(path);
      scope others{lp};
      others.spawn(answer_with(server, frame));
      CHECK((co_await as_result(connect(lp, path, patient_for(patience)))).error() ==
            errc::bad_peer);
    }
  });
}

TEST_CASE("a refusal has its reason, and what the server allows in the text") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    fake_server server(folder / "new");
    scope others{lp};
    handshake::refused no;
    no.reason = errc::refused_version;
    no.limit_low = 7;
    no.limit_high = 9;
    others.spawn(answer_with(server, no));
    std::string text;
    try {
      co_await connect(lp, folder / "new");
    } catch (const std::system_error& e) {
      CHECK(e.code() == errc::refused_version);
      text = e.what();
    }
    CHECK(text.find("versions 7 to 9") != std::string::npos);
  });
}

TEST_CASE("connecting can be cancelled at any point, and leaves nothing behind") {
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    const fake_server silent(folder / "silent");
    listener l = listener::bind(lp, folder / "good");
    {
      beside accepted(lp, l.accept());  // what is made once is made before counting
      co_await connect(lp, l.path());
      CHECK((co_await accepted.get()).has_value());
    }
    co_await let_park(lp);
    const int descriptors = open_descriptors();
    for (const bool destroyed : {false, true})
      for (const char* name : {"nobody", "silent", "good"})
        for (int turns = 0; turns < 8; ++turns) {
          beside client(lp, connect(lp, folder / name));
          for (int i = 0; i < turns; ++i) co_await yield();
          if (destroyed) continue;
          client.request_stop();
          const auto r = co_await client.get();
          if (!r) CHECK(r.error() == errc::cancelled);
        }
    // Those that the server has welcomed meanwhile are there to be accepted, and to be found
    // closed.
    for (;;) {
      auto late = co_await as_result(timeout(20ms, l.accept()));
      if (!late) break;
      const auto end = co_await as_result(late->recv());
      CHECK((end.has_value() ? !*end : end.error() == errc::peer_closed));
    }
    CHECK(open_descriptors() <= descriptors + handles_of_the_system);
  });
}

TEST_CASE(
    "without a bell in common, or with none that a foreign user may share, there is no connection") {
  CHECK(handshake::usable_between(detail::default_bells, true) == detail::default_bells);
  if (!sys::event_is_safe_between_users) {
    CHECK(handshake::usable_between(detail::default_bells, false) ==
          sys::bell_bit(sys::bell_kind::socket));
    CHECK(handshake::usable_between(sys::bell_bit(sys::bell_kind::eventfd), false) == 0);
  }
  on_a_loop([](loop& lp) -> task<void> {
    const temporary_folder folder;
    listener l = listener::bind(lp, folder / "bells");
    connect_options options;
    options.bells = 0;
    CHECK((co_await as_result(connect(lp, l.path(), options))).error() == errc::refused_bell);
  });
}

}  // TEST_SUITE("connect")
