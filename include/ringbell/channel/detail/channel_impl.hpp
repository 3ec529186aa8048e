// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/connection.hpp>
#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/resident.hpp>
#include <ringbell/coro/detail/wait_slot.hpp>
#include <ringbell/loop/detail/loop_access.hpp>

#include <coroutine>
#include <cstddef>
#include <utility>

namespace ringbell::detail {

class channel_impl;

/// The wait of a coroutine on a channel. The channel points to it from the suspension until the
/// coroutine is resumed or destroyed.
class channel_wait : public slot_wait<channel_impl> {
public:
  bool undecided() const noexcept { return outcome_ == errc::would_block; }
  bool succeeded() const noexcept { return outcome_ == errc{}; }
  /// Ends the wait.
  void decide(errc outcome) noexcept {
    outcome_ = outcome;
    complete();
  }

protected:
  /// Sets the outcome when the coroutine is not suspended: before it suspends, or after it resumes.
  bool fail(errc outcome) noexcept {
    outcome_ = outcome;
    return false;
  }
  explicit channel_wait(channel_impl* impl) noexcept : slot_wait(impl) {}
  ~channel_wait() = default;

  errc outcome_ = errc::would_block;
};

/// Waits until there is something to receive. The message itself is taken when the coroutine runs
/// again, so a cancelled wait takes nothing.
class receive_wait : public channel_wait {
public:
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept;
  /// There is something to receive: resumes the coroutine, which takes it.
  using wait_node::complete;

protected:
  explicit receive_wait(channel_impl* impl) noexcept : channel_wait(impl) {}
  ~receive_wait() { leave(); }
  /// Returns whether to try without suspending. If not, either `outcome_` says why, or other
  /// coroutines should have their turn first.
  bool may_try() noexcept;
  /// Called when the coroutine runs again. Returns whether to take the message now; if not,
  /// `outcome_` is decided.
  bool may_take() noexcept;

private:
  void begin() noexcept;
  inline void leave() noexcept;
};

/// Waits until a message is sent or space is claimed. The channel calls `try_again` whenever there
/// may be space.
class send_wait : public channel_wait {
public:
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept;

  /// Tries once more. Returns true when that has ended the wait.
  bool try_again() noexcept {
    if (const errc e = attempt(); e != errc::would_block) {
      decide(e);
      return true;
    }
    return false;
  }
  /// How many bytes are still to be sent.
  std::size_t remaining() const noexcept { return size_ - sent_; }
  /// Whether a part of the message has been sent already.
  bool begun() const noexcept { return sent_ != 0; }

protected:
  send_wait(channel_impl* impl, std::size_t size) noexcept : channel_wait(impl), size_(size) {}
  inline ~send_wait();
  /// Does as much as can be done now. Returns `errc::would_block` when it has to go on later.
  virtual errc attempt() noexcept = 0;
  bool may_try() noexcept;
  /// Called when the coroutine runs again, or did not suspend. Returns the outcome. An unfinished
  /// send is undone.
  inline errc finish() noexcept;

  std::size_t size_;
  std::size_t sent_ = 0;

private:
  inline void leave() noexcept;
  void undo() noexcept;  // withdraws the fragments of an unfinished message
};

/// A connection on a native loop: it keeps track of the coroutines that wait on it, and wakes them.
class channel_impl final : public connection, public polled_source, private resident {
public:
  channel_impl(loop& lp, connection_parts parts, client_slot slot = {}) noexcept;
  /// Begins to watch for the bell and for a hang-up.
  /// Errors: the system's (no memory, too many watches); the caller must then orphan() the object.
  std::error_code start() noexcept;

  /// Null when the channel has outlived its loop.
  loop* owner() const noexcept { return loop_; }
  /// As `loop_access::may_continue`; false when the loop has gone or runs no coroutines.
  bool may_continue() noexcept { return --*budget_ > 0; }
  /// Returns `errc{}` when a coroutine of `context` may wait here, else the reason why not.
  errc admits(const coroutine_context& context) const noexcept {
    if (!loop_) return errc::closed;
    return at_home(context, *loop_) ? errc{} : errc::wrong_loop;
  }
  bool receiving() const noexcept { return static_cast<bool>(receiving_); }
  bool sending() const noexcept { return static_cast<bool>(sending_); }
  /// Whether the pending send has succeeded, and its coroutine has not run since.
  bool has_sent() const noexcept { return sending_ && sending_->succeeded(); }

  // The two halves of a channel. Either may be dropped first; dropping the second ends the channel.
  void drop_sender() noexcept;
  void drop_receiver() noexcept;
  void close_send() noexcept;
  void close_receive() noexcept;
  /// As `connection::abort`; pending operations end with `errc::closed`.
  void abort() noexcept;

  // polled_source
  bool poll() noexcept override;
  void announce() noexcept override;
  bool recheck() noexcept override;

private:
  friend class receive_wait;
  friend class send_wait;

  struct bell_sink final : event_sink {
    explicit bell_sink(channel_impl& c) noexcept : impl(c) {}
    void on_event(std::uint32_t) noexcept override { impl.look_again(); }
    channel_impl& impl;
  };
  struct control_sink final : event_sink {
    explicit control_sink(channel_impl& c) noexcept : impl(c) {}
    void on_event(std::uint32_t events) noexcept override { impl.on_control(events); }
    channel_impl& impl;
  };
  struct futex_sink final : event_sink {
    explicit futex_sink(channel_impl& c) noexcept : impl(c) {}
    void on_event(std::uint32_t) noexcept override {
      key = {};
      impl.look_again();
    }
    channel_impl& impl;
    watch_key key;
  };

  void publish_later() noexcept override;
  void hang_up() noexcept override;
  void loop_gone() noexcept override;
  void stop_watching() noexcept;
  void look_again() noexcept;
  void stay_awake() noexcept {
    pollable = !same_cpu_;
    loop_access::keep_awake(*loop_, *this);
  }
  void compare_cpus() noexcept;
  void on_control(std::uint32_t events) noexcept;
  bool wait_on_futexes() noexcept;
  void half_dropped() noexcept;
  bool waiting_to_receive() const noexcept { return receiving_ && !receiving_->linked(); }
  bool waiting_to_send() const noexcept { return sending_ && !sending_->linked(); }

  loop* loop_;
  int* budget_;
  int no_budget_ = 0;  // what `budget_` points to when the loop has gone
  wait_slot<receive_wait> receiving_;
  wait_slot<send_wait> sending_;
  unsigned halves_ = 2;
  unsigned polls_in_vain_ = 0;
  bool parked_ = false;
  // Both sides are bound to one processor: the peer never runs while this side polls.
  bool same_cpu_ = false;
  bell_sink bell_;
  control_sink control_;
  futex_sink data_futex_;
  futex_sink space_futex_;
  watch_key bell_key_;
  watch_key control_key_;
};

inline void receive_wait::leave() noexcept {
  if (of_) of_->receiving_.remove(*this);
}

inline bool receive_wait::may_try() noexcept {
  if (!of_) return fail(errc::closed);
  if (of_->receiving()) return fail(errc::busy);
  return of_->may_continue();
}

inline bool receive_wait::may_take() noexcept {
  disarm();
  leave();
  if (!undecided()) return false;
  // Nothing has been taken yet, so a stop wins even if a message has come meanwhile.
  if (stop_requested()) return fail(errc::cancelled);
  if (!of_) return fail(errc::closed);
  return true;
}

template <class Promise>
bool receive_wait::await_suspend(std::coroutine_handle<Promise> h) noexcept {
  if (const errc e = of_->admits(coroutine_context_of(h)); e != errc{}) return fail(e);
  if (!arm(h, *of_->owner())) return false;
  begin();
  return true;
}

inline void send_wait::leave() noexcept {
  of_->sending_.remove(*this);
  if (undecided() && sent_ != 0) undo();
}

inline errc send_wait::finish() noexcept {
  disarm();
  if (of_) leave();
  of_ = nullptr;  // the channel may go before this awaiter does
  if (undecided()) outcome_ = errc::cancelled;
  return outcome_;
}

inline bool send_wait::may_try() noexcept {
  if (!of_) return fail(errc::closed);
  if (of_->sending()) return fail(errc::busy);
  return of_->may_continue();
}

inline send_wait::~send_wait() {
  if (of_) leave();
}

template <class Promise>
bool send_wait::await_suspend(std::coroutine_handle<Promise> h) noexcept {
  if (const errc e = of_->admits(coroutine_context_of(h)); e != errc{}) return fail(e);
  if (!arm(h, *of_->owner())) return false;
  of_->sending_.put(*this);
  of_->stay_awake();
  return true;
}

}  // namespace ringbell::detail
