// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/child_process.hpp"

#include <windows.h>

#include <csignal>

/// Two signals that a program may send itself, and what else of signals differs by system.
namespace ringbell::test {

inline constexpr int first_signal = SIGTERM;
inline constexpr int second_signal = SIGBREAK;

/// Whether a signal does not act as usual: nothing is blocked here, but somebody may handle or
/// ignore it.
inline bool is_blocked(int signal) {
  const auto handler = std::signal(signal, SIG_DFL);
  std::signal(signal, handler);
  return handler != SIG_DFL;
}
inline void block(int signal) { std::signal(signal, SIG_IGN); }
inline void unblock(int signal) { std::signal(signal, SIG_DFL); }

/// What a process does first that `ask_to_end` is to reach: it gets a console of its own, with
/// which nobody else is interrupted.
inline void can_be_asked() {
  ::FreeConsole();
  expect(::AllocConsole() != 0, "a console");
  ::SetConsoleCtrlHandler(nullptr, FALSE);  // whoever started the tests may have turned Ctrl-C off
}

namespace signals_detail {

inline int press_ctrl_c(DWORD process) {
  ::FreeConsole();
  expect(::AttachConsole(process) != 0, "the console of a child");
  ::SetConsoleCtrlHandler(nullptr, TRUE);  // this process is not meant
  expect(::GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) != 0, "Ctrl-C to be pressed");
  return 0;
}

}  // namespace signals_detail

/// Sends a process the signal by which it should end in order: SIGINT, as the console sends it. By
/// a process that has that console for a moment.
inline bool ask_to_end(const child_process& child) {
  return child_process(&signals_detail::press_ctrl_c, child.id()).wait() == 0;
}

}  // namespace ringbell::test
