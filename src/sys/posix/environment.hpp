// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace ringbell::sys {

/// As getenv, but null in a program that runs with the rights of another than its caller.
const char* trusted_variable(const char* name) noexcept;

/// Whether it does not run so: false with set-user-id, set-group-id or file capabilities.
bool environment_counts() noexcept;

/// Where root's sockets are.
const char* root_service_folder() noexcept;

}  // namespace ringbell::sys
