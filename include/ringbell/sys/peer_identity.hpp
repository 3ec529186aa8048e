// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/user_id.hpp>

#include <cstdint>

namespace ringbell::sys {

/// Who is at the other end of a control socket, by the kernel's word, as of the moment it
/// connected.
struct peer_identity {
  std::int64_t process = 0;  ///< process id; 0 where the system does not tell (the BSDs but macOS)
  user_id user{};            ///< user id; on Windows a SID
  std::uint64_t group = 0;   ///< primary group id; 0 on Windows
};

}  // namespace ringbell::sys
