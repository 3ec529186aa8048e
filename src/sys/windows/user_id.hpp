// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/result.hpp>
#include <ringbell/sys/user_id.hpp>

#include "sys/windows/win32.hpp"

namespace ringbell::sys {

/// Nobody when it is no valid SID.
user_id user_of(const void* sid) noexcept;
/// Whose token it is. Errors: the system's.
result<user_id> user_of_token(native_handle token) noexcept;
/// Whose process it is (a handle with PROCESS_QUERY_LIMITED_INFORMATION). Errors: the system's.
result<user_id> user_of_process(native_handle process) noexcept;

}  // namespace ringbell::sys
