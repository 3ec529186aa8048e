// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <cstdint>
#include <string>

namespace ringbell::sys {

// `user_id` is what the system knows users by: a number (`std::uint64_t`), and on Windows a SID. It can be compared, ordered and copied.

/// The user that this process acts as. Thread-safety: any thread.
user_id current_user() noexcept;

/// As the system's own programs write it: `1000`, `S-1-5-21-...-1001`. Empty for nobody.
std::string text_of(const user_id& user);

/// A number for tables and statistics: the id itself; on Windows the last part of the SID, which tells the users of one machine or domain apart, and no
/// more. Not for decisions.
std::uint64_t number_of(const user_id& user) noexcept;

/// Whether this user may do everything anyway: root; on Windows the system itself (LocalSystem).
bool is_superuser(const user_id& user) noexcept;

}  // namespace ringbell::sys
