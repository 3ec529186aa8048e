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

/// A wait for one event of the loop's reactor. The derived class begins the wait.
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

/// Suspends until reading from `h` would not block. This is also so when the other end has hung up,
/// or when an error is to be read. It is a hint: use non-blocking calls.
/// Errors: the system's, when the handle cannot be watched.
/// Thread-safety: none; the loop's thread.
/// Cancellation: `errc::cancelled`.
/// Lifetime: the handle must not be closed during the wait.
inline detail::readiness_awaitable readable(sys::native_handle h) noexcept {
  return detail::readiness_awaitable(h, detail::event_read);
}

/// Suspends until writing to `h` would not block. This is also so when no reader is left; the write
/// then fails with EPIPE. Otherwise as `readable`. Both may be awaited on one handle at the same
/// time.
inline detail::readiness_awaitable writable(sys::native_handle h) noexcept {
  return detail::readiness_awaitable(h, detail::event_write);
}

/// Suspends until `bell` has been rung, and resets it. Rings that come together wake once. When the
/// bell was rung before, it returns on the loop's next turn.
/// Errors: the system's, when the bell cannot be watched.
/// Thread-safety: none; the loop's thread.
/// Cancellation: `errc::cancelled`; no ring was taken then.
/// Lifetime: the bell must outlive the wait.
inline detail::bell_awaitable wait_for(sys::event_bell& bell) noexcept {
  return detail::bell_awaitable(&bell);
}

/// Suspends until `word` differs from `expected`, or until a `sys::futex_wake(...,
/// futex_scope::shared)` wakes it. This is a hint: look at the word again. Does not suspend when
/// the word already differs.
/// Errors: `errc::not_supported` unless `loop::can_wait_on_futex()`; `std::errc::bad_address` when
/// the word is not mapped.
/// Thread-safety: none; the loop's thread.
/// Cancellation: `errc::cancelled`.
/// Lifetime: the word is in shared memory, which must stay mapped during the wait.
inline detail::futex_awaitable futex_changed(const sys::futex_word& word,
                                             std::uint32_t expected) noexcept {
  return detail::futex_awaitable(&word, expected);
}
void futex_changed(const sys::futex_word&&, std::uint32_t) = delete;  // a word that would not stay

}  // namespace ringbell
