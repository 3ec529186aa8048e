// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/asio/detail/waitable.hpp>
#include <ringbell/asio/error.hpp>

#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

// One asynchronous operation, from its initiation to its handler. It is itself the handler of all that it waits for in between, with the
// executor and the allocator of the user's: so it runs where the user's handler will run, and its memory comes from where the user
// wants it to come from.
//
//   initiation: deferred ---> advance() ---> finished: the handler is called, from here
//                                 ^   |----> again:    deferred once more; others have their turn
//                                 |   `----> sleep:    waits for the object's descriptor
//                                 `------------'
//
// Nothing is taken or sent before the operation runs in its own executor, and what it has taken goes to the handler in the same call. So
// between the two there is no moment at which somebody else's completion could cancel it: a cancelled operation has done nothing.
namespace ringbell::detail {

enum class progress { finished, again, sleep };

/// Cancels a pending operation on behalf of its cancellation slot. Keeps the object, not the operation, which moves about.
template <class Object>
class cancel_on_signal {
public:
  cancel_on_signal(Object& object, ticket t, directions d) noexcept : object_(&object), ticket_(t), directions_(d) {}
  void operator()(net::cancellation_type_t type) noexcept {
    if (!object_ || (type & (net::cancellation_type::terminal | net::cancellation_type::partial | net::cancellation_type::total)) ==
                        net::cancellation_type::none)
      return;
    if (object_->goes_on(ticket_, directions_)) object_->cancel(directions_);
    object_ = {};  // it stays in the slot, maybe for longer than the object should
  }

private:
  held<Object> object_;
  ticket ticket_;
  directions directions_;
};

/// What an operation does, and on which object. Derived classes add `progress advance(bool rung)`, and for a handler that gets a value
/// `take()`.
template <class Object>
class step {
public:
  /// Begins an operation on `object`, which is null when it was closed.
  step(Object* object, directions d) noexcept : directions_(d) {
    if (!object) {
      outcome_ = to_net(errc::closed);
    } else if ((ticket_ = object->begin(d)) == 0) {
      outcome_ = to_net(errc::busy);
    } else {
      object_ = held<Object>(object);
    }
  }
  step(step&&) noexcept = default;
  step& operator=(step&&) = delete;
  ~step() { end(); }

  /// Null when there is nothing to be done but to say why.
  Object* object() const noexcept { return object_.get(); }
  const net_error_code& outcome() const noexcept { return outcome_; }
  void connect(net::cancellation_slot slot) const {
    if (object_ && slot.is_connected()) slot.template emplace<cancel_on_signal<Object>>(*object_, ticket_, directions_);
  }
  /// Whether nobody has cancelled it. Otherwise the outcome is decided.
  bool goes_on() noexcept {
    if (object_->goes_on(ticket_, directions_)) return true;
    outcome_ = to_net(errc::cancelled);
    return false;
  }
  /// Whether there is nothing to wait for, as far as can be told at the initiation. Derived classes may know better.
  bool finished_at_once() noexcept { return !object_; }
  /// The object may have its next operation.
  void end() noexcept {
    if (object_) object_->end(ticket_);
    object_ = {};
  }

protected:
  directions waits_for() const noexcept { return directions_; }
  progress finish(const net_error_code& outcome) noexcept {
    outcome_ = outcome;
    return progress::finished;
  }
  progress finish(errc outcome) noexcept { return finish(to_net(outcome)); }

private:
  held<Object> object_;
  ticket ticket_ = 0;
  directions directions_;
  net_error_code outcome_;
};

/// A handler with its arguments.
template <class Handler, class... Value>
class outcome_of {
public:
  outcome_of(Handler&& handler, const net_error_code& outcome, Value&&... value)
      : handler_(std::move(handler)), arguments_(outcome, std::move(value)...) {}
  void deliver() { std::apply(std::move(handler_), std::move(arguments_)); }

private:
  Handler handler_;
  std::tuple<net_error_code, Value...> arguments_;
};

// Who associates an immediate executor with a handler (Asio 1.27) allows it to be called from within the initiating function.
#if RINGBELL_ASIO_VERSION >= 102700
template <class Handler, class Executor>
concept has_immediate_executor =
    !requires { typename net::associated_immediate_executor<Handler, Executor>::asio_associated_immediate_executor_is_unspecialised; };
template <class Handler, class Executor>
auto immediate_executor_of(const Handler& handler, const Executor& executor) {
  return net::get_associated_immediate_executor(handler, executor);
}
#else
template <class Handler, class Executor>
concept has_immediate_executor = false;
template <class Handler, class Executor>
void immediate_executor_of(const Handler&, const Executor&) = delete;
#endif

// A promise's executor, Asio's system executor and others whose type alone says how they run a function, or that cannot run one later
// (any_completion_executor). They say nothing of a strand, and to defer to them would be to run on threads that nobody asked for; to ask for their
// context starts these.
template <class Executor>
concept goes_anywhere =
    !net::can_require<Executor, net::execution::blocking_t::never_t>::value || requires { Executor::query(net::execution::blocking); };

template <class Step, class Executor, class Handler>
class operation {
public:
  using executor_type = typename net::associated_executor<Handler, Executor>::type;
  using allocator_type = typename net::associated_allocator<Handler>::type;

  template <class H>
  operation(Step&& what, const Executor& executor, H&& handler)
      : step_(std::move(what)), handler_(std::forward<H>(handler)), executor_(net::get_associated_executor(handler_, executor)) {
    keep_busy(executor);
  }

  executor_type get_executor() const noexcept { return executor_; }
  allocator_type get_allocator() const noexcept { return net::get_associated_allocator(handler_); }

  void start(const Executor& executor) {
    if constexpr (has_immediate_executor<Handler, Executor>) {
      if (step_.finished_at_once()) return complete_by(immediate_executor_of(handler_, executor));
    }
    step_.connect(net::get_associated_cancellation_slot(handler_));
    defer();
  }

  /// `error`: why the wait ended, when it was not that the descriptor got readable. Somebody wants us to look again.
  void operator()(const net_error_code& error = {}) {
    const bool slept = std::exchange(asleep_, false);
    auto* const object = step_.object();
    if (object && slept) object->awake();
    switch (object && step_.goes_on() ? step_.advance(slept && !error) : progress::finished) {
      case progress::finished: complete(); break;
      case progress::again: defer(); break;
      case progress::sleep:
        asleep_ = true;
        object->sleep(std::move(*this));
        break;
    }
  }

private:
  /// Gives others their turn. An operation whose handler may be called anywhere has its turns where its object is.
  void defer() {
    if constexpr (goes_anywhere<executor_type>) {
      const working_executor here = *work_;
      net::defer(here, std::move(*this));
    } else {
      net::defer(std::move(*this));
    }
  }

  void complete() {
    // The slot first: its owner may emit until the handler says that the operation is over. Then the object, so that the handler can start
    // the next operation on it.
    // A cancelled one leaves the slot alone: it may be the next operation's by now.
    if (step_.object() && step_.goes_on()) {
      net::cancellation_slot slot = net::get_associated_cancellation_slot(handler_);
      if (slot.is_connected()) slot.clear();
    }
    result().deliver();
  }
  template <class Immediate>
  void complete_by(const Immediate& executor) {
    const auto own = net::get_associated_executor(handler_, executor);
    const allocator_type allocator = get_allocator();
    net::dispatch(executor, immediate_completion<decltype(result()), Immediate>(result(), own, allocator));
  }

  /// Runs on the immediate executor, and from there in the handler's own, if it has one.
  template <class Outcome, class Immediate>
  struct immediate_completion {
    using executor_type = typename net::associated_executor<Handler, Immediate>::type;
    using allocator_type = typename operation::allocator_type;
    immediate_completion(Outcome&& o, const executor_type& e, const allocator_type& a) : outcome(std::move(o)), executor(e), allocator(a) {}
    executor_type get_executor() const noexcept { return executor; }
    allocator_type get_allocator() const noexcept { return allocator; }
    void operator()() { outcome.deliver(); }
    Outcome outcome;
    executor_type executor;
    allocator_type allocator;
  };

  /// What the handler gets. Ends the operation: the handler may start the next one.
  auto result() {
    const net_error_code outcome = step_.outcome();
    if constexpr (std::is_void_v<typename Step::value_type>) {
      step_.end();
      return outcome_of<Handler>(std::move(handler_), outcome);
    } else {
      outcome_of<Handler, typename Step::value_type> r(std::move(handler_), outcome, step_.take());
      step_.end();
      return r;
    }
  }

  /// The object's context has to go on running while this operation is under way in another one.
  void keep_busy(const Executor& executor) {
    if constexpr (!goes_anywhere<executor_type>)
      if (&net::query(executor_, net::execution::context) == &net::query(executor, net::execution::context)) return;
    work_.emplace(net::prefer(executor, net::execution::outstanding_work.tracked));
  }
  using working_executor = std::decay_t<decltype(net::prefer(std::declval<const Executor&>(), net::execution::outstanding_work.tracked))>;

  Step step_;
  Handler handler_;
  executor_type executor_;
  std::optional<working_executor> work_;
  bool asleep_ = false;
};

/// What `async_initiate` calls with the handler, now or (deferred) later: begins an operation on an I/O object.
template <class Step, class Executor>
class initiate {
public:
  using executor_type = Executor;
  explicit initiate(const Executor& executor) noexcept : executor_(executor) {}
  executor_type get_executor() const noexcept { return executor_; }

  template <class Handler, class IoObject, class... Arguments>
  void operator()(Handler&& handler, IoObject* on, Arguments&&... arguments) const {
    begin(std::forward<Handler>(handler), Step(on->core(), std::forward<Arguments>(arguments)...));
  }

protected:
  template <class Handler>
  void begin(Handler&& handler, Step what) const {
    operation<Step, Executor, std::decay_t<Handler>>(std::move(what), executor_, std::forward<Handler>(handler)).start(executor_);
  }

private:
  Executor executor_;
};

}  // namespace ringbell::detail
