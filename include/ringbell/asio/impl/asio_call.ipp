// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/asio_call.hpp>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

void throw_natively(const std::exception_ptr& e, bool stopped) {
  try {
    std::rethrow_exception(e);
  } catch (const net_system_error& error) {
    if (stopped && error.code() == net::error::operation_aborted)
      throw std::system_error(errc::cancelled);
    if constexpr (std::is_base_of_v<std::system_error, net_system_error>) throw;
    throw std::system_error(error.code(), "in Asio");
  }
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
