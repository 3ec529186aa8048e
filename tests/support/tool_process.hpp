// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// The command line tool as a child process, with what it reads and writes. RINGBELL_TOOL is its path.
namespace ringbell::test {

using clock_type = std::chrono::steady_clock;

inline constexpr int timed_out = -1;
inline constexpr std::chrono::milliseconds patience = std::chrono::seconds(20);

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

inline descriptor reading(const std::string& path) { return descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }
inline descriptor writing(const std::string& path) {
  return descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}

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

inline std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The first line that comes; "" when none comes in time.
inline std::string read_line(int fd) {
  std::string line;
  const auto deadline = clock_type::now() + patience;
  while (clock_type::now() < deadline) {
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, 100) <= 0) continue;
    char c;
    if (::read(fd, &c, 1) != 1 || c == '\n') return line;
    line += c;
  }
  return {};
}

/// Whether the other ends of a pipe are all closed within `limit`; what comes before is dropped.
inline bool ends_within(int fd, std::chrono::milliseconds limit) {
  const auto deadline = clock_type::now() + limit;
  while (clock_type::now() < deadline) {
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, 100) <= 0) continue;
    char dropped[4096];
    if (::read(fd, dropped, sizeof dropped) == 0) return true;
  }
  return false;
}

/// A running tool. Standard output and error go to files of the test unless said otherwise; killed when the test ends before it.
class tool {
public:
  static constexpr int closed = -1;

  /// `temporary` is its $TMPDIR.
  explicit tool(std::vector<std::string> arguments, int in = -2, int out = -2, int err = -2, const std::string& temporary = {}) {
    const char* const path = ::getenv("RINGBELL_TOOL");
    if (!path) throw std::runtime_error("RINGBELL_TOOL is not set: give the path of the ringbell executable");
    start(path, std::move(arguments), in, out, err, temporary);
  }
  tool(const tool&) = delete;
  tool& operator=(const tool&) = delete;
  ~tool() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    wait_for(process_);
  }

  void send(int signal) const { ::kill(process_, signal); }
  /// Its exit status, 1000 + the signal that ended it, or `timed_out`.
  int wait(std::chrono::milliseconds limit = patience) {
    const auto deadline = clock_type::now() + limit;
    for (;;) {
      int status = 0;
      if (::waitpid(process_, &status, WNOHANG) == process_) {
        process_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
      }
      if (clock_type::now() > deadline) return timed_out;
      ::usleep(500);
    }
  }
  std::string out() const { return contents_of(folder_ / "out"); }
  std::string err() const { return contents_of(folder_ / "err"); }
  /// Whether it complained in one line.
  bool one_line() const {
    const std::string text = err();
    return text.starts_with("ringbell: ") && std::count(text.begin(), text.end(), '\n') == 1 && text.ends_with('\n');
  }

private:
  void start(const std::string& path, std::vector<std::string> arguments, int in, int out, int err, const std::string& temporary) {
    const descriptor nothing = reading("/dev/null");
    const descriptor out_file = writing(folder_ / "out");
    const descriptor err_file = writing(folder_ / "err");
    const int wanted[] = {in == -2 ? nothing.get() : in, out == -2 ? out_file.get() : out, err == -2 ? err_file.get() : err};
    std::vector<char*> argv{const_cast<char*>(path.c_str())};
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    process_ = start_child([&] {
      ::signal(SIGPIPE, SIG_DFL);
      if (!temporary.empty()) ::setenv("TMPDIR", temporary.c_str(), 1);
      for (int fd = 0; fd < 3; ++fd) {
        if (wanted[fd] == closed)
          ::close(fd);
        else
          ::dup2(wanted[fd], fd);
      }
      ::execv(path.c_str(), argv.data());
      return 99;
    });
  }

  temporary_folder folder_;
  pid_t process_ = 0;
};

/// An echo server that listens already.
class echo_server {
public:
  explicit echo_server(const std::string& name) : tool_({"echo", name}, -2, line_.in.get()) {
    line_.in.reset();
    greeting_ = read_line(line_.out.get());
  }
  const std::string& greeting() const { return greeting_; }
  tool& process() { return tool_; }

private:
  plumbing line_;
  tool tool_;
  std::string greeting_;
};

}  // namespace ringbell::test
