// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

namespace ringbell::bench {

/// While one exists, this process ends, with all that it has started, when `what` takes longer than
/// a minute: of a link that spins or blocks nobody can say that it hangs. At most one at a time.
class watchdog {
public:
  explicit watchdog(const std::string& what) noexcept;
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog();
};

/// The end of the program by Ctrl-C, or by SIGTERM.
class interrupted {
public:
  explicit interrupted(int by) noexcept : signal(by) {}
  int signal;
};

/// From now on SIGINT and SIGTERM are taken note of; a second one ends the process.
void watch_for_signals() noexcept;
/// Throws `interrupted` when one has come.
void throw_if_interrupted();

}  // namespace ringbell::bench
