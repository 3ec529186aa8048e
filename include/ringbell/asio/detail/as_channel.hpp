// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/channel.hpp>
#include <ringbell/asio/config.hpp>
#include <ringbell/detail/access.hpp>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// Gives the handler a channel for the connection that the operation has made.
template <class Executor>
class as_channel {
public:
  explicit as_channel(const Executor& executor) noexcept : executor_(executor) {}
  template <class Operation>
  basic_asio_channel<Executor> of(Operation& o) const {
    return access::make<basic_asio_channel<Executor>>(executor_, o.take());
  }
  template <class Operation>
  basic_asio_channel<Executor> none() const {
    return basic_asio_channel<Executor>(executor_);
  }

private:
  Executor executor_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
