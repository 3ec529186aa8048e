// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringbell::tool::top {

/// A key: a character as it is, or one of those that a terminal sends as several bytes.
enum class key : std::uint16_t { up = 256, down, page_up, page_down, home, end };
constexpr key character(char c) noexcept {
  // A character is a key as well, and not among the enumerators.
  return static_cast<key>(  // NOLINT(clang-analyzer-optin.core.EnumCastOutOfRange)
      static_cast<unsigned char>(c));
}

/// Takes keys out of what a terminal sends, which comes in any pieces.
class key_reader {
public:
  std::vector<key> take(std::string_view bytes);

private:
  std::string begun_;  // of an escape sequence
};

}  // namespace ringbell::tool::top
