// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

namespace ringbell::sys {

/// Text for messages: the limits of this process or system that may have caused a system error,
/// with their values, in parentheses and after a space. An example is " (ulimit -n allows 1024 open
/// files)". Empty for other errors, and on Windows.
/// Thread-safety: any thread.
std::string limit_behind(const std::error_code& error);

/// The same for a thread or a process that could not be started.
std::string limit_of_threads();

/// An exception with `error`, and with `text` followed by the limits behind the error.
inline std::system_error failure(const std::error_code& error, const std::string& text) {
  return {error, text + limit_behind(error)};
}

/// Whether shared memory of this size may be created. It counts as a file (`ulimit -f`), and the
/// system ends a process that creates a larger one, by SIGXFSZ. The memory is a little longer than
/// the ring in it. On Windows always true.
bool fits_file_limit(std::size_t bytes) noexcept;

/// The number of bytes of memory that the control groups of this process allow, by the smallest
/// limit. Empty when there is no limit, and on systems other than Linux.
std::optional<std::uint64_t> control_group_memory();

}  // namespace ringbell::sys
