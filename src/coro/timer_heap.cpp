// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/detail/timer_heap.hpp>

namespace ringbell::detail {

timer::~timer() {
  if (heap_) heap_->remove(*this);
}

timer_heap::~timer_heap() {
  for (timer* t : items_) t->heap_ = nullptr;
}

timer::time_point timer_heap::next() const noexcept {
  return items_.empty() ? timer::time_point::max() : items_.front()->due_;
}

void timer_heap::add(timer& t, timer::time_point due) {
  if (t.heap_) t.heap_->remove(t);
  items_.push_back(&t);
  // A timer that is added during expire(now) becomes due just after `now`. So a timer that adds
  // itself again and again cannot keep expire() from returning.
  t.due_ = due <= expiring_ ? expiring_ + timer::time_point::duration(1) : due;
  t.heap_ = this;
  t.index_ = items_.size() - 1;
  up(t.index_);
}

void timer_heap::remove(timer& t) noexcept {
  if (t.heap_ != this) return;
  const std::size_t hole = t.index_;
  timer* const last = items_.back();
  items_.pop_back();
  t.heap_ = nullptr;
  if (last == &t) return;
  place(hole, *last);
  up(hole);
  down(last->index_);
}

std::size_t timer_heap::expire(timer::time_point now) noexcept {
  expiring_ = now;
  std::size_t count = 0;
  for (; !items_.empty() && next() <= now; ++count) {
    timer& t = *items_.front();
    remove(t);
    t.expired_(t);
  }
  expiring_ = {};
  return count;
}

void timer_heap::place(std::size_t index, timer& t) noexcept {
  items_[index] = &t;
  t.index_ = index;
}

void timer_heap::up(std::size_t index) noexcept {
  timer& t = *items_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (items_[parent]->due_ <= t.due_) break;
    place(index, *items_[parent]);
    index = parent;
  }
  place(index, t);
}

void timer_heap::down(std::size_t index) noexcept {
  timer& t = *items_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= items_.size()) break;
    if (child + 1 < items_.size() && items_[child + 1]->due_ < items_[child]->due_) ++child;
    if (t.due_ <= items_[child]->due_) break;
    place(index, *items_[child]);
    index = child;
  }
  place(index, t);
}

}  // namespace ringbell::detail
