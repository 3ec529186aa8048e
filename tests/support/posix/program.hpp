// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/child_process.hpp"
#include "support/streams.hpp"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

// A program as a child process. support/windows/ has the same for Windows.
namespace ringbell::test {

inline constexpr int timed_out = -1;

/// By which programs that serve are asked to end.
inline constexpr std::initializer_list<int> polite_signals{SIGTERM, SIGINT};
inline constexpr int polite_signal = SIGTERM;

/// Whether a killed server's name is still there, with nobody behind it.
inline constexpr bool names_outlive_servers = true;

/// A running program; killed when this goes before it.
class program {
public:
  /// Its standard streams are these; closed where that is -1. Its temporary folder is its own.
  program(const std::string& path, std::vector<std::string> arguments, int in, int out, int err)
      : before_(std::filesystem::last_write_time(temporary_.path())) {
    const int wanted[] = {in, out, err};
    std::vector<char*> argv{const_cast<char*>(path.c_str())};
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    process_ = start_child([&] {
      ::signal(SIGPIPE, SIG_DFL);
      ::setenv("TMPDIR", temporary_.path().c_str(), 1);
      for (int fd = 0; fd < 3; ++fd) {
        if (wanted[fd] < 0)
          ::close(fd);
        else
          ::dup2(wanted[fd], fd);
      }
      ::execv(path.c_str(), argv.data());
      return 99;
    });
  }
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program() {
    if (process_ <= 0) return;
    kill();
    wait_for(process_);
  }

  void send(int signal) const { ::kill(process_, signal); }
  void kill() const { send(SIGKILL); }
  /// From now on it does nothing.
  void stop() const { send(SIGSTOP); }
  /// Its exit status, 1000 + the signal that ended it, or `timed_out`.
  int wait(std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
      int status = 0;
      if (::waitpid(process_, &status, WNOHANG) == process_) {
        process_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
      }
      if (std::chrono::steady_clock::now() > deadline) return timed_out;
      ::usleep(500);
    }
  }
  /// Whether a demo runs in both of its processes: its folder was there, and has gone again.
  bool has_company() const {
    return std::filesystem::last_write_time(temporary_.path()) != before_ && left_behind().empty();
  }
  /// What is in its temporary folder.
  std::vector<std::string> left_behind() const { return left_in(temporary_); }

private:
  file_folder temporary_;
  std::filesystem::file_time_type before_;
  pid_t process_ = 0;
};

/// Whether a program that knows nothing of signals was ended by this one.
inline bool is_end_by(int signal, int status) { return status == 1000 + signal; }

}  // namespace ringbell::test
