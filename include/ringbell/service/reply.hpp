// SPDX-License-Identifier: BSL-1.0
#pragma once

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

/// What a handler answers: bytes, a value, or an error; with metadata if it likes. It is written
/// straight into the ring once there is space.
///
/// Thread-safety: the server's loop. Lifetime: owns what it was made of.
class reply {
public:
  /// An empty one.
  reply() noexcept = default;
  explicit reply(std::string bytes);
  explicit reply(std::vector<std::byte> bytes);
  /// Copies them.
  explicit reply(std::string_view bytes);
  explicit reply(const char* text) : reply(std::string_view(text)) {}
  explicit reply(std::span<const std::byte> bytes);
  reply(reply&&) noexcept = default;
  reply& operator=(reply&&) noexcept = default;

  /// `value` by its `codec`, encoded into the ring.
  template <class T>
    requires detail::encodable<std::remove_cvref_t<T>>
  static reply of(T&& value) {
    using value_type = std::remove_cvref_t<T>;
    return reply(detail::owned<value_type>(std::forward<T>(value)));
  }
  /// Exactly `size` bytes, which `write(std::span<std::byte>)` puts there when the space is: into
  /// shared memory that the client can read already, so write, and read nothing back. It must not
  /// throw, nor touch the service.
  template <class F>
    requires std::invocable<F&, std::span<std::byte>>
  static reply in_place(std::size_t size, F write) {
    return reply(std::make_unique<written<F>>(size, std::move(write)));
  }
  /// An error: `call_error` at the client, as if the handler had thrown one.
  static reply failure(std::error_code code, const std::string& text);
  static reply failure(int code, const std::string& text) {
    return failure(std::error_code(code, handler_category()), text);
  }
  /// What an exception that left a handler becomes.
  static reply failure(const std::exception_ptr& error);

  /// For the client's eyes, beside the bytes; at most 4096 of them (`errc::message_too_large`).
  reply&& with_metadata(std::string_view bytes) &&;

  /// For the library's own use.
  bool failed() const noexcept { return failed_; }
  std::error_code code() const noexcept { return code_; }
  std::string_view metadata() const noexcept { return metadata_; }
  std::size_t size() const { return content_ ? content_->size() : 0; }
  const detail::outgoing* content() const noexcept { return content_.get(); }

private:
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
