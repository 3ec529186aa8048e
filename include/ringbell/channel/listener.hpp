// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/detail/record_kind.hpp>
#include <ringbell/channel/listener_options.hpp>
#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/wait_slot.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/result.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace ringbell {

namespace detail {

class listener_impl;

class accept_awaiter : public slot_wait<listener_impl> {
public:
  explicit accept_awaiter(listener_impl* from) noexcept : slot_wait(from) {}
  ~accept_awaiter() { leave(); }
  bool await_ready() noexcept;
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    if (!at_home(coroutine_context_of(h), owner())) {
      outcome_ = errc::wrong_loop;
      return false;
    }
    if (!arm(h, owner())) return false;
    begin();
    return true;
  }
  result<channel> take_result() noexcept;
  channel await_resume() { return take_result().value(); }

  using wait_node::complete;

private:
  loop& owner() const noexcept;
  void begin() noexcept;
  void leave() noexcept;
  errc outcome_ = errc::would_block;
};

}  // namespace detail

/// Accepts connections to a service. Handshakes proceed by themselves while the loop runs. They run
/// concurrently, each with its own time limit, so a client that is slow or sends garbage delays no
/// other client.
///
/// Thread-safety: the loop's thread. One accept may be pending at a time; a second one fails with
/// `errc::busy`.
/// Lifetime: a listener that outlives its loop is closed. Destruction removes the socket file,
/// drops unfinished handshakes and channels that were not accepted, and ends a pending accept with
/// `errc::closed`. Accepted channels live on.
class listener {
public:
  using accept_awaitable = detail::awaitable<detail::accept_awaiter, detail::listener_impl*>;

  /// Listens under `name`: a name, or a path when it contains a slash (`sys::service_path`). The
  /// socket that a dead server has left is replaced.
  /// Errors: throws `std::system_error` with `errc::name_in_use` when a live server has the name,
  /// `errc::bad_name`, `errc::unsafe_directory`, `errc::bad_ring_size` when the options contradict
  /// each other, or the system's error.
  static listener bind(loop& lp, std::string_view name, listener_options options = {});

  listener(listener&&) noexcept;
  listener& operator=(listener&&) noexcept;
  ~listener();

  /// Waits for the next client. The result is a `channel`.
  /// Errors: throws `errc::cancelled`, `errc::busy`, `errc::closed`. Throws `errc::wrong_loop`
  /// when it is awaited on another loop than the listener's.
  /// Cancellation: ends with `errc::cancelled`; no client is lost.
  accept_awaitable accept() noexcept { return accept_awaitable(impl_.get()); }

  /// Returns the path of the socket, for messages.
  const std::string& path() const noexcept;
  /// Returns how many clients are connected, including those that have not been accepted yet.
  std::size_t clients() const noexcept;

private:
  friend class stream_listener;
  static listener bind(loop& lp, std::string_view name, listener_options options,
                       handshake::record_kind kind);
  detail::listener_impl* impl() const noexcept { return impl_.get(); }
  explicit listener(std::unique_ptr<detail::listener_impl> clients) noexcept;
  std::unique_ptr<detail::listener_impl> impl_;
};

}  // namespace ringbell
