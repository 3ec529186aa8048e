// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/signal_handle.hpp>

#include <ringbell/errors.hpp>

#include <sys/signalfd.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <utility>

namespace ringbell::sys {

namespace {

constexpr int last_signal = 64;
constexpr std::uint64_t bit(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

}  // namespace

signal_handle::signal_handle(signal_handle&& other) noexcept
    : handle_(std::move(other.handle_)), unblock_(std::exchange(other.unblock_, 0)) {}

signal_handle& signal_handle::operator=(signal_handle&& other) noexcept {
  if (this != &other) {
    reset();
    handle_ = std::move(other.handle_);
    unblock_ = std::exchange(other.unblock_, 0);
  }
  return *this;
}

signal_handle signal_handle::create(std::span<const int> signals, std::error_code& error) noexcept {
  error.clear();
  signal_handle made;
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int signal : signals) {
    if (signal < 1 || signal > last_signal || ::sigaddset(&wanted, signal) != 0) {
      error = std::make_error_code(std::errc::invalid_argument);
      return made;
    }
  }
  handle opened(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!opened) {
    error.assign(errno, std::system_category());
    return made;
  }
  sigset_t before;
  if (const int failed = ::pthread_sigmask(SIG_BLOCK, &wanted, &before)) {
    error.assign(failed, std::system_category());
    return made;
  }
  for (const int signal : signals)
    if (::sigismember(&before, signal) == 0) made.unblock_ |= bit(signal);
  made.handle_ = std::move(opened);
  return made;
}

result<int> signal_handle::take() noexcept {
  signalfd_siginfo info;
  ssize_t n;
  do n = ::read(handle_.get(), &info, sizeof(info));
  while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(sizeof(info))) return static_cast<int>(info.ssi_signo);
  if (errno == EAGAIN) return errc::would_block;
  return std::error_code(errno, std::system_category());
}

void signal_handle::reset() noexcept {
  handle_.reset();
  if (unblock_ == 0) return;
  sigset_t set;
  ::sigemptyset(&set);
  for (int signal = 1; signal <= last_signal; ++signal)
    if (unblock_ & bit(signal)) ::sigaddset(&set, signal);
  unblock_ = 0;
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace ringbell::sys
