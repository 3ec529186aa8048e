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
// taken goes to the handler in the same call. So there is no moment between the two at which
// another completion could cancel it: a cancelled operation has done nothing.
//
// Three classes, so that little is compiled for each type of handler:
//
//   operation                       what is common: compiled once
//   recv_operation, accept_...      what an operation does, and on which object: compiled once
//   handled_operation<...>          the handler, its executor and its allocator (handled_operation.hpp)
//
// It lies in one piece of memory of the handler's allocator, which is free again when the handler
// is called. What Asio allocates for each turn lies inside of it, where Asio's executors are known
// to free that before they call.
//
// Nothing that an initiation needs is missed without a word: when there is no memory, not even for
// a turn, the handler is called at once, with `no_memory`. (An exception would end the program,
// where the initiation is part of an `await_suspend`.)
namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

enum class progress { finished, again, sleep };
class end_at_limit;

class operation {
public:
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

  /// Takes it on by one turn, and away from its owner.
  static void run(operation* o);
  /// Lets it have its turn later (`defer`) or soon (`dispatch`). Without the memory for that it
  /// completes now, with `no_memory`.
  static void run_by(operation* o, void (operation::*how)());
  /// The same, but false without the memory; the operation is then as it was.
  static bool try_run_by(operation* o, void (operation::*how)());
  /// Dispatches it from a thread that is not its executor's, where it is not to complete: for a
  /// tenth of a second it tries again while there is no memory for that.
  static void run_at_last(operation* o);
  /// Ends it without a call of its handler, and frees its memory.
  virtual void destroy() noexcept = 0;
  /// Lets it have its turn where its handler runs: later, or now where that may be.
  virtual void defer() = 0;
  virtual void dispatch() = 0;
  /// As `dispatch`, on a thread of its object's.
  virtual void hop() = 0;

  /// Memory for a turn: inside of this object when that is free.
  void* allocate(std::size_t bytes);
  void deallocate(void* memory, std::size_t bytes) noexcept;

protected:
  /// Begins an operation on `object`, which is null when that was closed.
  operation(waitable* object, directions d) noexcept;
  /// One that waits for no object.
  operation() noexcept : directions_(0) {}
  virtual ~operation();

  /// Goes on. Only while it is pending on its object.
  virtual progress advance(bool rung) = 0;
  /// Calls the handler, and frees the memory before that.
  virtual void complete() = 0;
  /// The handler's executor has work while this sleeps.
  virtual void keep_executor_busy(bool busy) = 0;
  virtual void* allocate_elsewhere(std::size_t bytes) = 0;
  virtual void deallocate_elsewhere(void* memory, std::size_t bytes) noexcept = 0;

  /// Null when there is nothing to be done but to say why.
  waitable* waits_on() const noexcept { return object_.get(); }
  directions waits_for() const noexcept { return directions_; }
  const net_error_code& outcome() const noexcept { return outcome_; }
  progress finish(const net_error_code& outcome) noexcept {
    outcome_ = outcome;
    return progress::finished;
  }
  progress finish(errc outcome) noexcept { return finish(to_net(outcome)); }

  /// Whether there is nothing to wait for, as far as can be told at the initiation.
  virtual bool finished_at_once() { return !object_; }
  /// Lets the slot cancel it. It ends without the memory for that.
  void connect(net::cancellation_slot slot) noexcept;
  /// Begins what goes on elsewhere. False when there is nothing of the kind: its turns follow each
  /// other.
  bool launch() noexcept { return false; }
  /// It has to wait. Throws for lack of memory. Gives what its executor's thread is to hear of,
  /// which it goes on without.
  virtual std::exception_ptr waits() { return nullptr; }
  /// What its timer calls. Only while it waits.
  end_at_limit at_limit() const noexcept;
  /// Throws what has no code.
  void rethrow() const noexcept {}
  /// The slot may emit until the handler says that the operation is over: so it is cleared first. A
  /// cancelled one leaves it alone: it may be the next operation's by now.
  void disconnect(net::cancellation_slot slot) noexcept;
  /// The object may have its next operation.
  void end() noexcept;
  /// It ends with that.
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
  class posting;
  /// Of a turn that is not taken.
  static void drop(operation* o) noexcept;
  void sleep_on_object();
  /// Whether it was not cancelled. Otherwise the outcome is decided.
  bool goes_on() noexcept;

protected:
  /// Before what lacked memory is done again.
  static constexpr std::chrono::milliseconds between_tries{1};

private:
  // As large as what Asio's executors and descriptors need for a turn.
  static constexpr std::size_t room = 144;

  held<waitable> object_;
  ticket ticket_ = 0;
  directions directions_;
  bool asleep_ = false;
  bool rung_ = false;
  bool room_taken_ = false;
  net_error_code outcome_;
  alignas(std::max_align_t) std::byte room_[room];
};

/// Where the memory for one turn comes from.
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

/// An operation's turn, as executors get it. Destroys the operation when it is destroyed before its
/// call.
class turn {
public:
  using allocator_type = turn_allocator<void>;
  /// `hops`: on the executor of the object, from where it has to go on to that of the handler.
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

/// The handler of an operation's wait: sees to it that the operation has its turn.
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

/// Ends a pending operation of one direction whose time has passed. It keeps the object alive as
/// well.
class end_at_limit {
public:
  end_at_limit(waitable& object, ticket t, directions d) noexcept : object_(&object), ticket_(t), directions_(d) {}
  /// No effect when the operation has ended.
  void operator()() noexcept { object_->time_out(ticket_, directions_); }

private:
  held<waitable> object_;
  ticket ticket_;
  directions directions_;
};

/// Cancels a pending operation on behalf of its cancellation slot. It keeps the object alive, maybe
/// for longer than the operation.
class cancel_on_signal {
public:
  cancel_on_signal(waitable& object, ticket t, directions d) noexcept
      : object_(&object), ticket_(t), directions_(d) {}
  void operator()(net::cancellation_type_t type) noexcept;

private:
  held<waitable> object_;
  ticket ticket_;
  directions directions_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
