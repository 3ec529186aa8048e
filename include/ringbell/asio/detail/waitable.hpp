// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/asio/detail/pending_operation.hpp>
#include <ringbell/asio/detail/waited_handle.hpp>
#include <ringbell/detail/intrusive_ptr.hpp>
#include <ringbell/sys/handle.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// The directions that an operation on an object waits for, as a set of bits. One operation may be
/// pending in each direction.
using directions = unsigned;
inline constexpr directions towards_us = 1;    // receiving, accepting, connecting
inline constexpr directions towards_peer = 2;  // sending

/// Names an operation while it is pending; 0 names none.
using ticket = std::uint64_t;

class wake_up;

/// An object that operations wait on: one descriptor, and a record of the pending operations. It
/// lives as long as its owner or an operation refers to it. When its execution context ends first,
/// no operation waits on it any more.
///
/// Thread-safety: one thread, or one strand. An operation that has slept goes on in its own
/// executor; the user of the object has to make that the strand in which everything else happens.
class waitable : private context_object {
public:
  explicit waitable(net::execution_context& context);
  waitable(const waitable&) = delete;
  waitable& operator=(const waitable&) = delete;

  virtual void add_reference() noexcept = 0;
  virtual void release_reference() noexcept = 0;

  /// Begins an operation. Returns 0 when one is pending in a direction of `d`.
  ticket begin(directions d) noexcept;
  bool pending(directions d) const noexcept {
    return ((d & towards_us) && receiving_) || ((d & towards_peer) && sending_);
  }
  /// Returns whether the operation `t`, which was begun in the directions `d`, is to go on. Once it
  /// is not, the next operation may begin, even before the handler of `t` was called.
  bool goes_on(ticket t, directions d) const noexcept {
    return (!(d & towards_us) || receiving_ == t) && (!(d & towards_peer) || sending_ == t);
  }
  /// Ends an operation. Has no effect when it was cancelled.
  virtual void end(ticket t) noexcept;
  /// Ends an operation of one direction whose time has passed.
  void time_out(ticket t, directions d) noexcept;
  bool timed_out(ticket t) const noexcept { return timed_out_[0] == t || timed_out_[1] == t; }
  /// Ends all pending operations in these directions with `operation_aborted`.
  virtual void cancel(directions d) noexcept;

  /// Lets an operation sleep. It is woken when the descriptor is readable, or with an error when it
  /// has to look for another reason. Its executor may run it in another thread before this returns.
  void sleep(wake_up operation);
  void awake() noexcept { --sleeping_; }
  /// Blocks the thread until the descriptor is readable.
  /// Errors: `bad_descriptor` when the execution context has ended.
  void wait(net_error_code& error) {
    if (descriptor_)
      descriptor_->wait(error);
    else
      error = net::error::bad_descriptor;
  }

protected:
  ~waitable();

  /// How many objects of this library the execution context has; 0 when it has ended.
  unsigned objects_of_context() const noexcept { return kept() ? objects_of(context_) : 0; }

  void watch(sys::native_handle h, net_error_code& error) { descriptor_->assign(h, error); }
  /// Makes all operations that sleep look again.
  void kick() noexcept;
  /// Ends all pending operations, and gives the handle back without closing it. Nothing of the
  /// execution context is used afterwards.
  void unwatch() noexcept;
  /// As `sleep`, but for the object's own use: `operation` is a handler without an executor.
  template <class Operation>
  void wait_for_descriptor(Operation&& operation) {
    ++sleeping_;  // before the wait, because another thread may end it at once
    try {
      descriptor_->async_wait(std::forward<Operation>(operation));
    } catch (...) {
      --sleeping_;
      throw;
    }
  }
  void context_ends() noexcept override { unwatch(); }

private:
  context_entries& context_;
  std::optional<waited_handle> descriptor_;
  ticket last_ = 0;
  ticket receiving_ = 0;
  ticket sending_ = 0;
  ticket timed_out_[2] = {};  // the last operation of each direction that has timed out
  unsigned sleeping_ = 0;     // operations that wait for the descriptor, including cancelled ones
};

inline void add_reference(waitable& w) noexcept { w.add_reference(); }
inline void release_reference(waitable& w) noexcept { w.release_reference(); }

/// A waitable that is deleted when its last reference goes.
class counted_waitable : public waitable {
public:
  using waitable::waitable;
  void add_reference() noexcept final { ++references_; }
  void release_reference() noexcept final {
    if (--references_ == 0) delete this;
  }

protected:
  virtual ~counted_waitable() = default;

private:
  unsigned references_ = 0;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
