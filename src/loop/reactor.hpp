// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/detail/event.hpp>
#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/platform.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace ringbell::detail {

/// What a loop needs of the kernel: it watches handles, sleeps until one of them or a time, and
/// delivers events. There is one implementation for each mechanism, and all behave in the same way.
/// An `edge` watch needs no draining, and reports at least once what was there when it began.
/// Several changes may merge into one event, but an event always comes after the last change.
/// Nothing allocates for an event.
///
/// A forked child may end its copies of watches and destroy its copy of the reactor, without any
/// effect on the parent's.
///
/// Thread-safety: one thread at a time. A thread that was not the last one to call poll(), wait(),
/// pollable() or arm() calls change_thread() before it does. Between two such calls any thread may
/// use `watch` and `unwatch`.
/// Lifetime: sinks and handles must outlive their watches: unwatch() first, then close or destroy.
class reactor {
public:
  using time_point = std::chrono::steady_clock::time_point;
  virtual ~reactor() = default;

  virtual std::string_view name() const noexcept = 0;
  /// One sentence, to be shown to users: the features of the kernel that this reactor uses.
  virtual std::string_view reason() const noexcept = 0;
  virtual bool has_futex() const noexcept = 0;

  /// Begins a watch for `events` (a set of event_read and event_write; hang-up and errors are
  /// always reported). The same handle may be watched several times. A handle that is always ready
  /// (a regular file) is reported once.
  /// Errors: the system's; a handle that cannot be watched may also be reported by `event_refused`.
  /// Throws std::bad_alloc when the table of watches cannot grow.
  virtual std::error_code watch(sys::native_handle h, std::uint32_t events, watch_mode mode,
                                event_sink& sink, watch_key& key) = 0;
  /// Waits, once, until a shared futex word is woken or differs from `expected`. This is reported
  /// as event_read.
  /// Errors: `errc::not_supported` when has_futex() is false.
  virtual std::error_code watch_futex(const sys::futex_word& word, std::uint32_t expected,
                                      event_sink& sink, watch_key& key) = 0;
  /// Ends a watch, and clears the key. The sink is not called any more, and the kernel has released
  /// the handle: when it is closed now, the peer sees that at once. Has no effect when the watch
  /// has already ended.
  virtual void unwatch(watch_key& key) noexcept = 0;

  /// Delivers what has happened, without sleeping. It is cheap enough to be called on every turn:
  /// it makes a system call only when the kernel has something, or has not been asked for a while.
  /// Returns the number of events.
  /// Errors: throws std::system_error when the kernel refuses the call, which is a mistake of the
  /// caller, such as two threads at a time.
  virtual std::size_t poll() = 0;
  /// Sleeps until an event or until `until` (time_point::max(): no limit; in the past: does not
  /// sleep), and delivers. Always asks the kernel. Interruptions by signals do not end the sleep.
  /// Throws what poll() throws.
  virtual std::size_t wait(time_point until) = 0;

  /// A handle that is readable when wait() would return at once, as of the last arm(). The first
  /// call may change for good how the reactor works, so a loop that sleeps by itself does not call
  /// it. The foreign loop's sleep may be interrupted (EINTR) without a signal.
  virtual sys::native_handle pollable() = 0;
  /// Makes the pollable handle readable also at `due` (time_point::max(): never), and submits
  /// everything that is queued to the kernel. The next poll() asks the kernel. A foreign loop calls
  /// this each time before it sleeps.
  /// Errors: throws std::system_error; the next call tries again.
  virtual void arm(time_point due) = 0;

  /// Prepares for the calls of this thread. To be called when the thread may have changed since the
  /// last poll(), wait(), pollable() or arm().
  /// Errors: throws std::system_error when the kernel has no room for the change; it may then be
  /// called again.
  virtual void change_thread() {}
};

/// Returns null when this kernel, or the sandbox around it, does not allow what is needed;
/// `why_not` then describes this for users. The first `skip` of the better kinds of ring are left
/// out, so that tests can try what older kernels get (0: deferred completions, 1: cooperative, 2:
/// plain).
std::unique_ptr<reactor> make_io_uring_reactor(std::error_code& error, std::string& why_not,
                                               std::size_t skip = 0);
std::unique_ptr<reactor> make_epoll_reactor(std::error_code& error);
std::unique_ptr<reactor> make_kqueue_reactor(std::error_code& error);
/// With `packets` it uses wait completion packets where the system has them. Without, tests can try
/// what older systems, and Wine, have.
std::unique_ptr<reactor> make_iocp_reactor(std::error_code& error, bool packets = true);

}  // namespace ringbell::detail
