// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/signal_handle.hpp>

#include <csignal>
#include <utility>

namespace ringbell::sys {

namespace {

constexpr int last_signal = 64;
constexpr std::uint64_t bit(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

// Some systems have fewer signals and do not check the number.
bool add(sigset_t& set, int signal) noexcept {
  return signal >= 1 && signal <= last_signal && signal < NSIG && sigaddset(&set, signal) == 0;
}

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
  sigemptyset(&wanted);
  for (const int signal : signals) {
    if (!add(wanted, signal)) {
      error = std::make_error_code(std::errc::invalid_argument);
      return made;
    }
  }
  sigset_t before;
  if (const int failed = ::pthread_sigmask(SIG_BLOCK, &wanted, &before)) {
    error.assign(failed, std::system_category());
    return made;
  }
  for (const int signal : signals)
    if (sigismember(&before, signal) == 0) made.unblock_ |= bit(signal);
  if ((error = made.open(signals))) made.reset();
  return made;
}

void signal_handle::reset() noexcept {
  handle_.reset();
  if (unblock_ == 0) return;
  sigset_t set;
  sigemptyset(&set);
  for (int signal = 1; signal <= last_signal; ++signal)
    if (unblock_ & bit(signal)) add(set, signal);
  unblock_ = 0;
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace ringbell::sys
