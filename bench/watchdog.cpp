// SPDX-License-Identifier: BSL-1.0
#include "watchdog.hpp"

#include <signal.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <string_view>

namespace ringbell::bench {

namespace {

constexpr unsigned patience = 60;  // seconds

std::array<char, 160> message{};
volatile sig_atomic_t message_length = 0;
volatile sig_atomic_t signal_seen = 0;

void give_up(int) {
  [[maybe_unused]] const auto written =
      ::write(STDERR_FILENO, message.data(), static_cast<std::size_t>(message_length));
  ::_exit(1);  // the others are killed when their parent dies
}

void take_note(int signal) {
  if (signal_seen != 0) ::_exit(128 + signal);
  signal_seen = signal;
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

watchdog::watchdog(const std::string& what) noexcept {
  constexpr std::string_view before = "ringbell-bench: no end of one slice within a minute: ";
  constexpr std::string_view after = "\n";
  char* to = std::copy(before.begin(), before.end(), message.data());
  to = std::copy_n(what.data(),
                   std::min(what.size(), message.size() - before.size() - after.size()), to);
  to = std::copy(after.begin(), after.end(), to);
  message_length = static_cast<sig_atomic_t>(to - message.data());
  handle(SIGALRM, give_up);
  ::alarm(patience);
}

watchdog::~watchdog() { ::alarm(0); }

void watch_for_signals() noexcept {
  handle(SIGINT, take_note);
  handle(SIGTERM, take_note);
}

void throw_if_interrupted() {
  if (signal_seen != 0) throw interrupted(signal_seen);
}

}  // namespace ringbell::bench
