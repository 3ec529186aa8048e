// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

// What the standard streams of a program can be: files and pipes. support/windows/ has the same for
// Windows.
namespace ringbell::test {

/// A folder for files that is the test's own, removed with everything in it.
using file_folder = temporary_folder;

class descriptor {
public:
  explicit descriptor(int fd) : fd_(fd) {
    if (fd < 0) throw std::runtime_error("no descriptor");
  }
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&&) = delete;
  ~descriptor() { reset(); }
  int get() const { return fd_; }
  void reset() {
    if (const int fd = std::exchange(fd_, -1); fd >= 0) ::close(fd);
  }

private:
  int fd_;
};

inline descriptor reading(const std::string& path) {
  return descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}
inline descriptor writing(const std::string& path) {
  return descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}
inline descriptor reading_nothing() { return reading("/dev/null"); }

/// Each write fails, with an error of which this is the text.
inline descriptor writing_in_vain() {
  return descriptor(::open("/dev/full", O_WRONLY | O_CLOEXEC));
}
inline constexpr const char* in_vain = "No space left";

struct plumbing {
  plumbing() : plumbing(ends()) {}
  descriptor out;
  descriptor in;

private:
  struct pair {
    int fds[2];
  };
  static pair ends() {
    pair p{};
    if (pipe_closed_on_exec(p.fds) != 0) throw std::runtime_error("pipe failed");
    return p;
  }
  explicit plumbing(pair p) : out(p.fds[0]), in(p.fds[1]) {}
};

/// What comes out of a pipe within that time, up to `most` bytes: "" at its end, nothing when
/// nothing came.
inline std::optional<std::string> next_piece(const descriptor& from,
                                             std::chrono::milliseconds limit,
                                             std::size_t most = 65536) {
  pollfd p{from.get(), POLLIN, 0};
  if (::poll(&p, 1, static_cast<int>(limit.count())) <= 0) return std::nullopt;
  std::string piece(most, '\0');
  const ssize_t n = ::read(from.get(), piece.data(), most);
  piece.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return piece;
}

/// False when nobody reads any more.
inline bool write_all(const descriptor& to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(to.get(), bytes.data(), bytes.size());
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// Whether who has it, or a copy of it, is not made to wait.
inline bool is_nonblocking(const descriptor& d) {
  return (::fcntl(d.get(), F_GETFL) & O_NONBLOCK) != 0;
}

}  // namespace ringbell::test
