// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/user_id.hpp>

namespace ringbell::sys {

// These systems have no user namespaces.
bool names_one_user(const user_id&) noexcept { return true; }

}  // namespace ringbell::sys
