// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/pending_operation.hpp>
#include <ringbell/asio/detail/run_operation.hpp>
#include <ringbell/asio/impl/run_in.ipp>
#include <ringbell/loop/detail/loop_access.hpp>
#include <ringbell/loop/loop.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// What the handles of an Asio client or server share with each other and with the tasks on its
/// loop: the native client or server, and that loop, which the executor runs.
///
/// It ends once: when a handle is closed, when the last handle has gone, or when the execution
/// context ends, whichever comes first. After that nothing is left on the loop, so no task keeps
/// this object alive (all tasks refer to it), and the context has no work from here. Later
/// operations end with `errc::closed`.
class service_state : public context_object, public std::enable_shared_from_this<service_state> {
public:
  /// Thread-safety: any thread.
  bool ended() const noexcept { return ended_.load(std::memory_order_relaxed); }
  loop& lp() noexcept { return loop_; }
  /// Ends it: now, or after the loop's turn when it is called within that.
  void end() noexcept {
    if (ended()) return;
    if (loop::current() != &loop_) return end_now(shared_from_this(), true);
    stays_ = shared_from_this();
    driver_->after_turn(&turn_is_over, this);
  }

protected:
  explicit service_state(const net::any_io_executor& executor)
      : context_(entries_of(context_of(executor))),
        loop_(quick_to_make()),
        driver_(drive(loop_, executor)) {
    add(context_, *this);
  }
  virtual ~service_state() {
    remove(context_, *this);
    if (driver_) driver_->stop();
  }
  /// Makes all calls that are under way fail. `may_run` says whether the loop may still run, so
  /// that their handlers can be called.
  virtual void close(bool may_run) noexcept = 0;
  /// Destroys the native client or server.
  virtual void drop() noexcept = 0;

private:
  template <class State>
  friend class deletes_after_turn;

  static loop_options quick_to_make() noexcept {
    loop_options o;
    o.backend = plain_backend();  // works everywhere; one descriptor is enough to wait for it
    return o;
  }
  static void turn_is_over(void* of) noexcept {
    auto* const self = static_cast<service_state*>(of);
    self->end_now(std::move(self->stays_), true);
  }
  void context_ends() noexcept override { end_now(weak_from_this().lock(), false); }
  void end_now(std::shared_ptr<service_state> self, bool may_run) noexcept {
    if (ended_.exchange(true, std::memory_order_relaxed)) return;
    remove(context_, *this);
    close(may_run);
    std::exchange(driver_, {})->stop();
    discard();
    drop();
    discard();
    self.reset();
  }
  void discard() noexcept {
    while (loop_access::discard(loop_)) {}
  }

  context_entries& context_;
  loop loop_;
  intrusive_ptr<loop_driver> driver_;
  std::atomic<bool> ended_ = false;
  std::shared_ptr<service_state> stays_;  // set while it waits for the end of a turn
};

/// Deletes a state; when its loop is running, after that turn.
template <class State>
class deletes_after_turn {
public:
  void operator()(State* last) const noexcept {
    if (loop::current() != &last->lp() || last->ended()) return delete last;
    static_cast<service_state*>(last)->driver_->after_turn(
        [](void* of) noexcept { delete static_cast<State*>(of); }, last);
  }
};

template <class State, class... Arguments>
std::shared_ptr<State> make_service_state(Arguments&&... arguments) {
  return std::shared_ptr<State>(new State(std::forward<Arguments>(arguments)...),
                                deletes_after_turn<State>());
}

namespace {

/// Returns why something could not begin. It is always an error, whatever was thrown.
net_error_code why_not() noexcept {
  const net_error_code known = to_net(std::current_exception());
  return known ? known : to_net(errc::handler_failed);
}

/// Returns the task that `make` returns, to be run on the loop of `state`, or why it cannot run.
template <class T, class State, class F>
run_start<T> start_on(const std::shared_ptr<State>& state, F make) noexcept {
  if (!state || state->ended()) return run_start<T>(to_net(errc::closed));
  try {
    return run_start<T>(state->lp(), make());
  } catch (...) {
    return run_start<T>(why_not());
  }
}

}  // namespace

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
