// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/user_id.hpp>

#include <string_view>

namespace ringbell::sys {

/// The part of a service's path that says whose it is comes first, so whoever connects can see
/// whether that is so: everybody may make pipes of any name.

/// Whether `path` is that of a service by name (`service_path`), of whatever user.
bool names_a_user(std::string_view path) noexcept;
/// Whether it is one of this user.
bool names_user(std::string_view path, const user_id& user);

}  // namespace ringbell::sys
