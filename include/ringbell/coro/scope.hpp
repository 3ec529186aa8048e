// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/resident.hpp>
#include <ringbell/coro/detail/task_group.hpp>
#include <ringbell/errors.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace ringbell {

/// A group of tasks (a nursery): it starts tasks, asks them to stop, and waits for them to end.
/// The children run with the scope's stop token, which is linked to the parent's.
///
///     scope clients{lp, (co_await current_context()).stop};
///     clients.spawn(session(...));
///     ...
///     clients.request_stop();
///     co_await clients.join();
///
/// A child's exception stops neither its siblings nor the scope. With `on_error`, each exception is
/// passed to the handler, and join() throws none of them. Without it, the first exception is kept,
/// and join() throws it. When no coroutine waits in join() at that moment, the exception is also
/// printed to stderr, with its text and the scope's name, so that it does not vanish. This happens
/// at most once for each scope. `failures()` counts all of them. A child that ends by
/// `errc::cancelled` after a stop was requested has not failed.
///
/// Destruction without join() requests a stop, and then destroys the children that are still
/// suspended, whatever they wait for.
///
/// Thread-safety: none; everything happens on the loop's thread.
/// Lifetime: the parent's stop source must outlive the scope. The scope must not be destroyed by
/// one of its own children, nor while a coroutine waits in join(). A scope that outlives its loop
/// has no children any more, and accepts none.
class scope {
public:
  explicit scope(detail::scheduler& lp, inplace_stop_token parent = {}) noexcept
      : children_(lp, parent) {}
  /// The same with a name, which is printed with a failure that no handler receives.
  /// Lifetime: the characters of `name` must outlive the scope. Usually it is a literal.
  scope(detail::scheduler& lp, std::string_view name, inplace_stop_token parent = {}) noexcept
      : children_(lp, parent) {
    children_.name = name;
  }

  /// Starts a task, which begins on the loop's next turn. Allocates nothing.
  /// Errors: throws `errc::closed` when the scope has outlived its loop, and `std::logic_error`
  /// when the task has no coroutine.
  void spawn(task<void> child) {
    if (children_.loop_has_gone)
      throw std::system_error(errc::closed, "ringbell: the loop of this scope has gone");
    children_.spawn(std::move(child));
  }
  /// Asks all children to stop, including those that are spawned later. Returns false when a stop
  /// was requested before.
  bool request_stop() noexcept { return children_.request_stop(); }
  inplace_stop_token stop_token() noexcept { return children_.stop_token(); }
  /// The number of children that have not ended.
  std::size_t size() const noexcept { return children_.size(); }
  /// The number of children that have failed.
  std::size_t failures() const noexcept { return children_.failures; }

  /// Sets a handler that is called with each exception that leaves a child. It is called on the
  /// loop's thread, and must not throw. Exceptions that it receives are not kept for join().
  void on_error(std::function<void(std::exception_ptr)> handler) {
    children_.handler = std::move(handler);
  }

  class join_awaiter;
  /// Waits until all children have ended, including those that are spawned meanwhile.
  /// Errors: throws the first exception that was kept, once; `errc::wrong_loop` in a coroutine of
  /// another loop.
  /// Cancellation: passed on to the children. Once they have ended, join() throws
  /// `errc::cancelled`, unless it has a kept exception to throw.
  auto join() noexcept { return detail::awaitable<join_awaiter, scope*>(this); }

private:
  class children final : public detail::task_group, private detail::resident {
  public:
    children(detail::scheduler& lp, inplace_stop_token parent) noexcept : task_group(lp, parent) {
      detail::scheduler_access::add_resident(lp, *this);
    }
    ~children() { clear(); }
    using task_group::home;
    bool loop_has_gone = false;
    std::exception_ptr first;
    std::function<void(std::exception_ptr)> handler;
    std::string_view name;
    std::size_t failures = 0;

  private:
    void failed(std::exception_ptr error) noexcept override;
    void loop_gone() noexcept override {
      clear();
      loop_has_gone = true;
    }
  };

  children children_;
};

class scope::join_awaiter : private detail::task_group::end_awaiter {
public:
  explicit join_awaiter(scope* s) noexcept : end_awaiter(s->children_), scope_(*s) {}
  using end_awaiter::await_ready;
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
    at_home_ = detail::at_home(detail::coroutine_context_of(h), scope_.children_.home());
    if (!at_home_) return false;
    end_awaiter::await_suspend(h);
    stop_ = detail::coroutine_context_of(h).stop;
    on_stop_.emplace(stop_, stop_function(scope_));
    return true;
  }
  void await_resume() {
    if (!at_home_) throw std::system_error(errc::wrong_loop);
    on_stop_.reset();
    if (scope_.children_.first)
      std::rethrow_exception(std::exchange(scope_.children_.first, nullptr));
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
  bool at_home_ = true;
  inplace_stop_token stop_;
  std::optional<inplace_stop_callback<stop_function>> on_stop_;
};

}  // namespace ringbell
