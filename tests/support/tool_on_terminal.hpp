// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/tool_process.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

namespace ringbell::test {

/// The tool in a terminal of its own.
class tool_on_terminal {
public:
  explicit tool_on_terminal(std::vector<std::string> arguments)
      : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    ::grantpt(master_.get());
    ::unlockpt(master_.get());
    const std::string slave = ::ptsname(master_.get());
    slave_ = ::open(slave.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    const winsize size{12, 100, 0, 0};
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
    ::tcgetattr(slave_, &before_);
    const std::string path = path_of_tool();
    arguments.insert(arguments.begin(), path);
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    process_ = start_child([&] {
      ::setsid();
      ::ioctl(slave_, TIOCSCTTY, 0);
      for (int fd = 0; fd < 3; ++fd) ::dup2(slave_, fd);
      ::execv(path.c_str(), argv.data());
      return 99;
    });
  }
  tool_on_terminal(const tool_on_terminal&) = delete;
  tool_on_terminal& operator=(const tool_on_terminal&) = delete;
  ~tool_on_terminal() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      wait_for(process_);
    }
    ::close(slave_);
  }

  void type(const std::string& keys) const {
    CHECK(::write(master_.get(), keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()));
  }
  void send(int signal) const { ::kill(process_, signal); }
  void resize(unsigned short lines, unsigned short columns) const {
    const winsize size{lines, columns, 0, 0};
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
  }
  /// Whether it writes `text`, from the last time that it was asked on.
  bool shows(const std::string& text, std::chrono::milliseconds limit = patience) {
    const auto deadline = clock_type::now() + limit;
    for (;;) {
      if (const std::size_t at = seen_.find(text); at != seen_.npos) {
        seen_.erase(0, at + text.size());
        return true;
      }
      if (clock_type::now() > deadline) return false;
      take(10);
    }
  }
  /// Whether it has written `text` within a moment.
  bool shows_now(const std::string& text) { return shows(text, std::chrono::milliseconds(50)); }
  /// Its exit status.
  int wait() {
    const auto deadline = clock_type::now() + patience;
    while (clock_type::now() < deadline) {
      int status = 0;
      take(10);
      if (::waitpid(process_, &status, WNOHANG) != process_) continue;
      process_ = 0;
      while (take(0)) {}
      return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    return timed_out;
  }
  bool has_settings_as_before() const {
    termios now{};
    ::tcgetattr(slave_, &now);
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag;
  }

private:
  bool take(int milliseconds) {
    pollfd p{master_.get(), POLLIN, 0};
    if (::poll(&p, 1, milliseconds) <= 0) return false;
    char piece[65536];
    const ssize_t n = ::read(master_.get(), piece, sizeof piece);
    if (n <= 0) return false;
    seen_.append(piece, static_cast<std::size_t>(n));
    return true;
  }

  descriptor master_;
  int slave_ = -1;
  termios before_{};
  pid_t process_ = 0;
  std::string seen_;
};

}  // namespace ringbell::test
