// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstdio>
#include <string>
#include <string_view>

namespace ringbell::tool {

/// Writes one JSON text. Whoever calls it opens and closes in order; commas and escapes are taken care of.
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
  json& value(std::string_view key, double number) {
    start(key);
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.6g", number);
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
  void quote(std::string_view text) {
    text_ += '"';
    for (const char c : text) {
      char escaped[8];
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (static_cast<unsigned char>(c) < ' ') {
        std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
        text_ += escaped;
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }

  std::string text_;
  bool first_ = true;
};

}  // namespace ringbell::tool
