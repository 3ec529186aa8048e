// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/pending_operation.hpp>

#include <mutex>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

class pending_operations final : public net::execution_context::service {
public:
  static inline net::execution_context::id id;

  explicit pending_operations(net::execution_context& context) : service(context) {}
  ~pending_operations() override { clear(); }

  /// Thread-safe, as remove() is. Until it is removed, the operation is destroyed with the context.
  void add(pending_operation& operation) {
    const std::lock_guard lock(mutex_);
    list_.push_back(operation);
  }
  void remove(pending_operation& operation) noexcept {
    const std::lock_guard lock(mutex_);
    operation.unlink();
  }

private:
  void shutdown() override { clear(); }
  /// Handlers that are destroyed may begin and end others: one after the other, until none is left.
  void clear() noexcept {
    while (pending_operation* const first = take_first()) first->destroy();
  }
  pending_operation* take_first() noexcept {
    const std::lock_guard lock(mutex_);
    if (list_.empty()) return nullptr;
    pending_operation& first = list_.front();
    first.unlink();
    return &first;
  }

  std::mutex mutex_;
  list<pending_operation> list_;
};

pending_operations& pending_operations_of(net::execution_context& context) { return net::use_service<pending_operations>(context); }
void add(pending_operations& to, pending_operation& operation) { to.add(operation); }
void remove(pending_operations& from, pending_operation& operation) noexcept { from.remove(operation); }

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
