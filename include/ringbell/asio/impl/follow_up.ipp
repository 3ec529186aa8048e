// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/follow_up.hpp>

#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

bool follow_up::put(operation& o) {
  operation* none = nullptr;
  if (!operation_.compare_exchange_strong(none, &o)) return false;
  if (queued_.exchange(true)) return true;
  add_reference();
  if (try_run_by(this, &operation::defer)) return true;
  release_reference();
  queued_ = false;
  return !take();  // the turn before may have taken it
}

void follow_up::release_reference() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) free();
}

follow_up::~follow_up() {
  if (operation* const o = take()) o->destroy();
}

void follow_up::destroy() noexcept {
  queued_ = false;
  release_reference();
}

void follow_up::complete() {
  queued_ = false;
  handler_frame::begun(*this);
}

namespace {

thread_local handler_frame* innermost_frame = nullptr;

/// Differs between a handler and another one that runs within it.
const void* context_of_thread() noexcept {
  return net::detail::thread_context::top_of_thread_call_stack();
}

}  // namespace

handler_frame::handler_frame() noexcept : outer_(std::exchange(innermost_frame, this)) {}

/// On a thread whose functions have stacks of their own, frames do not end in the order in which
/// they began.
handler_frame::~handler_frame() {
  handler_frame** link = &innermost_frame;
  while (*link != this) link = &(*link)->outer_;
  *link = outer_;
  if (follow_up_) follow_up_->release_reference();
}

void handler_frame::run(operation* o) {
  for (; o; o = next()) {
    runs_ = o;
    operation::run_alone(o);
  }
}

operation* handler_frame::next() noexcept {
  if (taken_) return std::exchange(taken_, nullptr);
  if (!follow_up_ || left_ == 0) return nullptr;
  if (left_ >= most - 1 || left_ % per_clock_read == 0) {
    const clock::time_point now = clock::now();
    if (begun_ == clock::time_point()) begun_ = now;
    if (now - begun_ >= longest) return nullptr;
  }
  --left_;
  return follow_up_->take();
}

handler_frame* handler_frame::of_running_handler() noexcept {
  handler_frame* const here = innermost_frame;
  return here && here->type_ && here->runs_context_ == context_of_thread() ? here : nullptr;
}

bool handler_frame::came_by_queue() noexcept {
  return !innermost_frame || innermost_frame->left_ == most;
}

void handler_frame::begun(follow_up& f) noexcept {
  innermost_frame->taken_ = f.take();
  f.release_reference();
}

handler_frame::handler::handler(const operation& o, const void* type, const void* executor) noexcept
    : frame_(innermost_frame) {
  if (!frame_ || frame_->runs_ != &o) {
    frame_ = nullptr;
    return;
  }
  frame_->runs_ = nullptr;  // its memory is free now, and may be that of the next operation
  frame_->type_ = type;
  frame_->executor_ = executor;
  frame_->runs_context_ = context_of_thread();
}

handler_frame::handler::~handler() {
  if (frame_) frame_->type_ = nullptr;
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
