// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/access.hpp>
#include <ringbell/service/call_error.hpp>
#include <ringbell/service/codec.hpp>
#include <ringbell/service/detail/outgoing.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringbell {

/// What a handler answers: bytes, a value, or an error, and metadata if wanted. It is written
/// straight into the ring once there is space.
///
/// Thread-safety: the loop that runs the handler.
/// Lifetime: a reply owns what it was made of.
class reply {
public:
  /// Makes an empty reply.
  reply() noexcept = default;
  explicit reply(std::string bytes);
  explicit reply(std::vector<std::byte> bytes);
  /// Copies the bytes.
  explicit reply(std::string_view bytes);
  explicit reply(const char* text) : reply(std::string_view(text)) {}
  explicit reply(std::span<const std::byte> bytes);
  reply(reply&&) noexcept = default;
  reply& operator=(reply&&) noexcept = default;

  /// Makes a reply of `value`, which its `codec` encodes into the ring.
  template <class T>
    requires detail::encodable<std::remove_cvref_t<T>>
  static reply of(T&& value) {
    using value_type = std::remove_cvref_t<T>;
    return reply(detail::owned<value_type>(std::forward<T>(value)));
  }
  /// Makes a reply of exactly `size` bytes, which `write(std::span<std::byte>)` writes once there
  /// is space. They lie in shared memory that the client can read already: write them, and read
  /// nothing back. `write` must not throw and must not call into the service.
  template <class F>
    requires std::invocable<F&, std::span<std::byte>>
  static reply in_place(std::size_t size, F write) {
    return reply(std::make_unique<written<F>>(size, std::move(write)));
  }
  /// Makes an error: the client gets a `call_error`, as if the handler had thrown one.
  static reply failure(std::error_code code, const std::string& text);
  static reply failure(int code, const std::string& text) {
    return failure(std::error_code(code, handler_category()), text);
  }
  /// Makes the error for an exception that left a handler.
  static reply failure(const std::exception_ptr& error);

  /// Adds metadata for the client beside the bytes.
  /// Errors: throws `errc::message_too_large` for more than 4096 bytes.
  reply&& with_metadata(std::string_view bytes) &&;

  /// Whether this is an error.
  bool failed() const noexcept { return failed_; }
  /// The code of the error; none when this is not one.
  std::error_code code() const noexcept { return code_; }
  std::string_view metadata() const noexcept { return metadata_; }

private:
  friend struct detail::access;
  std::size_t size() const { return content_ ? content_->size() : 0; }
  const detail::outgoing* content() const noexcept { return content_.get(); }
  using content_type = detail::outgoing;
  template <class F>
  class written final : public content_type {
  public:
    written(std::size_t size, F f) : size_(size), write_(std::move(f)) {}
    std::size_t size() const override { return size_; }
    void write(std::span<std::byte> into) const override { write_(into); }

  private:
    std::size_t size_;
    mutable F write_;
  };

  template <class T>
  explicit reply(detail::owned<T>&& from)
      : content_(std::make_unique<detail::owned<T>>(std::move(from))) {}
  explicit reply(std::unique_ptr<content_type> from) noexcept : content_(std::move(from)) {}

  std::unique_ptr<content_type> content_;
  std::string metadata_;
  std::error_code code_;
  bool failed_ = false;
};

}  // namespace ringbell
