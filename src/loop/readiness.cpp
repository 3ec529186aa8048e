// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/readiness.hpp>

#include <ringbell/errors.hpp>
#include <ringbell/loop/detail/loop_access.hpp>

namespace ringbell::detail {

bool event_wait::watch(sys::native_handle h, std::uint32_t events) {
  error_ = loop_access::watch(loop_access::loop_of(armed_on()), h, events, watch_mode::once, *this,
                              key_);
  return !error_;
}

bool event_wait::watch(const sys::futex_word& word, std::uint32_t expected) {
  error_ = loop_access::watch_futex(loop_access::loop_of(armed_on()), word, expected, *this, key_);
  return !error_;
}

void event_wait::on_event(std::uint32_t events) noexcept {
  key_ = {};  // a `once` watch has ended
  // The caller's own system call reports an error that is pending at the handle.
  if (events & event_refused) error_ = refusal(events);
  complete();
}

void event_wait::end() noexcept {
  if (key_) loop_access::unwatch(loop_access::loop_of(armed_on()), key_);
}

result<void> event_wait::take_result() noexcept {
  disarm();
  end();
  if (error_) return error_;
  // Also when the event has come: nothing was taken, so nothing is lost.
  if (stop_requested()) return errc::cancelled;
  return {};
}

result<void> bell_awaiter::take_result() noexcept {
  result<void> rung = event_wait::take_result();
  if (rung) bell_.drain();
  return rung;
}

}  // namespace ringbell::detail
