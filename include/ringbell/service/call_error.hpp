// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>

#include <string>
#include <system_error>

namespace ringbell {

/// The category of the codes that handlers define for their clients (`call_error`).
/// Thread-safety: any thread.
const std::error_category& handler_category() noexcept;

/// What a call throws when the service answered with an error, and what a handler throws to answer
/// with one.
///
/// `code()` is one of these:
/// in `handler_category()` when the handler defined the code;
/// in `std::generic_category()` when the handler threw a `std::system_error` of the system;
/// an `errc` when the service itself refused: `errc::refused_in_flight`, `refused_bytes`,
/// `refused_stopping`, `no_such_method`, `timed_out`, `cancelled`, or `handler_failed` for an
/// exception without a code.
/// `what()` is the text that the service sent.
class call_error : public std::system_error {
public:
  /// For handlers: the client gets `code` and at most 4096 bytes of `text`.
  call_error(int code, const std::string& text)
      : call_error(std::error_code(code, handler_category()), text) {}
  call_error(std::error_code code, const std::string& text)
      : std::system_error(code), text_(text) {}
  /// Returns the text alone, without the message of the code.
  const std::string& text() const noexcept { return text_; }
  const char* what() const noexcept override {
    return text_.empty() ? std::system_error::what() : text_.c_str();
  }

private:
  std::string text_;
};

}  // namespace ringbell
