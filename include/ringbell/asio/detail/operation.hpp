// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/asio/detail/waitable.hpp>
#include <ringbell/asio/error.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

// One asynchronous operation, from its initiation to its handler:
//
//   initiation: deferred ---> advance() ---> finished: the handler is called, from here
//                                 ^   |----> again:    deferred once more; others have their turn
//                                 |   `----> sleep:    waits for the object's descriptor
//                                 `------------'
//
// Each advance() runs in the handler's executor. Nothing is taken or sent before that, and what was
// taken goes to the handler in the same call. No other completion can run in between and cancel the
// operation. So a cancelled operation has done nothing.
//
// There are three classes, so that little is compiled for each type of handler:
//
//   operation                       what is common: compiled once
//   recv_operation, accept_...      what an operation does, and on which object: compiled once
//   handled_operation<...>          the handler, its executor and its allocator (handled_operation.hpp)
//
// An operation lies in one piece of memory from the handler's allocator, which is free again when
// the handler is called. The memory that Asio allocates for each turn lies inside of it, if Asio's
// executor is known to free that before it calls.
//
// Lack of memory is never silent. When there is none for an initiation, not even for a turn, the
// handler is called at once with `no_memory`. (An exception would end the program where the
// initiation is part of an `await_suspend`.)
namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

enum class progress { finished, again, sleep };
class end_at_limit;

class operation {
public:
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

  /// Takes the operation over from its owner, and gives it one turn. What follows up on its handler
  /// has its turn as well (follow_up.hpp).
  static void run(operation* o);
  /// Lets the operation have its turn later (`defer`) or soon (`dispatch`). When there is no memory
  /// for that, the operation completes now with `no_memory`.
  static void run_by(operation* o, void (operation::*how)());
  /// As run_by(), but returns false when there is no memory; the operation is then unchanged.
  static bool try_run_by(operation* o, void (operation::*how)());
  /// Dispatches it from a thread that is not its executor's, where it is not to complete: for a
  /// tenth of a second it tries again while there is no memory for that.
  static void run_at_last(operation* o);
  /// Ends it without a call of its handler, and frees its memory.
  virtual void destroy() noexcept = 0;
  /// Let the operation have its turn where its handler runs: `defer` later, `dispatch` now if the
  /// executor allows that.
  virtual void defer() = 0;
  virtual void dispatch() = 0;
  /// As `dispatch`, when called on a thread of its object's executor.
  virtual void hop() = 0;

  /// Whether the executor's other work comes before its first turn.
  bool has_to_queue() const noexcept { return has_to_queue_; }

  /// Memory for a turn. It lies inside of this object if that part is free.
  void* allocate(std::size_t bytes);
  void deallocate(void* memory, std::size_t bytes) noexcept;

protected:
  /// Begins an operation on `object`, which is null when that was closed.
  operation(waitable* object, directions d) noexcept;
  /// Makes an operation that waits for no object.
  operation() noexcept : directions_(0) {}
  virtual ~operation();

  /// Goes on with the operation. Called only while it is pending on its object.
  virtual progress advance(bool rung) = 0;
  /// Frees the memory, then calls the handler.
  virtual void complete() = 0;
  /// Tells the handler's executor whether it has work because this operation sleeps.
  virtual void keep_executor_busy(bool busy) = 0;
  virtual void* allocate_elsewhere(std::size_t bytes) = 0;
  virtual void deallocate_elsewhere(void* memory, std::size_t bytes) noexcept = 0;

  /// Null when the operation has nothing to do but to report why.
  waitable* waits_on() const noexcept { return object_.get(); }
  directions waits_for() const noexcept { return directions_; }
  const net_error_code& outcome() const noexcept { return outcome_; }
  progress finish(const net_error_code& outcome) noexcept {
    outcome_ = outcome;
    return progress::finished;
  }
  progress finish(errc outcome) noexcept { return finish(to_net(outcome)); }

  void passes_queue() noexcept { has_to_queue_ = true; }
  /// Whether there is nothing to wait for, as far as is known at the initiation.
  virtual bool finished_at_once() { return !object_; }
  /// Lets the slot cancel the operation. When there is no memory for that, the operation ends.
  void connect(net::cancellation_slot slot) noexcept;
  /// Begins what runs elsewhere. Returns false when nothing does: the turns then follow each other.
  bool launch() noexcept { return false; }
  /// Called when the operation has to wait. Returns an exception that the executor's thread is to
  /// throw while the operation goes on, or null.
  /// Errors: throws for lack of memory.
  virtual std::exception_ptr waits() { return nullptr; }
  /// The handler of the operation's timer. To be used only while the operation waits.
  end_at_limit at_limit() const noexcept;
  /// Throws an exception for which there is no error code.
  void rethrow() const noexcept {}
  /// Clears the slot before the handler is called, because the slot may emit until then. A
  /// cancelled operation leaves the slot alone, because it may belong to the next operation by
  /// then.
  void disconnect(net::cancellation_slot slot) noexcept;
  /// Ends the operation on its object, which may then have its next operation.
  void end() noexcept;
  /// Ends the operation with `why`.
  void fail(const net_error_code& why) noexcept {
    end();
    outcome_ = why;
  }
  /// It has failed, and goes on all the same.
  void go_on_with(waitable& object) noexcept;
  /// It goes on when something else lets it run.
  void sleep() {
    keep_executor_busy(true);
    asleep_ = true;
  }

private:
  friend class turn;
  friend class wake_up;
  friend class handler_frame;
  class posting;
  static void run_alone(operation* o);
  /// Called for a turn that was destroyed before its call.
  static void drop(operation* o) noexcept;
  void sleep_on_object();
  /// Returns whether the operation was not cancelled. If it was, the outcome is decided.
  bool goes_on() noexcept;

protected:
  /// Before what lacked memory is done again.
  static constexpr std::chrono::milliseconds between_tries{1};

private:
  // As large as what Asio's executors and descriptors need for a turn.
  static constexpr std::size_t room = 144;

  intrusive_ptr<waitable> object_;
  ticket ticket_ = 0;
  directions directions_;
  bool asleep_ = false;
  bool rung_ = false;
  bool has_to_queue_ = false;
  bool room_taken_ = false;
  net_error_code outcome_;
  alignas(std::max_align_t) std::byte room_[room];
};

/// Allocates the memory for one turn.
template <class T>
class turn_allocator {
public:
  using value_type = T;
  explicit turn_allocator(operation& of) noexcept : of_(&of) {}
  template <class U>
  turn_allocator(const turn_allocator<U>& other) noexcept : of_(other.of_) {}
  T* allocate(std::size_t n) { return static_cast<T*>(of_->allocate(n * sizeof(T))); }
  void deallocate(T* memory, std::size_t n) noexcept { of_->deallocate(memory, n * sizeof(T)); }
  template <class U>
  friend bool operator==(const turn_allocator& a, const turn_allocator<U>& b) noexcept {
    return a.of_ == b.of_;
  }

private:
  template <class U>
  friend class turn_allocator;
  operation* of_;
};

/// An operation's turn, in the form that executors get. When it is destroyed before its call, it
/// destroys the operation.
class turn {
public:
  using allocator_type = turn_allocator<void>;
  /// `hops` says that it runs on the executor of the object, and has to go on to the handler's.
  explicit turn(operation& of, bool hops = false) noexcept : of_(&of), hops_(hops) {}
  turn(turn&& other) noexcept : of_(std::exchange(other.of_, nullptr)), hops_(other.hops_) {}
  turn& operator=(turn&&) = delete;
  ~turn() {
    if (of_) operation::drop(of_);
  }
  allocator_type get_allocator() const noexcept { return allocator_type(*of_); }
  void operator()();

private:
  operation* of_;
  bool hops_;
};

/// The handler of an operation's wait: lets the operation have its turn.
class wake_up {
public:
  using allocator_type = turn_allocator<void>;
  explicit wake_up(operation& of) noexcept : of_(&of) {}
  wake_up(wake_up&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  wake_up& operator=(wake_up&&) = delete;
  ~wake_up() {
    if (of_) operation::drop(of_);
  }
  allocator_type get_allocator() const noexcept { return allocator_type(*of_); }
  void operator()(const net_error_code& error);

private:
  operation* of_;
};

/// Ends a pending operation of one direction whose time has passed. It also keeps the object alive.
class end_at_limit {
public:
  end_at_limit(waitable& object, ticket t, directions d) noexcept
      : object_(object), ticket_(t), directions_(d) {}
  /// No effect when the operation has ended.
  void operator()() noexcept { object_->time_out(ticket_, directions_); }

private:
  intrusive_ptr<waitable> object_;
  ticket ticket_;
  directions directions_;
};

/// Cancels a pending operation on behalf of its cancellation slot. It keeps the object alive, which
/// may be for longer than the operation lives.
class cancel_on_signal {
public:
  cancel_on_signal(waitable& object, ticket t, directions d) noexcept
      : object_(object), ticket_(t), directions_(d) {}
  void operator()(net::cancellation_type_t type) noexcept;

private:
  intrusive_ptr<waitable> object_;
  ticket ticket_;
  directions directions_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
