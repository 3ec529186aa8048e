// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/errors.hpp>

#include <exception>
#include <system_error>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// An error in Asio's terms, where Asio has a word that says as much. The rest keeps ringbell's
/// category, whose texts say more; it compares equal to a `std::errc`, as errors.hpp says. The
/// system's are of Asio's category.
net_error_code to_net(errc e) noexcept;
net_error_code to_net(std::error_code e) noexcept;
/// What an exception says in Asio's terms, when it says it by a code, or is a lack of memory; no
/// error when it is something else.
net_error_code to_net(const std::exception_ptr& e) noexcept;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
