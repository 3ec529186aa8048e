// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/child_process.hpp"

#include <signal.h>

/// Two signals that a program may send itself, and what else of signals differs by system.
namespace ringbell::test {

inline constexpr int first_signal = SIGUSR1;
inline constexpr int second_signal = SIGUSR2;

/// Whether a signal waits, and does not act: for this thread.
inline bool is_blocked(int signal) {
  sigset_t now;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return sigismember(&now, signal) == 1;
}

namespace signals_detail {

inline void change(int how, int signal) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal);
  ::pthread_sigmask(how, &one, nullptr);
}

}  // namespace signals_detail

inline void block(int signal) { signals_detail::change(SIG_BLOCK, signal); }
inline void unblock(int signal) { signals_detail::change(SIG_UNBLOCK, signal); }

/// What a process does first that `ask_to_end` is to reach.
inline void can_be_asked() {}

/// Sends a process the signal by which it should end in order: SIGTERM.
inline bool ask_to_end(const child_process& child) { return ::kill(child.id(), SIGTERM) == 0; }

}  // namespace ringbell::test
