// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

namespace ringbell::sys {

/// For messages: the limits of this process or system that an error of the system may come from,
/// with their values, in parentheses and with a space in front. Such as: " (ulimit -n allows 1024
/// open files)". Empty for other errors, and on Windows.
/// Thread-safety: any thread.
std::string limit_behind(const std::error_code& error);

/// The same for a thread or a process that could not be started.
std::string limit_of_threads();

/// The error with such a text and the limits behind it.
inline std::system_error failure(const std::error_code& error, const std::string& text) {
  return {error, text + limit_behind(error)};
}

/// Whether shared memory of that size may be made: it counts as a file (`ulimit -f`), and the
/// system ends a process that makes a larger one by SIGXFSZ. The memory is a little longer than the
/// ring in it. Always on Windows.
/// Thread-safety: any thread.
bool fits_file_limit(std::size_t bytes) noexcept;

/// How many bytes of memory the control groups of this process allow, by the smallest limit;
/// nothing without one, and elsewhere than on Linux.
std::optional<std::uint64_t> control_group_memory();

}  // namespace ringbell::sys
