// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/user_id.hpp>

#include <cstdint>

namespace ringbell::sys {

/// The identity of the process at the other end of a control socket. The kernel states it, as of
/// the moment when the process connected.
/// Thread-safety: a plain value.
struct peer_identity {
  /// Process id; 0 where the system does not tell it (the BSDs other than macOS)
  std::int64_t process = 0;
  user_id user{};           ///< user id; on Windows a SID
  std::uint64_t group = 0;  ///< primary group id; 0 on Windows
};

}  // namespace ringbell::sys
