// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/channel_operations.hpp>
#include <ringbell/asio/detail/gathered.hpp>
#include <ringbell/asio/detail/handled_operation.hpp>

#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// As `initiate`, for `send_operation`, which copies what is in the buffers.
template <class Executor>
class initiate_send {
public:
  using executor_type = Executor;
  explicit initiate_send(const Executor& executor) noexcept : executor_(executor) {}
  executor_type get_executor() const noexcept { return executor_; }

  template <class Handler, class IoObject, class Buffers>
  void operator()(Handler&& handler, IoObject* on, const Buffers& buffers) const {
    handled_operation<send_operation, as_taken, std::decay_t<Handler>, Executor>::begin(
        std::forward<Handler>(handler), executor_, as_taken(), on->core(), gathered<Buffers>(buffers).pieces(), net::buffer_size(buffers));
  }

private:
  Executor executor_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
