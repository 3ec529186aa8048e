// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>

#include <optional>
#include <utility>

namespace ringbell {

/// A value, or the `std::error_code` that says why there is none. `try_*` functions and `co_await
/// as_result(...)` return it in place of throwing an exception. (`std::expected` is C++23.)
///
/// Errors: only `value()` throws. Nothing here allocates.
/// Thread-safety: as the value's.
template <class T>
class [[nodiscard]] result {
public:
  /// The type of the value.
  using value_type = T;

  result(T value) : value_(std::move(value)) {}
  /// `error` must not be success.
  result(std::error_code error) noexcept : error_(error) {}
  result(errc error) noexcept : error_(error) {}

  /// Whether there is a value.
  bool has_value() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  /// The reason why there is no value; a success code when there is one.
  std::error_code error() const noexcept { return error_; }

  /// The value. Throws `std::system_error` with `error()` when there is none.
  T& value() & { return need_value(), *value_; }
  const T& value() const& { return need_value(), *value_; }
  T&& value() && { return need_value(), *std::move(value_); }

  /// The value, unchecked: only when `has_value()`.
  T& operator*() & noexcept { return *value_; }
  const T& operator*() const& noexcept { return *value_; }
  T&& operator*() && noexcept { return *std::move(value_); }
  T* operator->() noexcept { return &*value_; }
  const T* operator->() const noexcept { return &*value_; }

private:
  void need_value() const {
    if (!value_) throw std::system_error(error_);
  }

  std::optional<T> value_;
  std::error_code error_;
};

/// Success, or the reason for a failure.
///
/// Thread-safety: a plain value.
template <>
class [[nodiscard]] result<void> {
public:
  using value_type = void;

  result() noexcept = default;
  result(std::error_code error) noexcept : error_(error) {}
  result(errc error) noexcept : error_(error) {}

  bool has_value() const noexcept { return !error_; }
  explicit operator bool() const noexcept { return has_value(); }
  std::error_code error() const noexcept { return error_; }
  /// Throws `std::system_error` with `error()` when it is a failure.
  void value() const {
    if (error_) throw std::system_error(error_);
  }

private:
  std::error_code error_;
};

}  // namespace ringbell
