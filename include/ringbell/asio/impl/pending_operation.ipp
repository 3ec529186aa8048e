// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/pending_operation.hpp>

#include <atomic>
#include <mutex>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

class context_entries final : public net::execution_context::service {
public:
  static inline net::execution_context::id id;

  explicit context_entries(net::execution_context& context) : service(context) {}
  ~context_entries() override { clear(); }

  template <class Entry>
  void add(Entry& e) noexcept {
    const std::lock_guard lock(mutex_);
    list_of(e).push_back(e);
    e.kept_ = true;
    count(e, 1);
  }
  template <class Entry>
  void remove(Entry& e) noexcept {
    const std::lock_guard lock(mutex_);
    e.unlink();
    e.kept_ = false;
    count(e, -1);
  }
  unsigned objects() const noexcept {
    return static_cast<unsigned>(count_.load(std::memory_order_relaxed));
  }

private:
  void shutdown() override { clear(); }
  /// An entry that ends may add and remove others, so they are ended one by one until none is left.
  void clear() noexcept {
    for (;;) {
      if (pending_operation* const operation = take_first(operations_))
        operation->destroy();
      else if (context_object* const object = take_first(objects_))
        object->context_ends();
      else
        return;
    }
  }
  template <class Entry>
  Entry* take_first(list<Entry>& from) noexcept {
    const std::lock_guard lock(mutex_);
    if (from.empty()) return nullptr;
    Entry& first = from.front();
    first.unlink();
    first.kept_ = false;
    count(first, -1);
    return &first;
  }
  list<pending_operation>& list_of(const pending_operation&) noexcept { return operations_; }
  list<context_object>& list_of(const context_object&) noexcept { return objects_; }

  void count(const pending_operation&, int) noexcept {}
  void count(const context_object&, int more) noexcept {
    count_.store(count_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }

  std::mutex mutex_;
  list<pending_operation> operations_;
  list<context_object> objects_;
  std::atomic<int> count_{0};  // of objects_; written under the lock
};

context_entries& entries_of(net::execution_context& context) {
  return net::use_service<context_entries>(context);
}
void add(context_entries& to, pending_operation& operation) noexcept { to.add(operation); }
void add(context_entries& to, context_object& object) noexcept { to.add(object); }
// Only a context that ends takes out entries that other code may still remove, and then nothing
// else of that context is running. So there is no race.
void remove(context_entries& from, pending_operation& operation) noexcept {
  if (operation.kept()) from.remove(operation);
}
unsigned objects_of(const context_entries& entries) noexcept { return entries.objects(); }
void remove(context_entries& from, context_object& object) noexcept {
  if (object.kept()) from.remove(object);
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
