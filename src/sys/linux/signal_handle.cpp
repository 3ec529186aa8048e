// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/signal_handle.hpp>

#include <ringbell/errors.hpp>

#include "sys/posix/syscall.hpp"

#include <sys/signalfd.h>
#include <unistd.h>
#include <csignal>

namespace ringbell::sys {

std::error_code signal_handle::open(std::span<const int> signals) noexcept {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int signal : signals) ::sigaddset(&wanted, signal);
  handle_ = handle(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
  return handle_ ? std::error_code() : last_error();
}

result<int> signal_handle::take() noexcept {
  signalfd_siginfo info;
  const auto n = retry([&] { return ::read(handle_.get(), &info, sizeof(info)); });
  if (n == static_cast<ssize_t>(sizeof(info))) return static_cast<int>(info.ssi_signo);
  if (errno == EAGAIN) return errc::would_block;
  return last_error();
}

}  // namespace ringbell::sys
