// SPDX-License-Identifier: BSL-1.0
// Listening on a socket that a service manager has made. A whole service that is started on the
// first connection: tests/integration/systemd.py.
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/channel/stream_listener.hpp>
#include <ringbell/coro/when_all.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <system_error>
#include <utility>

#include "support/channel_pair.hpp"
#include "support/passed_socket.hpp"

TEST_SUITE("passed_socket") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

listener_options on(sys::native_handle socket) {
  listener_options options;
  options.socket = socket;
  return options;
}

/// Listens there only now, and greets the first client.
task<> greet_first(loop& lp, sys::native_handle socket, std::string name, std::string path) {
  listener l = listener::bind(lp, name, on(socket));
  CHECK(l.path() == path);
  channel ch = co_await l.accept();
  co_await ch.send("welcome");
  co_await ch.recv();  // the end
}

task<> expect_greeting(loop& lp, std::string path) {
  channel ch = co_await connect(lp, path);
  CHECK((co_await ch.recv())->text() == "welcome");
}

bool is_socket_file(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode);
}

/// What listening on a socket throws. The handle is closed then.
std::system_error failure_of(loop& lp, sys::native_handle socket, const std::string& name = {}) {
  try {
    const listener l = listener::bind(lp, name, on(socket));
  } catch (const std::system_error& error) {
    CHECK(::fcntl(socket, F_GETFD) == -1);
    CHECK(errno == EBADF);
    return error;
  }
  FAIL("it listens");
  return {std::error_code(), ""};
}

bool says(const std::system_error& error, const char* words) {
  return std::string(error.what()).find(words) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "clients that connected before a listener was there are accepted, whatever name it gets") {
  const temporary_folder folder;
  const std::string path = folder / "s";
  const service_manager manager(path);
  for (const std::string& name : {std::string(), path}) {
    loop lp;
    lp.run([](loop& on_lp, std::string at, std::string by, sys::native_handle socket) -> task<> {
      co_await when_all(expect_greeting(on_lp, at), greet_first(on_lp, socket, by, at));
    }(lp, path, name, manager.pass()));
  }
}

TEST_CASE("a listener leaves the socket, and clients that it has not accepted, to the next one") {
  const temporary_folder folder;
  const std::string path = folder / "s";
  const service_manager manager(path);
  loop lp;
  { const listener l = listener::bind(lp, "", on(manager.pass())); }
  CHECK(is_socket_file(path));
  CHECK_FALSE(is_socket_file(path + ".lock"));
  std::error_code error;
  sys::local_socket knocks = sys::local_socket::connect(path, error);
  CHECK_FALSE(error);
  // The loop has not run: the client is still in the backlog when this one goes.
  { const listener l = listener::bind(lp, "", on(manager.pass())); }
  sys::received_handles none;
  std::byte byte{};
  CHECK(knocks.receive({&byte, 1}, none).error() == errc::would_block);  // no hang-up
  lp.run([](loop& on_lp, std::string at, sys::native_handle socket) -> task<> {
    co_await when_all(expect_greeting(on_lp, at), greet_first(on_lp, socket, "", at));
  }(lp, path, manager.pass()));
}

TEST_CASE("a listener of streams takes a passed socket, too") {
  const temporary_folder folder;
  const std::string path = folder / "s";
  const service_manager manager(path);
  loop lp;
  lp.run([](loop& on_lp, std::string at, sys::native_handle socket) -> task<> {
    stream_listener l = stream_listener::bind(on_lp, "", on(socket));
    auto ends = co_await when_all(connect_stream(on_lp, at), l.accept());
    CHECK(std::get<0>(ends));
    CHECK(std::get<1>(ends));
  }(lp, path, manager.pass()));
}

TEST_CASE("what is no Unix stream socket that listens on a path is refused, with the reason") {
  const temporary_folder folder;
  loop lp;
  const auto refused = [&](const service_manager& manager, const char* reason) {
    const std::system_error error = failure_of(lp, manager.pass());
    CHECK(error.code() == std::errc::invalid_argument);
    CHECK_MESSAGE(says(error, reason), error.what());
    CHECK_MESSAGE(says(error, "expected a Unix stream socket"), error.what());
  };
  refused(service_manager(folder / "datagrams", SOCK_DGRAM, false), "no stream socket");
  refused(service_manager(folder / "silent", SOCK_STREAM, false), "does not listen");
  const std::system_error pipe = failure_of(lp, ::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK_MESSAGE(says(pipe, "no socket"), pipe.what());
}

TEST_CASE("a name that is not the socket's is an error that names both paths") {
  const temporary_folder folder;
  const service_manager manager(folder / "s");
  loop lp;
  const std::system_error error = failure_of(lp, manager.pass(), folder / "other");
  CHECK(error.code() == errc::bad_name);
  CHECK_MESSAGE(says(error, (folder / "s").c_str()), error.what());
  CHECK_MESSAGE(says(error, (folder / "other").c_str()), error.what());
}

}  // TEST_SUITE("passed_socket")
