// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <cstdint>
#include <string>

namespace ringbell::sys {

// `user_id` is what the system knows users by: a number (`std::uint64_t`), and on Windows a SID. It
// can be compared, ordered and copied.

/// The user that this process acts as. Thread-safety: any thread.
user_id current_user() noexcept;

/// Whether this id stands for one user, and always the same. All do but one: in a Linux user
/// namespace that lacks some users, the kernel shows each of these by one and the same id
/// (`/proc/sys/kernel/overflowuid`, 65534 as a rule), which may be a user's of the namespace as
/// well. Where /proc is not mounted that id counts as such a one. Thread-safety: any thread. Cost:
/// none but for that id, which takes reading two files.
bool names_one_user(const user_id& user) noexcept;

/// Whether `user` is the one that this process acts as, for certain: never an id that may stand for
/// several.
bool is_current_user(const user_id& user) noexcept;

/// As the system's own programs write it: `1000`, `S-1-5-21-...-1001`. Empty for nobody.
std::string text_of(const user_id& user);

/// A number for tables and statistics: the id itself; on Windows the last part of the SID, which
/// tells the users of one machine or domain apart, and no more. Not for decisions.
std::uint64_t number_of(const user_id& user) noexcept;

/// Whether this user may do everything anyway: root; on Windows the system itself (LocalSystem).
bool is_superuser(const user_id& user) noexcept;

}  // namespace ringbell::sys
