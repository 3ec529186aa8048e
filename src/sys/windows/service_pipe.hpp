// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/user_id.hpp>

#include <string_view>

namespace ringbell::sys {

/// The path of a service begins with its owner, so that a client can check the claim: every user
/// may create pipes of any name.

/// Whether `path` belongs to a service that has a name (`service_path`), of any user.
bool names_a_user(std::string_view path) noexcept;
/// Whether `path` belongs to a service that has a name, of this user.
bool names_user(std::string_view path, const user_id& user);

}  // namespace ringbell::sys
