// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <cstdint>
#include <string>

namespace ringbell::sys {

// `user_id` is the system's identifier of a user: a number (`std::uint64_t`), on Windows a SID. It
// can be compared, ordered and copied.

/// The user as which this process acts.
/// Thread-safety: any thread.
user_id current_user() noexcept;

/// Whether this id always stands for one and the same user. All ids but one do. In a Linux user
/// namespace that lacks some users, the kernel shows each of these by the same id
/// (`/proc/sys/kernel/overflowuid`, usually 65534), which may also be the id of a user of the
/// namespace. Where /proc is not mounted, that id counts as standing for several users.
/// Cost: none, except that for that id two files are read.
/// Thread-safety: any thread.
bool names_one_user(const user_id& user) noexcept;

/// Whether `user` is certainly the user as which this process acts. False for an id that may stand
/// for several users.
bool is_current_user(const user_id& user) noexcept;

/// The id as the system's own programs write it: `1000`, `S-1-5-21-...-1001`. Empty when it stands
/// for no user.
std::string text_of(const user_id& user);

/// A number for tables and statistics: the id itself; on Windows the last part of the SID, which
/// distinguishes only the users of one machine or domain. Not to be used for decisions.
std::uint64_t number_of(const user_id& user) noexcept;

/// Whether this user may do everything anyway: root; on Windows the system itself (LocalSystem).
bool is_superuser(const user_id& user) noexcept;

}  // namespace ringbell::sys
