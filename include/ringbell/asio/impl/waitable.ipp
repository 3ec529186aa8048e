// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/asio/detail/waitable.hpp>

#include <system_error>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

#ifdef RINGBELL_ASIO_WAITS_FOR_OBJECTS
void waited_handle::assign(sys::native_handle h, net_error_code& error) {
  std::error_code system;
  sys::handle borrowed(h);
  sys::handle own = borrowed.duplicate(system);
  (void)borrowed.release();
  error.assign(system.value(), net::error::get_system_category());
  if (system) return;
  object_.assign(own.get(), error);
  if (!error) (void)own.release();
}
void waited_handle::release() {
  net_error_code ignored;
  if (object_.is_open()) object_.close(ignored);
}
#else
void waited_handle::assign(sys::native_handle h, net_error_code& error) {
  (void)object_.assign(h, error);
}
void waited_handle::release() {
  if (object_.is_open()) (void)object_.release();
}
#endif

waitable::waitable(net::execution_context& context)
    : context_(entries_of(context)), descriptor_(std::in_place, context) {
  add(context_, *this);
}
waitable::~waitable() { unwatch(); }

ticket waitable::begin(directions d) noexcept {
  if (pending(d)) return 0;
  ++last_;
  if (d & towards_us) receiving_ = last_;
  if (d & towards_peer) sending_ = last_;
  return last_;
}

void waitable::end(ticket t) noexcept {
  if (receiving_ == t) receiving_ = 0;
  if (sending_ == t) sending_ = 0;
}

void waitable::time_out(ticket t, directions d) noexcept {
  if (!goes_on(t, d)) return;
  timed_out_[d == towards_us ? 0 : 1] = t;
  cancel(d);
}

void waitable::cancel(directions d) noexcept {
  if (!pending(d)) return;
  // An operation that waits for either direction ends in both.
  if (d & towards_us) waitable::end(receiving_);
  if (d & towards_peer) waitable::end(sending_);
  kick();
}

void waitable::sleep(wake_up operation) { wait_for_descriptor(std::move(operation)); }

void waitable::kick() noexcept {
  net_error_code ignored;
  if (descriptor_ && sleeping_ != 0) descriptor_->cancel(ignored);
}

void waitable::unwatch() noexcept {
  remove(context_, *this);
  receiving_ = 0;
  sending_ = 0;
  if (descriptor_) descriptor_->release();
  descriptor_.reset();
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
