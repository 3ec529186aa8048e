// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace ringbell::sys {

/// As getenv, but null in a program that runs with the rights of another than its caller.
const char* trusted_variable(const char* name) noexcept;

/// Where root's sockets are.
const char* root_service_folder() noexcept;

}  // namespace ringbell::sys
