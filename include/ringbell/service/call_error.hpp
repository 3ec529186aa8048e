// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>

#include <string>
#include <system_error>

namespace ringbell {

/// The category of the codes that handlers make up for their clients (`call_error`). Thread-safe.
const std::error_category& handler_category() noexcept;

/// What a call throws when the service answered with an error, and what a handler throws to answer
/// with one.
///
/// `code()` is in `handler_category()` when the handler made it up; in `std::generic_category()`
/// when the handler threw a `std::system_error` of the system's; an `errc` when the service itself
/// refused (`errc::refused_in_flight`, `refused_bytes`, `refused_stopping`, `no_such_method`,
/// `timed_out`, `cancelled`, `handler_failed` for an exception without a code). `what()` is the
/// text that the service sent.
class call_error : public std::system_error {
public:
  /// From a handler: the client gets `code` and `text`, at most 4096 bytes of it.
  call_error(int code, const std::string& text)
      : call_error(std::error_code(code, handler_category()), text) {}
  call_error(std::error_code code, const std::string& text)
      : std::system_error(code), text_(text) {}
  /// The text alone, without that of the code.
  const std::string& text() const noexcept { return text_; }
  const char* what() const noexcept override {
    return text_.empty() ? std::system_error::what() : text_.c_str();
  }

private:
  std::string text_;
};

}  // namespace ringbell
