// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/result.hpp>
#include <ringbell/sys/user_id.hpp>

#include "sys/windows/win32.hpp"

namespace ringbell::sys {

/// The user with this SID. All zeros when it is not valid.
user_id user_of(const void* sid) noexcept;
/// The user of a token.
/// Errors: the system's.
result<user_id> user_of_token(native_handle token) noexcept;
/// The user of a process, by a handle with PROCESS_QUERY_LIMITED_INFORMATION.
/// Errors: the system's.
result<user_id> user_of_process(native_handle process) noexcept;

}  // namespace ringbell::sys
