// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/asio/detail/waited_handle.hpp>
#include <ringbell/sys/handle.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace ringbell::detail {

/// What operations on an object wait for, as a set of bits. One operation may be pending for each.
using directions = unsigned;
inline constexpr directions towards_us = 1;    // receiving, accepting, connecting
inline constexpr directions towards_peer = 2;  // sending

/// Names an operation while it is pending; 0 names none.
using ticket = std::uint64_t;

/// An object that operations wait on: one descriptor, and who is pending. Not templated on an executor: the descriptor's part is played
/// rarely, and so its executor is a type-erased one.
///
/// Thread-safety: one thread, or one strand. An operation that has slept goes on in its own executor; the object's user has seen to it
/// that this is the strand in which everything else happens.
class waitable {
public:
  explicit waitable(net::any_io_executor executor) : descriptor_(std::in_place, std::move(executor)) {}
  waitable(const waitable&) = delete;
  waitable& operator=(const waitable&) = delete;

  /// Begins an operation. 0 when one is pending in a direction of `d`.
  ticket begin(directions d) noexcept {
    if (pending(d)) return 0;
    ++last_;
    if (d & towards_us) receiving_ = last_;
    if (d & towards_peer) sending_ = last_;
    return last_;
  }
  bool pending(directions d) const noexcept { return ((d & towards_us) && receiving_) || ((d & towards_peer) && sending_); }
  /// Whether `t`, begun in the directions `d`, is to go on. Once it is not, the next operation may begin, even before its handler was called.
  bool goes_on(ticket t, directions d) const noexcept {
    return (!(d & towards_us) || receiving_ == t) && (!(d & towards_peer) || sending_ == t);
  }
  /// Ends an operation. No effect when it was cancelled.
  void end(const ticket t) noexcept {
    if (receiving_ == t) receiving_ = 0;
    if (sending_ == t) sending_ = 0;
  }
  /// Ends whatever is pending in these directions with `operation_aborted`.
  void cancel(directions d) noexcept {
    if (!pending(d)) return;
    // One that waits for either direction ends in both.
    if (d & towards_us) waitable::end(receiving_);
    if (d & towards_peer) waitable::end(sending_);
    kick();
  }

  /// `operation` is called when the descriptor is readable, or with an error when it is to look for another reason. Its own executor may do so
  /// in another thread before this returns.
  template <class Operation>
  void sleep(Operation&& operation) {
    ++sleeping_;
    descriptor_->async_wait(std::forward<Operation>(operation));
  }
  void awake() noexcept { --sleeping_; }

protected:
  ~waitable() = default;

  void watch(sys::native_handle h, net_error_code& error) { descriptor_->assign(h, error); }
  /// Makes all who sleep look again.
  void kick() noexcept {
    net_error_code ignored;
    if (descriptor_ && sleeping_ != 0) descriptor_->cancel(ignored);
  }
  /// Ends all that is pending, and gives the handle back unclosed. Nothing of the execution context is touched afterwards.
  void unwatch() noexcept {
    receiving_ = 0;
    sending_ = 0;
    if (descriptor_) descriptor_->release();
    descriptor_.reset();
  }

private:
  std::optional<waited_handle> descriptor_;
  ticket last_ = 0;
  ticket receiving_ = 0;
  ticket sending_ = 0;
  unsigned sleeping_ = 0;  // operations that wait for the descriptor, cancelled ones included
};

/// Keeps an object alive that counts who holds it.
template <class Object>
class held {
public:
  held() noexcept = default;
  explicit held(Object* object) noexcept : object_(object) {
    if (object_) object_->hold();
  }
  held(held&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  held& operator=(held&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~held() {
    if (object_) object_->let_go();
  }
  Object* get() const noexcept { return object_; }
  Object* operator->() const noexcept { return object_; }
  Object& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

private:
  Object* object_ = nullptr;
};

}  // namespace ringbell::detail
