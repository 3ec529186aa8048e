// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/listener_options.hpp>
#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/wait_node.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/result.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace ringbell {

namespace detail {

class acceptor;

class accept_awaiter final : public wait_node {
public:
  explicit accept_awaiter(acceptor* from) noexcept : from_(from) {}
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
  void lose_listener() noexcept { from_ = nullptr; }

private:
  loop& owner() const noexcept;
  void begin() noexcept;
  void leave() noexcept;
  acceptor* from_;
  errc outcome_ = errc::would_block;
};

}  // namespace detail

/// Accepts connections to a service. Handshakes go on by themselves while the loop runs, side by
/// side and each within its time: a client that is slow, or says nonsense, delays nobody.
///
/// Thread-safety: the loop's thread. One accept may be pending at a time; a second one fails with
/// `errc::busy`. Lifetime: a listener that outlives its loop is closed; destruction removes the
/// socket file, drops unfinished handshakes and channels not accepted, and ends a pending accept
/// with `errc::closed`. Accepted channels live on. Awaited on another loop than its own an accept
/// ends with `errc::wrong_loop`.
class listener {
public:
  using accept_awaitable = detail::awaitable<detail::accept_awaiter, detail::acceptor*>;

  /// Listens under `name` (a name, or a path when it contains a slash: `sys::service_path`). A
  /// stale socket of a dead server is replaced. Throws `std::system_error`: `errc::name_in_use`
  /// when a live server has the name, `errc::bad_name`, `errc::unsafe_directory`,
  /// `errc::bad_ring_size` when the options contradict themselves, or the system's.
  static listener bind(loop& lp, std::string_view name, listener_options options = {});

  listener(listener&&) noexcept;
  listener& operator=(listener&&) noexcept;
  ~listener();

  /// Waits for the next client: a `channel`. Cancellation: `errc::cancelled`; nobody is lost.
  /// Throws also `errc::busy`, `errc::closed`.
  accept_awaitable accept() noexcept { return accept_awaitable(acceptor_.get()); }

  /// The socket's path, for messages.
  const std::string& path() const noexcept;
  /// How many accepted channels are alive.
  std::size_t clients() const noexcept;

private:
  explicit listener(std::unique_ptr<detail::acceptor> clients) noexcept;
  std::unique_ptr<detail::acceptor> acceptor_;
};

}  // namespace ringbell
