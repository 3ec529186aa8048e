// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/channel_operations.hpp>
#include <ringbell/asio/detail/gathered.hpp>
#include <ringbell/asio/detail/handled_operation.hpp>
#include <ringbell/detail/access.hpp>

#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// As `initiate`, but for `send_operation`, which copies the list of buffers. There may be a time
/// limit.
template <class Operation, class Executor>
class initiate_send {
public:
  using executor_type = Executor;
  explicit initiate_send(const Executor& executor) noexcept : executor_(executor) {}
  executor_type get_executor() const noexcept { return executor_; }

  template <class Handler, class IoObject, class Buffers, class... Limit>
  void operator()(Handler&& handler, IoObject* on, const Buffers& buffers, Limit... limit) const {
    using sending = handled_operation<Operation, as_taken, std::decay_t<Handler>, Executor>;
    std::optional<gathered<Buffers>> all;
    try {
      all.emplace(buffers);
    } catch (const std::bad_alloc&) {
      return sending::refuse(std::forward<Handler>(handler), net::error::no_memory, as_taken());
    }
    sending::begin(std::forward<Handler>(handler), executor_, as_taken(), access::impl_of(*on),
                   limit..., all->pieces(), net::buffer_size(buffers));
  }

private:
  Executor executor_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
