// SPDX-License-Identifier: BSL-1.0
// Who takes a place while it shakes hands, who gives way, and what a listener does without
// descriptors.
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "support/applies.hpp"
#include "support/channel_pair.hpp"
#include "support/child_process.hpp"
#include "support/is_root.hpp"
#include "support/os_usage.hpp"
#include "support/patient.hpp"
#include "support/raw_peer.hpp"

TEST_SUITE("listener_places") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr uid_t nobody = 65534;

task<void> until_it_goes(channel ch) { (void)co_await as_result(ch.recv()); }

/// Its server, in another process, serves until it is destroyed.
class served {
public:
  template <class Options, class Prepare>
  served(Options change, Prepare prepare)
      : server_([this, change, prepare] {
          prepare();
          loop lp;
          return lp.run([](loop& on, const std::string& path, listener_options options,
                           const milestone& ready) -> task<int> {
            listener l = listener::bind(on, path, options);
            ready.reach();
            scope clients{on};
            for (;;) clients.spawn(until_it_goes(co_await l.accept()));
          }(lp, path(), options_of(change), ready_));
        }) {
    ready_.wait();
  }
  template <class Options>
  explicit served(Options change) : served(change, [] {}) {}

  std::string path() const { return folder_ / "server"; }
  int descriptors() const { return descriptors_of(server_.id()); }

private:
  template <class Options>
  static listener_options options_of(Options change) {
    listener_options options;
    options.for_all_users = true;
    options.handshake_timeout = std::chrono::hours(1);
    change(options);
    return options;
  }
  struct open_folder : temporary_folder {
    open_folder() { REQUIRE(::chmod(path().c_str(), 0755) == 0); }
  };
  open_folder folder_;
  milestone ready_;
  child_process server_;
};

template <class F>
auto as_nobody(F f) {
  return [f] { return ::setgid(nobody) != 0 || ::setuid(nobody) != 0 ? 9 : f(); };
}

errc reason_in(const std::optional<handshake::frame>& answer) {
  const auto* no = answer ? std::get_if<handshake::refused>(&*answer) : nullptr;
  return no ? no->reason : errc{};
}

std::error_code connect_once(const std::string& path, connect_options options = patient()) {
  loop lp;
  return lp.run(as_result(connect(lp, path, options))).error();
}

}  // namespace

TEST_CASE(
    "a client that may not connect is told so before it has said anything, and its greeting is not awaited") {
  const served s(
      [](listener_options& o) { o.authorize = [](const sys::peer_identity&) { return false; }; });
  raw_peer silent = raw_peer::connected_to(s.path());
  CHECK(reason_in(silent.answer()) == errc::refused_unauthorized);
  CHECK(silent.hangs_up());
  // ... whatever of it has been sent by then.
  for (int i = 0; i < 100; ++i) CHECK(connect_once(s.path()) == errc::refused_unauthorized);
}

TEST_CASE("clients of a user who may not connect take no places and no descriptors") {
  if (!is_root()) return;
  const served s([](listener_options& o) {
    o.max_half_open = 8;
    o.authorize = [](const sys::peer_identity& who) { return who.user == 0; };
  });
  CHECK_FALSE(connect_once(s.path()));
  const int before = s.descriptors();
  const milestone refused, counted;
  child_process other(as_nobody([&] {
    std::vector<raw_peer> all;
    const sys::handle null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const std::vector<sys::native_handle> handles(4, null.get());
    const std::byte first{};
    for (int i = 0; i < 200; ++i) {
      all.push_back(raw_peer::connected_to(s.path()));
      (void)all.back().send(std::span(&first, 1), handles);  // it may have been refused already
    }
    for (raw_peer& p : all)
      if (reason_in(p.answer()) != errc::refused_unauthorized) return 1;
    refused.reach();
    counted.wait();  // with all connections still open on this side
    return 0;
  }));
  refused.wait();
  CHECK(eventually([&] { return s.descriptors() <= before; }));
  CHECK_FALSE(connect_once(s.path()));
  counted.reach();
  CHECK(other.wait() == 0);
}

TEST_CASE("a user who fills all of his places leaves those of others alone") {
  if (!is_root()) return;
  const served s([](listener_options& o) { o.max_half_open = 40; });
  raw_peer patient_one = raw_peer::connected_to(s.path());
  CHECK(child_process(as_nobody([&] {
          std::vector<raw_peer> all;
          for (int i = 0; i < 200; ++i) all.push_back(raw_peer::connected_to(s.path()));
          // A quarter of the places: the oldest give way.
          for (int i = 0; i < 190; ++i)
            if (!all[static_cast<std::size_t>(i)].hangs_up()) return 1;
          for (int i = 190; i < 200; ++i)
            if (all[static_cast<std::size_t>(i)].hangs_up(0ms)) return 2;
          return 0;
        })).wait() == 0);
  CHECK_FALSE(patient_one.hangs_up(0ms));
  CHECK_FALSE(connect_once(s.path()));
}

TEST_CASE("a client counts once for itself and once for each handle that it has sent" *
          not_on(windows, "handles are taken with the whole greeting")) {
  const served s([](listener_options& o) { o.max_half_open = 40; });  // one user has ten
  const sys::handle null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<sys::native_handle> handles(4, null.get());
  const auto frame = handshake::encode(raw_client::greeting());
  std::vector<raw_peer> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(raw_peer::connected_to(s.path()));
    CHECK(all.back().send(frame.bytes().first(1), handles));
  }
  CHECK(all[0].hangs_up());
  CHECK_FALSE(all[1].hangs_up(0ms));
  CHECK_FALSE(all[2].hangs_up(0ms));
  CHECK_FALSE(connect_once(s.path()));
}

TEST_CASE("a client that has to give way connects at its next attempt") {
  const served s([](listener_options& o) { o.max_half_open = 1; });
  std::vector<raw_peer> silent;
  for (int i = 0; i < 50; ++i) {
    silent.push_back(raw_peer::connected_to(s.path()));
    CHECK_FALSE(connect_once(s.path()));
  }
}

TEST_CASE(
    "a server without descriptors lets in whom it has kept some for, and then refuses, with the reason" *
    needs_scarce_handles) {
  // What it has at the beginning, its reserve, and one client.
  constexpr rlim_t limit = 40;
  const served s([](listener_options& o) { o.bells = sys::bell_bit(sys::bell_kind::socket); },
                 [] {
                   const rlimit few{limit, limit};
                   ::setrlimit(RLIMIT_NOFILE, &few);
                 });
  connect_options options = patient();
  options.bells = sys::bell_bit(sys::bell_kind::socket);
  loop lp;
  std::vector<channel> all;
  std::error_code error;
  while (!error) {
    auto next = lp.run(as_result(connect(lp, s.path(), options)));
    if (next)
      all.push_back(std::move(*next));
    else
      error = next.error();
    REQUIRE(all.size() < limit);
  }
  CHECK(error == errc::refused_no_resources);
  CHECK(all.size() >= 1);
  // Not only the first of them is told, and with the limit.
  for (int i = 0; i < 20; ++i) {
    try {
      (void)lp.run(connect(lp, s.path(), options));
      FAIL("connected");
    } catch (const std::system_error& e) {
      CHECK(e.code() == errc::refused_no_resources);
      CHECK(std::string(e.what()).find("(40)") != std::string::npos);
    }
  }
  // There is room again.
  all.resize(all.size() / 2);
  CHECK(eventually([&] { return !connect_once(s.path(), options); }));
}

TEST_CASE("a server without descriptors still tells those who may not connect that they may not" *
          needs_scarce_handles) {
  if (!is_root()) return;
  const served s(
      [](listener_options& o) {
        o.authorize = [](const sys::peer_identity& who) { return who.user == 0; };
      },
      [] {
        const rlimit few{40, 40};
        ::setrlimit(RLIMIT_NOFILE, &few);
      });
  loop lp;
  std::vector<channel> all;
  for (std::error_code error; !error;) {
    auto next = lp.run(as_result(connect(lp, s.path(), patient())));
    error = next.error();
    if (next) all.push_back(std::move(*next));
  }
  for (int i = 0; i < 5; ++i)
    CHECK(child_process(as_nobody([&] {
            return connect_once(s.path()) == errc::refused_unauthorized ? 0 : 1;
          })).wait() == 0);
}

}  // TEST_SUITE("listener_places")
