// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/executors.hpp>
#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/asio/detail/operation_memory.hpp>

#include <memory>
#include <new>
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
    object_ = held<waitable>(object);
  }
}

operation::~operation() { end(); }

void operation::run(operation* o) {
  owned_operation self(o);
  const bool slept = std::exchange(self->asleep_, false);
  if (slept) {
    self->keep_executor_busy(false);
    self->object_->awake();
  }
  progress next = progress::finished;
  if (self->object_ && self->goes_on()) next = self->advance(slept && self->rung_);
  switch (next) {
    case progress::finished: self.release()->complete(); break;
    case progress::again: self.release()->defer(); break;
    case progress::sleep:
      self->asleep_ = true;
      self->keep_executor_busy(true);
      waitable& object = *self->object_;
      object.sleep(wake_up(*self.release()));
      break;
  }
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

void operation::connect(net::cancellation_slot slot) const {
  if (object_ && slot.is_connected()) slot.emplace<cancel_on_signal>(*object_, ticket_, directions_);
}

void operation::disconnect(net::cancellation_slot slot) noexcept {
  if (object_ && goes_on() && slot.is_connected()) slot.clear();
}

bool operation::goes_on() noexcept {
  if (object_->goes_on(ticket_, directions_)) return true;
  outcome_ = to_net(errc::cancelled);
  return false;
}

void operation::end() noexcept {
  if (object_) object_->end(ticket_);
  object_ = {};
}

void turn::operator()() {
  operation* const o = std::exchange(of_, nullptr);
  if (hops_)
    o->hop();
  else
    operation::run(o);
}

void wake_up::operator()(const net_error_code& error) {
  operation* const o = std::exchange(of_, nullptr);
  o->rung_ = !error;
  o->dispatch();
}

void cancel_on_signal::operator()(net::cancellation_type_t type) noexcept {
  constexpr auto any = net::cancellation_type::terminal | net::cancellation_type::partial | net::cancellation_type::total;
  if (!object_ || (type & any) == net::cancellation_type::none) return;
  if (object_->goes_on(ticket_, directions_)) object_->cancel(directions_);
  object_ = {};  // it stays in the slot, maybe for longer than the object should
}

void run_later(const net::any_io_executor& executor, turn&& t, const std::allocator<void>&) {
  execute_on(net::prefer(net::require(executor, net::execution::blocking.never), net::execution::relationship.continuation), std::move(t));
}
void run_later(const context_executor& executor, turn&& t, const std::allocator<void>& a) {
  run_later<context_executor>(executor, std::move(t), a);
}
void run_soon(const net::any_io_executor& executor, turn&& t, const std::allocator<void>&) {
  execute_on(net::prefer(executor, net::execution::blocking.possibly), std::move(t));
}
void run_soon(const context_executor& executor, turn&& t, const std::allocator<void>& a) {
  run_soon<context_executor>(executor, std::move(t), a);
}
net::any_io_executor with_work(const net::any_io_executor& executor) {
  return net::prefer(executor, net::execution::outstanding_work.tracked);
}
net::execution_context& context_of(const net::any_io_executor& executor) { return net::query(executor, net::execution::context); }

namespace {

/// What a thread keeps of the blocks that it has freed: one for each direction of a channel.
class kept_blocks {
public:
  static constexpr std::size_t bytes = 768;  // an operation with a coroutine as its handler

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
  void* blocks_[2] = {};
  bool gone_ = false;  // what has static storage may still be destroyed on this thread
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
