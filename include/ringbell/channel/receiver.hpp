// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/channel_impl.hpp>
#include <ringbell/channel/message.hpp>
#include <ringbell/detail/access.hpp>
#include <ringbell/result.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace ringbell {

namespace detail {

class recv_awaiter final : public receive_wait {
public:
  explicit recv_awaiter(channel_impl* impl) noexcept : receive_wait(impl) {}
  bool await_ready() noexcept {
    if (may_try()) take();
    return !undecided();
  }
  result<std::optional<message>> take_result() noexcept {
    if (may_take()) take();
    // The loop saw something to receive, so if nothing is there now the peer has changed it. The
    // awaiting coroutine must not be told to try again.
    if (undecided()) outcome_ = errc::bad_peer;
    // The channel may go before this awaiter does.
    auto* const impl = std::exchange(of_, nullptr);
    if (outcome_ == errc{})
      return std::optional<message>(access::make<message>(*impl, std::move(view_)));
    if (outcome_ == errc::end_of_stream) return std::optional<message>();
    return outcome_;
  }
  std::optional<message> await_resume() { return take_result().value(); }

private:
  void take() noexcept {
    outcome_ = of_->ring().receive(view_);
    of_->ring_if_due();
  }
  ring::message_view view_;
};

/// Throws `error` for a receive into a buffer of `buffer` bytes.
[[noreturn]] void fail_to_receive_into(const std::error_code& error, std::size_t buffer);

class recv_into_awaiter final : public receive_wait {
public:
  recv_into_awaiter(channel_impl* impl, std::span<std::byte> buffer) noexcept
      : receive_wait(impl), buffer_(buffer) {}
  bool await_ready() noexcept {
    if (may_try()) take();
    return !undecided();
  }
  result<std::optional<std::size_t>> take_result() noexcept {
    if (may_take()) take();
    if (undecided()) outcome_ = errc::bad_peer;  // see recv_awaiter
    of_ = nullptr;                               // the channel may go before this awaiter does
    if (outcome_ == errc{}) return std::optional<std::size_t>(size_);
    if (outcome_ == errc::end_of_stream) return std::optional<std::size_t>();
    return outcome_;
  }
  std::optional<std::size_t> await_resume() {
    const auto received = take_result();
    if (!received) fail_to_receive_into(received.error(), buffer_.size());
    return *received;
  }

private:
  void take() noexcept {
    outcome_ = receive_into(*of_, buffer_, size_);
    of_->ring_if_due();
  }
  std::span<std::byte> buffer_;
  std::size_t size_ = 0;
};

}  // namespace detail

/// The receiving half of a channel.
///
/// Thread-safety: the loop's thread. One receive may be pending at a time; a second one fails with
/// `errc::busy`. On another loop than its own a receive ends with `errc::wrong_loop`, at the latest
/// when it has to wait.
/// Cancellation: a stop ends a pending receive with `errc::cancelled`; it has taken nothing. A
/// receive that does not have to wait checks the stop token only now and then.
/// Lifetime: destruction ends the direction, so that the peer's sends fail with
/// `errc::peer_closed`, and ends a pending receive with `errc::closed`. Received messages may live
/// on. A receiver that outlives its loop is closed.
class receiver {
public:
  using recv_awaitable = detail::awaitable<detail::recv_awaiter, detail::channel_impl*>;
  using recv_into_awaitable =
      detail::awaitable<detail::recv_into_awaiter, detail::channel_impl*, std::span<std::byte>>;

  receiver() noexcept = default;
  receiver(receiver&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  receiver& operator=(receiver&& other) noexcept {
    if (this != &other) {
      reset();
      impl_ = std::exchange(other.impl_, nullptr);
    }
    return *this;
  }
  ~receiver() { reset(); }
  explicit operator bool() const noexcept { return impl_ != nullptr; }

  /// Waits for the next message. The result is a `std::optional<message>`; it is empty when the
  /// peer has closed in order and everything was received.
  /// Errors: throws `errc::peer_closed` when the peer has died instead, after everything that it
  /// had published was received. Throws also `errc::bad_peer`, `errc::cancelled`, `errc::closed`,
  /// `errc::busy`, `errc::wrong_loop`.
  /// Cancellation: see the class.
  recv_awaitable recv() noexcept { return recv_awaitable(impl_); }
  /// Waits for the next message and copies it to `buffer`. The result is a
  /// `std::optional<std::size_t>`, the length of the message in bytes. Use it for bytes that the
  /// peer must not be able to change while you check them.
  /// Errors: those of `recv`. `errc::message_too_large` when the message does not fit the buffer;
  /// it can then still be received.
  /// Cancellation: see the class.
  /// Lifetime: the buffer must stay valid until the operation has ended.
  recv_into_awaitable recv_into(std::span<std::byte> buffer) noexcept {
    return recv_into_awaitable(impl_, buffer);
  }

  /// Returns the next message if there is one now.
  /// Errors: `errc::would_block`, `errc::end_of_stream`, and those of `recv`.
  result<message> try_recv() noexcept;

  /// Ends the direction: a pending receive ends with `errc::closed`, and the peer's sends fail.
  /// Further calls have no effect.
  void close() noexcept {
    if (impl_) impl_->close_receive();
  }

private:
  friend struct detail::access;
  explicit receiver(detail::channel_impl* impl) noexcept : impl_(impl) {}
  detail::channel_impl* impl() const noexcept { return impl_; }
  void reset() noexcept {
    if (auto* impl = std::exchange(impl_, nullptr)) impl->drop_receiver();
  }
  detail::channel_impl* impl_ = nullptr;
};

inline result<message> receiver::try_recv() noexcept {
  if (!impl_) return errc::closed;
  if (impl_->receiving()) return errc::busy;
  ring::message_view view;
  const errc e = impl_->ring().receive(view);
  impl_->ring_if_due();
  if (e != errc{}) return e;
  return detail::access::make<message>(*impl_, std::move(view));
}

}  // namespace ringbell
