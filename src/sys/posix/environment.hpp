// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace ringbell::sys {

/// As getenv, but null when environment_counts() is false.
const char* trusted_variable(const char* name) noexcept;

/// False when the program runs with rights that its caller does not have: with set-user-id,
/// set-group-id or file capabilities.
bool environment_counts() noexcept;

/// The folder of root's sockets.
const char* root_service_folder() noexcept;

}  // namespace ringbell::sys
