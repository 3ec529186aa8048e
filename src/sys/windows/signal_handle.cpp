// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/signal_handle.hpp>

#include <ringbell/errors.hpp>

#include "sys/windows/win32.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

// On Windows signals come from the console (Ctrl-C, Ctrl-Break, its window closed, the user logged
// off), in a thread that the system creates for them, or from raise(), in the thread that calls it.
// They interrupt nothing, so the handlers may lock a mutex. All of them go through the handlers of
// the C library, except the closing events, which the C library does not know: these are reported
// as SIGTERM.

namespace ringbell::sys {

namespace {

constexpr std::array<int, 3> known{SIGINT, SIGTERM, SIGBREAK};
constexpr std::uint64_t bit(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }
constexpr std::size_t place_of(int signal) noexcept {
  return static_cast<std::size_t>(std::find(known.begin(), known.end(), signal) - known.begin());
}

using handler = void (*)(int);

struct listening {
  /// A manual-reset event, which is set while a signal is pending. It also identifies this entry.
  native_handle event = invalid_handle;
  std::uint64_t wanted = 0;
  std::uint64_t pending = 0;
};

// One registry for the process, like its signal handlers. It is never destroyed, because a signal
// may come at the very end.
struct registry {
  std::mutex mutex;
  std::vector<listening> all;
  /// The previous handler of each signal, which is restored when no handle wants the signal any
  /// more.
  std::array<handler, known.size()> before{};

  static registry& get() {
    static registry* const only = new registry;
    return *only;
  }
  listening* find(native_handle event) noexcept {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [event](const listening& l) { return l.event == event; });
    return found == all.end() ? nullptr : &*found;
  }
  bool is_wanted(int signal) const noexcept {
    return std::any_of(all.begin(), all.end(),
                       [signal](const listening& l) { return (l.wanted & bit(signal)) != 0; });
  }
  /// Returns false when no handle wants the signal. The caller holds the lock.
  bool deliver(int signal) noexcept {
    bool any = false;
    for (listening& l : all) {
      if (!(l.wanted & bit(signal))) continue;
      l.pending |= bit(signal);
      ::SetEvent(l.event);
      any = true;
    }
    return any;
  }
};

extern "C" void on_signal(int signal) {
  registry& r = registry::get();
  const std::lock_guard lock(r.mutex);
  // Each delivery resets the handler to the default, so it is set again here.
  std::signal(signal, r.deliver(signal) ? &on_signal : r.before[place_of(signal)]);
}

BOOL WINAPI on_closing(DWORD event) {
  if (event != CTRL_CLOSE_EVENT && event != CTRL_LOGOFF_EVENT && event != CTRL_SHUTDOWN_EVENT)
    return FALSE;
  {
    registry& r = registry::get();
    const std::lock_guard lock(r.mutex);
    if (!r.deliver(SIGTERM)) return FALSE;
  }
  // The process ends when this function returns, so it does not return. The program ends in order,
  // or the system kills it after some seconds.
  ::Sleep(INFINITE);
  return TRUE;
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
  for (const int signal : signals)
    if (std::find(known.begin(), known.end(), signal) == known.end())
      error = std::make_error_code(std::errc::invalid_argument);
  if (!error && (error = made.open(signals))) made.reset();
  return made;
}

std::error_code signal_handle::open(std::span<const int> signals) noexcept try {
  handle event(::CreateEventW(nullptr, TRUE, FALSE, nullptr));
  if (!event) return last_error();
  registry& r = registry::get();
  const std::lock_guard lock(r.mutex);
  if (r.all.empty()) ::SetConsoleCtrlHandler(&on_closing, TRUE);
  listening entry;
  entry.event = event.get();
  for (const int signal : signals) entry.wanted |= bit(signal);
  r.all.reserve(r.all.size() + 1);
  for (const int signal : known)
    if ((entry.wanted & bit(signal)) && !r.is_wanted(signal))
      r.before[place_of(signal)] = std::signal(signal, &on_signal);
  r.all.push_back(entry);
  handle_ = std::move(event);
  unblock_ = entry.wanted;
  return {};
} catch (const std::bad_alloc&) {
  return std::make_error_code(std::errc::not_enough_memory);
}

result<int> signal_handle::take() noexcept {
  registry& r = registry::get();
  const std::lock_guard lock(r.mutex);
  listening* const entry = r.find(handle_.get());
  if (!entry || entry->pending == 0) return errc::would_block;
  for (const int signal : known) {
    if (!(entry->pending & bit(signal))) continue;
    entry->pending &= ~bit(signal);
    if (entry->pending == 0) ::ResetEvent(entry->event);
    return signal;
  }
  return errc::would_block;
}

void signal_handle::reset() noexcept {
  if (!handle_) return;
  registry& r = registry::get();
  const std::lock_guard lock(r.mutex);
  std::erase_if(r.all, [&](const listening& l) { return l.event == handle_.get(); });
  for (const int signal : known)
    if ((unblock_ & bit(signal)) && !r.is_wanted(signal))
      std::signal(signal, r.before[place_of(signal)]);
  if (r.all.empty()) ::SetConsoleCtrlHandler(&on_closing, FALSE);
  unblock_ = 0;
  handle_.reset();
}

}  // namespace ringbell::sys
