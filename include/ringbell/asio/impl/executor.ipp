// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/executor.hpp>
#include <ringbell/loop/detail/loop_access.hpp>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// A loop as an execution context of Asio: it keeps the services of Asio for the loop.
class loop_context final : public net::execution_context, public loop_attachment {
public:
  ~loop_context() override = default;
  void shut_down() noexcept override { net::execution_context::shutdown(); }
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

asio_executor::asio_executor(loop& lp)
    : loop_(&lp), context_(&detail::loop_access::attachment<detail::loop_context>(lp)) {}

net::execution_context& asio_executor::query(net::execution::context_t) const noexcept {
  return *context_;
}
void asio_executor::work_started() const noexcept { detail::loop_access::work_started(*loop_); }
void asio_executor::work_finished() const noexcept { detail::loop_access::work_finished(*loop_); }

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
