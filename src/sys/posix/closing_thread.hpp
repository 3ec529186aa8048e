// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/foreign_handle.hpp>

namespace ringbell::sys {

/// As `close_elsewhere`, for a control socket or a listening socket of this library that may
/// contain handles: these are taken out and closed one by one.
void close_unread(handle socket) noexcept;

}  // namespace ringbell::sys
