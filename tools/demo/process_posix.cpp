// SPDX-License-Identifier: BSL-1.0
#include "demo/process.hpp"

#include "demo/session.hpp"
#include "system/calls.hpp"
#include "system/posix_calls.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace ringbell::tool::demo {

namespace {

std::array<sys::handle, 2> socket_pair(int type) {
  int ends[2];
  if (::socketpair(AF_UNIX, type, 0, ends) != 0) throw_errno(errno, "a pair of sockets");
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  return {sys::handle(ends[0]), sys::handle(ends[1])};
}

[[noreturn]] void run_server(const server_setup& setup, pid_t client) noexcept {
  // Whatever kills the client kills the server; unless it is dead already.
  end_with_parent();
  int code = exit_peer_died;
  if (::getppid() == client) try {
      code = serve(setup);
    } catch (...) {
      code = exit_failure;  // the client notices, and says so for both
    }
  ::_exit(code);
}

}  // namespace

const char* const link_name = "Unix socket";

void server_process::start(const own_names& names, const common_options& common,
                           const placement& cpus) {
  auto orders = socket_pair(SOCK_STREAM);
  auto sockets = socket_pair(message_socket_type());
  server_setup setup;
  setup.name = names / "demo";
  setup.asio_name = names / "asio";
  setup.common = common;
  setup.orders = std::move(orders[1]);
  setup.socket = std::move(sockets[1]);

  const pid_t self = ::getpid();
  const pid_t server = ::fork();
  if (server < 0)
    throw_errno(errno, "starting the server process" + ringbell::sys::limit_of_threads());
  if (server == 0) {
    orders[0].reset();
    sockets[0].reset();
    names.let_signals_through();
    cpus.pin_server();
    run_server(setup, self);
  }
  process_ = server;
  orders_ = std::move(orders[0]);
  socket_ = std::move(sockets[0]);
}

void server_process::kill() noexcept {
  if (process_ > 0) ::kill(static_cast<pid_t>(process_), SIGKILL);
}

void server_process::join() noexcept {
  if (process_ <= 0) return;
  while (::waitpid(static_cast<pid_t>(process_), nullptr, 0) < 0 && errno == EINTR) {}
  process_ = 0;
}

std::optional<int> run_as_server(int, char**) { return std::nullopt; }

bool send_whole(sys::native_handle link, std::span<const std::byte> bytes) noexcept {
  ssize_t n;
  do n = send_quietly(link, bytes);
  while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(bytes.size());
}

bool receive_whole(sys::native_handle link, std::span<std::byte> bytes) noexcept {
  ssize_t n;
  do n = ::recv(link, bytes.data(), bytes.size(), MSG_WAITALL);
  while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(bytes.size());
}

std::size_t receive_some(sys::native_handle link, std::span<std::byte> bytes) noexcept {
  ssize_t n;
  do n = ::recv(link, bytes.data(), bytes.size(), 0);
  while (n < 0 && errno == EINTR);
  return n < 0 ? 0 : static_cast<std::size_t>(n);
}

}  // namespace ringbell::tool::demo
