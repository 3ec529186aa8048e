// SPDX-License-Identifier: BSL-1.0
// Linux: handles whose last close takes as long as the peer likes. Nobody waits for it, whichever
// way they come.
#include <ringbell/coro/as_result.hpp>

#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "support/fuse_file.hpp"
#include "support/hostile_client.hpp"
#include "support/hostile_handles.hpp"
#include "support/raw_peer.hpp"
#include "support/victims.hpp"

TEST_SUITE("foreign_handles") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

using handles = std::vector<sys::native_handle>;

/// Somebody who speaks with a server, and is about to send it a handle.
struct attacker {
  explicit attacker(const std::string& path) : peer(raw_peer::connected_to(path)) {}
  explicit attacker(raw_peer p) : peer(std::move(p)) {}
  bool send(std::span<const std::byte> bytes, const handles& with, int flags = 0) {
    return send_with_handles(peer.socket.native(), bytes, with, flags);
  }
  void hang_up() { peer.socket = sys::local_socket(); }
  raw_peer peer;
};

constexpr std::array one_byte{std::byte{0}};

/// A way in which a client can send a handle. All that it does happens while the server is stopped;
/// the handle is then in its socket, and nowhere else. False when it could not be sent.
struct trick {
  const char* name;
  bool (*play)(attacker& a, sys::native_handle h);
};

const sys::handle& good_region() {
  static const sys::handle region = sealed_page([](ring::control_page&) {});
  return region;
}

const trick before_the_handshake[] = {
    {"as its region",
     [](attacker& a, sys::native_handle h) {
       return a.send(handshake::encode(raw_client::greeting()).bytes(), {h, h});
     }},
    {"as its bell",
     [](attacker& a, sys::native_handle h) {
       return a.send(handshake::encode(raw_client::greeting()).bytes(), {good_region().get(), h});
     }},
    {"as one handle too many",
     [](attacker& a, sys::native_handle h) {
       const sys::handle bell = event();
       return a.send(handshake::encode(raw_client::greeting()).bytes(),
                     {good_region().get(), bell.get(), h});
     }},
    {"as many as travel",
     [](attacker& a, sys::native_handle h) {
       return a.send(handshake::encode(raw_client::greeting()).bytes(), handles(most_handles, h));
     }},
    {"with the first byte, and says no more",
     [](attacker& a, sys::native_handle h) { return a.send(one_byte, {h}); }},
    {"with the first byte, and hangs up",
     [](attacker& a, sys::native_handle h) {
       const bool sent = a.send(one_byte, {h});
       a.hang_up();
       return sent;
     }},
    {"with each of many messages",
     [](attacker& a, sys::native_handle h) {
       bool sent = a.send(handshake::encode(raw_client::greeting()).bytes().first(1),
                          handles(most_handles, h));
       for (int i = 0; i < 20; ++i) sent |= a.send(one_byte, {h});
       return sent;
     }},
    {"with nonsense",
     [](attacker& a, sys::native_handle h) {
       const std::array<std::byte, 64> nonsense{};
       return a.send(nonsense, {h});
     }},
    {"behind a good greeting",
     [](attacker& a, sys::native_handle h) {
       const handshake::hello hello = raw_client::greeting(sys::bell_kind::socket);
       return a.send(handshake::encode(hello).bytes(), {good_region().get()}) &&
              a.send(one_byte, {h});
     }},
    {"with a byte out of band",
     [](attacker& a, sys::native_handle h) { return a.send(one_byte, {h}, MSG_OOB); }},
    {"with a byte out of band behind another",
     [](attacker& a, sys::native_handle h) {
       a.peer.send(one_byte);
       return a.send(one_byte, {h}, MSG_OOB);
     }},
    {"with two bytes out of band, and hangs up",
     [](attacker& a, sys::native_handle h) {
       const bool sent = a.send(one_byte, {h}, MSG_OOB);
       (void)a.send(one_byte, {h}, MSG_OOB);
       a.hang_up();
       return sent;
     }},
};

const trick after_the_handshake[] = {
    {"with a bell", [](attacker& a, sys::native_handle h) { return a.send(one_byte, {h}); }},
    {"with a bell, and hangs up",
     [](attacker& a, sys::native_handle h) {
       const bool sent = a.send(one_byte, {h});
       a.hang_up();
       return sent;
     }},
    {"with many bells",
     [](attacker& a, sys::native_handle h) {
       bool sent = false;
       for (int i = 0; i < 20; ++i) sent |= a.send(one_byte, handles(most_handles, h));
       return sent;
     }},
    {"with a bell out of band",
     [](attacker& a, sys::native_handle h) { return a.send(one_byte, {h}, MSG_OOB); }},
};

/// Handles that are dangerous to close, each in its own way.
struct danger {
  explicit danger(int nested) {
    h = sys::handle(::fcntl(connection.near.get(), F_DUPFD_CLOEXEC, 0));
    for (int i = 0; i < nested; ++i) h = socket_with(h.get());
  }
  danger(const danger&) = delete;
  danger& operator=(const danger&) = delete;
  ~danger() {
    if (!away) connection.calm_down();
  }
  lingering_connection connection;
  sys::handle h;
  bool away = false;  // it is in somebody's socket, who has to close it
};

void play(const trick& t, const std::string& path, pid_t server, bool greets, int nested,
          bool may_lack_descriptors = false) {
  CAPTURE(std::string(t.name));
  CAPTURE(nested);
  danger d(nested);
  std::optional<attacker> a;
  if (greets) {
    raw_client client(path, sys::bell_kind::socket);
    REQUIRE(client.greeted());
    a.emplace(raw_peer(std::move(client.socket)));
  }
  {
    const stopped s(server);
    if (!a) a.emplace(path);
    d.away = t.play(*a, d.h.get());
    if (d.away) {
      // The socket has the last ones.
      d.h.reset();
      d.connection.near.reset();
    }
  }
  // Somebody else is served, or told why not.
  loop lp;
  const auto served =
      lp.run(timeout(patience, as_result([](loop& on, const std::string& name) -> task<bool> {
                       channel ch = co_await connect(on, name, patient());
                       co_await ch.send("who is there?");
                       const auto m = co_await ch.recv();
                       co_return m && m->text() == "who is there?";
                     }(lp, path))));
  if (may_lack_descriptors && !served)
    CHECK(served.error() == errc::refused_no_resources);
  else
    CHECK((served && *served));
}

/// What servers do first that are started while it lives.
struct preparing {
  explicit preparing(bool (*f)()) { servers_prepare = f; }
  preparing(const preparing&) = delete;
  preparing& operator=(const preparing&) = delete;
  ~preparing() { servers_prepare = nullptr; }
};

void play_all(const std::string& path, pid_t server) {
  for (int nested = 0; nested < 3; ++nested) {
    for (const trick& t : before_the_handshake) play(t, path, server, false, nested);
    for (const trick& t : after_the_handshake) play(t, path, server, true, nested);
  }
}

}  // namespace

TEST_CASE(
    "a client that sends what cannot be closed at once, in whatever way, keeps no other client waiting") {
  const victims v;
  const int before = v.server_descriptors();
  play_all(v.path(), v.server());
  CHECK(eventually([&] { return v.server_descriptors() <= before; }));
}

TEST_CASE("nor does it where the kernel cannot keep handles out") {
  if (run_in_child([] { return forget_how_to_keep_handles_out() ? 0 : 1; }) != 0) {
    MESSAGE("skipped: no seccomp filters here");
    return;
  }
  const preparing p(&forget_how_to_keep_handles_out);
  const victims v;
  const int before = v.server_descriptors();
  play_all(v.path(), v.server());
  CHECK(eventually([&] { return v.server_descriptors() <= before; }));
}

TEST_CASE("nor does it when the server has no descriptors left for what it sends") {
  const preparing p([] {
    const rlimit few{32, 32};
    return ::setrlimit(RLIMIT_NOFILE, &few) == 0;
  });
  const victims v;
  for (const trick& t : before_the_handshake) play(t, v.path(), v.server(), false, 0, true);
}

TEST_CASE("a handle of a client that may not connect is not received, and keeps nobody waiting") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: becoming another user takes root");
    return;
  }
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  const std::string path = folder / "server";
  const shared_object<outcomes> counts;
  child_process server([&] {
    loop lp;
    listener_options options = for_tests();
    options.for_all_users = true;
    options.authorize = [](const sys::peer_identity& who) { return who.user == 0; };
    lp.run(serve(lp, path, options, *counts));
    return 0;
  });
  { raw_peer there = raw_peer::connected_to(path); }
  child_process hostile([&] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 9;
    for (int i = 0; i < 20; ++i) {
      lingering_connection c;
      raw_peer p = raw_peer::connected_to(path);
      if (send_with_handles(p.socket.native(), handshake::encode(raw_client::greeting()).bytes(),
                            handles(most_handles, c.near.get())))
        continue;
      const auto answer = p.answer();
      const auto* no = answer ? std::get_if<handshake::refused>(&*answer) : nullptr;
      if (!no || no->reason != errc::refused_unauthorized) return 1;
      ::_exit(0);
    }
    return 0;
  });
  loop lp;
  for (int i = 0; i < 20; ++i) {
    const channel ch = lp.run(timeout(patience, connect(lp, path, patient())));
    CHECK(ch);
  }
  CHECK(hostile.wait() == 0);
}

// -- servers --

namespace {

/// A way in which a server can answer.
struct answer {
  const char* name;
  bool (*give)(attacker& a, sys::native_handle h);
};

handshake::welcome good_welcome() {
  handshake::welcome w;
  w.ring_bytes = raw_client::ring_bytes;
  w.max_message = 1 << 20;
  return w;
}

const answer answers[] = {
    {"as its region",
     [](attacker& a, sys::native_handle h) {
       return a.send(handshake::encode(good_welcome()).bytes(), {h});
     }},
    {"as many as travel",
     [](attacker& a, sys::native_handle h) {
       return a.send(handshake::encode(good_welcome()).bytes(), handles(most_handles, h));
     }},
    {"with a refusal",
     [](attacker& a, sys::native_handle h) {
       return a.send(handshake::encode(handshake::refused{}).bytes(), {h});
     }},
    {"with nonsense",
     [](attacker& a, sys::native_handle h) { return a.send(std::array<std::byte, 64>{}, {h}); }},
    {"with one byte", [](attacker& a, sys::native_handle h) { return a.send(one_byte, {h}); }},
    {"out of band",
     [](attacker& a, sys::native_handle h) { return a.send(one_byte, {h}, MSG_OOB); }},
    {"with a bell right behind the answer",
     [](attacker& a, sys::native_handle h) {
       return a.send(handshake::encode(good_welcome()).bytes(), {good_region().get()}) &&
              a.send(one_byte, {h});
     }},
};

/// Connects, and says how that ended. It ends in any case.
int be_client(const std::string& path) {
  loop lp;
  connect_options options;
  options.timeout = std::chrono::seconds(2);
  options.bells = sys::bell_bit(sys::bell_kind::socket);
  options.ring_bytes = raw_client::ring_bytes;
  const auto ended = lp.run(as_result(connect(lp, path, options)));
  return ended ? 1 : 0;
}

}  // namespace

TEST_CASE(
    "a server that answers with what cannot be closed at once, in whatever way, does not hold up its client") {
  for (const bool old_kernel : {false, true})
    for (const answer& one : answers) {
      CAPTURE(std::string(one.name));
      CAPTURE(old_kernel);
      const temporary_folder folder;
      const std::string path = folder / "server";
      std::error_code error;
      sys::local_listener listening = sys::local_listener::bind(path, false, error);
      REQUIRE_FALSE(error);
      child_process client([&] {
        if (old_kernel && !forget_how_to_keep_handles_out()) return 77;
        return be_client(path);
      });
      danger d(0);
      sys::local_socket socket;
      REQUIRE(eventually([&] { return socket = listening.accept(error), !error; }));
      attacker a{raw_peer(std::move(socket))};
      REQUIRE(a.peer.answer());  // its greeting
      listening = sys::local_listener();
      {
        const stopped s(client.id());
        d.away = one.give(a, d.h.get());
        REQUIRE(d.away);
        d.h.reset();
        d.connection.near.reset();
        a.hang_up();
      }
      const int ended = client.wait();
      if (ended == 77)
        MESSAGE("skipped: no seccomp filters here");
      else
        CHECK(ended == 0);
    }
}

TEST_CASE("a file whose server does not answer keeps nobody waiting either") {
  const victims v;
  fuse_file file;
  if (!file) {
    MESSAGE("skipped: no file system can be mounted here");
    return;
  }
  constexpr int rounds = 10;
  const milestone sent;
  child_process hostile([&] {
    file.leave();
    std::vector<raw_peer> all;
    for (int i = 0; i < rounds; ++i) {
      all.push_back(raw_peer::connected_to(v.path()));
      const handles both{file.open(), file.open()};
      if (both[0] < 0 || !all.back().send(raw_client::greeting(), both) || !all.back().hangs_up())
        return 1;
    }
    sent.reach();
    ::pause();
    return 0;
  });
  sent.wait();
  loop lp;
  for (int i = 0; i < rounds; ++i)
    CHECK(lp.run(timeout(patience, connect(lp, v.path(), patient()))));
  file.end();
}

}  // TEST_SUITE("foreign_handles")
