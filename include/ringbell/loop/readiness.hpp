// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/wait_node.hpp>
#include <ringbell/loop/detail/event.hpp>
#include <ringbell/result.hpp>
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/platform.hpp>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <system_error>

namespace ringbell {

namespace detail {

/// A wait for one event of the loop's reactor. The derived class begins it.
class event_wait : protected wait_node, protected event_sink {
public:
  bool await_ready() const noexcept { return false; }
  result<void> take_result() noexcept;
  void await_resume() { take_result().value(); }

protected:
  event_wait() noexcept {}
  ~event_wait() { end(); }
  bool watch(sys::native_handle h, std::uint32_t events);
  bool watch(const sys::futex_word& word, std::uint32_t expected);

private:
  void on_event(std::uint32_t events) noexcept override;
  void end() noexcept;

  watch_key key_;
  std::error_code error_;
};

class handle_awaiter final : public event_wait {
public:
  handle_awaiter(sys::native_handle h, std::uint32_t events) noexcept
      : handle_(h), events_(events) {}
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    return arm(h) && watch(handle_, events_);
  }

private:
  sys::native_handle handle_;
  std::uint32_t events_;
};

class bell_awaiter final : public event_wait {
public:
  explicit bell_awaiter(sys::event_bell* bell) noexcept : bell_(*bell) {}
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    return arm(h) && watch(bell_.native(), event_read);
  }
  result<void> take_result() noexcept;
  void await_resume() { take_result().value(); }

private:
  sys::event_bell& bell_;
};

class futex_awaiter final : public event_wait {
public:
  futex_awaiter(const sys::futex_word* word, std::uint32_t expected) noexcept
      : word_(*word), expected_(expected) {}
  bool await_ready() const noexcept { return word_.load(std::memory_order_acquire) != expected_; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    return arm(h) && watch(word_, expected_);
  }

private:
  const sys::futex_word& word_;
  std::uint32_t expected_;
};

using readiness_awaitable = awaitable<handle_awaiter, sys::native_handle, std::uint32_t>;
using bell_awaitable = awaitable<bell_awaiter, sys::event_bell*>;
using futex_awaitable = awaitable<futex_awaiter, const sys::futex_word*, std::uint32_t>;

}  // namespace detail

/// Suspends until reading from `h` would not block; that is also so when the other end has hung up
/// or an error waits to be read. A hint: use non-blocking calls. The handle must not be closed
/// during the wait.
/// Cancellation: `errc::cancelled`. Errors: the system's, when the handle cannot be watched.
inline detail::readiness_awaitable readable(sys::native_handle h) noexcept {
  return detail::readiness_awaitable(h, detail::event_read);
}

/// Suspends until writing to `h` would not block; that is also so when no reader is left: the write
/// then says so (EPIPE). Else as `readable`; both may be awaited on one handle at the same time.
inline detail::readiness_awaitable writable(sys::native_handle h) noexcept {
  return detail::readiness_awaitable(h, detail::event_write);
}

/// Suspends until `bell` has been rung, and takes what was rung: rings that come together wake
/// once. Returns on the loop's next turn when it was rung before. The bell outlives the wait.
/// Cancellation: `errc::cancelled`; nothing was taken then.
inline detail::bell_awaitable wait_for(sys::event_bell& bell) noexcept {
  return detail::bell_awaitable(&bell);
}

/// Suspends until `word`, in shared memory that stays mapped, differs from `expected`, or somebody
/// wakes it with `sys::futex_wake(..., futex_scope::shared)`: a hint, look at the word again. Does
/// not suspend when it differs already.
/// Cancellation: `errc::cancelled`. Errors: `errc::not_supported` unless
/// `loop::can_wait_on_futex()`; `std::errc::bad_address` when the word is not mapped.
inline detail::futex_awaitable futex_changed(const sys::futex_word& word,
                                             std::uint32_t expected) noexcept {
  return detail::futex_awaitable(&word, expected);
}
detail::futex_awaitable futex_changed(const sys::futex_word&& word, std::uint32_t expected) =
    delete;  // a word that would not stay

}  // namespace ringbell
