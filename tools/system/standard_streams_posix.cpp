// SPDX-License-Identifier: BSL-1.0
#include "system/standard_streams.hpp"

#include "exit_codes.hpp"
#include "system/posix_calls.hpp"

#include <ringbell/coro/sleep.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/sys/handle.hpp>

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <string>

namespace ringbell::tool {

namespace {

// A file is written in pieces too: so a slow disk does not keep the other direction waiting for all
// of a large message.
constexpr std::size_t largest_write = 1 << 20;

::mode_t type_of(int fd) noexcept {
  struct stat status{};
  return ::fstat(fd, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

}  // namespace

bool is_terminal(standard_stream which) noexcept { return ::isatty(static_cast<int>(which)) != 0; }

void prepare_standard_streams() noexcept {
  constexpr int flags[] = {O_RDONLY, O_RDONLY, O_WRONLY};
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)::open("/dev/null", flags[fd]);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow any more is an error of the write
}

struct standard_input::state {
  bool pollable = false;
};

standard_input::standard_input() : state_(std::make_shared<state>()) {
  const ::mode_t type = type_of(STDIN_FILENO);
  state_->pollable =
      type == S_IFIFO || type == S_IFSOCK || (type == S_IFCHR && ::isatty(STDIN_FILENO));
}

task<> standard_input::ready() {
  if (state_->pollable)
    co_await readable(STDIN_FILENO);
  else
    co_await yield();
}

bool standard_input::read(claim space) {
  const auto n = read(space.bytes());
  if (n && *n != 0) space.commit(*n);
  return n.has_value();
}

std::optional<std::size_t> standard_input::read(std::span<std::byte> into) {
  const ssize_t n = ::read(STDIN_FILENO, into.data(), into.size());
  if (n == 0) return std::nullopt;
  if (n > 0) return static_cast<std::size_t>(n);
  // Another process that reads the same input may have been faster.
  if (errno != EINTR && errno != EAGAIN) throw_errno(errno, "reading standard input");
  return 0;
}

struct standard_output::state {
  enum class way : std::uint8_t { own_description, socket, direct, polled };
  /// How many bytes went, or -1 with errno.
  long write_some(std::span<const std::byte> bytes) const noexcept;

  way how = way::direct;
  sys::handle own;
};

standard_output::standard_output() : state_(std::make_shared<state>()) {
  const ::mode_t type = type_of(STDOUT_FILENO);
  if (type == S_IFSOCK) {
    state_->how = state::way::socket;
  } else if (type == S_IFIFO || (type == S_IFCHR && ::isatty(STDOUT_FILENO))) {
    state_->own =
        sys::handle(::open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    state_->how = state_->own ? state::way::own_description : state::way::polled;
  }
}

long standard_output::state::write_some(std::span<const std::byte> bytes) const noexcept {
  switch (how) {
    case way::own_description: return ::write(own.get(), bytes.data(), bytes.size());
    case way::socket: return send_quietly(STDOUT_FILENO, bytes, MSG_DONTWAIT);
    case way::direct:
      return ::write(STDOUT_FILENO, bytes.data(), std::min(bytes.size(), largest_write));
    case way::polled:
      return ::write(STDOUT_FILENO, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
  }
  return -1;
}

task<> standard_output::write(std::span<const std::byte> bytes) {
  using way = state::way;
  while (!bytes.empty()) {
    if (state_->how == way::polled) co_await writable(STDOUT_FILENO);
    const long n = state_->write_some(bytes);
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      if (state_->how == way::direct) co_await yield();
    } else if (errno == EAGAIN) {
      co_await writable(state_->own ? state_->own.get() : STDOUT_FILENO);
    } else if (errno == EPIPE) {
      throw_errno(EPIPE, "writing standard output: nobody reads it any more");
    } else if (errno != EINTR) {
      throw_errno(errno, "writing standard output");
    }
  }
}

void standard_output::close() {
  state_->own.reset();
  const int error = ::close(STDOUT_FILENO) == 0 ? 0 : errno;
  // The number must not go to whatever is opened next.
  (void)::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (error != 0) throw_errno(error, "writing standard output");
}

}  // namespace ringbell::tool
