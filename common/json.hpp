// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace ringbell::tool {

/// Writes one JSON text. Whoever calls it opens and closes in order; commas and escapes are taken
/// care of.
class json {
public:
  json& begin_object(std::string_view key = {}) { return open(key, '{'); }
  json& end_object() { return close('}'); }
  json& begin_array(std::string_view key = {}) { return open(key, '['); }
  json& end_array() { return close(']'); }

  json& value(std::string_view key, std::string_view text) {
    start(key);
    quote(text);
    return *this;
  }
  json& value(std::string_view key, const char* text) { return value(key, std::string_view(text)); }
  json& value(std::string_view key, bool yes) {
    start(key);
    text_ += yes ? "true" : "false";
    return *this;
  }
  json& value(std::string_view key, std::integral auto number) {
    start(key);
    text_ += std::to_string(number);
    return *this;
  }
  /// `null` where there is no number.
  template <std::integral T>
  json& value(std::string_view key, const std::optional<T>& number) {
    if (number) return value(key, *number);
    start(key);
    text_ += "null";
    return *this;
  }
  json& value(std::string_view key, double number) {
    start(key);
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.6g",
                  std::isfinite(number) ? number : 0);  // JSON has no word for others
    text_ += digits;
    return *this;
  }

  const std::string& text() const noexcept { return text_; }

private:
  json& open(std::string_view key, char bracket) {
    start(key);
    text_ += bracket;
    first_ = true;
    return *this;
  }
  json& close(char bracket) {
    text_ += bracket;
    first_ = false;
    return *this;
  }
  void start(std::string_view key) {
    if (!first_) text_ += ',';
    first_ = false;
    if (key.empty()) return;
    quote(key);
    text_ += ':';
  }
  /// Valid UTF-8 whatever the text is: a byte that belongs to none becomes U+FFFD.
  void quote(std::string_view text) {
    text_ += '"';
    while (!text.empty()) {
      const auto c = static_cast<unsigned char>(text.front());
      const std::size_t length = utf8_length(text);
      char escaped[8];
      if (length == 0) {
        text_ += "\\ufffd";
      } else if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += text.front();
      } else if (c < ' ') {
        std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
        text_ += escaped;
      } else {
        text_ += text.substr(0, length);
      }
      text.remove_prefix(std::max<std::size_t>(1, length));
    }
    text_ += '"';
  }

  /// How many bytes the character at the front takes; 0 when it is none: no short form of another,
  /// no half of a UTF-16 pair, not beyond U+10FFFF.
  static std::size_t utf8_length(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) {
      return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
      return byte(i) >= low && byte(i) <= high;
    };
    const unsigned c = byte(0);
    if (c < 0x80) return 1;
    if (c >= 0xc2 && c <= 0xdf) return follows(1) ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef)
      return follows(1, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
    if (c >= 0xf0 && c <= 0xf4)
      return follows(1, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf) && follows(2) &&
                     follows(3)
                 ? 4
                 : 0;
    return 0;
  }

  std::string text_;
  bool first_ = true;
};

}  // namespace ringbell::tool
