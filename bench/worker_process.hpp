// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace ringbell::bench {

/// One end of a pair of sockets over which two processes exchange plain structs.
class pipe_end {
public:
  explicit pipe_end(int fd) noexcept : fd_(fd) {}
  pipe_end(const pipe_end&) = delete;
  pipe_end& operator=(const pipe_end&) = delete;
  ~pipe_end() { close(); }

  template <class T>
  void put(const T& value) const {
    static_assert(std::is_trivially_copyable_v<T>);
    if (::send(fd_, &value, sizeof value, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof value))
      throw std::runtime_error("a process has died");
  }
  /// Waits for it. False when the other side has gone. Throws when it took too long, or a signal
  /// came, unless it is to go on waiting then.
  template <class T>
  bool get(T& value, bool through_signals = false) const {
    static_assert(std::is_trivially_copyable_v<T>);
    ssize_t got = 0;
    do got = ::recv(fd_, &value, sizeof value, 0);
    while (got < 0 && errno == EINTR && through_signals);
    if (got == static_cast<ssize_t>(sizeof value)) return true;
    if (got < 0 && errno == EINTR) throw std::runtime_error("interrupted");
    if (got < 0 && errno == EAGAIN) throw std::runtime_error("a process does not answer");
    return false;
  }
  void limit_waiting(std::chrono::seconds most) const {
    const timeval t{most.count(), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  }
  int fd() const noexcept { return fd_; }
  void close() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

private:
  int fd_;
};

/// A process that does one thing for this one, and dies with it or with this object, whatever it
/// does then.
class worker_process {
public:
  /// Starts `body` in a process that has no descriptors but the standard ones, its end and those to
  /// be kept. Only while this process has one thread.
  explicit worker_process(const std::string& name, const std::function<void(pipe_end&)>& body,
                          const std::vector<int>& keep = {})
      : worker_process(name, body, keep, make_pair()) {}
  worker_process(const worker_process&) = delete;
  worker_process& operator=(const worker_process&) = delete;
  ~worker_process() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    wait();
  }

  pid_t process() const noexcept { return process_; }
  /// Whether it still runs.
  bool alive() const noexcept {
    siginfo_t ended{};
    return ::waitid(P_PID, static_cast<id_t>(process_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0;
  }

  /// Waits for what the process says next. Throws when it has died, or says nothing for `patience`.
  template <class T>
  T get(bool through_signals = false) const {
    T value{};
    if (!ours_.get(value, through_signals)) throw std::runtime_error(name_ + " has died");
    return value;
  }
  template <class T>
  void put(const T& value) const {
    ours_.put(value);
  }

  /// Hangs up, and gives it so much time to end by itself; destruction then kills it if it has not.
  void hang_up(std::chrono::milliseconds limit) noexcept {
    ours_.close();
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, process_, 0));
    if (fd < 0) return;
    pollfd ended{fd, POLLIN, 0};
    ::poll(&ended, 1, static_cast<int>(limit.count()));
    ::close(fd);
  }

  /// Waits until it has ended by itself. Its exit status, or -1 when it was killed.
  int wait() noexcept {
    const pid_t ended = std::exchange(process_, -1);
    int status = 0;
    while (::waitpid(ended, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

private:
  static constexpr std::chrono::seconds patience{120};
  struct pair {
    int ours;
    int theirs;
  };
  static pair make_pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("cannot make sockets");
    return {ends[0], ends[1]};
  }
  worker_process(const std::string& name, const std::function<void(pipe_end&)>& body,
                 const std::vector<int>& keep, pair ends)
      : name_(name), ours_(ends.ours) {
    pipe_end theirs(ends.theirs);
    ours_.limit_waiting(patience);
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    process_ = fork_patiently();
    if (process_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::signal(SIGINT, SIG_DFL);
    ::signal(SIGTERM, SIG_DFL);
    run(theirs, body, keep);
  }
  /// Tries again for a while where the system has too many processes at the moment, or too little
  /// memory.
  static pid_t fork_patiently() {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
      const pid_t process = ::fork();
      if (process >= 0) return process;
      if ((errno != EAGAIN && errno != ENOMEM) || std::chrono::steady_clock::now() > deadline)
        throw std::runtime_error("cannot start a process");
      ::usleep(100'000);
    }
  }
  /// The other workers' ends go too: a process that keeps them would hide their death.
  static void close_all_but(std::vector<int> kept) {
    std::sort(kept.begin(), kept.end());
    int from = STDERR_FILENO + 1;
    for (const int fd : kept) {
      if (fd > from) ::close_range(static_cast<unsigned>(from), static_cast<unsigned>(fd) - 1, 0);
      from = std::max(from, fd + 1);
    }
    ::close_range(static_cast<unsigned>(from), ~0U, 0);
  }
  [[noreturn]] void run(pipe_end& end, const std::function<void(pipe_end&)>& body,
                        std::vector<int> keep) const {
    int code = 1;
    try {
      keep.push_back(end.fd());
      close_all_but(std::move(keep));
      body(end);
      code = 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: %s\n", name_.c_str(), error.what());
    }
    ::_exit(code);
  }

  std::string name_;
  pipe_end ours_;
  pid_t process_ = -1;
};

}  // namespace ringbell::bench
