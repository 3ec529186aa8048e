// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/errors.hpp>

#include <exception>
#include <system_error>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// Converts an error to Asio's terms where Asio has an equivalent. Other errors keep ringbell's
/// category, whose texts say more; they compare equal to a `std::errc`, as errors.hpp says. Errors
/// of the system get Asio's system category.
net_error_code to_net(errc e) noexcept;
net_error_code to_net(std::error_code e) noexcept;
/// Converts an exception that carries an error code, or is a lack of memory. Returns no error for
/// any other exception.
net_error_code to_net(const std::exception_ptr& e) noexcept;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
