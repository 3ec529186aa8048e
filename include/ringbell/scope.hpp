// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/awaitable.hpp>
#include <ringbell/detail/nursery.hpp>
#include <ringbell/errors.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <system_error>
#include <utility>

namespace ringbell {

/// A nursery: starts tasks, asks them to stop, and waits for them to end. Its children run with its stop token, which is linked to
/// the parent's.
///
///     scope clients{lp, (co_await current_environment()).stop};
///     clients.spawn(session(...));
///     ...
///     clients.request_stop();
///     co_await clients.join();
///
/// Failures. A child's exception stops neither its siblings nor the scope. The first is kept, and join() throws it; with `on_error` each
/// is handed to the handler instead, and join() throws none. A child that ends by `errc::cancelled` after a stop was requested has done
/// as it was asked: that is no failure.
///
/// Destruction without join() requests a stop, then destroys the children that are still suspended, whatever they wait for.
/// Not to be destroyed by one of its own children, nor while somebody waits in join().
///
/// Thread-safety: none; the loop's thread. Lifetime: the loop and the parent's stop source outlive the scope.
class scope {
public:
  explicit scope(loop& lp, inplace_stop_token parent = {}) noexcept : children_(lp, parent) {}

  /// Starts a task; it begins on the loop's next turn. Allocates nothing.
  void spawn(task<void> child) { children_.spawn(std::move(child)); }
  /// Asks all children, also those spawned later, to stop. False when that was done before.
  bool request_stop() noexcept { return children_.request_stop(); }
  inplace_stop_token stop_token() noexcept { return children_.stop_token(); }
  /// How many children have not ended.
  std::size_t size() const noexcept { return children_.size(); }

  /// Is called with what leaves a child, on the loop's thread, in place of keeping it. Must not throw.
  void on_error(std::function<void(std::exception_ptr)> handler) { children_.handler = std::move(handler); }

  class join_awaiter;
  /// Waits until all children have ended, also those spawned meanwhile; then throws the first kept exception, once.
  /// Cancellation: passed on to the children; once they have ended, `errc::cancelled` unless one of them failed.
  auto join() noexcept { return detail::awaitable<join_awaiter, scope*>(this); }

private:
  class children final : public detail::nursery {
  public:
    using nursery::nursery;
    ~children() { clear(); }
    std::exception_ptr first;
    std::function<void(std::exception_ptr)> handler;

  private:
    void failed(std::exception_ptr error) noexcept override {
      if (stop_requested() && is_cancelled(error)) return;
      if (handler)
        handler(std::move(error));
      else if (!first)
        first = std::move(error);
    }
    static bool is_cancelled(const std::exception_ptr& error) noexcept;
  };

  children children_;
};

class scope::join_awaiter : private detail::nursery::end_awaiter {
public:
  explicit join_awaiter(scope* s) noexcept : end_awaiter(s->children_), scope_(*s) {}
  using end_awaiter::await_ready;
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> h) noexcept {
    end_awaiter::await_suspend(h);
    stop_ = environment_of(h).stop;
    on_stop_.emplace(stop_, stop_function(scope_));
  }
  void await_resume() {
    on_stop_.reset();
    if (scope_.children_.first) std::rethrow_exception(std::exchange(scope_.children_.first, nullptr));
    if (stop_.stop_requested()) throw std::system_error(errc::cancelled);
  }

private:
  class stop_function {
  public:
    explicit stop_function(scope& s) noexcept : scope_(s) {}
    void operator()() noexcept { scope_.request_stop(); }

  private:
    scope& scope_;
  };

  scope& scope_;
  inplace_stop_token stop_;
  std::optional<inplace_stop_callback<stop_function>> on_stop_;
};

inline bool scope::children::is_cancelled(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return e.code() == errc::cancelled;
  } catch (...) {
    return false;
  }
}

}  // namespace ringbell
