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

/// What a loop needs of the kernel: watch handles, sleep until one of them or a time, deliver. One
/// implementation per mechanism, all with the same behaviour: an `edge` watch needs no draining,
/// and reports at least once what was there when it began. Several changes may merge into one
/// event; after the last one an event always comes.
///
/// Thread-safety: one thread at a time. A thread that was not the last one to call poll(), wait(),
/// pollable() or arm() calls change_thread() before it does. `watch` and `unwatch` may be used by
/// any between two such calls. Nothing allocates per event.
///
/// A forked child may end its copies of watches and destroy its copy of the reactor; the parent's
/// goes on as if it had not.
/// Lifetime: sinks and handles outlive their watches: unwatch() first, then close or destroy.
class reactor {
public:
  using time_point = std::chrono::steady_clock::time_point;
  virtual ~reactor() = default;

  virtual std::string_view name() const noexcept = 0;
  /// One sentence for people: with which features of the kernel this reactor works.
  virtual std::string_view reason() const noexcept = 0;
  virtual bool has_futex() const noexcept = 0;

  /// Begins a watch for `events` (a set of event_read, event_write; hang-up and errors are always
  /// reported). The same handle may be watched several times. A handle that is always ready (a
  /// regular file) is reported once. Errors: the system's; a handle that cannot be watched may also
  /// be told of by `event_refused` instead. Throws std::bad_alloc when the table of watches cannot
  /// grow.
  virtual std::error_code watch(sys::native_handle h, std::uint32_t events, watch_mode mode,
                                event_sink& sink, watch_key& key) = 0;
  /// Waits, once, until a shared futex word is woken or differs from `expected`; reported as
  /// event_read. `errc::not_supported` where has_futex() is false.
  virtual std::error_code watch_futex(const sys::futex_word& word, std::uint32_t expected,
                                      event_sink& sink, watch_key& key) = 0;
  /// Ends a watch, clears the key. The sink is not called any more, and the kernel has let go of
  /// the handle: closing it now is seen by the peer at once. No effect when the watch has ended by
  /// itself.
  virtual void unwatch(watch_key& key) noexcept = 0;

  /// Delivers what has happened, without sleeping. Cheap enough to be called on every turn: makes a
  /// system call only when the kernel has something, or when it has not been asked for a while.
  /// Returns how many events. Throws std::system_error when the kernel refuses to be asked, which
  /// is a mistake of the caller, such as two threads at a time.
  virtual std::size_t poll() = 0;
  /// Sleeps until an event or `until` (time_point::max(): no limit; in the past: does not sleep),
  /// and delivers. Always asks the kernel. Interruptions by signals are slept through. Throws as
  /// poll() does.
  virtual std::size_t wait(time_point until) = 0;

  /// A handle that polls readable when wait() would return at once, as far as arm() was told. The
  /// first call may change the reactor's ways for good, so a loop that sleeps by itself does not
  /// ask. The foreign loop's sleep may be interrupted (EINTR) without a signal.
  virtual sys::native_handle pollable() = 0;
  /// Makes the pollable handle readable at `due` (time_point::max(): never) as well, and hands
  /// everything queued to the kernel. The next poll() asks the kernel. A foreign loop calls this
  /// before each time that it sleeps. Throws std::system_error; the next call tries again.
  virtual void arm(time_point due) = 0;

  /// From now on this thread makes the calls. Throws std::system_error when the kernel has no room
  /// for that; then it may be called again. To be called where the thread may have changed since
  /// the last poll(), wait(), pollable() or arm().
  virtual void change_thread() {}
};

/// Null when this kernel, or the sandbox around it, does not allow what is needed; `why_not` then
/// says what, for people. `skip` leaves out as many of the better kinds of ring: tests so try what
/// older kernels get (0: deferred completions, 1: cooperative, 2: plain).
std::unique_ptr<reactor> make_io_uring_reactor(std::error_code& error, std::string& why_not,
                                               std::size_t skip = 0);
std::unique_ptr<reactor> make_epoll_reactor(std::error_code& error);
std::unique_ptr<reactor> make_kqueue_reactor(std::error_code& error);
/// `packets`: uses wait completion packets where the system has them; tests try what older systems,
/// and Wine, have.
std::unique_ptr<reactor> make_iocp_reactor(std::error_code& error, bool packets = true);

}  // namespace ringbell::detail
