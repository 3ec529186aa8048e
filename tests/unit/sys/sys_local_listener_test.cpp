// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/local_socket.hpp>

#include "support/process.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <ostream>
#include <vector>

TEST_SUITE("sys_local_listener") {

using namespace ringbell::sys;
using namespace ringbell::test;
using ringbell::errc;

namespace {

constexpr uid_t somebody = 65534;

local_listener listen_at(const std::string& path, bool for_all_users = false) {
  std::error_code error;
  local_listener made = local_listener::bind(path, for_all_users, error);
  REQUIRE_FALSE(error);
  return made;
}

std::error_code bind_error(const std::string& path) {
  std::error_code error;
  const local_listener made = local_listener::bind(path, false, error);
  return error;
}

std::error_code connect_error(const std::string& path) {
  std::error_code error;
  const local_socket made = local_socket::connect(path, error);
  CHECK(static_cast<bool>(made) == !error);
  return error;
}

bool exists(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0;
}

unsigned mode_of(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A listening socket that knows nothing of lock files.
handle foreign_server(const std::string& path, int type = SOCK_STREAM, int backlog = 8) {
  handle made(::socket(AF_UNIX, type, 0));
  ::fcntl(made.get(), F_SETFD, FD_CLOEXEC);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  if (type == SOCK_STREAM) REQUIRE(::listen(made.get(), backlog) == 0);
  return made;
}

}  // namespace

TEST_CASE("a client connects and the listener accepts it, closed on exec and not blocking") {
  const temporary_folder folder;
  local_listener listener = listen_at(folder / "s");
  CHECK(listener.path() == folder / "s");
  std::error_code error;
  CHECK_FALSE(listener.accept(error));
  CHECK(error == errc::would_block);

  local_socket client = local_socket::connect(folder / "s", error);
  REQUIRE_FALSE(error);
  local_socket server = listener.accept(error);
  REQUIRE_FALSE(error);
  for (const int fd : {listener.native(), client.native(), server.native()}) {
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  }
  CHECK_FALSE(client.ring());
  CHECK_FALSE(server.drain());
  client = local_socket();
  CHECK(server.drain());
}

TEST_CASE("each side learns from the kernel who the other is") {
  const temporary_folder folder;
  local_listener listener = listen_at(folder / "s");
  const pid_t server = ::getpid();
  const milestone seen;
  const pid_t child = start_child([&] {
    std::error_code error;
    const local_socket socket = local_socket::connect(folder / "s", error);
    if (error) return 1;
    const auto who = socket.peer();
    if (!who || who->process != server || who->user != current_user()) return 2;
    seen.wait();
    return 0;
  });
  std::error_code error;
  local_socket accepted;
  CHECK(eventually([&] { return static_cast<bool>(accepted = listener.accept(error)); }));
  const peer_identity who = accepted.peer().value();
  CHECK(who.process == child);
  CHECK(who.user == current_user());
  seen.reach();
  CHECK(wait_for(child) == 0);
}

TEST_CASE("a client of another user is known as such") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can become another user");
    return;
  }
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  local_listener listener = listen_at(folder / "s", true);
  const pid_t child = start_child([&] {
    if (::setgid(somebody) != 0 || ::setuid(somebody) != 0) return 1;
    std::error_code error;
    const local_socket socket = local_socket::connect(folder / "s", error);
    if (error) return 2;
    return socket.peer()->user == 0 ? 0 : 3;
  });
  CHECK(wait_for(child) == 0);
  std::error_code error;
  const local_socket accepted = listener.accept(error);
  REQUIRE(accepted);
  CHECK(accepted.peer()->user == somebody);
  CHECK(accepted.peer()->group == somebody);
}

TEST_CASE("the socket file is private, or for all users, whatever the umask") {
  const temporary_folder folder;
  for (const mode_t mask : {0u, 022u, 077u}) {
    CAPTURE(mask);
    const mode_t before = ::umask(mask);
    CHECK(mode_of(listen_at(folder / "s").path()) == 0600);
    CHECK(mode_of(listen_at(folder / "s", true).path()) == 0666);
    const local_listener listener = listen_at(folder / "s", true);
    CHECK(mode_of(folder / "s.lock") == (0600 & ~mask));
    ::umask(before);
  }
}

TEST_CASE("another user cannot connect to a private socket") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can become another user");
    return;
  }
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  const local_listener listener = listen_at(folder / "s");
  CHECK(run_in_child([&] {
          if (::setuid(somebody) != 0) return 1;
          return connect_error(folder / "s") == std::errc::permission_denied ? 0 : 2;
        }) == 0);
}

TEST_CASE("connecting where nothing is, or where nobody listens, is no_server") {
  const temporary_folder folder;
  CHECK(connect_error(folder / "nothing") == errc::no_server);
  CHECK(connect_error(folder / "no/folder") == errc::no_server);
  foreign_server(folder / "dead").reset();
  CHECK(connect_error(folder / "dead") == errc::no_server);
}

TEST_CASE("connecting to a server whose backlog is full would block") {
  const temporary_folder folder;
  const handle server = foreign_server(folder / "s", SOCK_STREAM, 0);
  std::vector<local_socket> clients;
  std::error_code error;
  for (int i = 0; i < 10 && !error; ++i)
    clients.push_back(local_socket::connect(folder / "s", error));
  CHECK(error == errc::would_block);
}

TEST_CASE("a path that is no socket address is bad_name") {
  const temporary_folder folder;
  const std::string longest = folder.path() + '/' + std::string(106 - folder.path().size(), 'a');
  REQUIRE(longest.size() == 107);
  CHECK_FALSE(bind_error(longest));
  CHECK(connect_error(longest) == errc::no_server);
  for (const std::string& path : {longest + 'a', std::string(), std::string("a\0b", 3)}) {
    CHECK(bind_error(path) == errc::bad_name);
    CHECK(connect_error(path) == errc::bad_name);
  }
}

TEST_CASE("binding in a folder that does not exist is bad_name") {
  const temporary_folder folder;
  CHECK(bind_error(folder / "missing/s") == errc::bad_name);
}

TEST_CASE("dropping a listener removes the socket and the lock, and the name is free again") {
  const temporary_folder folder;
  const int before = open_descriptors();
  {
    const local_listener listener = listen_at(folder / "s");
    CHECK(exists(folder / "s"));
    CHECK(exists(folder / "s.lock"));
  }
  CHECK_FALSE(exists(folder / "s"));
  CHECK_FALSE(exists(folder / "s.lock"));
  CHECK(open_descriptors() == before);
  CHECK_FALSE(bind_error(folder / "s"));
}

TEST_CASE("a moved listener keeps its name, and gives up the one it had") {
  const temporary_folder folder;
  local_listener a = listen_at(folder / "a");
  local_listener moved = std::move(a);
  CHECK(exists(folder / "a"));
  moved = listen_at(folder / "b");
  CHECK_FALSE(exists(folder / "a"));
  CHECK_FALSE(connect_error(folder / "b"));
}

TEST_CASE("a live server's name is in use, for this process and for others") {
  const temporary_folder folder;
  const local_listener listener = listen_at(folder / "s");
  CHECK(bind_error(folder / "s") == errc::name_in_use);
  CHECK(run_in_child([&] { return bind_error(folder / "s") == errc::name_in_use ? 0 : 1; }) == 0);
  CHECK_FALSE(connect_error(folder / "s"));
}

TEST_CASE("the socket of a killed server is replaced") {
  const temporary_folder folder;
  const milestone bound;
  const pid_t child = start_child([&] {
    const local_listener listener = listen_at(folder / "s");
    bound.reach();
    while (::pause() < 0) {}
    return 0;
  });
  bound.wait();
  CHECK(bind_error(folder / "s") == errc::name_in_use);
  REQUIRE(::kill(child, SIGKILL) == 0);
  CHECK(wait_for(child) == 1000 + SIGKILL);
  CHECK(exists(folder / "s"));
  CHECK(connect_error(folder / "s") == errc::no_server);
  const local_listener listener = listen_at(folder / "s");
  CHECK_FALSE(connect_error(folder / "s"));
}

TEST_CASE("a live server of another kind is not replaced, although it has no lock") {
  const temporary_folder folder;
  const handle stream = foreign_server(folder / "stream");
  const handle full = foreign_server(folder / "full", SOCK_STREAM, 0);
  std::error_code error;
  const local_socket queued = local_socket::connect(folder / "full", error);
  const handle datagram = foreign_server(folder / "datagram", SOCK_DGRAM);
  for (const char* name : {"stream", "full", "datagram"}) {
    CAPTURE(name);
    CHECK(bind_error(folder / name) == errc::name_in_use);
    CHECK(exists(folder / name));
    CHECK_FALSE(exists(folder / (std::string(name) + ".lock")));
  }
}

TEST_CASE("a file that is no socket is left alone") {
  const temporary_folder folder;
  std::ofstream(folder / "notes") << "precious";
  REQUIRE(::symlink("notes", (folder / "link").c_str()) == 0);
  REQUIRE(::mkdir((folder / "folder").c_str(), 0700) == 0);
  for (const char* name : {"notes", "link", "folder"}) {
    CAPTURE(name);
    CHECK(bind_error(folder / name) == errc::bad_name);
    CHECK_FALSE(exists(folder / (std::string(name) + ".lock")));
  }
  CHECK(content_of(folder / "notes") == "precious");
  CHECK(exists(folder / "link"));
}

TEST_CASE("a lock file that is somebody's file, or a link or a pipe, is left alone") {
  const temporary_folder folder;
  std::ofstream(folder / "a.lock") << "precious";
  REQUIRE(::symlink("a.lock", (folder / "b.lock").c_str()) == 0);
  REQUIRE(::mkfifo((folder / "c.lock").c_str(), 0600) == 0);
  const handle server = foreign_server(folder / "d.lock");
  REQUIRE(::mkdir((folder / "e.lock").c_str(), 0700) == 0);
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    CAPTURE(name);
    CHECK(bind_error(folder / name) == errc::bad_name);
    CHECK(exists(folder / (std::string(name) + ".lock")));
    CHECK_FALSE(exists(folder / name));
  }
  CHECK(content_of(folder / "a.lock") == "precious");
}

TEST_CASE("a forked child that drops its copy does not take the name away") {
  const temporary_folder folder;
  local_listener listener = listen_at(folder / "s");
  CHECK(run_in_child([&] {
          listener = local_listener();
          return 0;
        }) == 0);
  CHECK(bind_error(folder / "s") == errc::name_in_use);
  CHECK_FALSE(connect_error(folder / "s"));
}

TEST_CASE("a listener whose files were cleaned away leaves those of its successor alone") {
  const temporary_folder folder;
  local_listener cleaned = listen_at(folder / "s");
  REQUIRE(::unlink((folder / "s").c_str()) == 0);
  REQUIRE(::unlink((folder / "s.lock").c_str()) == 0);
  const local_listener successor = listen_at(folder / "s");
  cleaned = local_listener();
  CHECK_FALSE(connect_error(folder / "s"));
  CHECK(bind_error(folder / "s") == errc::name_in_use);
}

TEST_CASE("of many servers that come and go, only one at a time has the name") {
  const temporary_folder folder;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(start_child([&] {
      for (int bound = 0, tries = 0; bound < 100; ++tries) {
        if (tries > 1'000'000) return 1;
        std::error_code error;
        local_listener listener = local_listener::bind(folder / "s", false, error);
        if (error == errc::name_in_use) continue;
        if (error) return 2;
        ++bound;
        // Not the lock of a file that its predecessor has removed.
        if (!exists(folder / "s.lock")) return 6;
        // Whoever holds the name holds this file; a second holder would find it.
        const handle mark(
            ::open((folder / "mark").c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
        if (!mark) return 3;
        const local_socket client = local_socket::connect(folder / "s", error);
        if (error || client.peer()->process != ::getpid()) return 4;
        if (::unlink((folder / "mark").c_str()) != 0) return 5;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) CHECK(wait_for(child) == 0);
  CHECK_FALSE(exists(folder / "s"));
  CHECK_FALSE(exists(folder / "s.lock"));
}

TEST_CASE("accepting without descriptors to spare is the system's error") {
  const temporary_folder folder;
  local_listener listener = listen_at(folder / "s");
  std::error_code error;
  const local_socket client = local_socket::connect(folder / "s", error);
  REQUIRE(client);
  const int top = ::dup(0);
  ::close(top);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{static_cast<rlim_t>(top), before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const local_socket accepted = listener.accept(error);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(error == std::errc::too_many_files_open);
  CHECK(listener.accept(error));
}

TEST_CASE(
    "handles of clients that a listener has not accepted are closed, but not by a forked child") {
  const temporary_folder folder;
  std::error_code error;
  local_listener l = local_listener::bind(folder / "socket", false, error);
  REQUIRE_FALSE(error);
  local_socket client = local_socket::connect(l.path(), error);
  REQUIRE_FALSE(error);
  int fds[2];
  REQUIRE(pipe_closed_on_exec(fds) == 0);
  const handle reading(fds[0]);
  {
    const handle writing(fds[1]);
    const std::array sent{writing.get()};
    REQUIRE(client.send(std::as_bytes(std::span("x")), sent));
  }
  CHECK(run_in_child([&] {
          l = local_listener();
          return eventually([] { return closing_elsewhere() == 0; }) ? 0 : 1;
        }) == 0);
  pollfd p{reading.get(), POLLIN, 0};
  CHECK(::poll(&p, 1, 0) == 0);
  l = local_listener();
  CHECK(::poll(&p, 1, 60'000) == 1);
  CHECK(p.revents == POLLHUP);
}

}  // TEST_SUITE("sys_local_listener")
