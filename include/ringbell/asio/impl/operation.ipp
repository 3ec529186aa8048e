// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/executors.hpp>
#include <ringbell/asio/detail/follow_up.hpp>
#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/asio/detail/operation_memory.hpp>

#include <memory>
#include <new>
#include <thread>
#include <typeinfo>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

namespace {

struct destroys_operation {
  void operator()(operation* o) const noexcept { o->destroy(); }
};
using owned_operation = std::unique_ptr<operation, destroys_operation>;

}  // namespace

operation::operation(waitable* object, directions d) noexcept : directions_(d) {
  if (!object) {
    outcome_ = to_net(errc::closed);
  } else if ((ticket_ = object->begin(d)) == 0) {
    outcome_ = to_net(errc::busy);
  } else {
    object_ = intrusive_ptr<waitable>(*object);
  }
}

operation::~operation() { end(); }

/// An operation that this thread is handing to an executor or to a reactor. If these throw, they
/// destroy what they were given, and the operation must not be destroyed with it.
class operation::posting {
public:
  explicit posting(operation* o) noexcept : of_(o), outer_(std::exchange(innermost, this)) {}
  posting(const posting&) = delete;
  posting& operator=(const posting&) = delete;
  ~posting() { innermost = outer_; }
  bool dropped() const noexcept { return dropped_; }
  bool has_begun() const noexcept { return !of_; }

  /// The operation's turn has begun within the same call.
  static void begun(const operation* o) noexcept {
    for (posting* p = innermost; p; p = p->outer_)
      if (p->of_ == o) p->of_ = nullptr;
  }
  /// Returns whether the operation must be kept.
  static bool drop(const operation* o) noexcept {
    if (!innermost || innermost->of_ != o) return false;
    innermost->dropped_ = true;
    return true;
  }

private:
  static thread_local posting* innermost;
  const operation* of_;
  posting* outer_;
  bool dropped_ = false;
};
thread_local operation::posting* operation::posting::innermost = nullptr;

void operation::drop(operation* o) noexcept {
  if (!posting::drop(o)) o->destroy();
}

bool operation::try_run_by(operation* o, void (operation::*how)()) {
  posting p(o);
  try {
    (o->*how)();
  } catch (...) {
    if (p.has_begun()) throw;  // it comes from the handler
    return !p.dropped();       // a strand has thrown, and kept it
  }
  return !p.dropped();
}

void operation::run_by(operation* o, void (operation::*how)()) {
  if (try_run_by(o, how)) return;
  o->fail(net::error::no_memory);
  o->complete();
}

void operation::run_at_last(operation* o) {
  constexpr int tries = 100;
  for (int i = 1; !try_run_by(o, &operation::dispatch); ++i) {
    if (i == tries) return run_by(o, &operation::dispatch);
    std::this_thread::sleep_for(between_tries);
  }
}

void operation::sleep_on_object() {
  waitable& object = *object_;
  object.sleep(wake_up(*this));
}

void operation::run(operation* o) {
  handler_frame here;
  here.run(o);
}

void operation::run_alone(operation* o) {
  owned_operation self(o);
  posting::begun(o);
  const bool slept = std::exchange(self->asleep_, false);
  if (slept) {
    self->keep_executor_busy(false);
    if (self->object_) self->object_->awake();
  }
  progress next = progress::finished;
  std::exception_ptr thrown;
  if (self->object_ && self->goes_on()) {
    try {
      next = self->advance(slept && self->rung_);
      if (next != progress::finished) thrown = self->waits();
      if (next == progress::sleep) self->sleep();
    } catch (...) {
      const net_error_code why = to_net(std::current_exception());
      if (!why) throw;
      self->fail(why);
      next = progress::finished;
    }
  }
  switch (next) {
    case progress::finished: self.release()->complete(); break;
    case progress::again: run_by(self.release(), &operation::defer); break;
    case progress::sleep: run_by(self.release(), &operation::sleep_on_object); break;
  }
  if (thrown) std::rethrow_exception(std::move(thrown));
}

void* operation::allocate(std::size_t bytes) {
  if (room_taken_ || bytes > room) return allocate_elsewhere(bytes);
  room_taken_ = true;
  return room_;
}

void operation::deallocate(void* memory, std::size_t bytes) noexcept {
  if (memory == room_)
    room_taken_ = false;
  else
    deallocate_elsewhere(memory, bytes);
}

void operation::connect(net::cancellation_slot slot) noexcept {
  if (!object_ || !slot.is_connected()) return;
  try {
    slot.emplace<cancel_on_signal>(*object_, ticket_, directions_);
  } catch (...) {
    fail(net::error::no_memory);
  }
}

void operation::disconnect(net::cancellation_slot slot) noexcept {
  if (object_ && goes_on() && slot.is_connected()) slot.clear();
}

bool operation::goes_on() noexcept {
  if (object_->goes_on(ticket_, directions_)) return true;
  outcome_ =
      object_->timed_out(ticket_) ? net_error_code(net::error::timed_out) : to_net(errc::cancelled);
  return false;
}

void operation::end() noexcept {
  if (object_) object_->end(ticket_);
  object_ = {};
}

void operation::go_on_with(waitable& object) noexcept {
  end();
  if (std::exchange(asleep_, false)) keep_executor_busy(false);
  outcome_ = {};
  ticket_ = object.begin(directions_);
  object_ = intrusive_ptr<waitable>(object);
}

end_at_limit operation::at_limit() const noexcept {
  return end_at_limit(*object_, ticket_, directions_);
}

void turn::operator()() {
  operation* const o = std::exchange(of_, nullptr);
  if (hops_)
    operation::run_by(o, &operation::hop);
  else
    operation::run(o);
}

void wake_up::operator()(const net_error_code& error) {
  operation* const o = std::exchange(of_, nullptr);
  o->rung_ = !error;
  operation::run_at_last(o);
}

void cancel_on_signal::operator()(net::cancellation_type_t type) noexcept {
  constexpr auto any = net::cancellation_type::terminal | net::cancellation_type::partial |
                       net::cancellation_type::total;
  if (!object_ || (type & any) == net::cancellation_type::none) return;
  if (object_->goes_on(ticket_, directions_)) object_->cancel(directions_);
  object_ = {};  // this function may stay in the slot for longer than the object should live
}

/// Returns the io_context's executor in an `any_io_executor`, or null for another executor. What is
/// run through an any_io_executor needs memory of its own. What a context runs can use the memory
/// inside of the operation.
static const context_executor* as_context_executor(
    [[maybe_unused]] const net::any_io_executor& executor) noexcept {
#if defined(__cpp_rtti) || defined(_CPPRTTI)
  if (executor.target_type() == typeid(context_executor))
    return executor.target<context_executor>();
#endif
  return nullptr;
}

void run_later(const net::any_io_executor& executor, turn&& t, const std::allocator<void>& a) {
  if (const auto* const context = as_context_executor(executor))
    return run_later<context_executor>(*context, std::move(t), a);
  execute_on(net::prefer(net::require(executor, net::execution::blocking.never),
                         net::execution::relationship.continuation),
             std::move(t));
}
void run_later(const context_executor& executor, turn&& t, const std::allocator<void>& a) {
  run_later<context_executor>(executor, std::move(t), a);
}
void run_soon(const net::any_io_executor& executor, turn&& t, const std::allocator<void>& a) {
  if (const auto* const context = as_context_executor(executor))
    return run_soon<context_executor>(*context, std::move(t), a);
  execute_on(net::prefer(executor, net::execution::blocking.possibly), std::move(t));
}
void run_soon(const context_executor& executor, turn&& t, const std::allocator<void>& a) {
  run_soon<context_executor>(executor, std::move(t), a);
}
net::any_io_executor with_work(const net::any_io_executor& executor) {
  return net::prefer(executor, net::execution::outstanding_work.tracked);
}
net::execution_context& context_of(const net::any_io_executor& executor) {
  return net::query(executor, net::execution::context);
}

namespace {

/// The blocks that a thread keeps after freeing them: one for each direction of a channel, and one
/// for a follow_up.
class kept_blocks {
public:
  static constexpr std::size_t bytes = 768;  // fits an operation with a coroutine as its handler

  kept_blocks() = default;
  kept_blocks(const kept_blocks&) = delete;
  kept_blocks& operator=(const kept_blocks&) = delete;
  ~kept_blocks() {
    for (void*& b : blocks_) ::operator delete(std::exchange(b, nullptr), bytes);
    gone_ = true;
  }
  void* take() noexcept {
    for (void*& b : blocks_)
      if (b) return std::exchange(b, nullptr);
    return nullptr;
  }
  bool keep(void* block) noexcept {
    if (gone_) return false;
    for (void*& b : blocks_) {
      if (b) continue;
      b = block;
      return true;
    }
    return false;
  }

private:
  void* blocks_[3] = {};
  bool gone_ = false;  // objects with static storage may still be destroyed on this thread later
};

thread_local kept_blocks blocks_of_thread;

}  // namespace

void* allocate_recycled(std::size_t bytes) {
  if (bytes > kept_blocks::bytes) return ::operator new(bytes);
  if (void* const kept = blocks_of_thread.take()) return kept;
  return ::operator new(kept_blocks::bytes);
}

void free_recycled(void* memory, std::size_t bytes) noexcept {
  if (bytes > kept_blocks::bytes) return ::operator delete(memory, bytes);
  if (!blocks_of_thread.keep(memory)) ::operator delete(memory, kept_blocks::bytes);
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
