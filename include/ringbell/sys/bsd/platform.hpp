// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace ringbell::sys {

using native_handle = int;  // a file descriptor
inline constexpr native_handle invalid_handle = -1;

}  // namespace ringbell::sys
