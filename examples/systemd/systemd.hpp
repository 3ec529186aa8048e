// SPDX-License-Identifier: BSL-1.0
// What a service says to systemd, and hears from it, without libsystemd: sd_listen_fds(3),
// sd_notify(3), sd_watchdog_enabled(3). Copy this file; it needs nothing but POSIX.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace systemd {

namespace detail {

inline std::string_view variable(const char* name) noexcept {
  const char* const value = std::getenv(name);
  return value ? value : std::string_view();
}

/// The variable's number; empty when it is not set. Throws when it is set to something else.
inline std::optional<long long> number(const char* name) {
  const std::string_view text = variable(name);
  if (text.empty()) return std::nullopt;
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    throw std::system_error(
        std::make_error_code(std::errc::invalid_argument),
        std::string("$") + name + " is '" + std::string(text) + "', expected a number");
  return value;
}

}  // namespace detail

/// A socket that this process got when it began, and the name that its unit gives it
/// (`FileDescriptorName=`).
struct passed_socket {
  int handle;
  std::string name;
};

/// Gives the sockets that were passed to this process. None when the variables are for another
/// process, such as the parent of this one.
/// Errors: throws `std::system_error` when a variable makes no sense.
inline std::vector<passed_socket> passed_sockets() {
  constexpr int first = 3;
  constexpr long long most = 1 << 20;
  std::vector<passed_socket> all;
  if (detail::number("LISTEN_PID") != static_cast<long long>(::getpid())) return all;
  const long long count = std::min(detail::number("LISTEN_FDS").value_or(0), most);
  std::string_view names = detail::variable("LISTEN_FDNAMES");
  for (int handle = first; handle < first + count; ++handle) {
    if (::fcntl(handle, F_SETFD, FD_CLOEXEC) != 0)
      throw std::system_error(errno, std::generic_category(),
                              "$LISTEN_FDS is " + std::to_string(count) + ", but descriptor " +
                                  std::to_string(handle) + " is not there");
    const std::string_view name = names.substr(0, names.find(':'));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    all.push_back({handle, name.empty() ? std::string("unknown") : std::string(name)});
  }
  return all;
}

/// Tells the service manager about this process: "READY=1", "STOPPING=1", "WATCHDOG=1",
/// "STATUS=...". Returns false when $NOTIFY_SOCKET is not set.
/// Errors: throws `std::system_error` when it cannot be told.
inline bool notify(std::string_view state) {
  const std::string_view where = detail::variable("NOTIFY_SOCKET");
  if (where.empty()) return false;
  const auto fail = [&](int error) {
    throw std::system_error(
        error, std::generic_category(),
        "telling $NOTIFY_SOCKET (" + std::string(where) + ") " + std::string(state));
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A path, or a name in no folder, which begins with @ here and with a zero in the address.
  if ((where[0] != '/' && where[0] != '@') || where.size() >= sizeof address.sun_path) fail(EINVAL);
  std::memcpy(address.sun_path, where.data(), where.size());
  if (where[0] == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + where.size());
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  if (socket < 0) fail(errno);
  ::fcntl(socket, F_SETFD, FD_CLOEXEC);
  ssize_t sent = 0;
  do
    sent = ::sendto(socket, state.data(), state.size(), 0,
                    reinterpret_cast<const sockaddr*>(&address), length);
  while (sent < 0 && errno == EINTR);
  const int error = errno;
  ::close(socket);
  if (sent < 0) fail(error);
  return true;
}

/// Gives the time after which the service manager kills a process that has not said "WATCHDOG=1".
/// Say it twice as often. Empty when there is no watchdog for this process.
/// Errors: throws `std::system_error` when a variable makes no sense.
inline std::optional<std::chrono::microseconds> watchdog_limit() {
  const auto limit = detail::number("WATCHDOG_USEC");
  const auto process = detail::number("WATCHDOG_PID");
  if (!limit || *limit == 0 || (process && *process != ::getpid())) return std::nullopt;
  return std::chrono::microseconds(*limit);
}

}  // namespace systemd
