// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/limit.hpp>
#include <ringbell/sys/quiet_thread.hpp>

#include <pthread.h>
#include <signal.h>

#include <system_error>
#include <utility>

namespace ringbell::sys {

namespace {

// While it exists, new threads start with signals blocked, because they inherit the mask.
class signals_blocked {
public:
  signals_blocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    // When the signal of a fault is blocked, the kernel ends the process without calling the
    // handler.
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS})
      sigdelset(&all, fault);
    ::pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;
  ~signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
  sigset_t before_;
};

}  // namespace

std::thread quiet_thread(std::function<void()> run) {
  const signals_blocked inherited;
  try {
    return std::thread(std::move(run));
  } catch (const std::system_error& error) {
    throw std::system_error(error.code(), "ringbell: a thread" + limit_of_threads());
  }
}

}  // namespace ringbell::sys
