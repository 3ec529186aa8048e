// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>

namespace ringbell::detail {

/// The value of an environment variable; empty when it is not set.
inline std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : std::string_view();
}

[[noreturn]] inline void bad_variable(const char* name, std::string_view value,
                                      const char* expected) {
  throw std::system_error(
      std::make_error_code(std::errc::invalid_argument),
      std::string("ringbell: ") + name + " is '" + std::string(value) + "', expected " + expected);
}

}  // namespace ringbell::detail
